"""Cohorts of a plan: roles without a shared patient, the paper's plan, labels from a table."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import fake_sources
import numpy as np
import pandas as pd
import pytest
import yaml
from _cohort import write_cohort
from builds import build_cohort, missing, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cohorts_store import records
from test_language_floors import write as write_model

from ecglib.cohorts import store
from ecglib.cohorts.label_table import relabel, write_label_table
from ecglib.cohorts.merge_cohorts import PART, TOGETHER, check_roles, merge_cohorts, role_rows
from ecglib.cohorts.settings import SETTINGS
from ecglib.cohorts.split import FRACTIONS
from ecglib.cohorts.store import LABEL_COLUMNS, Cohort
from ecglib.language.bert_labels import label_with_bert, main
from ecglib.run import profiles, roots
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

REPO = Path(__file__).parents[1]
PAIRS = [pair for pair in combinations(PART, 2) if pair != TOGETHER]
# Two ECGs a patient: enough for a patient in each part of the split.
LISTED = {"mimic": 24, "mhi": 54, "code15": 24, "ptbxl": 24}
LEFT_OUT = {"mimic": 0, "mhi": 18, "code15": 1, "ptbxl": 0}  # not verified; zero throughout


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The cohorts of paper.yaml merged as in notebook 01, MIMIC and CODE-15 % longer than usual."""
    trees, out = tmp_path_factory.mktemp("trees"), tmp_path_factory.mktemp("out")
    plan = profiles.load_plan(Paths(REPO, out, out), "paper")
    studies = range(40000001, 40000001 + LISTED["mimic"])
    subjects = {study: 100 + place // 2 for place, study in enumerate(studies)}  # as in PTB-XL's
    statements = [{"report_0": "Sinus rhythm"}, {"report_0": "Atrial fibrillation"}]
    reports = {s: statements[s % 3 == 0] for s in studies[:-2]}  # the last two have no row
    exams = {i: (i % 2, (4096, 2934)[i % 4 > 1], ((), ("AF",))[i % 3 == 0]) for i in range(1, 24)}
    exams[LISTED["code15"]] = (0, 0, ())
    for name in LISTED:
        (trees / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake_sources, "SUBJECTS", subjects)
        patch.setattr(fake_sources, "REPORTS", reports)
        patch.setattr(fake_sources, "EXAMS", exams)
        fake_sources.write_mimic(trees / "mimic")
        fake_sources.write_code15(trees / "code15")
    fake_sources.write_mhi(trees / "mhi", LISTED["mhi"])
    fake_sources.write_ptbxl(trees / "ptbxl", LISTED["ptbxl"], rates=(500,))
    parts = {}
    for name, entry in plan["cohorts"].items():
        roots.check_root(name, trees / name, entry)
        config = {key: entry[key] for key in SETTINGS if key in entry}
        parts[name] = build_cohort(out / name, trees / name, **config)
    return SimpleNamespace(plan=plan, parts=parts, whole=merge(out, plan["roles"], parts))


def test_statements_are_asked_for_only_where_reports_are_read(tmp_path: Path):
    entry = profiles.load_plan(Paths(REPO, tmp_path, tmp_path), "mimic")["cohorts"]["mimic"]
    (tmp_path / "files").mkdir()
    (tmp_path / "record_list.csv").touch()
    roots.check_root("mimic", tmp_path, entry | {"reports": False})
    with pytest.raises(RunError, match=f"holds no {roots.REPORTS}: it is not laid out like"):
        roots.check_root("mimic", tmp_path, entry)


def merge(folder: Path, roles: dict[str, list[str]], cohorts: Iterable[str]) -> Cohort:
    (folder / "merged").mkdir(parents=True)
    inputs = {name: folder / name for name in cohorts}
    merge_cohorts(folder / "merged", inputs, {"roles": roles}, 0, SimpleNamespace(threads=1))
    return Cohort.open(folder / "merged")


def names(cohort: Cohort, rows: np.ndarray) -> list[str]:
    """The ecg_id of these rows."""
    return cohort.records["ecg_id"].iloc[rows].tolist()


def test_every_data_set_is_read_whole_and_costs_no_disk_again(merged):
    parts, whole = merged.parts.items(), merged.whole
    for (name, cohort), shard in zip(parts, whole.manifest["shards"], strict=True):  # one each
        assert len(cohort) == LISTED[name] - LEFT_OUT[name]
        assert set(cohort.records["split"]) == {"train", "validation", "test"}
        assert (whole.folder / shard["file"]).samefile(cohort.folder / "signals_00000.npy")
        rows = np.flatnonzero(whole.records["cohort"] == name)
        assert names(whole, rows) == names(cohort, cohort.rows())
        np.testing.assert_array_equal(whole.signals(rows), cohort.signals(cohort.rows()))
    assert len(whole) == sum(LISTED.values()) - sum(LEFT_OUT.values())
    assert whole.quarantine["value"].str.contains("zero throughout").tolist() == [True]
    notes = [f"{name}: {note}" for name, cohort in parts for note in cohort.manifest["notes"]]
    assert whole.manifest["notes"] == notes
    assert {note.partition(":")[0] for note in notes} == set(LISTED)
    # 2934 samples at 400 Hz are 1834 at 250 Hz (1833.75 rounded up); zeros follow.
    short = np.flatnonzero(whole.records["n_valid"] < 2500)
    assert set(whole.records["cohort"].iloc[short]) == {"code15"} and len(short) == 12
    samples = whole.signals(short).any(axis=1)
    assert samples[:, :1834].all() and not samples[:, 1834:].any()


def test_roles_have_what_the_plan_names_and_no_person_twice_but_of_tokenizer_and_model(merged):
    roles, table = merged.plan["roles"], merged.whole.records
    assert roles["tokenizer_train"] == ["mimic", "mhi", "code15"]  # ECG-Tok, section 2.1
    assert roles["train"] == roles["validation"] == roles["test"] == ["mimic"]  # its Table 1
    assert roles["transfer"] == ["ptbxl"]  # HeartLLM, zero-shot
    assert tuple(PART) == tuple(roles) == profiles.ROLES == store.ROLES
    cohort = table["cohort"].to_numpy()
    for role, members in roles.items():
        rows = merged.whole.rows(role)
        assert set(cohort[rows]) == set(members), role
        for name in members:
            one = merged.parts[name]
            expected = names(one, one.rows(PART[role]))
            assert names(merged.whole, rows[cohort[rows] == name]) == expected, (role, name)
    unused = table.query("cohort == 'ptbxl' and split != 'transfer'")
    assert set(unused["split"]) == {"none"} and not unused["tokenizer_train"].any()
    # A person is a source and a number: MIMIC and PTB-XL have the same numbers here.
    numbers = table.groupby("source")["patient_id"].agg(set)
    assert numbers["mimic"] == numbers["ptbxl"]
    person = (table["source"] + "/" + table["patient_id"]).to_numpy()
    people = {role: set(person[merged.whole.rows(role)]) for role in merged.plan["roles"]}
    assert people["train"] < people["tokenizer_train"]
    assert not any(people[one] & people[two] for one, two in PAIRS)
    assert table["unit"].nunique() == len(set(person))


def test_cohorts_that_share_patients_or_ecgs_are_refused(tmp_path: Path):
    """Of other sources, e0 to e11 are other ECGs of other patients."""
    ecgs = records(40)  # two per patient

    def merge_parts(folder: Path, roles: dict, **cohorts: tuple[slice, str]) -> Cohort:
        """Merge cohorts of some of the ECGs, each from a named source."""
        for name, (part, source) in cohorts.items():
            write_cohort(folder / name, ecgs[part], seed=ord(name[0]), source=source)
        return merge(folder, roles, cohorts)

    parts = {"a": (slice(12), "other"), "b": (slice(20), "same"), "c": (slice(12), "again")}
    apart = parts | {"e": (slice(24, 40), "same")}
    assert len(merge_parts(tmp_path / "good", {"train": ["b", "e"]}, **apart)) == 12 + 20 + 12 + 16
    both = parts | {"d": (slice(16, 24), "same")}
    message = "cohorts b and d share 4 ECGs of the same source; keep"
    refused(message, merge_parts, tmp_path / "ecgs", {"train": ["b", "d"]}, **both)
    roles = {"tokenizer_train": ["b"], "train": ["b"], "test": ["d"]}
    both = {"b": (slice(20), "same"), "d": (slice(20), "same")}
    refused(r"share|overlap", merge_parts, tmp_path / "patients", roles, **both)
    assert not (tmp_path / "patients" / "merged" / "cohort.json").exists()


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Records from (cohort, source, patient, split)."""
    return pd.DataFrame(rows, columns=["cohort", "source", "patient_id", "split"])


PATIENTS = [(f"{split}-{i}", split) for split in FRACTIONS for i in range(2)]


def test_same_patient_number_in_two_sources_is_two_people():
    four = table(*[(*cohort, *who) for cohort in (("a", "s"), ("b", "t")) for who in PATIENTS])
    check_roles(four, {"train": ["a"], "test": ["b"]})
    same = four.assign(source="s")
    check_roles(same, {"train": ["a", "b"], "test": ["a", "b"]})  # each has one split: no leak
    crossed = same.assign(split=[*same["split"][:6], *same["split"].tolist()[:5:-1]])
    with pytest.raises(ValueError, match=r"train \(a\) and test \(b\) share 2 patients") as refusal:
        check_roles(crossed, {"train": ["a"], "test": ["b"]})
    assert not any(patient in str(refusal.value) for patient, _ in PATIENTS)
    roles = {"tokenizer_train": ["a"], "test": ["b"]}
    refused("the tokenizer would see 2 test patients", check_roles, crossed, roles)


row = st.tuples(*map(st.sampled_from, ("abc", "st", "1234", [*FRACTIONS])))
plan = st.dictionaries(
    st.sampled_from([*PART]), st.lists(st.sampled_from("abc"), max_size=3, unique=True)
)


def people(rows: list[tuple[str, ...]], plan: dict[str, list[str]], role: str) -> set:
    """Written out once more: who a role sees."""
    part = "test" if role == "transfer" else role.removeprefix("tokenizer_")
    return {(s, p) for c, s, p, split in rows if c in plan.get(role, []) and split == part}


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=14), plan=plan)
def test_what_passes_has_no_leak_and_what_is_refused_has_one(rows, plan):
    records = table(*rows)
    if any(people(rows, plan, one) & people(rows, plan, two) for one, two in PAIRS):
        refused(r"share|would see", check_roles, records, plan)
        return
    check_roles(records, plan)
    for role in PART:
        members = records.iloc[role_rows(records, plan, role)]
        pairs = zip(members["source"], members["patient_id"], strict=True)
        assert set(pairs) == people(rows, plan, role)


def test_the_plans_of_the_project():
    for path in (REPO / "notebooks" / "data").glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        cohorts = [(name, entry["source"]) for name, entry in content["cohorts"].items()]
        people = table(*[(*cohort, *who) for cohort in cohorts for who in PATIENTS])
        check_roles(people, content["roles"])
        for role, members in content["roles"].items():
            rows = role_rows(people, content["roles"], role)
            assert (len(rows) > 0) == bool(members), (path, role)


def test_the_authors_classifier_labels_a_cohort_through_the_plan(tmp_path, capsys):
    tree = tmp_path / "ptbxl"
    fake_sources.write_ptbxl(tree)
    (tree / "records500/00000/00003_hr.dat").unlink()  # this ECG is not kept, and has a row
    before = build_cohort(tmp_path / "before", tree, source="ptbxl").records
    write_model(tmp_path / "model", 77)
    command = ["--model", str(tmp_path / "model"), "--source", "ptbxl", "--data-root", str(tree)]
    assert main([*command, "--out", str(tree / "labels.csv")]) == 0
    printed = capsys.readouterr().out
    assert "4 distinct reports of 8 ECGs, on c" in printed
    assert f"labels of {len(before) + 1} ECGs" in printed

    cohort = build_cohort(tmp_path / "after", tree, source="ptbxl", label_table="labels.csv")
    after = cohort.records
    expected = label_with_bert(after["report"].tolist(), tmp_path / "model")
    assert (cohort.labels == expected).all()
    assert (before[LABEL_COLUMNS].to_numpy() != expected).any()
    same = ["ecg_id", "unit", "ecg", "report"]  # the split is stratified by labels
    assert after[same].equals(before[same])
    with pytest.raises(FileExistsError, match=r"labels\.csv exists; name a new file"):
        main([*command, "--out", str(tree / "labels.csv")])


def test_a_role_that_no_ecg_is_left_for_is_refused(tmp_path):
    inputs = {"few": write_cohort(tmp_path / "few", records(4), seed=0).folder}  # two patients
    roles = {role: ["few"] for role in FRACTIONS}
    expected = "of 4 ECGs of 2 people in few none is left for the role .*; give data of more people"
    refused(expected, merge_cohorts, tmp_path, inputs, {"roles": roles}, 0, None)


def test_a_damaged_label_table_is_refused(tmp_path):
    path, ecgs = tmp_path / "labels.csv", [{"ecg_id": "1"}, {"ecg_id": "2"}]
    missing(r"labels\.csv is missing; the data plan names it", relabel, ecgs, path)
    write_label_table(path, ["1", "2"], np.full((2, 77), -1, np.int8))
    assert (relabel(ecgs, path)[1]["labels"] == -1).all()
    good = pd.read_csv(path, dtype=str)
    for changed, expected in (
        ({"label_03": ["0", "0.7"]}, r"holds the label '0\.7'; states are -1, 0, 1, 2, 3"),
        ({"ecg_id": "1"}, "line 3: this ecg_id occurs twice"),
        ({"label_76": None}, "lacks the columns label_76; add them, with -1"),
        (dict.fromkeys(LABEL_COLUMNS), r"columns label_00, .*_02, \.\.\. \(77 in all\)"),
        ({"ecg_id": ["1", "3"]}, "lacks 1 of 2 ECGs of the cohort; .* ecg_id 2"),
    ):
        good.assign(**changed).dropna(axis="columns").to_csv(path, index=False)
        refused(rf"labels\.csv.* {expected}", relabel, ecgs, path)
    for cut, expected in (("", "No columns"), ('ecg_id,label_00\n"1', "EOF inside string")):
        path.write_text(cut)
        refused(rf"labels\.csv: .*{expected}.*; the data plan names it", relabel, ecgs, path)
