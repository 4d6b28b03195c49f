"""Core: to be read. Every number of the compendium, from prediction files, by code without models.

1. `predictions` holds the one schema that all evaluation reads.
2. `label_rows` makes prediction rows of a table of scores of labels.
3. `bootstrap` estimates a value and its 95 % interval from totals per patient.
4. `weighted_curves` computes AUC and average precision for all resamples at once.
5. `auc` scores classification, and a classifier that separates two sets of ECGs.
6. `average_precision` scores classification by precision and recall.
7. `small_auc` gives an interval to an AUC on few positives.
8. `class_counts` names the labels that cannot be measured.
9. `subgroups` scores classification by sex, age and site.
10. `thresholds` chooses thresholds on validation patients and computes F1 with them.
11. `calibration` compares predicted probabilities with what came true.
12. `meteor` aligns the words of two texts, with the synonyms of WordNet where it is installed.
13. `text_overlap` compares the words of generated reports with their references.
14. `statements` reads how firmly a text states its findings.
15. `finding_agreement` compares the findings that reports state with the labels.
16. `report_faults` counts what reports invent, omit and deny.
17. `exact_match` scores answers to questions, beside the chance level.
18. `reconstruction` measures the errors of decoded signals.
19. `measurement_error` compares what a cardiologist measures before and after.
20. `codebook_use` measures how evenly a quantiser uses its codewords.
21. `modality` measures whether ECG and text embeddings share a space.
22. `wide_tables` formats results as "value [low, high]" for readers.
23. `budgets` sets beside a comparison what each method was given in training.
24. `claims` judges what was registered before a run.
"""
