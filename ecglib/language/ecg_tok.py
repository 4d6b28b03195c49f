"""ECG-Tok: frozen tokens -> attention adapter -> prefix vectors -> language model -> report.

Training runs in three steps that the notebook shows one by one:
    wording   LoRA learns how reports are worded, behind a learned constant (no ECG yet)
    warm      optional: the adapter learns to find what the training reports mention
    train     adapter and LoRA together, L = -sum_i log P(w_i | prefix, site, w_<i) (section 2.3)
The no-ECG control is `train` with a learned constant instead of the adapter: same start, same
steps, same batches.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.adapter import Adapter, Constant
from ecglib.language.base import Base
from ecglib.language.finding_warmup import Naming, directions, mentioned
from ecglib.language.packing import Text, collate, halves, text_loss
from ecglib.language.prefix import (
    embedding_scale,
    load_ear,
    new_ear,
    save_ear,
    save_lora,
    write_history,
)
from ecglib.language.texts import report_text
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit


def train_texts(base: Base, cohort: Cohort, rows: np.ndarray) -> list[Text]:
    """The reports of some records as training texts."""
    part = cohort.records.iloc[rows]
    return [report_text(base, s, r) for s, r in zip(part["site"], part["report"], strict=True)]


def latents(inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Frozen token embeddings of some records, from the inputs `cohort`, `tokenizer`, `codes`."""
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load_tokenizer(inputs["tokenizer"])
    return read_latents(tokenizer, inputs["codes"], cohort, rows)


def _fit(
    base: Base,
    model: nn.Module,
    ear: Adapter | Constant,
    data: tuple[torch.Tensor, torch.Tensor, list[Text]],
    rates: dict[str, float],
    steps: int,
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
    name: str,
) -> list[float]:
    """Train LoRA and ear on batches of reports; each batch runs as length-sorted parts."""
    z, lengths, texts = data
    sizes = [len(t.prompt) + len(t.answer) for t in texts]

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        rows = seeds.draw_rows(len(texts), config["batch"], seed, name, step).tolist()
        total = sum(len(texts[row].answer) for row in rows)

        def part(group: list[int]) -> torch.Tensor:
            with machine.autocast():
                trunk = ear(z[group].to(machine.device), lengths[group].to(machine.device))
                full = torch.full((len(group),), trunk.shape[1], device=machine.device)
                batch = collate([[texts[row]] for row in group], base.eos)
                return text_loss(model, trunk, full, batch, total)

        return [lambda g=g: part(g) for g in halves(rows, sizes, config["parts"])]

    schedule = Schedule(steps, warmup=min(20, steps // 4), checkpoint_every=50)
    return fit(loss_at, {"lora": model, "ear": ear}, rates, schedule, seed, out, name)


def wording(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: LoRA on report text alone, behind a learned constant; inputs: `cohort`, `base`."""
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    texts = train_texts(base, cohort, cohort.rows("train"))
    torch.manual_seed(seeds.sub_seed(seed, "wording"))
    constant = Constant(config["prefix"], base.width, embedding_scale(base)).to(machine.device)
    model = base_model.add_lora(base, config["lora"], seed)
    nothing = torch.zeros(len(texts), 1, 1), torch.ones(len(texts), dtype=torch.long)
    rates = {"lora": config["lora_rate"], "ear": config["ear_rate"]}
    steps = config["wording_steps"]
    losses = _fit(
        base,
        model,
        constant,
        (*nothing, texts),
        rates,
        steps,
        config,
        seed,
        machine,
        out,
        "wording",
    )
    save_lora(model, out)
    write_history(out, losses)


def warm(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the adapter learns to name what the training reports mention, in the model's words.

    Targets are read from the reports' text by the rule labeller, never from the waveform's truth.
    Inputs: `cohort`, `tokenizer`, `codes`, `base`.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    z, lengths = latents(inputs, rows)
    target = mentioned(cohort.records["report"].iloc[rows])
    ear = new_ear(base, {**config, "ear": "ecg"}, z.shape[2], z.shape[1], seed).to(machine.device)
    naming = Naming(directions(base), embedding_scale(base), config["prefix"])
    naming.to(machine.device)

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        some = seeds.draw_rows(len(rows), config["warm_batch"], seed, "warm", step)

        def one() -> torch.Tensor:
            prefix = ear(z[some].to(machine.device), lengths[some].to(machine.device))
            return naming(prefix, target[some].to(machine.device))

        return [one]

    schedule = Schedule(config["warm_steps"], warmup=min(20, config["warm_steps"] // 4))
    rates = {"ear": config["warm_rate"], "naming": 10 * config["warm_rate"]}
    losses = fit(loss_at, {"ear": ear, "naming": naming}, rates, schedule, seed, out, "warm")
    save_ear(ear, out)
    write_history(out, losses)


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: adapter (or the control's constant) and LoRA on the reports.

    Inputs: `cohort`, `tokenizer`, `codes`, `base`, `wording`, and `warm` where the adapter starts
    warm.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    z, lengths = latents(inputs, rows)
    if "warm" in inputs:
        ear = load_ear(inputs["warm"]).train()
    else:
        ear = new_ear(base, config, z.shape[2], z.shape[1], seed)
    ear.to(machine.device)
    model = base_model.load_lora(base, inputs["wording"] / "lora", trainable=True)
    data = (z, lengths, train_texts(base, cohort, rows))
    rates = {"lora": config["lora_rate"], "ear": config["ear_rate"]}
    steps = config["steps"]
    losses = _fit(base, model, ear, data, rates, steps, config, seed, machine, out, "reports")
    save_lora(model, out)
    save_ear(ear, out)
    write_history(out, losses)
