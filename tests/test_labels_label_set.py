"""The 77 labels, the findings and their wordings."""

import pytest

from ecglib.labels import label_set
from ecglib.labels.findings import FINDINGS, GROUPS, SCORED, TRIVIAL
from ecglib.labels.label_set import PRESENT, Label, parse_label, parse_labels
from ecglib.labels.labeller import read, read_findings

# The words of these findings also state another one.
INCLUDES = {Label.QS_V1_V3: Label.Q_WAVE_SEPTAL, Label.LV_PACED: Label.VENTRICULAR_PACED}


def test_the_77_labels():
    assert [int(label) for label in Label] == list(range(len(label_set.LABELS))) == list(range(77))
    assert label_set.LABELS[Label.LBBB] == "Left bundle branch block"
    assert sum(map(len, label_set.CATEGORIES.values())) == 78 and len(label_set.CATEGORIES) == 6
    twice = [
        x for x, inside in label_set.CATEGORIES.items() if Label.ST_DEPRESSION_ANTERIOR in inside
    ]
    assert twice == ["Other", "Infarction or Ischemia"]
    assert label_set.column(Label.LBBB) == "label_06"
    with pytest.raises(ValueError, match="got 77"):
        label_set.column(77)


def test_labels_are_named_by_slugs():
    assert parse_labels(["afib", "lbbb"], "a.yaml") == (Label.AFIB, Label.LBBB) == (15, 6)
    for slug, message in [
        ("afibb", "a.yaml: expected the slug of a label, got 'afibb'; do you mean afib or lafb?"),
        (15, "a.yaml: expected the slug of a label, got 15; choose one of labels77.csv"),
    ]:
        with pytest.raises(ValueError) as error:
            parse_label(slug, "a.yaml")
        assert str(error.value) == message
    assert label_set.by_territory("st_depression") == {
        name: Label[f"ST_DEPRESSION_{name.upper()}"] for name in label_set.TERRITORIES[:4]
    }


def test_findings_are_ordered_and_named_once():
    groups = [GROUPS.index(finding.group) for finding in FINDINGS.values()]
    assert groups == sorted(groups)
    assert set(Label) - set(FINDINGS) == TRIVIAL - {Label.SINUS_RHYTHM}
    assert len({finding.name for finding in FINDINGS.values()}) == len(FINDINGS) == 75
    assert set(SCORED) == set(FINDINGS) - TRIVIAL


def test_every_wording_is_read_as_its_finding():
    for label, finding in FINDINGS.items():
        stated = {label: PRESENT} | ({INCLUDES[label]: PRESENT} if label in INCLUDES else {})
        for wording in (finding.name, *finding.statements["A"], *finding.statements["B"]):
            assert read_findings(wording) == stated, wording
            assert read(wording).understood, wording
