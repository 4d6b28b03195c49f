"""The split by patient, and the tables of a cohort's parts: people counted once, shares by hand."""

import numpy as np
import pandas as pd
from builds import needs, real, refused

from ecglib.cohorts import split, summary
from ecglib.cohorts.split import FRACTIONS, assign, balance, folds, persons, shared_patients
from ecglib.labels.label_set import ABSENT, COLUMNS, LABELS, PRESENT, UNCERTAIN, Label, column

MINI = real("ECGLIB_PTBXL_MINI")


def table(n_patients: int, seed: int = 0) -> pd.DataFrame:
    """One to three ECGs a patient; labels of many prevalences that cluster in patients."""
    rng = np.random.default_rng([seed, 3])
    prevalence = np.geomspace(0.5, 0.01, len(LABELS))
    rows = []
    for patient in range(n_patients):
        labels = rng.random(len(LABELS)) < prevalence
        for _ in range(1 + rng.integers(3)):
            rows.append([f"p{patient}", *np.where(rng.random(len(LABELS)) < 0.9, labels, 0)])
    return pd.DataFrame(rows, columns=["patient_id", *COLUMNS]).assign(source="s")


def test_no_patient_is_shared_and_shares_hold_for_ecgs_and_for_common_labels():
    """With 600 patients each share of a label on >= 60 ECGs is within 6 points of its goal."""
    records = table(600)
    records["split"] = assign(records, seed=1)
    assert shared_patients(records) == 0
    shares = balance(records)
    assert shares["what"][:2].tolist() == ["patients", "ECGs"]
    common = shares[shares["total"] >= 60]
    for name, goal in FRACTIONS.items():
        assert abs(shares.iloc[1][name] - goal) < 0.02
        assert (common[name] - goal).abs().max() < 0.06
    records.loc[records["patient_id"].duplicated().idxmax(), "split"] = "elsewhere"
    assert shared_patients(records) == 1


def test_draw_by_hand():
    """Ten patients, one ECG each, share 0.2; the rare label stands on patients 0 and 1.

    Wanted: 1.6 and 0.4 of the rare label, 8 and 2 ECGs, 8 and 2 patients. Patient 0: relief
    2.2/1.6 + 2 * 15/8 = 5.125 on the large side, -0.2/0.4 + 2 * 3/2 = 2.5 on the small. Patient 1:
    0.2/1.6 + 2 * 13/8 = 3.375 on the large side, again 2.5 on the small. Both go to the large
    side; of the other eight, 2 fill up the small one.
    """
    counts = np.zeros((10, 1), int)
    counts[:2] = 1
    chosen = split.draw(counts, np.ones(10, int), 0.2)
    assert not chosen[:2].any()
    assert chosen.sum() == 2


def test_test_patients_are_those_of_the_first_release(monkeypatch):
    """Pinned: a published run must find its own test patients again, in any order of rows."""
    records = table(60)
    parts = pd.Series(assign(records, seed=7))
    assert (assign(records[::-1], seed=7)[::-1] == parts).all()
    assert (assign(records, seed=6) != parts).any()
    assert parts.value_counts().to_dict() == {"train": 84, "test": 21, "validation": 9}
    test = {int(name[1:]) for name in records["patient_id"][parts == "test"]}
    assert test == {0, 2, 9, 10, 11, 18, 25, 26, 42, 43, 45, 48, 59}
    monkeypatch.setattr(split, "FRACTIONS", {"train": 0.6, "validation": 0.2, "test": 0.2})
    other = assign(records, seed=7)  # the test patients are drawn before those of validation
    np.testing.assert_array_equal(parts == "test", other == "test")
    assert (other == "validation").sum() > (parts == "validation").sum()


def states(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    """Records from (patient, split, state of label 6); all other labels absent."""
    frame = pd.DataFrame(0, index=range(len(rows)), columns=list(COLUMNS)).assign(source="s")
    frame[["patient_id", "split", column(6)]] = rows
    return frame


def test_balance_by_hand():
    """Train: 1 of 4 assessable present, 25 %; validation: none assessable; test: 1 of 2, 50 %.

    The ECG that cannot be assessed (-1) counts in no denominator, the uncertain one (2) does.
    """
    rows = [("a", "train", 1), ("a", "train", 0), ("b", "train", 0), ("c", "train", 2)]
    rows += [("d", "train", -1), ("e", "validation", -1), ("f", "test", 1), ("f", "test", 0)]
    table = balance(states(rows)).set_index("what")
    assert table.index.tolist() == ["patients", "ECGs", LABELS[6]]
    assert table[["total", "in_test"]].to_numpy().tolist() == [[6, 1], [8, 2], [2, 1]]
    assert table.loc["ECGs", list(FRACTIONS)].tolist() == [5 / 8, 1 / 8, 2 / 8]
    assert table.loc[LABELS[6], list(FRACTIONS)].tolist() == [0.5, 0.0, 0.5]
    assert table.loc[LABELS[6], "gap_points"] == 25.0
    assert table.loc[["patients", "ECGs"], "gap_points"].isna().all()
    alone = balance(states([("a", "train", 1), ("b", "test", -1)]))
    assert len(alone) == 3 and alone["gap_points"].isna().all()  # a gap needs two parts
    assert len(balance(states([("a", "train", 0), ("b", "test", 0)]))) == 2  # has none at all


def test_one_number_of_two_data_sets_is_two_people():
    pooled = pd.DataFrame({"patient_id": ["1", "1", "2"], "source": ["ptbxl", "mimic", "mimic"]})
    pooled["split"] = ["train", "test", "test"]
    assert shared_patients(pooled) == 0
    assert persons(pooled).tolist() == [0, 1, 2]
    assert persons(pooled.assign(source="mimic")).tolist() == [0, 0, 1]
    for nobody in ("", None, np.nan):
        unnamed = pd.DataFrame({"patient_id": ["1", nobody], "source": "s"})
        refused("without patient_id", persons, unnamed)


def test_official_folds_need_whole_patients_and_every_part():
    def folded(row: int = 0, fold: object = 1) -> pd.DataFrame:
        """Patient p1 in fold 1 to p10 in fold 10, two ECGs each; one row's fold is changed."""
        rows = [[f"p{number}", number, "s"] for number in range(1, 11) for _ in range(2)]
        frame = pd.DataFrame(rows, columns=["patient_id", "fold", "source"], dtype=object)
        frame.loc[row, "fold"] = fold
        return frame

    parts = folds(folded())
    assert parts.tolist() == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    assert (folds(folded()[::-1])[::-1] == parts).all()
    assert (folds(folded(0, 2)) == parts).all()  # two folds of one part do no harm
    for bad in (np.nan, None, "", 0, 11, 3.5, "9"):
        refused("1 of 20 ECGs have no", folds, folded(4, bad))
    refused("1 patients are in two parts by their folds", folds, folded(0, 10))
    refused("the validation part has no ECG", folds, folded().query("fold != 9"))
    refused("the train part has no ECG", folds, folded().query("fold > 8"))


@needs("ECGLIB_PTBXL_MINI")
def test_folds_of_the_real_table():
    records = pd.read_csv(MINI / "ptbxl_database.csv").assign(source="ptbxl")
    parts = folds(records.rename(columns={"strat_fold": "fold"}))  # which raises for a leak
    np.testing.assert_array_equal(parts == "test", records["strat_fold"] == 10)


def described(rows: list[tuple[str, str, str, str, bool]], age: object = 50.0) -> pd.DataFrame:
    """The summary of one ECG for each (source, patient, sex, split, tokenizer_train)."""
    columns = ["source", "patient_id", "sex", "split", "tokenizer_train"]
    records = pd.DataFrame(rows, columns=columns).assign(site="A", device="d", rate=500.0, age=age)
    return summary.describe(records.assign(report="Sinus rhythm.", verified=True))


def test_a_summary_counts_people_by_source_and_shares_by_hand():
    """Two women of source x and two men of source y share the numbers 1 and 2."""
    rows = [("x", "1", "F", "train", True)] * 2 + [("x", "2", "F", "test", False)]
    rows += [("y", "1", "M", "none", True)] + [("y", "2", "M", "none", True)] * 2
    table = described([*rows, ("z", "1", "F", "transfer", False)]).set_index("property")
    assert " ".join(table) == "all tokenizer_train train validation test transfer"
    assert table.loc["patients"].tolist() == ["5", "3", "1", "0", "1", "1"]
    assert table.loc["ECGs"].tolist() == ["7", "5", "2", "0", "1", "1"]
    assert " ".join(table.loc["women (% of patients)"]) == "60.0 33.3 100.0 - 100.0 100.0"
    rows = [("x", "1", "F", "train", True), ("x", "2", "M", "train", True)]
    read_by = described([("synthetic", *row[1:]) for row in rows]).set_index("property")
    assert set(read_by.loc["read by a physician (% of ECGs)"]) == {"-"}
    plain = ["property", "all", "train", "validation", "test"]
    table = described(rows, age=[40.0, 60.0])
    assert table.columns.tolist() == plain  # those of a part that adds something come with it
    assert table["train"].tolist()[:6] == ["2", "2", "1", "1", "500", "50.0"]
    assert table["train"].tolist()[6:] == ["50 [45, 55]", "2 [2, 2]", "100.0"]
    assert described([(*row[:4], False) for row in rows]).columns.tolist() == plain
    assert described([*rows, ("y", "1", "M", "transfer", False)]).columns[-1] == "transfer"
    assert described([*rows, ("y", "1", "M", "none", True)]).columns[2] == "tokenizer_train"


def test_ecgs_are_counted_by_state_around_the_limit_of_a_definition():
    """An uncertain label, a value that is missing and one beyond the ends count nowhere."""
    states = np.full((5, 77), ABSENT, np.int8)
    states[[0, 3, 4], Label.AV_BLOCK_1] = PRESENT, UNCERTAIN, PRESENT
    values = pd.DataFrame({"pr": [210.0, 150.0, np.nan, 210.0, 999.0]})
    asked = {"pr": ("PR", "ms", 200, (100, 320), [Label.AV_BLOCK_1])}
    table = summary.around_limits(values, states, asked)
    assert table.groupby("state")["ecgs"].sum().to_dict() == {"absent": 1, "present": 1}
    (case,) = table[(table["state"] == "present") & (table["ecgs"] > 0)].itertuples()
    assert (
        case.low <= 210 < case.high and case.limit == 200 and case.labels == "1st degree AV block"
    )
    records = pd.DataFrame({"quality": [0.2, 0.9], "high_passed": [6, 0], "mains": ["50", ""]})
    assert summary.readability(records)["value"].tolist()[2:] == [50.0, 25.0, 50.0]
