"""Cohorts: recordings and simulated patients as a folder of int16 signals and one table.

In reading order:

- `store`: a finished cohort; opens it and reads its signals.
- `build`: the step that reads or simulates, checks, cleans, splits and stores ECGs.
- `settings`: the settings of `build` with their defaults.
- `quarantine`: reasons to reject a recording.
- `long_recordings`: recordings of more than ten seconds, cut or as windows.
- `label_table`: labels from a CSV instead of the source's own.
- `report_words`: how much of a data folder's reports the labelling rules understand.
- `workers`: one function over many chunks, on cores or a Dask cluster.
- `shards`: the chunks of an unfinished build on the disk.
- `records`: the table of a cohort, its quarantine and its manifest.
- `split`: train, validation and test by patient.
- `merge_cohorts`: the step that merges the cohorts of a plan; the ECGs that each role may use.
- `changing_rhythm`: the step that simulates streams whose rhythm changes, and their windows.
- `rename_site`: the step that gives all ECGs one hospital's name.
- `later_starts`: the step that copies the training ECGs with later beginnings.
- `noisy_ecgs`: the step that adds noise to some ECGs.
- `repeated_start`: the step that repeats the first seconds of each ECG.
- `loader`: shuffled batches for a training.
- `scored_sample`: the test records and findings that are scored.
- `cohort_features`: the steps that measure every ECG, for a comparison of simulated and real ones.
- `summary`: tables that describe a cohort.
- `reading_back`: labels read from the reports, compared with the cohort's labels.
"""
