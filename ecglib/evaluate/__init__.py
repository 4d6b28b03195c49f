"""Core: to be read. Every number of the compendium, from prediction files, by code without models.

In reading order; the first line of a file says what it does (a table in docs/architecture.md):

rows and intervals  `predictions`, `label_rows`, `bootstrap`
classification      `weighted_curves`, `auc`, `average_precision`, `small_auc`, `class_counts`,
                    `subgroups`, `thresholds`, `calibration`
reports             `meteor`, `text_overlap`, `statements`, `finding_agreement`, `report_faults`,
                    `word_scores`
answers             `exact_match`, `score_texts`
signals and codes   `reconstruction`, `measurement_error`, `codebook_use`
embeddings          `modality`
tables and claims   `wide_tables`, `budgets`, `claims`, `confirmation`
"""
