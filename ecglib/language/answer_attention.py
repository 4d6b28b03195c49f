"""What the words of an answer look at while they are written, and how much they depend on the ECG.

`written_attention` measures the same of reports, and its terms hold here: attention, dependence and
received. A question takes the place of the prompt, and the model's own answer that of the report.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, open_system, prompted
from ecglib.language.write_texts import generate
from ecglib.language.written_attention import of_report
from ecglib.training import seeds
from ecglib.training.device import Machine


def measure(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `words.parquet`, a row per word piece of each question and of its answer.

    Columns: question (its number), those of `written_attention.measure` (of whose blocks "report"
    is the answer), and of the pieces of an answer `answer`, which is the whole as a text.

    Config:
        rows: record numbers, of two patients or more.
        max_new: word pieces of an answer at most.
        layers: the shares are a mean over the heads of so many last layers.
        others: ECGs of other patients, whose mean probability the dependence has.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: the trained system.
        tokenizer (optional): read by ECG-Byte and ECG-Tok.
        codes: of the tokenizer.
        questions: asked are those about `rows` in `test.parquet`.

    Raises ValueError: the rows are of one patient, or no question is about them.
    """
    machine.configure_torch()
    rows, prompt = np.array(config["rows"]), Prompt.of(inputs["system"])
    records = Cohort.open(inputs["cohort"]).records.iloc[rows]
    strangers = common_others(records, config["others"], seed)
    asked = pd.read_parquet(inputs["questions"] / "test.parquet").sort_values("number")
    asked = asked[asked["row"].isin(rows)]
    if asked.empty:
        raise ValueError(f"expected questions about `rows`, got none in {inputs['questions']}")
    system = prompted(open_system(inputs, machine, rows), prompt, records)
    place = {row: number for number, row in enumerate(rows)}
    about = [place[row] for row in asked["row"]]
    words = [system.base.encode(prompt.question(text)) for text in asked["question"]]
    with torch.no_grad(), machine.autocast():
        answers = own_answers(system, about, words, config["max_new"])
        system.base.model.set_attn_implementation("eager")  # fused kernels never form the weights
        tables = []
        for i, number in enumerate(tqdm(asked["number"], desc="answers")):
            one = about[i], words[i], answers[i], strangers[about[i]]
            table = of_report(system, *one, config["layers"])
            text = system.base.decode([piece for piece in answers[i] if piece != system.base.eos])
            is_asked = table["block"] == "prompt"
            table["answer"] = np.where(is_asked, "", text.strip())
            tables.append(table.assign(row=rows[about[i]], question=number))
    pd.concat(tables, ignore_index=True).to_parquet(out / "words.parquet", index=False)


def common_others(records: pd.DataFrame, count: int, seed: int) -> list[np.ndarray]:
    """For each of N ECGs the places of `count` ECGs of other patients of its site, or of all there
    are. They are the same for all ECGs of a site, but for those of their own patients, so that the
    draw adds no noise where ECGs are compared. A site without another patient takes any.

    `records`: N rows with columns unit and site. Raises ValueError: all are of one patient.
    """
    units, sites = records["unit"].to_numpy(), records["site"].to_numpy()
    if len(set(units)) < 2:
        raise ValueError("expected ECGs of two patients or more, got one; choose more `rows`")
    draw, places = seeds.generator(seed, "common others"), []
    order = torch.randperm(len(units), generator=draw).numpy()
    for unit, site in zip(units, sites, strict=True):
        others = order[units[order] != unit]
        near = others[sites[others] == site]
        places.append((near if len(near) else others)[:count])
    return places


def own_answers(
    system: System, about: list[int], words: list[list[int]], most: int
) -> list[list[int]]:
    """What the system answers to N questions, each with the end token unless it is cut off.

    `about`: the place of each question's ECG in the system; `words`: its word pieces.
    """
    answers: list[list[int]] = [[] for _ in words]
    order = pd.Series(range(len(words))).groupby(about, sort=False)
    for index, numbers in tqdm(order, desc="write"):
        prompts, eos = [words[number] for number in numbers], system.base.eos
        (replies,) = generate(system.model, *system.ecg_prefix([index]), [prompts], eos, most)
        for number, (pieces, why) in zip(numbers, replies, strict=True):
            answers[number] = [*pieces, eos] if why == "eos" else pieces
    return answers
