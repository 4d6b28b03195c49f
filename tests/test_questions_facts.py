"""questions.yaml asks about every label, and the states of its options follow by hand."""

import re

import fake_tables
import numpy as np
import pandas as pd
import pytest
from builds import needs, real, refused

from ecglib.labels import label_set
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label, column
from ecglib.questions import question_book
from ecglib.questions.facts import GroupFacts, group_facts, without_rare_options
from ecglib.questions.question_book import BOOK, GROUPS, TERRITORY_LEADS, TYPES, fill_wording
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES, measure
from ecglib.sources import ptbxl

MINI = real("ECGLIB_PTBXL_MINI")

OF_KIND = {kind: [g for g in GROUPS.values() if g.kind == kind] for kind in question_book.KINDS}
NAMES = [(int(o.key), o.name) for group in OF_KIND["labels"] for o in group.options]
LBBB, RBBB, AFIB, AV_BLOCK = map(column, (Label.LBBB, Label.RBBB, Label.AFIB, Label.AV_BLOCK_1))
ST, Q_WAVE = map(column, (Label.ST_ELEVATION_INFERIOR, Label.Q_WAVE_INFERIOR))
STAGE, SIGNS = "stage_inferior", {ST: "yynnn?yn-yh", Q_WAVE: "nyyhnn??y-n"}
PR = [105.0, 115.0, 130.5, 189.5, 201.0, 210.5, np.nan]
AXES = [-60, -30, 0, 92, 130, 178, -178, -120, 180]
SEXES = {"qtc_fridericia": [439.0, 459.0, 471.0] * 3, "sex": [*"FFFMMM", "", "", ""]}
STATES = {"y": PRESENT, "n": ABSENT, "?": UNCERTAIN, "-": NOT_ASSESSABLE, "h": label_set.HISTORY}


def test_attributes_and_labels_all_have_questions_or_a_reason_why_not():
    attributes, not_asked = question_book.ATTRIBUTES, question_book.NOT_ASKED
    assert " ".join(attributes) == "diagnosis rhythm form axis intervals leads noise stage"
    assert {group.attribute for group in GROUPS.values()} == set(attributes)
    assert sorted([*(label for label, _ in NAMES), *not_asked]) == sorted(Label)
    assert all(len(reason) > 10 for reason in not_asked.values())
    # A finding has its name of the reports, except for the article that a question needs.
    plain = {i: re.sub(r"^an? ", "", name) for i, name in NAMES}
    assert {i: FINDINGS[i].name for i in plain} == plain


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_wordings_are_several_different_and_complete(group):
    for kind in TYPES:
        texts = group.wordings[kind]
        assert len(texts) >= 2 and len(set(texts)) == len(texts)
        for text in texts:
            assert not re.findall(r"{\w*}", fill_wording(text, a="X", b="Y", leads="Z"))
            assert text[-1] in "?."
    names = [option.name for option in group.options]
    answers = {"yes", "no", "not sure", "both", "none"}
    assert len(set(names)) == len(names) and not set(names) & answers
    assert group.kind == "leads" or not any("," in name for name in names)
    # A query question must not name an answer of its own group.
    assert not any(name in text for name in names for text in group.wordings["query"])


def test_ranges_of_a_measurement_meet_and_do_not_overlap():
    for group in OF_KIND["range"]:
        ranges = list(group.rule["ranges"].values())
        ends = [limits["to"] for limits in ranges if "to" in limits]
        starts = [limits["from"] for limits in ranges if "from" in limits]
        if "period" in group.rule:
            assert sorted(e % 360 for e in ends) == sorted(s % 360 for s in starts)
            assert sum(ends) - sum(starts) == group.rule["period"] == 360
        else:
            assert sorted(ends) == sorted(starts)
        assert group.rule["margin"] > 0
    # One range is present and the others are absent, or two that meet are uncertain.
    records, measurements = fake_tables.table(721)
    measurements["qrs_axis"] = np.linspace(-180, 180, 721)
    measurements["heart_rate"] = np.linspace(30, 220, 721)
    for facts in group_facts(records, measurements):
        if facts.group.name in ("axis", "rate"):
            present, uncertain = facts.states == PRESENT, facts.states == UNCERTAIN
            assert (present.sum(1) + uncertain.sum(1) / 2 == 1).all()


def test_territories_have_the_leads_and_infarctions_the_territories_of_their_labels():
    leads = sorted(lead for leads in TERRITORY_LEADS.values() for lead in leads)
    assert leads == sorted(set(LEADS) - {"aVR"})
    for group in OF_KIND["leads"]:
        finding = group.rule["finding"].removeprefix("a pathological ")
        options = {option.key: option.name for option in group.options}
        for label, territory in group.rule["labels"].items():
            assert label_set.LABELS[label].startswith(f"{finding} ({territory}")
            assert options[territory] == ", ".join(TERRITORY_LEADS[territory])
    for group in OF_KIND["infarction"]:
        territory = group.rule["territory"]
        assert label_set.LABELS[group.rule["st"]].startswith(f"ST elevation ({territory}")
        assert label_set.LABELS[group.rule["q"]].startswith(f"Q wave ({territory}")
    assert all(signs["reason"] for signs in BOOK["infarction_stages"].values())
    assert len(BOOK["infarction_mimics"]) == 6 and all(BOOK["infarction_mimics"].values())


WRONG = [  # text of the book, what replaces it, error
    ('"Is there {a}?"', '"Is there?"', r"slots \['a'\] in a wording of verify, got 'Is there\?'"),
    ("measurement: pr\n", "measurement: sv1\n", "expected a measurement .* got 'sv1'"),
    ("attribute: axis", "attribute: weather", "expected an attribute .* got 'weather'"),
    ("st: st_elevation_septal", "st: st_elevatoin_septal", "do you mean st_elevation_septal"),
    ('\n      - "Is any lead disturbed?"', "", "group noise: expected two wordings or more for"),
]


def test_a_wrong_book_is_refused(tmp_path):
    path, text = tmp_path / "questions.yaml", question_book.PATH.read_text(encoding="utf-8")
    for old, new, message in WRONG:
        path.write_text(text.replace(old, new), encoding="utf-8")
        refused(message, question_book._load, path)


OPTION_STATES = [  # columns of an ECG each, group, states of some of its options
    ({LBBB: "yn?-h"}, "conduction", {"06": "yn?--"}),  # history is not asked
    ({"pr": PR}, "pr", {"short": "y?nnnn-", "usual": "n?yy?n-", "long": "nnnn?y-"}),
    # No PR interval in atrial fibrillation.
    ({"pr": [160.0], AFIB: "y"}, "pr", {"usual": ""}),
    ({"pr": [160.0], AFIB: "?"}, "pr", {"usual": ""}),
    ({"pr": [160.0], AFIB: "n"}, "pr", {"usual": "y"}),
    # A measurement that contradicts a label is not asked.
    ({"pr": [150.0, 230.0, 204.0], AV_BLOCK: "yyy"}, "pr", {"long": "-y?"}),
    ({"qrs": [90.0, 150.0], RBBB: "yy"}, "qrs", {"wide": "-y"}),
    # Over all leads, a QRS of 120 ms is usual.
    ({"qrs": [119.0, 121.0, 139.0, 141.0]}, "qrs", {"narrow": "y??n", "wide": "n??y"}),
    # QTc has the limit of the sex.
    (SEXES, "qtc_women", {"long": "n?y------"}),
    (SEXES, "qtc_men", {"long": "---n?y---"}),
    # Axis classes meet on the circle.
    ({"qrs_axis": AXES}, "axis", {"left": "y?nnnnnnn", "normal": "n?y?nnnnn"}),
    ({"qrs_axis": AXES}, "axis", {"right": "nnn?y??n?", "extreme": "nnnnn??y?"}),
    ({"quality_V1": [0.97, 0.5, 0.85, np.nan]}, "noise", {"V1": "ny?-", "aVF": "nnnn"}),
    (SIGNS, STAGE, {"acute": "ynnnn??n---", "evolving": "nynnnn?n---", "old": "nnyynnn?---"}),
    # An ST elevation that no lead measures is not asked.
    ({ST: "yynn", Q_WAVE: "nnyn"}, STAGE, {"acute": "yynn"}),
    ({ST: "yynn", Q_WAVE: "nnyn", "st_III": [0, 0.15, 0, 0]}, STAGE, {"acute": "-ynn"}),
    *(  # A condition that mimics an infarction prevents its stage.
        ({ST: "yyn", Q_WAVE: "nnn", column(label): "?nn"}, STAGE, {"acute": "-yn"})
        for label in BOOK["infarction_mimics"]
    ),
]


@pytest.mark.parametrize(("columns", "group", "expected"), OPTION_STATES)
def test_states_of_options_by_hand(columns, group, expected):
    """Without a measurement among the columns, nothing is measured."""
    records, measurements = fake_tables.table(len(next(iter(columns.values()))))
    records["sex"] = "F"
    for name, values in columns.items():
        if isinstance(values, str):
            values = np.array([STATES[state] for state in values], np.int8)
        (measurements if name in MEASURES else records)[name] = values
    measured = measurements if set(columns) & set(MEASURES) else None
    states = {}
    for facts in group_facts(records, measured):
        if facts.group.name == group:
            states = {o.key: list(facts.states[:, j]) for j, o in enumerate(facts.options)}
    for key, text in expected.items():
        assert states.get(key, []) == [STATES[state] for state in text], key


@needs("ECGLIB_PTBXL_MINI")
def test_normal_ecgs_have_no_wide_qrs_and_rarely_a_long_qtc():
    """Those of PTB-XL's excerpt that are coded NORM; the benchmark has the counts of all."""
    rows = ptbxl.read_table(MINI)
    rows = rows[rows["scp_codes"].str.contains("'NORM'")].head(60).reset_index(drop=True)
    measured = pd.DataFrame([measure(*ptbxl.read(MINI, name)) for name in rows["record"]])
    records, _ = fake_tables.table(len(rows), state=NOT_ASSESSABLE)
    facts = group_facts(records.assign(sex=rows["sex"].map(ptbxl.SEXES)), measured)
    states = {
        f.group.name: dict(zip([o.key for o in f.options], f.states.T, strict=True)) for f in facts
    }
    assert not (states["qrs"]["wide"] == PRESENT).any()
    assert (states["qrs"]["narrow"] == PRESENT).mean() > 0.8
    long = [(states[f"qtc_{who}"]["long"] == PRESENT).sum() for who in ("women", "men")]
    assert sum(long) <= 2


def test_what_a_source_never_assesses_or_measures_is_no_option():
    records, measurements = fake_tables.table(3, state=NOT_ASSESSABLE)
    kinds = {facts.group.kind for facts in group_facts(records, measurements)}
    assert kinds == {"range", "noise"}
    assert group_facts(records.drop(columns="quality_V1")) == []
    refused("measurements of 3 ECGs, got 1", group_facts, records, measurements.iloc[:1])
    states = np.array([PRESENT, ABSENT, NOT_ASSESSABLE], np.int8)
    records[column(Label.T_INVERSION_INFERIOR)] = states
    by_name = {facts.group.name: facts for facts in group_facts(records, measurements)}
    assert [o.key for o in by_name["leads_t_inversion"].options] == ["inferior"]
    assert by_name["leads_t_inversion"].leads == "II, III, aVF"


def test_options_that_are_rare_in_training_are_not_asked_for():
    group = GROUPS["rhythm"]
    options = group.options[:3]  # sinus rhythm (query only), atrial fibrillation, flutter
    states = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]], np.int8)
    facts = [GroupFacts(group, options, states, np.ones(3, dtype=bool))]
    (kept,) = without_rare_options(facts, np.arange(4), 2)  # the last row is not for training
    assert list(kept.askable) == [True, True, False]
    assert without_rare_options(facts, np.arange(4), 4) == []
