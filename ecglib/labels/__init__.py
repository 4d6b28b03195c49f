"""The 77 labels by name, and how report text and codes become states of labels.

In reading order: `label_set` names the labels and their states; `findings` words those that reports
state; `full_report` writes the report that states every present finding; `rules` compiles the rules
of label_rules.yaml; `territories` reads leads and walls; `clauses` cuts text; `labeller` reads
labels from text; `scp` translates the SCP-ECG codes of PTB-XL.
"""
