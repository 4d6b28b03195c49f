"""Core: to be read. Every number of the compendium, from prediction files, by code without models.

1. `predictions` holds the one schema that all evaluation reads.
2. `bootstrap` estimates a value and its 95 % interval from totals per patient.
3. `auc` scores classification, and a classifier that separates two sets of ECGs.
4. `small_auc` gives an interval to an AUC on few positives.
5. `text_overlap` compares the words of generated reports with their references.
6. `finding_agreement` reads findings in reports and compares them with the labels.
7. `cohen_kappa` compares two readers of the same ECGs.
8. `exact_match` scores answers to questions, beside the chance level.
9. `reconstruction` measures the errors of decoded signals.
10. `measurement_error` compares what a cardiologist measures before and after.
11. `codebook_use` measures how evenly a quantiser uses its codewords.
12. `modality` measures whether ECG and text embeddings share a space.
13. `wide_tables` formats results as "value [low, high]" for readers.
14. `claims` judges what was registered before a run.
"""
