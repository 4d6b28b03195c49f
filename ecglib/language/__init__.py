"""Core: to be read. Language models that read ECGs, one file per system, and their floors.

A system is a frozen base with a LoRA, and a prefix of embeddings in the ECG's place. The module
`<kind>` of a system defines its prefix (`read_ecgs`, `forward`) and a step `initialise`. One step
trains any system on any texts, one writes with it. A control differs from its system in the prefix
or in the ECGs that it gets. A system is saved as `system.json`, `prefix.safetensors` and `lora/`.

In reading order:

base            prepares and loads the base language model, and wraps it in a LoRA.
packing         packs a prefix and several texts into rows and computes the loss of the answers.
system          holds the contract of a system, and saves and loads one.
no_ecg          is the control: a learned constant in the ECG's place.
ecg_tok         is ECG-Tok: an attention adapter on frozen latents.
heartllm        is HeartLLM: ECG tokens as new words of the vocabulary, and their pretraining.
finding_warmup  trains a prefix to point to the words of findings.
train_system    trains any system on reports and questions.
write_texts     writes reports and answers with any system.
alignment       compares ECG tokens and report words in the language model's space.
bert_labels     labels reports with ECG-Tok's classifier instead of the rules.
floors          has the commonest answer, the nearest neighbour, the words alone and the templates.
memoriser       answers and copies by the codes of the training ECGs.
"""
