"""HeartLLM: ECG tokens as words of the language model.

    start      a LoRA that knows how reports are worded; new rows, warmed up on what reports mention
    pretrain   LoRA and the rows learn to predict the next ECG token over the whole sequence
    tune       LoRA and the rows learn reports and questions, the ECG tokens standing in front
(heartllm, stages 2 and 3; stage 1 is `tokenizers.train.train_leadwise`.)
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.adapter import Constant
from ecglib.language.base import Base
from ecglib.language.ecg_embedding import EcgRows, initialise, load_rows
from ecglib.language.finding_warmup import Naming, directions, mentioned
from ecglib.language.packing import Text, backbone, collate, halves, text_loss
from ecglib.language.prefix import embedding_scale, save_ear, save_lora, write_history
from ecglib.language.texts import question_text, report_text
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit


def new_rows(base: Base, tokenizer: LeadwiseTokenizer, config: dict, seed: int) -> EcgRows:
    """Untrained rows; `config["rows"]`: grid (neighbours start alike) or independent (released)."""
    if config["rows"] not in ("grid", "independent"):
        raise ValueError(f"rows is {config['rows']!r}; use grid or independent")
    rows = EcgRows(tokenizer.fsq.codewords, base.width)
    grid = tokenizer.fsq.codes_to_grid(torch.arange(tokenizer.fsq.codewords))
    text = base.model.get_input_embeddings().weight
    initialise(rows, text, grid if config["rows"] == "grid" else None, seed)
    return rows


def next_token_losses(model: nn.Module, rows: EcgRows, codes: torch.Tensor) -> torch.Tensor:
    """-log P(next ECG token) in nats at each position: codes (B, T) -> (B, T).

    The softmax runs over the K + 2 new rows: after <start_ecg> only they can follow.
    """
    ids = rows.bracket(codes)[:, :-1]
    hidden = backbone(model)(
        inputs_embeds=rows.embed(ids).to(model.dtype), use_cache=False
    ).last_hidden_state[:, :-1]
    scores = rows.logits(hidden).float()
    return nn.functional.cross_entropy(scores.transpose(1, 2), codes, reduction="none")


def start(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: new rows as they are drawn, and the LoRA of a system that writes reports already.

    Inputs: `tokenizer`, `base`, and `writer` (of `ecg_tok.train`); without the last a fresh LoRA,
    which changes nothing: that is the untrained model. Config: `lora` and `rows`.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    rows = new_rows(base, load_tokenizer(inputs["tokenizer"]), config, seed)
    if "writer" in inputs:
        model = base_model.load_lora(base, inputs["writer"] / "lora", trainable=True)
    else:
        model = base_model.add_lora(base, config["lora"], seed)
    save_lora(model, out)
    rows.save(out)


def warm(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: give the rows meaning; inputs: `cohort`, `codes`, `base`, `start`.

    The mean of an ECG's rows must point to the words of the findings that the training reports
    mention (read from their text by the rule labeller, never from the waveform's truth). The LoRA
    of `start` stays as it is. It comes after next-token pretraining, not before: rows far from the
    origin would make the scores of the next token, which the same rows give, useless at first.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    rows = load_rows(inputs["start"]).to(machine.device)
    model = base_model.load_lora(base, inputs["start"] / "lora", trainable=False)
    cohort = Cohort.open(inputs["cohort"])
    train = cohort.rows("train")
    said = mentioned(cohort.records["report"].iloc[train])
    codes = read_codes(inputs["codes"], train)[..., 0]
    _warm(base, rows, codes, said, config, seed, machine, out)
    save_lora(model, out)
    rows.save(out)


def _warm(
    base: Base,
    rows: EcgRows,
    codes: torch.Tensor,
    said: torch.Tensor,
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
) -> None:
    """Train the rows so that their mean over an ECG names what is `said` (N, findings)."""
    scale = embedding_scale(base)
    naming = Naming(directions(base), scale).to(machine.device)

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        some = seeds.draw_rows(len(codes), config["warm_batch"], seed, "warm rows", step)

        def one() -> torch.Tensor:
            mean = rows.embed(codes[some].to(machine.device)).mean(1, keepdim=True)
            return naming(mean, said[some].to(machine.device))

        return [one]

    schedule = Schedule(config["warm_steps"], warmup=min(20, config["warm_steps"] // 4))
    rates = {"rows": config["warm_rate"], "naming": 10 * config["warm_rate"]}
    fit(loss_at, {"rows": rows, "naming": naming}, rates, schedule, seed, out, "warm rows")


def pretrain(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: next-ECG-token training; inputs: `cohort`, `codes`, `base`, `start`."""
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    rows = load_rows(inputs["start"]).to(machine.device)
    model = base_model.load_lora(base, inputs["start"] / "lora", trainable=True)
    codes = read_codes(inputs["codes"], Cohort.open(inputs["cohort"]).rows("train"))[..., 0]

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        some = seeds.draw_rows(len(codes), config["batch"], seed, "pretrain", step)

        def part(group: torch.Tensor) -> torch.Tensor:
            with machine.autocast():
                losses = next_token_losses(model, rows, codes[group].to(machine.device))
            return losses.mean() * len(group) / len(some)

        return [lambda g=g: part(g) for g in some.chunk(config["parts"])]

    schedule = Schedule(config["steps"], warmup=min(20, config["steps"] // 4), checkpoint_every=50)
    rates = {"lora": config["lora_rate"], "rows": config["rows_rate"]}
    losses = fit(loss_at, {"lora": model, "rows": rows}, rates, schedule, seed, out, "pretrain")
    save_lora(model, out)
    rows.save(out)
    write_history(out, losses)


def trunk_of(ear: EcgRows | Constant, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands in the ECG's place: its bracketed tokens, or the control's constant.

    Padding tokens of a short recording stay inside the brackets, as they were in pretraining.
    Returns embeddings (B, P, d) and lengths (B,).
    """
    if isinstance(ear, Constant):
        trunk = ear(codes, codes)
    else:
        trunk = ear.embed(ear.bracket(codes))
    return trunk, torch.full((len(codes),), trunk.shape[1], device=codes.device)


def tuning_texts(
    base: Base, cohort: Cohort, rows: np.ndarray, questions: pd.DataFrame
) -> tuple[list[Text], list[list[Text]]]:
    """For each record its report, and the questions asked of it (possibly none)."""
    records = cohort.records.iloc[rows]
    reports = [
        report_text(base, s, r) for s, r in zip(records["site"], records["report"], strict=True)
    ]
    asked = {row: [] for row in rows}
    for row, question, reply in zip(
        questions["row"], questions["question"], questions["answer"], strict=True
    ):
        asked[row].append(question_text(base, question, reply))
    return reports, [asked[row] for row in rows]


def tune(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: reports and questions; a batch holds `batch` ECGs, each with its report and `per_row`
    of its questions, drawn anew in every step (all of them where there are no more).

    Inputs: `cohort`, `tokenizer`, `codes`, `base`, `questions`, `start` (a `pretrain` output).
    Config: `ear` is ecg, or none for the control with a learned constant in the ECG's place.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    table = pd.read_parquet(inputs["questions"] / "train.parquet")
    rows = cohort.rows("train")
    reports, asked = tuning_texts(base, cohort, rows, table)
    codes = read_codes(inputs["codes"], rows)[..., 0]
    model = base_model.load_lora(base, inputs["start"] / "lora", trainable=True)
    if config["ear"] == "none":
        torch.manual_seed(seeds.sub_seed(seed, "constant"))
        ear: EcgRows | Constant = Constant(config["constant"], base.width, embedding_scale(base))
    else:
        ear = load_rows(inputs["start"])
    ear.to(machine.device)

    def texts_at(step: int, row: int) -> list[Text]:
        draw = seeds.draw_rows(len(asked[row]), config["per_row"], seed, "ask", step, row)
        return [reports[row], *(asked[row][i] for i in draw.tolist())]

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        some = seeds.draw_rows(len(rows), config["batch"], seed, "tune", step).tolist()
        texts = {row: texts_at(step, row) for row in some}
        sizes = {row: sum(len(t.prompt) + len(t.answer) for t in texts[row]) for row in some}
        total = sum(len(t.answer) for row in some for t in texts[row])

        def part(group: list[int]) -> torch.Tensor:
            with machine.autocast():
                inside = codes[group].to(machine.device)
                trunk, full = trunk_of(ear, inside)
                batch = collate([texts[row] for row in group], base.eos)
                return text_loss(model, trunk, full, batch, total)

        return [lambda g=g: part(g) for g in halves(some, sizes, config["parts"])]

    schedule = Schedule(config["steps"], warmup=min(20, config["steps"] // 4), checkpoint_every=50)
    rates = {"lora": config["lora_rate"], "ear": config["rows_rate"]}
    losses = fit(loss_at, {"lora": model, "ear": ear}, rates, schedule, seed, out, "tune")
    save_lora(model, out)
    if isinstance(ear, Constant):
        save_ear(ear, out)
    else:
        ear.save(out)
    write_history(out, losses)
