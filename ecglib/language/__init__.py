"""Core: to be read. Language models that read ECGs, one file per system, and their floors.

A system is a base language model, adapted in full or by a LoRA, and a prefix of embeddings in the
ECG's place. It is an entry of the profile's section `systems`. The module `<kind>` of a system
defines its prefix (`build`, `read_ecgs`, `forward`) and a step `initialise`. One step trains any
system on reports and questions, one writes with it. A control differs from its system in the prefix
or in the ECGs that it gets.

In reading order:

small_model     makes a small Llama from nothing, on the training texts without an ECG.
base            prepares and loads a base language model, and adapts it.
packing         packs a prefix and several texts into rows and computes the loss of the answers.
system          holds the contract of a system, and saves and loads one.
no_ecg          is the control: a learned constant in the ECG's place.
adapter         is ECG-Tok: an attention adapter on frozen latents.
train_system    trains any system on reports and questions, and counts what that costs.
heartllm        is HeartLLM: ECG tokens as new words of the vocabulary, and their pretraining.
phrase_warm_up  trains a prefix to point to words that its training reports use.
write_texts     writes reports and answers with any system.
system_parts    lists the steps of each entry of `systems`.
bert_score      compares written reports with their references by the base's own states.
alignment       compares ECG tokens and report words in the language model's space.
bert_labels     labels reports with ECG-Tok's classifier instead of the rules.
floors          has the commonest answer, the nearest neighbour, the words alone and the templates.
memoriser       answers and copies by the codes of the training ECGs.
"""
