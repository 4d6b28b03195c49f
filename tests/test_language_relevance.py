"""On which tokens an answer depends, by a model whose answer is decided by one token."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from ecglib.language import relevance
from ecglib.language.prompt import Prompt
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")

TOKENS, DECIDES = slice(2, 8), 3  # of a sequence of nine; the fourth token of the ECG decides


@pytest.fixture
def sequence(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Vectors (1, 9, 2) of zeros but for the deciding token, which votes for the second word.
    Without it the model prefers the first word."""

    def first_words(_, x: torch.Tensor) -> torch.Tensor:
        votes = x[:, TOKENS].sum(1) + torch.tensor([1.0, 0.0])
        return votes.log_softmax(-1)

    monkeypatch.setattr(relevance, "first_words", first_words)
    x = torch.zeros(1, 9, 2)
    x[0, TOKENS.start + DECIDES, 1] = 3.0
    return x


def test_the_answer_changes_where_the_token_that_decides_is_hidden_and_nowhere_else(sequence):
    first, last = torch.arange(6.0).neg(), torch.arange(6.0)
    best = (torch.arange(6) == DECIDES).float()
    for order, kept in ((first, [1, 1, 1, 0]), (last, [1, 1, 0, 0]), (best, [0, 0, 0, 0])):
        same = relevance.stays(None, sequence, TOKENS, torch.zeros(2), order, [1, 2, 3, 4])
        assert same.tolist() == [bool(one) for one in kept]
    neutral = torch.tensor([0.0, 3.0])  # hides nothing: it votes as the deciding token does
    assert relevance.stays(None, sequence, TOKENS, neutral, best, [1, 6]).all()


def test_the_occlusion_is_the_loss_of_the_windows_that_decide(sequence):
    before = torch.tensor([1.0, 3.0]).log_softmax(-1)[1]
    after = torch.tensor([1.0, 0.0]).log_softmax(-1)[1]
    for width, decides in ((1, DECIDES), (2, DECIDES), (4, DECIDES), (4, 5)):  # the last is cut
        x = sequence.roll(decides - DECIDES, 1)
        loss = relevance.occlusion(None, x, TOKENS, torch.zeros(2), width)
        window = torch.arange(6) // width == decides // width
        torch.testing.assert_close(loss, window * (before - after) / window.sum())


def test_each_order_of_the_deletion_has_its_own_numbers(monkeypatch, tmp_path):
    """Two ECGs of three tokens. Under another order's name the comparison would be of nothing."""
    shares = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    model = SimpleNamespace(set_attn_implementation=lambda name: None)
    system = SimpleNamespace(base=SimpleNamespace(model=model, encode=lambda text: [1]))
    for name, fake in {
        "open_system": lambda *of: system,
        "prompted": lambda *of: system,
        "enter": lambda *of: (torch.zeros(1, 6, 2), slice(1, 4)),
        "first_answer_attention": lambda _, index, *of: shares[index],
        "occlusion": lambda *of: torch.tensor([7.0, 8.0, 9.0]),
        "stays": lambda *of: of[4],  # the order itself
    }.items():
        monkeypatch.setattr(relevance, name, fake)
    cohort = SimpleNamespace(records=pd.DataFrame(index=[0]))
    monkeypatch.setattr(relevance.Cohort, "open", lambda folder: cohort)
    monkeypatch.setattr(relevance.Prompt, "of", lambda folder: Prompt())
    config = {"rows": [0, 0], "question": "?", "layers": 1, "width": 1, "deleted": [1]}
    relevance.score(tmp_path, {"system": 0, "cohort": 0}, config, 0, MACHINE)
    saved = load_file(tmp_path / "relevance.safetensors")
    np.testing.assert_allclose(saved["kept_attention"], shares)
    np.testing.assert_allclose(saved["kept_occlusion"], [[7, 8, 9]] * 2)
    np.testing.assert_allclose(saved["kept_above_mean"][0], [-0.2, 0, 0.2], atol=1e-6)


def test_the_attention_is_spread_over_patient_ecg_and_words(monkeypatch, tmp_path):
    """Two pieces of the patient, <start_ecg>, three tokens, <end_ecg>, then two words. The last
    layer counts, and the first does not."""
    last = torch.tensor([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.1])
    layers = torch.stack([torch.full((9,), 1 / 9), last])
    attentions = [row.expand(1, 2, 9, 9) for row in layers]  # (1, heads, L, L)
    words = SimpleNamespace(decode=lambda ids: f" w{ids[0]}")
    system = SimpleNamespace(model=None, base=SimpleNamespace(tokenizer=words))
    for name, fake in {
        "_asked": lambda *of: (system, [7, 8]),
        "enter": lambda *of: (torch.zeros(1, 9, 2), slice(3, 6)),
        "backbone": lambda model: lambda **of: SimpleNamespace(attentions=attentions),
    }.items():
        monkeypatch.setattr(relevance, name, fake)
    relevance.spread(tmp_path, {}, {"rows": [0, 1], "layers": 1}, 0, MACHINE)
    saved = load_file(tmp_path / "words.safetensors")
    np.testing.assert_allclose(saved["share"], [[0.1, 0.5, 0.3, 0.1]] * 2, rtol=1e-6)
    assert saved["positions"].tolist() == [[2, 5]] * 2
    assert json.loads((tmp_path / "pieces.json").read_text()) == ["·w7", "·w8"]
