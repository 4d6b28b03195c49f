"""Training of any language system on any texts: reports, or reports and questions."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.packing import Text, answer_loss, collate, microbatches
from ecglib.language.system import fit_system, open_system, report_prompt
from ecglib.training import seeds
from ecglib.training.device import Machine

# seed the generators: kept from the first version, so that results stay the same
FRESH, REPORTS, INSTRUCTIONS, QUESTIONS = "wording", "reports", "tune", "ask"


def answered(base: Base, prompt: str, answer: str) -> Text:
    """A prompt with its supervised answer, end token included."""
    return Text(base.encode(prompt), [*base.encode(" " + answer), base.eos])


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the LoRA and the prefix of any system, on reports or on reports and questions.

    Every update draws ECGs from the training records. A control differs in its prefix alone: it
    starts from the same LoRA and sees the same batches. A fresh LoRA behind the no-ECG prefix
    learns how reports are worded, and systems that start from it need not learn that again. The
    loss is L = -sum_i log P(w_i | prefix, prompt, w_<i) per answer token.

    Config:
        steps: updates.
        batch: ECGs per update, each with its report.
        parts: micro-batches, sorted by length; more where memory is short.
        lora_rate: learning rate of the LoRA.
        prefix_rate: learning rate of the prefix.
        questions_per_ecg (optional): drawn in each update for each ECG, all where it has fewer;
            with the input `questions`.
        lora (optional): rank, alpha and targets of a fresh LoRA, without the input `lora`.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        prefix: the system whose prefix is trained on; its `system.json` names the kind.
        lora (optional): the system whose LoRA is trained on.
        tokenizer (optional): read by ECG-Tok.
        codes (optional): read by all systems with a tokenizer.
        questions (optional): without them the system is trained on reports alone.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows, name = cohort.rows("train"), REPORTS
    system = open_system(inputs, machine, rows, trainable=True)
    base, records = system.base, cohort.records.iloc[rows]
    if "lora" not in inputs:
        fresh, name = base_model.add_lora(base, config["lora"], seed), FRESH
        system = replace(system, model=fresh)
    pairs = zip(records["site"], records["report"], strict=True)
    reports = [answered(base, report_prompt(site), report) for site, report in pairs]
    questions: dict[int, list[Text]] = {row: [] for row in rows}
    if "questions" in inputs:
        table, name = pd.read_parquet(inputs["questions"] / "train.parquet"), INSTRUCTIONS
        for asked in table.itertuples():
            questions[asked.row].append(answered(base, asked.question, asked.answer))

    def texts_at(step: int, index: int) -> list[Text]:
        own, size = questions[rows[index]], config.get("questions_per_ecg", 0)
        drawn = seeds.draw_rows(len(own), size, seed, QUESTIONS, step, index)
        return [reports[index], *(own[i] for i in drawn.tolist())]

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        drawn = seeds.draw_rows(len(rows), config["batch"], seed, name, step).tolist()
        texts = {index: texts_at(step, index) for index in drawn}
        lengths = {index: sum(map(len, texts[index])) for index in drawn}
        supervised = sum(len(text.answer) for index in drawn for text in texts[index])

        def loss(group: list[int]) -> torch.Tensor:
            with machine.autocast():
                batch = collate([texts[index] for index in group], base.eos)
                return answer_loss(system.model, *system.ecg_prefix(group), batch, supervised)

        return [partial(loss, g) for g in microbatches(drawn, lengths, config["parts"])]

    fit_system(system, loss_at, config, seed, out, name)
