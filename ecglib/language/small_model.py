"""The small language model: a Llama of a few million parameters, made from nothing in each run.

Its word pieces and its weights come from the training texts, without any ECG: reports, questions
and answers of the training patients. It knows the language of these texts and no English.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from ecglib.cohorts.store import Cohort
from ecglib.language.prompt import Prompt
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit
from ecglib.training.seeds import sub_seed

PROMPTS = (Prompt(), Prompt(instruction=False), Prompt(), Prompt(patient=False))  # in turn
END = "<|end|>"  # ends every answer; also begins a text and fills padding


def llama_config(
    vocabulary: int,
    width: int,
    feed_forward: int,
    layers: int,
    heads: int,
    key_value_heads: int,
    eos: int,
) -> LlamaConfig:
    """The configuration of a Llama of these sizes, with tied embeddings."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        tie_word_embeddings=True,
        bos_token_id=eos,
        eos_token_id=eos,
        pad_token_id=eos,
    )


def text_tokenizer(texts: Iterable[str], pieces: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `pieces` word pieces (256 bytes and the end mark included)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(list(texts), trainer)
    special = dict.fromkeys(("eos_token", "bos_token", "pad_token"), END)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def training_texts(cohort: Cohort, questions: Path | None) -> list[str]:
    """What a system reads and writes about training patients: the patient, a prompt and a report,
    or a question and its answer. Half of the texts lack the patient or the instruction, because
    some systems do."""
    records, texts = cohort.records.iloc[cohort.rows("train")], []
    lines = {row: Prompt().line(record) for row, record in records.iterrows()}
    asked = None if questions is None else pd.read_parquet(questions)
    for number, prompt in enumerate(PROMPTS):
        for one in records[number :: len(PROMPTS)].itertuples():
            if one.report.strip():
                line = lines[one.Index] if prompt.patient else ""
                texts.append(f"{line}{prompt.report(one.site)} {one.report}")
        for one in () if asked is None else asked[number :: len(PROMPTS)].itertuples():
            line = lines[one.row] if prompt.patient else ""
            texts.append(f"{line}{prompt.question(one.question)} {one.answer}")
    return texts


def pretrain(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: text tokenizer and Llama as a plain model folder, trained on texts without an ECG.

    The weights are saved in half precision, as they are published.

    Config:
        pieces: of the byte-level BPE, at most.
        width: of the embeddings.
        layers: of the Llama.
        heads: per layer.
        feed_forward: width of the feed-forward layers.
        steps: updates.
        batch: texts per update.
        learning_rate: at its peak.

    Inputs: cohort, questions (optional).
    """
    machine.configure_torch()
    asked = inputs["questions"] / "train.parquet" if "questions" in inputs else None
    texts = training_texts(Cohort.open(inputs["cohort"]), asked)
    tokenizer = text_tokenizer(texts, config["pieces"])
    ids = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
    sizes = {key: config[key] for key in ("width", "feed_forward", "layers", "heads")}
    sizes |= {"key_value_heads": config["heads"], "eos": tokenizer.eos_token_id}
    torch.manual_seed(sub_seed(seed, "small model"))
    model = AutoModelForCausalLM.from_config(llama_config(len(tokenizer), **sizes))
    model.to(machine.device)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The loss of one update, as a function for `training.loop.fit`."""
        drawn = seeds.epoch_rows(len(ids), config["batch"], step, seed, "texts").tolist()
        rows = [torch.tensor([tokenizer.eos_token_id, *ids[i]]) for i in drawn]
        # padding is behind a text, where a causal model does not attend to it
        read = nn.utils.rnn.pad_sequence([row[:-1] for row in rows], True, tokenizer.eos_token_id)
        targets = nn.utils.rnn.pad_sequence([row[1:] for row in rows], True, -100)

        def loss() -> torch.Tensor:
            with machine.autocast():
                logits = model(input_ids=read.to(machine.device), use_cache=False).logits
            targeted = targets.to(machine.device).flatten()
            return nn.functional.cross_entropy(logits.float().flatten(0, 1), targeted)

        return [loss]

    schedule = Schedule(config["steps"], warmup=min(20, config["steps"] // 4))
    rates = {"model": config["learning_rate"]}
    losses = fit(loss_at, {"model": model}, rates, schedule, seed, out, "texts")
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
