"""Core, read after `training`, `tokenizers` and `language`, before `evaluate`: classifiers of ECGs.

targets      chooses the labels that are scored, masks the unknown cells, draws labelled patients
prevalence   the floor: how frequent a label is at the patient's site
summary_numbers  numbers of an ECG that know nothing of the order of its waves
linear_floors    logistic regression on them
loss         the cross-entropy of the known cells
efficientnet     ECG-Tok's classifier, and the linear probe beside it
validation   loss and macro-AUC after each epoch, and the weights of the best one
train_classifier trains any network and writes the same files for each
frozen_features  what the heads read: codes, latents, or the features of a self-supervised model
frozen_head  trains a classifier on frozen features
raw_network  a convolutional network on the raw signal
decoded      the same network on ECGs that were decoded from tokens
deep_sl      DeepSL: ECG-Tok's classifier on the raw signal
deep_ssl_network  DeepSSL: its convolutions and its transformer
deep_ssl_losses   its masks, its targets and its contrastive losses
deep_ssl     trains it without labels, and writes its features
ptbxl_tasks  the standard tasks of PTB-XL as targets, and their published AUCs
report_targets  what the reports state, as targets
question_targets  what decides the answers to questions, as targets
classifier_parts  the steps of notebook 03, from a profile
label_thresholds  from probabilities to statements, with thresholds chosen on validation
training_site  a cohort whose models learn from the patients of one hospital
two_sample   a classifier two-sample test between two sources of ECGs
"""
