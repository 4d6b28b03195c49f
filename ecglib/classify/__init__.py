"""Core, read after `training`, `tokenizers` and `language`, before `evaluate`: classifiers of ECGs.

targets      chooses the labels that are scored and masks the cells that are unknown
prevalence   the floor: how frequent a label is at the patient's site
probe        a multi-label classifier on the frozen embeddings of a tokenizer
two_sample   a classifier two-sample test between two sources of ECGs
"""
