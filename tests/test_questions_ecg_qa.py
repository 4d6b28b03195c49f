"""The reader of ECG-QA on a small tree in its layout, and both steps that write questions."""

import json
from collections.abc import Callable
from pathlib import Path

import fake_tables
import numpy as np
import pandas as pd
import pytest
from _cohort import write_cohort
from builds import missing, refused

from ecglib.cohorts import scored_sample
from ecglib.labels import label_set
from ecglib.labels.label_set import PRESENT
from ecglib.language import floors
from ecglib.questions import balanced_sets, ecg_qa
from ecglib.questions.balanced_sets import COLUMNS
from ecglib.training.device import Machine

RECORDS = pd.DataFrame({"ecg_id": ["17", "5", "900", "40000001", "5"]})
RECORDS["source"] = ["ptbxl", "ptbxl", "ptbxl", "mimic", "mimic"]


def sample(number: int, kind: str, ecgs: list[int], answer: list[str], **changes: object) -> dict:
    """One question in the form of ECG-QA 1.0.2; ids, wordings and answers are our own."""
    question = {"template_id": 1 + number % 4, "question_id": 100 + number % 3, "sample_id": number}
    question |= {"question_type": kind, "attribute_type": "scp_code", "attribute": ["made"]}
    question |= {"question": f"Made question {number % 3}?", "answer": answer, "ecg_id": ecgs}
    return question | changes


def write_tree(root: Path, release: str, wording: str, **parts: dict[str, list]) -> None:
    """Write file name -> questions of each part; the parts that are not given hold no question."""
    for part in ecg_qa.PARTS:
        folder = root / release / wording / part
        folder.mkdir(parents=True, exist_ok=True)
        for name, samples in parts.get(part, {"00000": []}).items():
            (folder / f"{name}.json").write_text(json.dumps(samples, indent=4), encoding="utf-8")


@pytest.fixture
def root(tmp_path):
    train = [
        sample(0, "single-verify", [17], ["yes"]),
        sample(1, "single-choose", [5], ["both of it", "a thing (one, or two)"]),
        sample(2, "comparison_irrelevant-query", [17, 5], ["none"]),
        sample(3, "single-query", [333], ["none"]),
    ]
    test = [
        sample(0, "single-query", [5], ["lead V1", "lead I"], question="Which  leads\nare made? "),
        sample(1, "comparison_consecutive-verify", [5, 6], ["not sure"]),
    ]
    write_tree(tmp_path, "ptbxl", "template", train={"00000": train}, test={"80000": test})
    mimic = [sample(7, "single-verify", [40000001], ["not sure"], attribute_type="noise")]
    write_tree(tmp_path, "mimic-iv-ecg", "paraphrased", valid={"00000": mimic})
    return tmp_path


def read(root: Path, release: str = "ptbxl", wording: str = "template", rows=range(5)):
    return ecg_qa.read(root, release, wording, RECORDS, rows)


def test_single_questions_of_a_release_come_as_the_generators_table(root):
    table, notes = read(root)
    assert list(table.columns) == COLUMNS
    assert table.to_dict("list") == {
        "row": [0, 1, 1],
        "type": ["verify", "choose", "query"],
        "template": ["scp_code/1", "scp_code/2", "scp_code/1"],
        "question": ["Made question 0?", "Made question 1?", "Which leads are made?"],
        "answer": ["yes", "both of it, a thing (one; or two)", "lead V1, lead I"],
        "item": ["verify:scp_code/1/100", "choose:scp_code/2/101", "query:scp_code/1/100"],
    }
    assert notes == [
        "ECG-QA ptbxl, template: 6 questions read, 3 are asked",
        "2 compare two ECGs and are left out",
        "1 are about ECGs that are not among the 3 given",
    ]
    assert floors.majority_answers(table, table)[1] == table["answer"][1]
    assert floors.text_only_answers(table, table) == list(table["answer"])
    table, notes = read(root, rows=[1, 2])
    assert list(table["row"]) == [1, 1] and notes[2].startswith("2 are about")
    # Files are read in the order of their numbers.
    later, earlier = ([sample(n, "single-verify", [17], [f"answer {n}"])] for n in (100000, 20000))
    write_tree(root, "ptbxl", "template", train={"100000": later, "20000": earlier})
    assert list(read(root)[0]["answer"][:3]) == ["yes", "answer 20000", "answer 100000"]
    # MIMIC is joined by study, and never by the number of another cohort.
    table, notes = read(root, "mimic-iv-ecg", "paraphrased")
    assert table[["row", "answer", "template"]].to_numpy().tolist() == [[3, "not sure", "noise/4"]]
    assert notes[2].endswith("not among the 2 given")


def changed(**changes: object) -> str:
    return json.dumps([sample(0, "single-verify", [17], ["yes"]) | changes])


NOT_AS_PUBLISHED = {
    "question_type of .* got 'single-explain'": changed(question_type="single-explain"),
    "question 0: expected question_type as str, got 3": changed(question_type=3),
    "question 0: expected answer as list, got 'yes'": changed(answer="yes"),
    r"expected one ecg_id and an answer, got \[17\] and \[\]": changed(answer=[]),
    r"expected one ecg_id and an answer, got \[17, 5\]": changed(ecg_id=[17, 5]),
    "question 0: expected template_id as int, got None": changed(template_id=None),
    "expected JSON": '[{"a": 1',
    "expected a list of questions, got dict": '{"a": 1}',
    "expected a map per question, got 4": "[4]",
}


def test_wrong_names_cohorts_and_files_that_are_not_as_published_are_refused(root):
    refused("expected a release of ECG-QA .* got 'cpsc'", read, root, "cpsc")
    refused("expected a wording of ECG-QA .* got 'spoken'", read, root, "ptbxl", "spoken")
    missing(r"expected \.json files in .*paraphrased", read, root, "ptbxl", "paraphrased")
    refused("about the 1 given ECGs .* got none among 6", read, root, rows=[2, 3])
    for message, text in NOT_AS_PUBLISHED.items():
        (root / "ptbxl" / "template" / "valid" / "00000.json").write_text(text, encoding="utf-8")
        refused(rf"00000\.json: .*{message}", read, root)


def test_the_steps_of_the_generator_and_of_ecg_qa_write_tables_of_one_form(tmp_path):
    records, measurements = fake_tables.varied(120, seed=5)
    signals = np.arange(120, dtype=np.float32)[:, None, None] * np.ones((12, 2500), np.float32)
    labels = records[list(label_set.COLUMNS)].to_numpy()
    rows = [{"sex": sex, "labels": labels[i]} for i, sex in enumerate(records["sex"])]
    for i, row in enumerate(rows):
        row |= {"ecg_id": str(i), "patient_id": f"p{i}", "signal": signals[i] / 1000}
    cohort = write_cohort(tmp_path / "cohort", rows, 0, "ptbxl")
    measurements.to_parquet(tmp_path / "measurements.parquet", index=False)
    asked = [sample(n, "single-verify", [n % 120], ["yes"]) for n in range(360)]
    write_tree(tmp_path, "ptbxl", "template", test={"00000": asked})
    inputs = {"cohort": cohort.folder, "measurements": tmp_path, "data": tmp_path}
    config = {"rows": cohort.rows("test").tolist(), "release": "ptbxl", "wording": "template"}
    config |= {"min_positives": 5}

    def written(step: Callable, per_ecg: int) -> dict[str, pd.DataFrame]:
        step(tmp_path, inputs, config | {"per_ecg": per_ecg}, 0, Machine("cpu", "float32", 1, ""))
        parts = ("train", "validation", "test")
        tables = {part: pd.read_parquet(tmp_path / f"{part}.parquet") for part in parts}
        for part, table in tables.items():
            assert list(table.columns) == ["number", *COLUMNS]
            assert set(table["row"]) <= set(cohort.rows(part))
            assert list(table["number"]) == list(range(len(table)))
        return tables

    drawn = written(balanced_sets.write_questions, 6)
    axis = {part: table["item"].str.contains(":axis").any() for part, table in drawn.items()}
    assert axis["train"] and axis["test"]  # measured
    positives = (labels[cohort.rows("train")] == PRESENT).sum(axis=0)
    named = set(drawn["train"]["item"].str.extractall(r"[.-](\d\d)")[0].astype(int))
    assert named and not named & set(np.flatnonzero(positives < 5)) and (positives < 5).any()
    for part, table in written(ecg_qa.write_questions, 2).items():
        assert list(table["row"]) == sorted([*cohort.rows(part)] * 2)
    notes = json.loads((tmp_path / "notes.json").read_text(encoding="utf-8"))
    assert notes[0].startswith("ECG-QA ptbxl, template: 360 questions read")
    form, tests = (tmp_path, "ptbxl", "template", cohort), cohort.rows("test")
    every = scored_sample.test_rows(cohort, 6, 0)
    np.testing.assert_array_equal(ecg_qa.test_rows(*form, 6, 0), every)  # asked about all
    few = {name: list(cohort.rows(name)) for name in ("train", "test")}
    for name, rows in few.items():
        asked = [sample(int(n), "single-verify", [int(n)], ["yes"]) for n in rows]
        write_tree(tmp_path, "ptbxl", "template", test={"00000": asked})
        lacking = "test" if name == "train" else "train"
        step = inputs, config | {"per_ecg": 2}, 0, Machine("cpu", "float32", 1, "")
        refused(f"cohort's {lacking} patients", ecg_qa.write_questions, tmp_path, *step)
    asked = [sample(int(n), "single-verify", [int(n)], ["yes"]) for n in tests[::2]]
    write_tree(tmp_path, "ptbxl", "template", test={"00000": asked})
    np.testing.assert_array_equal(ecg_qa.test_rows(*form, len(tests), 0), tests[::2])


def test_the_release_is_that_of_the_cohorts_ecgs():
    """One release: a cohort without its ECGs, or with those of both, is refused."""
    assert ecg_qa.release_of(RECORDS[:2]) == "ptbxl"
    assert ecg_qa.release_of(RECORDS[3:]) == "mimic-iv-ecg"
    refused("got the sources mimic, ptbxl", ecg_qa.release_of, RECORDS)
    refused("got the sources simulated", ecg_qa.release_of, RECORDS.assign(source="simulated"))
