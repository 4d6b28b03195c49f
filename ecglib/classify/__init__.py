"""Core, read after `training`, `tokenizers` and `language`, before `evaluate`: classifiers of ECGs.

targets      chooses the labels that are scored and masks the cells that are unknown
prevalence   the floor: how frequent a label is at the patient's site
probe        a multi-label classifier on the frozen embeddings of a tokenizer
summary_numbers  numbers of an ECG that know nothing of the order of its waves
linear_floors    logistic regression on them
raw_network      a convolutional network on the raw signal
ptbxl_tasks  the standard tasks of PTB-XL as targets, and their published AUCs
report_targets  what the reports state, as targets
label_thresholds  from probabilities to statements, with thresholds chosen on validation
training_site  a cohort whose models learn from the patients of one hospital
two_sample   a classifier two-sample test between two sources of ECGs
"""
