"""A cohort with a share of the training patients: nested shares, and what does not change."""

from builds import build_cohort, refused

from ecglib.cohorts.store import Cohort
from ecglib.language import fewer_patients
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_shares_are_nested_and_leave_the_other_parts_alone(tmp_path):
    whole = build_cohort(tmp_path / "whole", patients=24)
    inputs, parts = {"cohort": whole.folder}, {}
    patients = whole.records["unit"].iloc[whole.rows("train")].nunique()
    for name, share in {"fifth": 0.2, "half": 0.5}.items():
        (tmp_path / name).mkdir()
        fewer_patients.keep_share(tmp_path / name, inputs, {"share": share}, 0, MACHINE)
        parts[name] = Cohort.open(tmp_path / name)
        train = parts[name].rows("train")
        assert parts[name].records["unit"].iloc[train].nunique() == round(share * patients)
        assert (parts[name].rows("tokenizer_train") == train).all()
        for role in ("validation", "test"):
            assert (parts[name].rows(role) == whole.rows(role)).all()
    of_half, of_all = parts["half"].rows("train"), whole.rows("train")
    assert set(parts["fifth"].rows("train")) < set(of_half) < set(of_all)
    kept = [name for name in whole.records if name not in ("split", "tokenizer_train")]
    assert parts["half"].records[kept].equals(whole.records[kept])
    for share in (0.0, 0.001, 1.5):
        call = tmp_path / "half", inputs, {"share": share}, 0, MACHINE
        refused(f"got {share}", fewer_patients.keep_share, *call)
