"""On which tokens an answer depends, by a model whose answer is decided by one token."""

import pytest
import torch

from ecglib.language import relevance

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
