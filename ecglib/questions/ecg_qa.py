"""ECG-QA as published: its questions about single ECGs, joined to a cohort by ecg_id.

    <root>/<release>/<wording>/<part>/*.json      lists of questions, 10,000 a file
        release   ptbxl | mimic-iv-ecg            wording   template | paraphrased
        part      train | valid | test

A question is a map: template_id, question_id (one for all wordings of a question), sample_id,
question_type ("single-verify", ...), attribute_type, question, answer (list), ecg_id (list), and
attribute. Source: Oh et al. 2023, ECG-QA (NeurIPS, data sets), version 1.0.2. Questions that
compare two ECGs are counted and left out.

Its patients are dealt to parts by its own split; which rows of a cohort train is the caller's
choice. Nothing balances these answers: `ecglib.evaluate.exact_match` does not apply to them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.questions.balanced_sets import COLUMNS
from ecglib.questions.groups import TYPES

if TYPE_CHECKING:
    from ecglib.training.device import Machine

SOURCES = {"ptbxl": "ptbxl", "mimic-iv-ecg": "mimic"}  # release -> source of the cohort's ECGs
WORDINGS = ("template", "paraphrased")
PARTS = ("train", "valid", "test")
SINGLE = {f"single-{kind}": kind for kind in TYPES}
COMPARISON = tuple(
    f"comparison_{how}-{kind}"
    for how in ("consecutive", "irrelevant")
    for kind in ("verify", "query")
)
FIELDS = {
    "template_id": int,
    "question_id": int,
    "question_type": str,
    "attribute_type": str,
    "question": str,
    "answer": list,
    "ecg_id": list,
}


def read(
    root: Path,
    release: str,
    wording: str,
    records: pd.DataFrame,
    rows: Collection[int] | None = None,
    parts: Collection[str] = PARTS,
) -> tuple[pd.DataFrame, list[str]]:
    """Questions about ECGs of a cohort.

    Args:
        root: the folder that holds `ptbxl` and `mimic-iv-ecg` (`ecgqa` in the repository).
        release: one of `SOURCES`. ECGs are joined by PTB-XL's ecg_id or MIMIC-IV-ECG's study_id.
        wording: one of `WORDINGS`.
        records: the cohort's table, columns source and ecg_id.
        rows: row numbers of the ECGs to ask about; all where None.
        parts: which of ECG-QA's own parts are read.

    Returns:
        a table with the columns of `ecglib.questions.balanced_sets.questions`, ordered by row, and
        notes on what was left out. template: "scp_code/1"; item: "verify:scp_code/1/0" (attribute,
        template and question number). Several answers keep their order and are joined by ", ";
        a comma inside an answer becomes a semicolon.

    Raises:
        FileNotFoundError: the folder has no such release, wording or part.
        ValueError: a name that is none of the above, a file that is not such a list, a question of
            an unknown type, or no question about these ECGs.
    """
    for what, name, known in (("release", release, SOURCES), ("wording", wording, WORDINGS)):
        if name not in known:
            raise ValueError(f"ECG-QA has no {what} {name!r}; there are {', '.join(known)}")
    row_of = _rows(records, SOURCES[release], rows)
    counts: Counter[str] = Counter()
    found = []
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"ECG-QA has no part {part!r}; there are {', '.join(PARTS)}")
        for path, sample in _samples(Path(root) / release / wording / part):
            kind = _kind(path, sample)
            counts["read"] += 1
            if kind is None:
                counts["comparison"] += 1
            elif (row := row_of.get(str(sample["ecg_id"][0]))) is None:
                counts["outside"] += 1
            else:
                found.append(_row(row, kind, sample))
    if not found:
        raise ValueError(
            f"none of the {counts['read']} questions in {Path(root) / release / wording} is about "
            f"the {len(row_of)} ECGs of the {SOURCES[release]} source that were given; use the "
            "cohort that belongs to this release"
        )
    notes = [
        f"ECG-QA {release}, {wording}: {counts['read']} questions read, {len(found)} are asked",
        f"{counts['comparison']} compare two ECGs and are left out",
        f"{counts['outside']} are about ECGs that are not among the {len(row_of)} given",
    ]
    table = pd.DataFrame(found, columns=COLUMNS)
    return table.sort_values("row", kind="stable", ignore_index=True), notes


def _rows(records: pd.DataFrame, source: str, rows: Collection[int] | None) -> dict[str, int]:
    """ecg_id -> row number of the ECGs of a source among `rows`."""
    rows = np.arange(len(records)) if rows is None else np.asarray(list(rows), dtype=np.int64)
    chosen = records.iloc[rows]
    mine = (chosen["source"] == source).to_numpy()
    return dict(zip(chosen["ecg_id"][mine].astype(str), rows[mine].tolist(), strict=True))


def _samples(folder: Path) -> Iterator[tuple[Path, object]]:
    """The questions of a part, in the order of its numbered files."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist; give the folder of ECG-QA that holds "
            f"{' and '.join(SOURCES)}, each with {' and '.join(WORDINGS)}"
        )
    files = sorted(folder.glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .json file; unpack ECG-QA again")
    for path in files:
        try:
            samples = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error}); download it again") from error
        if not isinstance(samples, list):
            raise ValueError(f"{path} holds no list of questions; it is not a file of ECG-QA")
        for sample in samples:
            yield path, sample


def _kind(path: Path, sample: object) -> str | None:
    """verify, choose or query; None for a question that compares two ECGs.

    Raises:
        ValueError: the question lacks a field, or is of an unknown type.
    """
    number = sample.get("sample_id", "without a number") if isinstance(sample, dict) else sample
    name = f"{path}: question {number}"
    if not isinstance(sample, dict):
        raise ValueError(f"{name} is not a map; it is not a file of ECG-QA")
    for field, form in FIELDS.items():
        if not isinstance(sample.get(field), form):
            raise ValueError(f"{name} has no {field} of the form {form.__name__}")
    kind = sample["question_type"]
    if kind in COMPARISON:
        return None
    if kind not in SINGLE:
        known = ", ".join((*SINGLE, *COMPARISON))
        raise ValueError(f"{name} is of the unknown type {kind!r}; this code knows {known}")
    if len(sample["ecg_id"]) != 1 or not sample["answer"]:
        raise ValueError(
            f"{name} must be about one ECG and have an answer; download the file again"
        )
    return SINGLE[kind]


def _row(row: int, kind: str, sample: dict) -> tuple:
    about = f"{sample['attribute_type']}/{sample['template_id']}"
    answer = ", ".join(str(one).strip().replace(",", ";") for one in sample["answer"])
    item = f"{kind}:{about}/{sample['question_id']}"
    return row, kind, about, " ".join(sample["question"].split()), answer, item


def ask(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine") -> None:
    """Step: `train.parquet`, `test.parquet` and `notes.json`; inputs: `cohort`, `data`.

    The same tables as `ecglib.questions.balanced_sets.ask`, of the questions of all parts about the
    cohort's own training and test ECGs, so that one split by patient holds for everything. Config:
    `release`, `wording`, `per_ecg` (the most of an ECG that are kept), `rows` (the test records).
    """
    cohort = Cohort.open(inputs["cohort"])
    use = {"train": cohort.rows("train"), "test": np.array(config["rows"], dtype=np.int64)}
    both = np.concatenate([*use.values()])
    about = (config["release"], config["wording"], cohort.records, both)
    table, notes = read(inputs["data"], *about)
    order = np.random.default_rng([seed, 6]).permutation(len(table))  # which of an ECG's are kept
    few = table.iloc[order].groupby("row").head(config["per_ecg"]).index.sort_values()
    for name, rows in use.items():
        mine = table.loc[few[table.loc[few, "row"].isin(rows)]].reset_index(drop=True)
        mine.insert(0, "number", np.arange(len(mine)))
        mine.to_parquet(out / f"{name}.parquet", index=False)
    (out / "notes.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
