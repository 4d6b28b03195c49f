"""Core: to be read. Language models that read ECGs, one file per system, and their floors.

A system is a base language model, adapted in full or by a LoRA, and a prefix of embeddings in the
ECG's place. It is an entry of the profile's section `systems`. The module `<kind>` of a system
defines its prefix (`build`, `read_ecgs`, `forward`) and a step `initialise`. One step trains any
system on reports and questions, one writes with it. A control differs from its system in the prefix
or in the ECGs that it gets.

In reading order; the first line of a file says what it does (a table in docs/architecture.md):

the base model      `small_model`, `grown_model`, `base`, `packed_llama`, `packing`
systems             `prompt`, `system`, `no_ecg`, `adapter`, `contrast`, `train_system`,
                    `phrase_warm_up`, `heartllm`, `next_tokens`, `ecg_byte`
without tokens      `signal_patches`, `continuous`, `info_nce`, `clip`, `text_prototypes`,
                    `time_llm`, `two_stage`
of studies          `feature_adapter`, `long_prompt`, `chat_turns`, `fewer_patients`,
                    `swapped_leads`
texts and steps     `write_texts`, `system_parts`
looked at           `bert_score`, `alignment`, `relevance`, `written_attention`,
                    `answer_attention`, `bert_labels`
without a model     `floors`, `memoriser`
"""
