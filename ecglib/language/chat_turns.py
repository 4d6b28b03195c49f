"""Reports that a chat asks for, in the manner of ECG-Tok's rows *inst.* (Table 1).

    <ECG> system: what to do / user: one of several wordings of a request / assistant: <report>

The words are those of the language model's chat template, behind the patient's line and the ECG. A
model file without a template gets ChatML, with which SmolLM2-Instruct was tuned. The request names
the hospital, as all prompts of this compendium do, because the hospital decides the wording.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.base import Base
from ecglib.language.contrast import ContrastingOrder
from ecglib.language.packing import Text
from ecglib.language.prompt import Prompt
from ecglib.language.system import open_system, prompted
from ecglib.language.train_system import (
    fit_texts,
    open_trainable,
    read_questions,
    start_budget,
    validation_loss,
)
from ecglib.language.write_texts import generate
from ecglib.training import seeds
from ecglib.training.device import Machine

CHATML = (  # expressions, because a template loses the blanks and line breaks around its blocks
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{{ message['content'] + '<|im_end|>\\n' }}{% endfor %}{{ '<|im_start|>assistant\\n' }}"
)


def turns(base: Base, instruction: str, asks: str) -> str:
    """The text of a chat up to where the assistant's turn begins.

    What begins every text of the tokenizer is left out, because it is in front of the ECG already.
    """
    messages = [{"role": "system", "content": instruction}, {"role": "user", "content": asks}]
    template = base.tokenizer.chat_template or CHATML
    text = base.tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    return text.removeprefix(base.tokenizer.decode(base.begin))


def answered(base: Base, chat: str, report: str) -> Text:
    """A chat with the report as its supervised last turn, without a blank in front."""
    return Text(base.encode(chat), [*base.encode(report), base.eos])


def request(wordings: list[str], site: str, seed: int, *names: object) -> str:
    """One of the wordings, drawn by the seed and the names, with the site in place of {site}."""
    (number,) = seeds.draw_rows(len(wordings), 1, seed, "request", *names).tolist()
    return wordings[number].format(site=site)


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: as `train_system.train` with `questions_per_ecg` 0: the same ECGs in each update, and
    their reports. A request is drawn for each ECG in each update.

    Config:
        adapt: full (all weights of the base) or lora.
        rank (optional): of a LoRA, as the next two.
        alpha (optional): scale of its product, times the rank.
        targets (optional): names of the linear layers that get one.
        steps: updates.
        batch: ECGs per update.
        patient: whether age, sex, height and weight stand in front of the ECG, in words.
        parts: micro-batches, sorted by length; more where memory is short.
        model_rate: learning rate of the LoRA or of the model.
        prefix_rate: learning rate of the prefix.
        validate_every: updates between looks at the validation patients.
        validation_ecgs: of them, the same at each look.
        system: what the system's turn says.
        wordings: of a request, with {site} for the hospital.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        prefix: the system whose prefix is trained on.
        tokenizer (optional): read by systems on latent vectors.
        codes (optional): of the tokenizer.
        questions (optional): none is asked; ECGs that answer one differently come together.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows, prompt = cohort.reported("train"), Prompt(config["patient"], instruction=True)
    system, records = open_trainable(inputs, config, seed, machine, rows), cohort.records.iloc[rows]
    system = prompted(system, prompt, records)
    prompt.save(out)
    order = ContrastingOrder(rows, read_questions(inputs, "train"), seed)

    def asked(record: pd.Series, *names: object) -> list[Text]:
        """A request about a record, and its report."""
        wording = request(config["wordings"], record["site"], seed, *names)
        chat = turns(system.base, config["system"], wording)
        return [answered(system.base, chat, record["report"])]

    def texts_at(step: int) -> dict[int, list[Text]]:
        """The texts of each ECG of an update."""
        drawn = order.rows_of(step, config["batch"])
        return {index: asked(records.iloc[index], step, index) for index in drawn}

    held_rows = cohort.reported("validation")[: config["validation_ecgs"]]
    about = cohort.records.iloc[held_rows]
    held = replace(system, ecgs=system.prefix.read_ecgs(inputs, held_rows))
    texts = {index: asked(about.iloc[index], "validation", index) for index in range(len(about))}
    look = partial(validation_loss, prompted(held, prompt, about), texts, machine)
    fit_texts(system, texts_at, look, config, seed, out, start_budget(inputs), machine)


def write(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `texts.parquet`, as `write_texts.write` has it, of reports alone (number -1).

    Config:
        rows: record numbers.
        ecgs: the record numbers whose ECGs stand in front, for the shuffled control others.
        batch: ECGs at a time.
        max_new: tokens of a report at most.
        system: what the system's turn says.
        wordings: of a request, with {site} for the hospital.
        draw: a name; requests are drawn anew under another one.
        sites (optional): which hospital each request names, the ECG's own where absent.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: the trained system.
        tokenizer (optional): read by ECG-Tok.
        codes (optional): of the tokenizer.
    """
    machine.configure_torch()
    rows, size = np.array(config["rows"]), config["batch"]
    records = Cohort.open(inputs["cohort"]).records.iloc[rows]
    system = open_system(inputs, machine, np.array(config["ecgs"]))
    system, base = prompted(system, Prompt.of(inputs["system"]), records), system.base
    prompts = []
    for row, site in zip(rows.tolist(), config.get("sites", records["site"]), strict=True):
        wording = request(config["wordings"], site, seed, config["draw"], row)
        prompts.append([base.encode(turns(base, config["system"], wording))])
    lines = []
    for start in tqdm(range(0, len(rows), size), desc="write"):
        part = range(start, min(start + size, len(rows)))
        with machine.autocast(), torch.no_grad():
            about = [prompts[i] for i in part]
            replies = generate(
                system.model, *system.ecg_prefix(list(part)), about, base.eos, config["max_new"]
            )
        for i, ((ids, stop_reason),) in zip(part, replies, strict=True):
            lines.append((-1, rows[i], base.decode(ids), len(ids), stop_reason))
    columns = ["number", "row", "text", "tokens", "stop_reason"]
    pd.DataFrame(lines, columns=columns).to_parquet(out / "texts.parquet", index=False)
