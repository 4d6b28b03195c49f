"""The small language model: its word pieces, the same bytes twice, and what transformers opens."""

import json
from functools import partial

import pytest
import torch
from _cohort import write_cohort
from measure_machine import records
from transformers import AutoModelForCausalLM, AutoTokenizer

from ecglib.cohorts.store import Cohort
from ecglib.language import small_model
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, checkpoint

MACHINE = Machine("cpu", "float32", 1, "a test")
CONFIG = {"pieces": 400, "width": 32, "layers": 2, "heads": 2, "feed_forward": 64}
CONFIG |= {"steps": 40, "batch": 16, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    return write_cohort(tmp_path_factory.mktemp("cohort"), records(40, seed=0), seed=0)


def pretrain(out, cohort) -> dict[str, bytes]:
    """The bytes of the files that the step writes."""
    out.mkdir(exist_ok=True)
    small_model.pretrain(out, {"cohort": cohort.folder}, CONFIG, 0, MACHINE)
    return {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}


def test_pieces_are_few_and_any_text_survives_them():
    tokenizer = small_model.text_tokenizer(["Sinus rhythm. Normal ECG."] * 3, 300)
    assert len(tokenizer) <= 300
    for text in ("Sinus rhythm.", " two  blanks", "Größe 5 µV\n", "*** CONSIDER ***"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    pieces = tokenizer("Sinus rhythm.").input_ids
    assert len(pieces) < len(tokenizer("suniS mhtyhr.").input_ids)


def test_it_learns_texts_of_training_patients_only(cohort):
    texts = small_model.training_texts(cohort, None)
    reports = cohort.records["report"]
    assert len(texts) == (reports.iloc[cohort.rows("train")].str.strip() != "").sum()
    assert all(any(text.endswith(report) for report in reports) for text in texts)


def test_it_is_a_plain_model_folder_and_the_same_bytes_twice(cohort, tmp_path, monkeypatch):
    """The second training is cut off once."""
    files = pretrain(tmp_path / "once", cohort)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "once", dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "once")
    assert model.dtype == torch.float16 and len(tokenizer) == model.config.vocab_size
    assert json.loads(files["config.json"])["model_type"] == "llama"
    save = checkpoint.save

    def cut(*arguments) -> None:
        save(*arguments)
        raise InterruptedError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(small_model, "Schedule", partial(Schedule, checkpoint_every=7))
        patch.setattr(checkpoint, "save", cut)
        with pytest.raises(InterruptedError):
            pretrain(tmp_path / "twice", cohort)
    assert pretrain(tmp_path / "twice", cohort) == files


def test_a_text_is_less_surprising_after_training(cohort, tmp_path):
    history = pretrain(tmp_path / "model", cohort)["history.csv"].decode().split()
    losses = [float(line.split(",")[1]) for line in history[1:]]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
