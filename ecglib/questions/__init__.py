"""Questions about single ECGs with true answers: made from labels and measurements, or ECG-QA's.

question_book   reads questions.yaml: groups of options and the wordings that ask for them
facts           the state of every option in every ECG of a cohort
items           every question that can be asked of the ECGs, with the ECGs of each answer
balanced_sets   draws questions in sets, so that their words do not give the answers away
state_answers   answers questions from true or predicted states of labels and options
ecg_qa          reads the published questions of ECG-QA
leak_check      measures with a memoriser what ECG-Byte's split by question item leaks
"""
