"""The reader of ECG-QA: a small tree in its layout, and what it refuses."""

import json
from types import SimpleNamespace

import fake_ecg_qa
import numpy as np
import pandas as pd
import pytest
from fake_ecg_qa import sample

from ecglib.cohorts.records import write_cohort
from ecglib.language import majority, text_only
from ecglib.questions import ecg_qa
from ecglib.questions.balanced_sets import COLUMNS

RECORDS = pd.DataFrame(
    {
        "ecg_id": ["17", "5", "900", "40000001", "5"],
        "source": ["ptbxl", "ptbxl", "ptbxl", "mimic", "mimic"],
    }
)
TRAIN = [
    sample(0, "single-verify", [17], ["yes"]),
    sample(1, "single-choose", [5], ["both of it", "a thing (one, or two)"]),
    sample(2, "comparison_irrelevant-query", [17, 5], ["none"]),
    sample(3, "single-query", [333], ["none"]),
]
TEST = [
    sample(0, "single-query", [5], ["lead V1", "lead I"], question="Which  leads\nare made? "),
    sample(1, "comparison_consecutive-verify", [5, 6], ["not sure"]),
]


@pytest.fixture
def root(tmp_path):
    fake_ecg_qa.write(tmp_path, "ptbxl", "template", {"train/00000": TRAIN, "test/80000": TEST})
    mimic = [sample(7, "single-verify", [40000001], ["not sure"], attribute_type="noise")]
    fake_ecg_qa.write(tmp_path, "mimic-iv-ecg", "paraphrased", {"valid/00000": mimic})
    return tmp_path


def test_single_questions_come_as_the_generators_table(root):
    table, notes = ecg_qa.read(root, "ptbxl", "template", RECORDS)
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


def test_mimic_is_joined_by_study_and_never_by_another_cohorts_number(root):
    table, notes = ecg_qa.read(root, "mimic-iv-ecg", "paraphrased", RECORDS)
    assert table[["row", "answer", "template"]].to_numpy().tolist() == [[3, "not sure", "noise/4"]]
    assert notes[2].endswith("not among the 2 given")


def test_rows_and_parts_choose(root):
    table, notes = ecg_qa.read(root, "ptbxl", "template", RECORDS, rows=[1, 2])
    assert list(table["row"]) == [1, 1] and notes[2].startswith("2 are about")
    table, _ = ecg_qa.read(root, "ptbxl", "template", RECORDS, parts=["test"])
    assert list(table["row"]) == [1]


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    later = [sample(n, "single-verify", [17], [f"said {n}"]) for n in (100000, 20000)]
    files = {"train/100000": later[:1], "train/20000": later[1:]}
    fake_ecg_qa.write(tmp_path, "ptbxl", "template", files)
    table, _ = ecg_qa.read(tmp_path, "ptbxl", "template", RECORDS)
    assert list(table["answer"]) == ["said 20000", "said 100000"]


def test_guessers_read_its_questions_too(root):
    table, _ = ecg_qa.read(root, "ptbxl", "template", RECORDS)
    assert majority.answers(table, table)[1] == table["answer"][1]
    assert text_only.answers(table, table) == list(table["answer"])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"question_type": "single-explain"},
            r"question 0: .* got 'single-explain'",
        ),
        ({"question_type": 3}, "question 0: expected question_type as str, got 3"),
        ({"answer": "yes"}, "question 0: expected answer as list, got 'yes'"),
        ({"answer": []}, "question 0: expected one ecg_id and an answer"),
        ({"ecg_id": [17, 5]}, r"question 0: expected one ecg_id and an answer, got \[17, 5\]"),
        ({"template_id": None}, "question 0: expected template_id as int, got None"),
    ],
)
def test_a_question_that_is_not_as_published_is_refused(tmp_path, changed, says):
    wrong = sample(0, "single-verify", [17], ["yes"]) | changed
    fake_ecg_qa.write(tmp_path, "ptbxl", "template", {"train/00000": [wrong]})
    with pytest.raises(ValueError, match=says):
        ecg_qa.read(tmp_path, "ptbxl", "template", RECORDS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"a": 1', "expected JSON"),
        ('{"a": 1}', "expected a list of questions, got dict"),
        ("[4]", "expected a map per question, got 4"),
    ],
)
def test_a_file_that_is_not_as_published_is_refused(root, text, says):
    (root / "ptbxl" / "template" / "valid" / "00000.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        ecg_qa.read(root, "ptbxl", "template", RECORDS)


def test_wrong_names_and_folders_are_refused(root):
    for names, says in [
        (("cpsc", "template"), "expected a release of ECG-QA .* got 'cpsc'"),
        (("ptbxl", "spoken"), "expected a wording of ECG-QA .* got 'spoken'"),
    ]:
        with pytest.raises(ValueError, match=says):
            ecg_qa.read(root, *names, RECORDS)
    with pytest.raises(ValueError, match=r"expected a part of ECG-QA .* got 'all'"):
        ecg_qa.read(root, "ptbxl", "template", RECORDS, parts=["all"])
    with pytest.raises(FileNotFoundError, match="paraphrased"):
        ecg_qa.read(root, "ptbxl", "paraphrased", RECORDS)
    (root / "ptbxl" / "template" / "valid" / "00000.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected \.json files"):
        ecg_qa.read(root, "ptbxl", "template", RECORDS)


def test_a_cohort_without_these_ecgs_is_refused(root):
    other = RECORDS.assign(ecg_id=["a", "b", "c", "d", "e"])
    with pytest.raises(ValueError, match=r"about the 3 given ECGs .* got none among 6"):
        ecg_qa.read(root, "ptbxl", "template", other)


def test_the_step_writes_the_tables_of_the_generator(tmp_path):
    rng = np.random.default_rng(1)
    records = (
        {
            "ecg_id": str(i),
            "patient_id": f"p{i}",
            "signal": rng.normal(0, 0.1, (12, 2500)).astype(np.float32),
            "labels": np.zeros(77, np.int8),
        }
        for i in range(30)
    )
    cohort = write_cohort(tmp_path / "cohort", records, seed=0, source="ptbxl")
    asked = [sample(n, "single-verify", [n % 30], ["yes"]) for n in range(90)]
    fake_ecg_qa.write(tmp_path / "qa", "ptbxl", "template", {"test/00000": asked})
    test = cohort.rows("test")
    inputs = {"cohort": tmp_path / "cohort", "data": tmp_path / "qa"}
    about = {"release": "ptbxl", "wording": "template", "rows": test.tolist()}
    machine = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")
    ecg_qa.write_questions(tmp_path, inputs, about | {"per_ecg": 2}, 0, machine)
    for name, rows in (("train", cohort.rows("train")), ("test", test)):
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert list(table.columns) == ["number", *COLUMNS]
        assert list(table["row"]) == sorted([*rows, *rows])
        assert list(table["number"]) == list(range(2 * len(rows)))
    notes = json.loads((tmp_path / "notes.json").read_text(encoding="utf-8"))
    assert notes[0].startswith("ECG-QA ptbxl, template: 90 questions read")
