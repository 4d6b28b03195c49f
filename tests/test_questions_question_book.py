"""questions.yaml: every label and every attribute has its questions, in several wordings."""

import re

import pytest

from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import LABELS
from ecglib.questions import question_book
from ecglib.questions.question_book import BOOK, GROUPS, TERRITORY_LEADS, TYPES, fill_wording
from ecglib.signals.leads import LEADS

OF_KIND = {kind: [g for g in GROUPS.values() if g.kind == kind] for kind in question_book.KINDS}
NAMES = [(int(o.key), o.name) for group in OF_KIND["labels"] for o in group.options]


def test_attributes_and_labels_all_have_questions_or_a_reason_why_not():
    attributes, not_asked = question_book.ATTRIBUTES, question_book.NOT_ASKED
    assert " ".join(attributes) == "diagnosis rhythm form axis intervals leads noise stage"
    assert {group.attribute for group in GROUPS.values()} == set(attributes)
    assert sorted([*(label for label, _ in NAMES), *not_asked]) == list(range(len(LABELS)))
    assert all(len(reason) > 10 for reason in not_asked.values())


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


def test_a_finding_has_its_name_of_the_reports():
    """Except for the article that a question needs."""
    plain = {i: re.sub(r"^an? ", "", name) for i, name in NAMES}
    assert {i: FINDINGS[i].name for i in plain} == plain


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


def test_territories_have_the_leads_of_their_labels():
    leads = sorted(lead for leads in TERRITORY_LEADS.values() for lead in leads)
    assert leads == sorted(set(LEADS) - {"aVR"})
    for group in OF_KIND["leads"]:
        finding = group.rule["finding"].removeprefix("a pathological ")
        options = {option.key: option.name for option in group.options}
        for label, territory in group.rule["labels"].items():
            assert LABELS[label].startswith(f"{finding} ({territory}")
            assert options[territory] == ", ".join(TERRITORY_LEADS[territory])


def test_infarction_stages_have_reasons_and_their_labels_fit():
    for group in OF_KIND["infarction"]:
        territory = group.rule["territory"]
        assert LABELS[group.rule["st"]].startswith(f"ST elevation ({territory}")
        assert LABELS[group.rule["q"]].startswith(f"Q wave ({territory}")
    assert all(signs["reason"] for signs in BOOK["infarction_stages"].values())
    assert all(BOOK["infarction_mimics"].values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"Is there {a}?"',
            '"Is there?"',
            r"slots \['a'\] in a wording of verify, got 'Is there\?'",
        ),
        ("measurement: pr\n", "measurement: sv1\n", "expected a measurement .* got 'sv1'"),
        ("attribute: axis", "attribute: weather", "expected an attribute .* got 'weather'"),
        ("st: st_elevation_septal", "st: st_elevatoin_septal", "do you mean st_elevation_septal"),
        (
            '\n      - "Is any lead disturbed?"',
            "",
            "group noise: expected two wordings or more for",
        ),
    ],
)
def test_a_wrong_book_is_refused(tmp_path, old, new, message):
    path = tmp_path / "questions.yaml"
    text = question_book.PATH.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        question_book._load(path)
