"""CODE-15 % as a cohort: six findings to labels; every exam is read or refused with a reason."""

import fake_code15
import numpy as np
import pytest

from ecglib.cohorts.quarantine import problem
from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, SLUGS, Label
from ecglib.sources import code15


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("code15")
    fake_code15.write_tree(root)
    return root


def test_table_becomes_records(tree):
    first, second = code15.records(tree)[0][:2]
    assert (first["ecg_id"], first["patient_id"], first["sex"]) == ("1001", "500", "M")
    assert (second["ecg_id"], second["patient_id"], second["sex"]) == ("1002", "500", "F")
    assert (second["age"], second["site"], second["report"]) == (31.0, "TNMG", "")
    assert second["file"] == "exams_part0.hdf5:1"
    assert not second["verified"]


def test_every_exam_is_usable_or_refused(tree):
    """Exams of 7.3 s pass the length rule; the one that is zero throughout is refused."""
    lengths = []
    records, _ = code15.records(tree)
    for record in records[:4]:
        signal, rate = code15.read(tree, record["file"])
        assert problem(signal, rate, 5.0) is None
        lengths.append(round(signal.shape[1] / rate, 1))
    assert lengths == [10.2, 10.0, 7.3, 7.3]
    with pytest.raises(ValueError, match="zero throughout"):
        code15.read(tree, records[4]["file"])


@pytest.mark.parametrize(
    ("stated", "states"),
    [
        (
            (),
            dict(
                av_block_1=ABSENT,
                rbbb=ABSENT,
                lbbb=ABSENT,
                afib=ABSENT,
                bradycardia=ABSENT,
                sinus_rhythm=NOT_ASSESSABLE,
            ),
        ),
        (
            ("1dAVb", "RBBB"),
            dict(av_block_1=PRESENT, rbbb=PRESENT, lbbb=ABSENT, sinus_rhythm=NOT_ASSESSABLE),
        ),
        (
            ("LBBB", "SB"),
            dict(lbbb=PRESENT, bradycardia=PRESENT, sinus_rhythm=PRESENT, afib=ABSENT),
        ),
        (
            ("ST",),
            dict(sinus_rhythm=PRESENT, bradycardia=ABSENT, atrial_tachycardia=NOT_ASSESSABLE),
        ),
        (("AF",), dict(afib=PRESENT, sinus_rhythm=ABSENT, bradycardia=NOT_ASSESSABLE)),
        (("AF", "SB"), dict(afib=PRESENT, sinus_rhythm=NOT_ASSESSABLE, bradycardia=PRESENT)),
    ],
)
def test_columns_to_labels(tree, stated, states):
    labels = code15.labels({"findings": stated}, tree)
    assert (labels.dtype, labels.shape) == (np.int8, (77,))
    assert {slug: labels[SLUGS[slug]] for slug in states} == states
    decided = {*code15.SAME.values(), Label.SINUS_RHYTHM, Label.BRADYCARDIA}
    assert all(labels[label] == NOT_ASSESSABLE for label in Label if label not in decided)


def test_the_labels_have_the_names_that_the_columns_mean():
    named = {name: LABELS[label] for name, label in code15.SAME.items()}
    assert named == {
        "1dAVb": "1st degree AV block",
        "RBBB": "Right bundle branch block",
        "LBBB": "Left bundle branch block",
        "AF": "Afib",
    }


def test_notes_count_what_is_not_listed(tree, tmp_path):
    listed, left, lost = code15.records(tree)[1][:3]
    assert listed.startswith("5 exams of 2 parts are listed; 0 exams stand in parts")
    assert left.startswith("2 dummy rows (exam_id 0) and 0 rows without a line")
    assert lost.startswith("0 listed exams")
    fake_code15.write_tree(tmp_path)
    zeros = [np.zeros((4096, 12), np.float32)] * 2
    fake_code15.write_part(tmp_path / "exams_part1.hdf5", [1004, 77], zeros)
    listed, left, lost = code15.records(tmp_path, [1])[1][:3]
    assert listed.startswith("2 exams of 1 parts are listed; 3 exams stand in parts")
    assert left.startswith("1 dummy rows (exam_id 0) and 1 rows without a line")
    assert lost.startswith("1 listed exams do not stand exactly once")
