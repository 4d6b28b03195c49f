"""The prediction schema, and what is scored from predictions: exact match, text and findings."""

import fnmatch
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builds import refused
from sklearn.metrics import f1_score, precision_score

from ecglib.evaluate import exact_match, finding_agreement, predictions, text_overlap
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, Label

REPO = Path(__file__).parents[1]
VERIFY, CHOOSE = "verify:conduction.06", "choose:conduction.06-22"
PEOPLE = pd.DataFrame({"site": ["A"] * 4, "sex": "F", "age": [35.0, 40.0, 80.0, np.nan]})


def rows(item, target, prediction, units=None) -> pd.DataFrame:
    """Predictions of one method, each of an ECG and, without `units`, of a patient of its own."""
    number = np.arange(len(target))
    records = pd.DataFrame({"unit": number if units is None else units, "ecg": number})
    records = records.assign(site="A", sex="", age=50.0)
    return predictions.build(records, "ecg_tok", 0, item, target, prediction)


def test_numbers_are_those_of_one_kind_of_items():
    items = pd.Series(["label:06", "report", "finding:06", "label:10", "label:06"])
    assert predictions.numbers(items, "label").tolist() == [6, -1, -1, 10, 6]
    assert predictions.numbers(items[:0], "label").tolist() == []
    odd = pd.Series(["label", None, "label:3"])
    assert predictions.numbers(odd, "label").tolist() == [-1, -1, 3]
    assert predictions.kinds(items).tolist() == ["label", "", "finding", "label", "label"]
    assert predictions.kinds(odd).tolist() == ["", "", "label"]


def test_an_answer_to_an_unknown_truth_is_wrong():
    frame = rows("verify:form.06", ["yes", "no"], ["Yes.", ""]).assign(target=["yes", None])
    assert exact_match.score(frame)["score"].tolist() == [1.0, 0.0]


def test_files_have_the_schema_age_bands_and_the_same_bytes_for_any_order(tmp_path):
    """Scores of one label in four ECGs of two patients."""
    records = PEOPLE.assign(unit=[0, 0, 1, 1], ecg=[100, 101, 102, 103])
    target, score = ["0", "1", "0", "1"], np.linspace(0, 1, 4)
    labels = predictions.build(records, "rvq", 0, "label:06", target, score=score)
    assert list(labels.columns) == predictions.COLUMNS
    assert list(labels["age_band"]) == ["<40", "40-59", "80+", "unknown"]
    bands = ["<40", "40-59", "40-59", "60-79", "60-79", "80+"]
    assert predictions.age_band([39, 40, 59, 60, 79, 80]).tolist() == bands
    one = predictions.write(labels, tmp_path / "a.parquet")
    two = predictions.write(labels.sample(frac=1, random_state=1), tmp_path / "b.parquet")
    assert one.read_bytes() == two.read_bytes()
    back = predictions.validate(pd.read_parquet(two), two)
    assert list(back["score"]) == list(labels["score"])
    check = predictions.validate
    refused(r"a\.parquet.*missing \['site'\]", check, labels.drop(columns="site"), "a.parquet")
    refused(r"unknown \['patient_id'\]", check, labels.assign(patient_id=1), "a.parquet")
    refused("got 1.5", check, labels.assign(score=1.5), "a.parquet")
    refused("got '2'", check, labels.assign(target="2"), "a.parquet")
    refused("'Label 6'", check, labels.assign(item="Label 6"), "a.parquet")
    refused("expected integers in unit", check, labels.assign(unit=0.5), "a.parquet")
    refused("row 0 has no site", check, labels.assign(site=None), "a.parquet")


def test_committed_predictions_are_those_that_a_notebook_writes():
    """A file that no notebook writes any more is of an older version and must go."""
    for path in REPO.glob("reports/*/predictions/*.parquet"):
        run, (number, name) = path.parts[-3], path.stem.split("_", 1)
        study = run.rpartition("-study-")[2]
        pattern = f"studies/{study}.py" if number == "study" else f"{number}_*.py"
        (notebook,) = (REPO / "notebooks").glob(pattern)
        text = notebook.read_text()
        if kept := re.fullmatch(r"beside_(\d\d)_(\w+)", name):  # rows of another stage
            assert re.search(rf'beside\(\s*"{kept[2]}", "{kept[1]}"', text), path
            continue
        # A name is a literal of the notebook, or an f-string that begins or ends with letters or
        # ends in an SNR.
        literals = re.findall(r'"([a-z][a-z0-9_{}]*|\{[^"{}]+\}_(?:[a-z]+|\{snr\}))"', text)
        numbered = [literal.replace("{snr}", "[0-9]*") for literal in literals]
        patterns = [re.sub(r"\{[^{}]+\}", "*", literal) for literal in numbered]
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), path


MATCHES = [  # target, prediction, right
    ("yes", " Yes.", True),
    ("lvh, sinus rhythm", "Sinus  rhythm, LVH", True),
    ("lvh", "lvh, sinus rhythm", False),
    ("none", "", False),
    ("", "", False),
]


def test_answers_match_as_sets_by_type_and_over_all_beside_chance():
    """Two sets of two (yes, no) and one of three: 3 of 7 by chance; 3 and 1 right are 4 of 7."""
    answers = ["yes", "no", "yes", "no", "both", "none", "not sure"]
    given = ["yes", "no", "Yes.", "yes", *["none"] * 3]
    frame = rows([VERIFY] * 4 + [CHOOSE] * 3, answers, given)
    exact_match.check_sets(frame)
    table = exact_match.summary_beside_chance(frame)
    assert table["type"].unique().tolist() == ["verify", "choose", "all"]  # no query was asked
    value = table.set_index(["type", "metric"])["value"]
    assert value["verify"].to_dict() == {"accuracy": 0.75, "chance": 0.5, "gain": 0.25}
    assert value["choose", "chance"] == value["choose", "accuracy"] == pytest.approx(1 / 3)
    assert value["choose", "gain"] == pytest.approx(0)
    assert value["all"].to_list() == pytest.approx([4 / 7, 3 / 7, 1 / 7])
    count = table.groupby("type")["questions"].first().to_dict()
    assert count == {"verify": 4, "choose": 3, "all": 7}
    summary = exact_match.summary(frame).set_index("type")
    assert summary["value"].to_dict() == pytest.approx(value.xs("accuracy", level=1).to_dict())
    assert summary["questions"].to_dict() == count
    twice = exact_match.summary(pd.concat([frame, frame.assign(seed=frame["seed"] + 1)]))
    assert twice.set_index("type")["questions"].to_dict() == count  # two seeds, the same questions
    assert exact_match.chance(frame, "verify").value == 0.5
    for target, prediction, right in MATCHES:
        assert exact_match.matches(target, prediction) is right, target
    frame = rows([VERIFY] * 5, ["yes", "yes", "yes", "no", "yes"], ["yes"] * 5)
    refused(f"{VERIFY}: expected .*, got 'yes' for 4 of 5", exact_match.check_sets, frame)
    refused("unknown question type .report.", exact_match.chance, frame, "report")


def test_overlap_by_hand_and_of_empty_texts():
    """Reference "a b c d", output "a c b d": all words shared, longest common sequence 3 of 4."""
    values = text_overlap.overlap("A b c d.", "a c b d")
    rouge_1, rouge_l, bleu, meteor = values.values()
    assert rouge_1 == pytest.approx(1.0) and rouge_l == pytest.approx(0.75)
    assert meteor == pytest.approx(0.5)  # four matches in four chunks: penalty 0.5
    # bigrams 0 of 3, trigrams 0 of 2, one 4-gram missed; method 1 puts 0.1 in place of 0
    assert bleu == pytest.approx((1.0 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25)
    same = text_overlap.overlap("Sinus rhythm, 72/min.", "sinus rhythm 72 / min")
    assert list(same.values()) == pytest.approx([1, 1, 1, 1 - 0.5 / 4**3])
    # Four of five words in one chunk: the brevity penalty of BLEU, and METEOR weighs recall 9 to 1.
    short = text_overlap.overlap("a b c d e", "a b c d")
    assert short["bleu_4"] == pytest.approx(np.exp(1 - 5 / 4))
    f = 0.8 / (0.9 * 1 + 0.1 * 0.8)
    assert short["meteor_no_synonyms"] == pytest.approx(f * (1 - 0.5 / 4**3))
    frame = rows("report", ["sinus rhythm", "atrial flutter"], ["", "atrial flutter"])
    scored = text_overlap.scores(frame)
    per_ecg = scored[scored["item"].isin(text_overlap.METRICS)]
    assert len(per_ecg) == 2 * 4 and per_ecg[per_ecg["ecg"] == 0]["score"].eq(0).all()
    count = text_overlap.empty_outputs(frame)
    assert count.to_dict("records") == [{"method": "ecg_tok", "empty": 1, "n": 2}]
    empty = rows("report", ["a", " . "], ["a", "a"])
    refused("ecg 1: the reference report is empty", text_overlap.scores, empty)


def test_findings_by_hand_and_with_scikit_learn():
    """True 06 in two ECGs, stated in one, and one false 07: tp 1, fp 1, fn 1, F1 1/2."""
    items = np.repeat(["finding:06", "finding:07", "finding:00"], 2)
    frame = rows(items, list("110011"), list("101011"), units=[0, 1] * 3)
    totals = finding_agreement.totals(finding_agreement.select_conditions(frame)).sum(axis=2)
    assert totals.tolist() == [[1, 1, 0], [0, 0, 1]]  # 00 is trivial
    trivial = frame[frame["item"] == "finding:00"].assign(method="of_rhythm")
    mixed = pd.concat([frame, trivial])
    refused("no finding row of of_rhythm counts", finding_agreement.summary, mixed)
    for name in finding_agreement.MEASURES:
        assert finding_agreement.micro(frame, name).value == pytest.approx(0.5)
    y, p = np.random.default_rng(0).integers(0, 2, (2, 50, 4))
    items = np.tile([f"finding:{i:02d}" for i in (6, 7, 8, 9)], 50)
    units = np.repeat(np.arange(50) // 2, 4)
    frame = rows(items, y.ravel().astype(str), p.ravel().astype(str), units)
    measured = finding_agreement.summary(frame, grain="finding").set_index("metric")["value"]
    assert measured["f1"] == pytest.approx(f1_score(y, p, average="micro"))
    assert measured["macro_f1"] == pytest.approx(f1_score(y, p, average="macro"))
    assert measured["precision"] == pytest.approx(precision_score(y, p, average="micro"))
    table = finding_agreement.by_finding(frame)
    assert table["f1"].to_list() == pytest.approx(f1_score(y, p, average=None).tolist())


def test_share_of_reference_is_joint_and_differences_are_paired():
    truth = ["1"] * 6 + ["0"] * 6
    oracle, floor = rows("finding:06", truth, truth), rows("finding:06", truth, ["0"] * 12)
    nothing = [finding_agreement.micro(floor, name).value for name in finding_agreement.MEASURES]
    assert np.isnan(nothing[0]) and nothing[1:] == [0.0, 0.0]  # no precision, recall 0 and F1 0
    assert finding_agreement.share_of_reference(oracle, {"floor": floor}, oracle).low == 1.0
    assert finding_agreement.share_of_reference(floor, {"floor": floor}, oracle).high == 0.0
    assert finding_agreement.difference(oracle, floor).value == 1.0
    assert finding_agreement.difference(floor, floor).high == 0.0
    assert finding_agreement.share_of_reference(floor, {"floor": oracle}, floor).value == -np.inf


def test_texts_and_findings_of_three_reports():
    """The first two ECGs have atrial fibrillation; it is not assessable in the third."""
    records = PEOPLE[:3].assign(unit=[0, 0, 1], ecg=[5, 6, 7], report="r")
    written = pd.DataFrame({"text": ["Atrial fibrillation.", "", "Sinus rhythm."]})
    written = written.assign(tokens=[3, 0, 2], stop_reason="end")
    states = np.full((3, 77), ABSENT, dtype=np.int8)
    states[:, Label.AFIB] = PRESENT, PRESENT, NOT_ASSESSABLE
    scored = [Label.AFIB, Label.SINUS_RHYTHM]
    texts, stated = finding_agreement.read_reports(records, states, "m", 0, written, scored)
    assert texts["prediction"].tolist() == written["text"].tolist()
    assert texts["tokens"].tolist() == [3, 0, 2] and set(texts["target"]) == {"r"}
    of_afib, of_sinus = (stated[stated["item"] == f"finding:{i:02d}"] for i in scored)
    assert of_afib["ecg"].tolist() == [5, 6]  # the third is left out
    assert of_afib["target"].tolist() == ["1", "1"]
    assert of_afib["prediction"].tolist() == ["1", "0"]  # an empty report misses it
    assert of_sinus["prediction"].tolist() == ["0", "0", "1"]
    message = "got 3 records, 3 rows of labels and 2 reports"
    arguments = (records, states, "m", 0, written[:2], scored)
    refused(message, finding_agreement.read_reports, *arguments)
