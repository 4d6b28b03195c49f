"""Core, read after `training`, `tokenizers` and `language`, before `evaluate`: classifiers of ECGs.

In reading order; the first line of a file says what it does (a table in docs/architecture.md):

targets and floors  `targets`, `prevalence`, `summary_numbers`, `linear_floors`
what is read        `reads`, `latent_features`
networks            `raw_network`, `efficientnet`, `deep_sl`
training            `loss`, `validation`, `train_classifier`
DeepSSL             `deep_ssl_network`, `deep_ssl_losses`, `deep_ssl`
other targets       `ptbxl_tasks`, `report_targets`, `question_targets`
steps and uses      `classifier_parts`, `label_thresholds`, `training_site`, `two_sample`
"""
