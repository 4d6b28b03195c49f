"""The published questions of ECG-QA about single ECGs, joined to a cohort by ecg_id.

    <root>/<release>/<wording>/<part>/*.json      lists of questions, 10,000 per file
        release   ptbxl | mimic-iv-ecg            wording   template | paraphrased
        part      train | valid | test

A question is a map: template_id, question_id (shared by all wordings of a question), sample_id,
question_type ("single-verify", ...), attribute_type, question, answer (list), ecg_id (list), and
attribute. Source: Oh et al. 2023, ECG-QA (NeurIPS, data sets), version 1.0.2. Questions that
compare two ECGs are counted and left out.

ECG-QA splits its patients by its own parts; the caller decides which rows of a cohort train. Its
answers are not balanced, so they have no chance level (`ecglib.evaluate.exact_match`).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.questions.balanced_sets import COLUMNS
from ecglib.questions.question_book import TYPES

if TYPE_CHECKING:
    from ecglib.training.device import Machine

SOURCES = {"ptbxl": "ptbxl", "mimic-iv-ecg": "mimic"}  # release -> source of the cohort's ECGs
WORDINGS = ("template", "paraphrased")
PARTS = ("train", "valid", "test")
# question_type -> type; None where the question compares two ECGs.
QUESTION_TYPES = {f"single-{kind}": kind for kind in TYPES}
for _pair in ("consecutive", "irrelevant"):
    QUESTION_TYPES |= {f"comparison_{_pair}-{kind}": None for kind in ("verify", "query")}
FIELDS = dict.fromkeys(("template_id", "question_id"), int)
FIELDS |= dict.fromkeys(("question_type", "attribute_type", "question"), str)
FIELDS |= dict.fromkeys(("answer", "ecg_id"), list)


def release_of(records: pd.DataFrame) -> str:
    """The release whose questions are about these ECGs. Raises ValueError: they are of no release,
    or of both."""
    releases = [name for name, source in SOURCES.items() if (records["source"] == source).any()]
    if len(releases) != 1:
        sources = ", ".join(map(str, sorted(records["source"].unique())))
        raise ValueError(
            f"expected ECGs of one of {', '.join(SOURCES.values())}, about which ECG-QA asks, got "
            f"the sources {sources}; choose another data plan with --data"
        )
    return releases[0]


def read(
    root: Path, release: str, wording: str, records: pd.DataFrame, rows: Collection[int]
) -> tuple[pd.DataFrame, list[str]]:
    """Questions of all parts about ECGs of a cohort.

    Args:
        root: the folder that has `ptbxl` and `mimic-iv-ecg` (`ecgqa` in the repository).
        release: one of `SOURCES`. ECGs are joined by PTB-XL's ecg_id or MIMIC-IV-ECG's study_id.
        wording: one of `WORDINGS`.
        records: the cohort's table, columns source and ecg_id.
        rows: row numbers of the ECGs to ask about.

    Returns:
        a table with the columns of `ecglib.questions.balanced_sets`, ordered by row, and notes on
        what was left out. template: "scp_code/1"; item: "verify:scp_code/1/0" (attribute, template
        and question number). Several answers keep their order and are joined by ", "; a comma
        inside an answer becomes a semicolon.

    Raises:
        FileNotFoundError: the folder lacks the release, the wording or a part.
        ValueError: an unknown name, a file that is not a list of questions, a question of an
            unknown type, or no question about these ECGs.
    """
    for label, name, known in (("release", release, SOURCES), ("wording", wording, WORDINGS)):
        if name not in known:
            raise ValueError(f"expected a {label} of ECG-QA ({', '.join(known)}), got {name!r}")
    rows = np.asarray(list(rows), dtype=np.int64)
    given = records.iloc[rows]
    of_source = (given["source"] == SOURCES[release]).to_numpy()
    ecg_ids = given["ecg_id"][of_source].astype(str)
    row_of = dict(zip(ecg_ids, rows[of_source].tolist(), strict=True))
    counts: Counter[str] = Counter()
    questions = []
    for part in PARTS:
        for path, sample in _samples(Path(root) / release / wording / part):
            kind = _question_type(path, sample)
            counts["read"] += 1
            if kind is None:
                counts["comparison"] += 1
            elif (row := row_of.get(str(sample["ecg_id"][0]))) is None:
                counts["outside"] += 1
            else:
                template = f"{sample['attribute_type']}/{sample['template_id']}"
                text = " ".join(sample["question"].split())
                answer = ", ".join(str(a).strip().replace(",", ";") for a in sample["answer"])
                item = f"{kind}:{template}/{sample['question_id']}"
                questions.append((row, kind, template, text, answer, item))
    if not questions:
        raise ValueError(
            f"{Path(root) / release / wording}: expected a question about the {len(row_of)} given "
            f"ECGs of the source {SOURCES[release]}, got none among {counts['read']}; use the "
            "cohort that belongs to this release"
        )
    notes = [
        f"ECG-QA {release}, {wording}: {counts['read']} questions read, {len(questions)} are asked",
        f"{counts['comparison']} compare two ECGs and are left out",
        f"{counts['outside']} are about ECGs that are not among the {len(row_of)} given",
    ]
    table = pd.DataFrame(questions, columns=COLUMNS)
    return table.sort_values("row", kind="stable", ignore_index=True), notes


def test_rows(
    root: Path, release: str, wording: str, cohort: Cohort, at_most: int, seed: int
) -> np.ndarray:
    """Record numbers of test ECGs, drawn as `scored_sample.test_rows` does, out of those about
    which there are questions: of MIMIC-IV-ECG's ECGs ECG-QA has few. Raises as `read`."""
    test = cohort.rows("test")
    asked = read(root, release, wording, cohort.records, test)[0]["row"]
    silent = np.isin(cohort.rows(), np.setdiff1d(test, asked))
    split = cohort.records["split"].mask(silent, "not asked")
    asked_about = replace(cohort, records=cohort.records.assign(split=split))
    return scored_sample.test_rows(asked_about, at_most, seed)


def _samples(folder: Path) -> Iterator[tuple[Path, object]]:
    """The questions of a part, in the order of its numbered files."""
    files = sorted(folder.glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    if not files:
        raise FileNotFoundError(
            f"expected .json files in {folder}, got none; give the folder of ECG-QA with "
            f"{' and '.join(SOURCES)}, each with {' and '.join(WORDINGS)}, or unpack it again"
        )
    for path in files:
        try:
            samples = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: expected JSON, got {error}; download it again") from error
        if not isinstance(samples, list):
            form = type(samples).__name__
            raise ValueError(f"{path}: expected a list of questions, got {form}; download it again")
        yield from ((path, sample) for sample in samples)


def _question_type(path: Path, sample: object) -> str | None:
    """verify, choose or query; None for a question that compares two ECGs. Raises ValueError: the
    question lacks a field, or is of an unknown type."""
    if not isinstance(sample, dict):
        raise ValueError(f"{path}: expected a map per question, got {sample!r}; it is not ECG-QA's")
    name = f"{path}: question {sample.get('sample_id', 'without a number')}"
    for field, form in FIELDS.items():
        if not isinstance(sample.get(field), form):
            text = f"{name}: expected {field} as {form.__name__}, got {sample.get(field)!r}"
            raise ValueError(f"{text}; download the file again")
    given = sample["question_type"]
    if given not in QUESTION_TYPES:
        known = ", ".join(QUESTION_TYPES)
        raise ValueError(f"{name}: expected a question_type of {known}, got {given!r}")
    kind = QUESTION_TYPES[given]
    if kind and (len(sample["ecg_id"]) != 1 or not sample["answer"]):
        raise ValueError(
            f"{name}: expected one ecg_id and an answer, got {sample['ecg_id']} and "
            f"{sample['answer']}; download the file again"
        )
    return kind


def write_questions(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write `train`, `validation` and `test.parquet`, and `notes.json`.

    The tables are like those of `balanced_sets.write_questions`. Questions of all parts of ECG-QA
    about the cohort's ECGs are used, so the cohort's split by patient holds. Raises ValueError: no
    question is about a training ECG, or none about a test ECG.

    Inputs: cohort (of the release), data (the folder of ECG-QA).

    Config:
        release: ptbxl or mimic-iv-ecg.
        wording: template or paraphrased.
        per_ecg: the largest number of questions about one ECG; the seed draws them.
        rows: record numbers of the test ECGs to ask about.
    """
    cohort = Cohort.open(inputs["cohort"])
    splits = {"train": cohort.rows("train"), "validation": cohort.rows("validation")}
    splits["test"] = np.array(config["rows"], dtype=np.int64)
    rows = np.concatenate([*splits.values()])
    table, notes = read(inputs["data"], config["release"], config["wording"], cohort.records, rows)
    order = np.random.default_rng([seed, 6]).permutation(len(table))
    drawn = table.iloc[order].groupby("row").head(config["per_ecg"]).index.sort_values()
    table = table.loc[drawn]
    for name, rows in splits.items():
        part = table[table["row"].isin(rows)].reset_index(drop=True)
        if part.empty and name != "validation":
            raise ValueError(
                f"{inputs['data']}: expected questions about the {len(rows)} ECGs of the cohort's "
                f"{name} patients, got none; give all of ECG-QA, or a cohort of more patients"
            )
        part.insert(0, "number", np.arange(len(part)))
        part.to_parquet(out / f"{name}.parquet", index=False)
    (out / "notes.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
