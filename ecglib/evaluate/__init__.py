"""Core: to be read. Every number of the compendium, from prediction files, by code without models.

1. `predictions` holds the one schema that all evaluation reads.
2. `label_rows` makes prediction rows of a table of scores of labels.
3. `bootstrap` estimates a value and its 95 % interval from totals per patient.
4. `auc` scores classification, and a classifier that separates two sets of ECGs.
5. `small_auc` gives an interval to an AUC on few positives.
6. `text_overlap` compares the words of generated reports with their references.
7. `finding_agreement` reads findings in reports and compares them with the labels.
8. `cohen_kappa` compares two readers of the same ECGs.
9. `exact_match` scores answers to questions, beside the chance level.
10. `reconstruction` measures the errors of decoded signals.
11. `measurement_error` compares what a cardiologist measures before and after.
12. `codebook_use` measures how evenly a quantiser uses its codewords.
13. `modality` measures whether ECG and text embeddings share a space.
14. `wide_tables` formats results as "value [low, high]" for readers.
15. `claims` judges what was registered before a run.
"""
