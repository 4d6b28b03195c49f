"""ECG-Byte: its segments, and that the model can tell ECGs apart only in the corrected form."""

import numpy as np
import pytest
import torch
from _cohort import write_cohort
from measure_machine import records, write_random

from ecglib.language import base as base_model
from ecglib.language import ecg_byte
from ecglib.language.packing import Text, backbone, collate
from ecglib.language.packing import answer_loss as loss_of
from ecglib.language.system import load_prefix
from ecglib.tokenizers.bpe import PADDING, fit_bpe
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SIZES = {"pieces": 300, "layers": 2, "width": 32, "feed_forward": 64, "heads": 2}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    out = tmp_path_factory.mktemp("bytes")
    folders = {name: out / name for name in ("cohort", "base", "tokenizer", "codes")}
    cohort = write_cohort(folders["cohort"], records(12, seed=0), seed=0)
    write_random(folders["base"], SIZES | {"key_value_heads": 2}, ["Sinus"], 0, MACHINE)
    folders["tokenizer"].mkdir()
    config = {"ecgs": 8, "merges": 60, "released": False, "inverse": "centre"}
    fit_bpe(folders["tokenizer"], folders, config, 0, MACHINE)
    return cohort, folders


def system(parts, tmp_path, released: bool):
    cohort, folders = parts
    config = {"seconds": 0.2, "released": released}
    ecg_byte.initialise(tmp_path, folders, config, 0, MACHINE)
    prefix = load_prefix(tmp_path)
    base = base_model.load(folders["base"], MACHINE)
    return base, prefix, prefix.read_ecgs(folders, cohort.rows("train")[:3])[0]


def test_a_segment_is_the_beginning_of_all_leads(parts, tmp_path):
    cohort, folders = parts
    _, prefix, codes = system(parts, tmp_path, released=False)
    tokenizer = load(folders["tokenizer"])
    for row, own in zip(cohort.rows("train")[:3], codes, strict=True):
        letters = np.concatenate([tokenizer.symbols[i] for i in own[own != PADDING]])
        expected = tokenizer.bins.encode(cohort.signals([row])[0][:, :50])
        np.testing.assert_array_equal(letters, expected.ravel())
    ids, (embeddings, lengths) = prefix.bracket(codes), prefix(codes)
    assert lengths.tolist() == ((codes != PADDING).sum(1) + 2).tolist()
    assert embeddings.shape[:2] == ids.shape and ids.max() == len(tokenizer.symbols) + 1
    for of, length in zip(ids, lengths, strict=True):
        assert of[length - 1] == len(tokenizer.symbols) + 1 and of[length - 2] < of[length - 1]


@pytest.mark.parametrize("released", [False, True])
def test_permuting_the_ecg_changes_the_logits_unless_it_is_as_released(parts, tmp_path, released):
    """As released, all ECG embeddings are the same vector, and frozen."""
    base, prefix, codes = system(parts, tmp_path, released)
    own = codes[:1][:, codes[0] != PADDING]
    other = own[:, torch.randperm(own.shape[1], generator=torch.Generator().manual_seed(0))]
    assert (own != other).any()
    with torch.no_grad():
        logits = [
            base.model.lm_head(backbone(base.model)(inputs_embeds=prefix(of)[0]).last_hidden_state)
            for of in (own, other)
        ]
    assert torch.equal(*logits) is released
    assert prefix.own.requires_grad is not released
    texts = collate([[Text([5], [6, 0])]], 0)
    if not released:  # the vectors of the symbols that are read learn
        loss_of(base.model, *prefix(own), texts, 2).backward()
        assert (prefix.own.grad[own[0].unique()].abs().sum(1) > 0).all()
