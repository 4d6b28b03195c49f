"""The 77 labels by name, and how report text and codes become states of labels.

In reading order:
label_set: the labels, their categories and states.
label_groups: labels that are much alike, a group of which a mean counts once.
findings: the findings that reports state, with their wordings, and the report that states all.
finding_conditions: the condition of each finding, by which scores of reports count.
rules: the rules of label_rules.yaml, compiled.
clauses: report text cut into clauses; the leads and walls that they name.
labeller: labels read from report text.
scp: the SCP-ECG codes of PTB-XL as labels and as text.
"""
