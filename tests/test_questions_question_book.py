"""questions.yaml: every label and every attribute has its questions, in several wordings."""

import re

import pytest

from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import LABELS
from ecglib.questions import question_book
from ecglib.questions.question_book import (
    ATTRIBUTES,
    BOOK,
    GROUPS,
    NOT_ASKED,
    TERRITORY_LEADS,
    TYPES,
    fill_wording,
)
from ecglib.signals.leads import LEADS

LABEL_GROUPS = [group for group in GROUPS.values() if group.kind == "labels"]


def test_the_attributes_of_the_questionnaire_all_have_groups():
    named = "diagnosis rhythm form axis intervals leads noise stage"
    assert " ".join(ATTRIBUTES) == named
    assert {group.attribute for group in GROUPS.values()} == set(ATTRIBUTES)


def test_every_label_is_asked_once_or_left_out_with_a_reason():
    asked = [int(option.key) for group in LABEL_GROUPS for option in group.options]
    assert sorted([*asked, *NOT_ASKED]) == list(range(len(LABELS)))
    assert all(len(reason) > 10 for reason in NOT_ASKED.values())


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_wordings_are_several_different_and_complete(group):
    for kind in TYPES:
        texts = group.wordings[kind]
        assert len(texts) >= 2 and len(set(texts)) == len(texts)
        for text in texts:
            left = re.findall(r"{\w*}", fill_wording(text, "X", "Y", "Z"))
            assert not left and text[-1] in "?."
    answers = ("yes", "no", "not sure", "both", "none")
    names = [option.name for option in group.options]
    assert len(set(names)) == len(names) and not set(names) & set(answers)
    assert group.kind == "leads" or not any("," in name for name in names)


def test_no_wording_names_an_answer_of_its_own_group():
    """What is there must not stand in a question that asks what is there."""
    for group in GROUPS.values():
        for text in group.wordings["query"]:
            assert not any(option.name in text for option in group.options)


def test_a_finding_is_called_as_in_reports():
    """But for the article that a question needs."""
    named = {int(o.key): o.name for group in LABEL_GROUPS for o in group.options}
    plain = {i: re.sub(r"^an? ", "", name) for i, name in named.items()}
    assert {i: FINDINGS[i].name for i in plain} == plain


def test_ranges_of_a_measure_meet_and_do_not_overlap():
    for group in (group for group in GROUPS.values() if group.kind == "range"):
        ranges = list(group.rule["ranges"].values())
        ends = [one["to"] for one in ranges if "to" in one]
        starts = [one["from"] for one in ranges if "from" in one]
        if "period" in group.rule:
            assert sorted(e % 360 for e in ends) == sorted(s % 360 for s in starts)
            assert sum(one["to"] - one["from"] for one in ranges) == group.rule["period"]
        else:
            assert sorted(ends) == sorted(starts)
        assert group.rule["margin"] > 0


def test_leads_of_places_are_those_of_the_labels():
    assert sorted(lead for leads in TERRITORY_LEADS.values() for lead in leads) == sorted(
        set(LEADS) - {"aVR"}
    )
    for group in (group for group in GROUPS.values() if group.kind == "leads"):
        for label, place in group.rule["labels"].items():
            finding = group.rule["finding"].removeprefix("a pathological ")
            assert LABELS[label].startswith(f"{finding} ({place}")
            assert [option.name for option in group.options if option.key == place] == [
                ", ".join(TERRITORY_LEADS[place])
            ]


def test_stages_have_reasons_and_their_labels_fit():
    for group in (group for group in GROUPS.values() if group.kind == "infarction"):
        place = group.rule["territory"]
        assert LABELS[group.rule["st"]].startswith(f"ST elevation ({place}")
        assert LABELS[group.rule["q"]].startswith(f"Q wave ({place}")
    assert all(stage["reason"] for stage in BOOK["infarction_stages"].values())
    assert all(BOOK["infarction_mimics"].values())


def test_a_wrong_book_is_refused(tmp_path):
    text = question_book.PATH.read_text(encoding="utf-8")
    for old, new, says in [
        ('"Is there {a}?"', '"Is there?"', r"expected the slots \['a'\], got \[\]"),
        ("measurement: pr\n", "measurement: sv1\n", "expected a measurement of .* got 'sv1'"),
        ("attribute: axis", "attribute: weather", "weather"),
    ]:
        path = tmp_path / "questions.yaml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=says):
            question_book._load(path)
