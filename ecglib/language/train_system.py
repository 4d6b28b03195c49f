"""Training of any language system, on any objective, and what it costs."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.contrast import ContrastingOrder
from ecglib.language.packing import Batch, Text, answer_loss, collate, microbatches
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, open_system, prompted, save_prefix
from ecglib.training import ranks, seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit
from ecglib.training.memory import Parts, within

LossAt = Callable[[int], list[Callable[[], torch.Tensor]]]  # the losses to add up in an update
BUDGET = "budget.json"
COSTS = ("updates", "ecg_views", "supervised_tokens", "labels", "flops")


def answered(base: Base, prompt: str, answer: str) -> Text:
    """A prompt with its supervised answer, end token included."""
    return Text(base.encode(prompt), [*base.encode(" " + answer), base.eos])


def texts_of(
    base: Base, prompt: Prompt, records: pd.DataFrame, questions: pd.DataFrame | None
) -> tuple[list[Text], list[list[Text]]]:
    """The report of each record, and all questions about it; records by their numbers."""
    asked: dict[int, list[Text]] = {row: [] for row in records.index.tolist()}
    pairs = zip(records["site"], records["report"], strict=True)
    reports = [answered(base, prompt.report(site), report) for site, report in pairs]
    if questions is not None:
        for one in questions[questions["row"].isin(records.index)].itertuples():
            asked[one.row].append(answered(base, prompt.question(one.question), one.answer))
    return reports, list(asked.values())


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the model and the prefix of any system, on reports and questions together.

    The batches walk through epochs, so that every training ECG with a report is seen, in groups
    that answer one question differently (`language.contrast`). A control has the same texts,
    batches and updates. The loss is L = -sum_i log P(w_i | prefix, prompt, w_<i) per answer token.

    Config:
        adapt: full (all weights of the base) or lora.
        rank (optional): of a LoRA, as the next two.
        alpha (optional): scale of its product, times the rank.
        targets (optional): names of the linear layers that get one.
        steps: updates.
        batch: ECGs per update, each with its report.
        questions_per_ecg: drawn in each update for each ECG, all where it has fewer.
        patient: whether age, sex, height and weight stand in front of the ECG, in words.
        instruction: whether prompts say what to do.
        parts: micro-batches, sorted by length; more where memory is short.
        model_rate: learning rate of the LoRA or of the model.
        prefix_rate: learning rate of the prefix.
        validate_every: updates between looks at the validation patients.
        validation_ecgs: of them, the same at each look.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        prefix: the system whose prefix is trained on; its `system.json` names the kind.
        start (optional): the system whose model or LoRA is trained on.
        tokenizer (optional): read by systems on latent vectors.
        codes (optional): read by all systems with a tokenizer.
        questions (optional): without them the system is trained on reports alone.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows, prompt = cohort.reported("train"), Prompt(config["patient"], config["instruction"])
    system, records = open_trainable(inputs, config, seed, machine, rows), cohort.records.iloc[rows]
    system = prompted(system, prompt, records)
    prompt.save(out)
    asked, size = read_questions(inputs, "train"), config["questions_per_ecg"]
    reports, questions = texts_of(system.base, prompt, records, asked)
    order = ContrastingOrder(rows, asked, seed)

    def texts_at(step: int) -> dict[int, list[Text]]:
        """The texts of each ECG of an update."""
        texts = {}
        for index in order.rows_of(step, config["batch"]):
            own = questions[index]
            drawn = seeds.draw_rows(len(own), size, seed, "questions", step, index).tolist()
            texts[index] = [reports[index], *(own[i] for i in drawn)]
        return texts

    look = partial(validation_loss, *_held_out(inputs, config, system, prompt), machine)
    fit_texts(system, texts_at, look, config, seed, out, start_budget(inputs), machine)


def read_questions(inputs: dict[str, Path], part: str) -> pd.DataFrame | None:
    """The questions about patients of a part, if any are asked."""
    return (
        pd.read_parquet(inputs["questions"] / f"{part}.parquet") if "questions" in inputs else None
    )


def open_trainable(
    inputs: dict[str, Path], config: dict, seed: int, machine: Machine, rows: np.ndarray
) -> System:
    """The system of a training step: adapted afresh, or as it was saved in `inputs["start"]`."""
    system = open_system(inputs, machine, rows, trainable=True)
    if "start" not in inputs:
        return replace(system, model=base_model.adapt(system.base, config, seed))
    if config["adapt"] == "full":
        base_model.thaw(system.model)
    return system


def text_losses(
    system: System, texts: dict[int, list[Text]], parts: int, machine: Machine
) -> list[Callable[[], torch.Tensor]]:
    """The answer losses of some ECGs of the system, per supervised token, in micro-batches."""
    lengths = {index: sum(map(len, of)) for index, of in texts.items()}
    supervised = sum(len(text.answer) for of in texts.values() for text in of)

    def loss(group: list[int]) -> torch.Tensor:
        with machine.autocast():
            batch: Batch = collate([texts[index] for index in group], system.base.eos)
            return answer_loss(system.model, *system.ecg_prefix(group), batch, supervised)

    return [partial(loss, group) for group in microbatches(list(texts), lengths, parts)]


def _held_out(inputs: dict[str, Path], config: dict, system: System, prompt: Prompt) -> tuple:
    """Some validation ECGs as a system of their own, and their texts."""
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.reported("validation")[: config["validation_ecgs"]]
    records = cohort.records.iloc[rows]
    held = replace(system, ecgs=system.prefix.read_ecgs(inputs, rows))
    held, asked = prompted(held, prompt, records), read_questions(inputs, "validation")
    reports, questions = texts_of(system.base, prompt, records, asked)
    most = config["questions_per_ecg"]
    pairs = zip(reports, questions, strict=True)
    return held, {index: [report, *own[:most]] for index, (report, own) in enumerate(pairs)}


@torch.no_grad()
def validation_loss(system: System, texts: dict[int, list[Text]], machine: Machine) -> float:
    """Mean loss per answer token on ECGs that are not trained on."""
    system.prefix.eval()
    total = sum(float(loss()) for loss in text_losses(system, texts, -(-len(texts) // 25), machine))
    system.prefix.train()
    return total


def fit_texts(
    system: System,
    texts_at: Callable[[int], dict[int, list[Text]]],
    look: Callable[[], float],
    config: dict,
    seed: int,
    out: Path,
    spent: dict[str, float],
    machine: Machine,
) -> None:
    """`fit_system` on texts; `texts_at` has those of each ECG of an update."""
    micro = Parts.of(config)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        return text_losses(system, texts_at(step), micro.count, machine)

    def cost_at(step: int) -> tuple[int, int, int]:
        """ECGs of an update, positions that the model reads, and supervised tokens."""
        texts = texts_at(step)
        length = sum(len(text) for of in texts.values() for text in of)
        supervised = sum(len(text.answer) for of in texts.values() for text in of)
        return len(texts), system.positions(list(texts)) + length, supervised

    fit_system(system, loss_at, cost_at, look, config, seed, out, "answers", spent, micro)


def fit_system(
    system: System,
    loss_at: LossAt,
    cost_at: Callable[[int], tuple[int, int, int]],
    look: Callable[[], float],
    config: dict,
    seed: int,
    out: Path,
    name: str,
    spent: dict[str, float],
    micro: Parts,
) -> None:
    """Train the model and the prefix, and save the system with its history and its budget.

    Args:
        cost_at: ECGs, positions and supervised tokens of an update.
        look: gives the validation loss.
        config: as of `train`.
        name: seeds dropout and names the checkpoint.
        spent: the budget of earlier trainings of this system (`start_budget`).
        micro: how many micro-batches `loss_at` makes.
    """
    steps, every = config["steps"], config["validate_every"]
    curve = out / "checkpoint" / "validation.json"  # survives an interruption

    def note(step: int) -> None:
        curve.parent.mkdir(exist_ok=True)
        values = json.loads(curve.read_text()) if curve.exists() else {}
        curve.write_text(json.dumps(values | {str(step): look()}))

    def note_some(step: int) -> None:
        if step % every == 0:
            note(step)

    flops = within(lambda: count_flops(loss_at(0)), micro, name, system.base.model.device)
    schedule = Schedule(steps, warmup=min(20, steps // 4), checkpoint_every=50)
    modules = {"model": system.model, "prefix": system.prefix}
    rates = {"model": config["model_rate"], "prefix": config["prefix_rate"]}
    losses = fit(loss_at, modules, rates, schedule, seed, out, name, micro, note_some)
    note(steps)
    values = {int(step): loss for step, loss in json.loads(curve.read_text()).items()}
    pd.DataFrame(sorted(values.items()), columns=["step", "loss"]).to_csv(
        out / "validation.csv", index=False
    )
    write_history(out, losses)
    costs = np.array([cost_at(step) for step in range(steps)])
    ecgs, positions, supervised = costs.sum(0).tolist()
    now = {"updates": steps, "ecg_views": ecgs, "supervised_tokens": supervised, "labels": 0}
    write_budget(out, spent, now | {"flops": flops * positions / costs[0, 1]})
    if ranks.rank() == 0:  # the folders of other processes are thrown away
        save_prefix(system.prefix, out)
        base_model.save_adapted(system.base, system.model, out)


def count_flops(losses: list[Callable[[], torch.Tensor]]) -> float:
    """Floating-point operations of one update, forward and backward."""
    products = base_model.four_bit_products()
    with FlopCounterMode(display=False, custom_mapping=products) as counter:
        for loss in losses:
            loss().backward()
    return float(counter.get_total_flops())


def start_budget(inputs: dict[str, Path]) -> dict[str, float]:
    """What the system that a training starts from has cost; zeros where it was never trained."""
    file = inputs["prefix"] / BUDGET
    return json.loads(file.read_text()) if file.exists() else dict.fromkeys(COSTS, 0)


def write_budget(out: Path, spent: dict[str, float], now: dict[str, float]) -> None:
    """Write `budget.json`: updates, ECG views, supervised tokens, ECGs whose labels were read, and
    FLOPs, in all (`evaluate.budgets`)."""
    total = {key: spent[key] + now[key] for key in COSTS}
    total["labels"] = max(spent["labels"], now["labels"])  # of the same ECGs
    (out / BUDGET).write_text(json.dumps(total, indent=1))


def write_history(out: Path, losses: list[float]) -> None:
    """Write `history.csv`: columns step and loss."""
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
