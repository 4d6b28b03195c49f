"""Labels, report text, questions, patients and their split; the cohort as a folder of files."""
