"""Training rows: one ECG (the trunk) followed by several texts that do not see each other.

    [trunk: P embeddings of the ECG] [prompt answer eos] [prompt answer eos] ...

Every text attends to the trunk and to itself, its positions continue from the trunk's end, and only
its answer is supervised. So a row gives the same losses as that many separate sequences, while the
ECG is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

IGNORE = -100


@dataclass(frozen=True)
class Text:
    """Token ids of a prompt and of its answer (the closing eos included)."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Batch:
    """Texts of B rows, padded to L: ids, targets (IGNORE where unsupervised), segment, offset."""

    ids: torch.Tensor  # (B, L) int64
    targets: torch.Tensor  # (B, L) the token that follows, IGNORE outside answers
    segment: torch.Tensor  # (B, L) number of the text in its row, -1 for padding
    offset: torch.Tensor  # (B, L) position within the text

    @property
    def supervised(self) -> int:
        """How many tokens are predicted."""
        return int((self.targets != IGNORE).sum())


def collate(rows: Sequence[Sequence[Text]], pad: int) -> Batch:
    """Lay out the texts of each row one after the other.

    Example: a text with prompt (7, 8) and answer (9, 2) gives ids 7 8 9 with targets IGNORE 9 2:
    the last token of an answer is predicted, never read.
    """
    laid = []
    for texts in rows:
        ids, targets, segment, offset = [], [], [], []
        for number, text in enumerate(texts):
            whole = text.prompt + text.answer
            ids += whole[:-1]
            targets += [IGNORE] * (len(text.prompt) - 1) + text.answer
            segment += [number] * (len(whole) - 1)
            offset += range(len(whole) - 1)
        laid.append((ids, targets, segment, offset))
    length = max(len(ids) for ids, *_ in laid)

    def padded(which: int, fill: int) -> torch.Tensor:
        return torch.tensor([row[which] + [fill] * (length - len(row[which])) for row in laid])

    return Batch(padded(0, pad), padded(1, IGNORE), padded(2, -1), padded(3, 0))


def block_mask(segment: torch.Tensor, trunk: torch.Tensor, width: int) -> torch.Tensor:
    """Which key each query may attend to, boolean (B, 1, P + L, P + L).

    Args:
        segment: (B, L) from `collate`.
        trunk: (B,) valid trunk positions of each row, at most `width` = P.
    """
    batch, length = segment.shape
    device = segment.device
    in_trunk = torch.arange(width, device=device) < trunk[:, None]  # (B, P)
    valid = torch.cat([in_trunk, segment >= 0], 1)
    # the trunk is segment -2 for keys: readable by every later query
    block = torch.cat([torch.full((batch, width), -2, device=device), segment], 1)
    same = (block[:, :, None] == block[:, None, :]) | (block[:, None, :] == -2)
    causal = torch.ones(width + length, width + length, dtype=torch.bool, device=device).tril()
    allowed = same & causal & valid[:, None, :]
    # a padded query must see something, or the softmax is 0/0
    return (allowed | torch.eye(width + length, dtype=torch.bool, device=device))[:, None]


def additive(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A boolean mask as numbers added to attention scores: 0 where allowed, else very negative."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
        ~allowed, torch.finfo(dtype).min
    )


def text_loss(
    model: nn.Module,
    trunk: torch.Tensor,
    trunk_lengths: torch.Tensor,
    batch: Batch,
    denominator: int,
) -> torch.Tensor:
    """Cross-entropy of the answers, summed and divided by `denominator` tokens.

    Only supervised positions pass through the output layer: it is a fifth of a small model's work.

    Args:
        model: causal language model (bare or PEFT-wrapped).
        trunk: (B, P, d) embeddings of the ECG.
        trunk_lengths: (B,).
    """
    device = trunk.device
    segment, offset = batch.segment.to(device), batch.offset.to(device)
    text = model.get_input_embeddings()(batch.ids.to(device))
    width = trunk.shape[1]
    positions = torch.cat(
        [
            torch.arange(width, device=device).expand(len(trunk), -1),
            trunk_lengths[:, None] + offset,
        ],
        1,
    )
    hidden = backbone(model)(
        inputs_embeds=torch.cat([trunk.to(text.dtype), text], 1),
        attention_mask=additive(block_mask(segment, trunk_lengths, width), text.dtype),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state[:, width:]
    targets = batch.targets.to(device)
    chosen = targets != IGNORE
    logits = model.get_output_embeddings()(hidden[chosen])
    return (
        nn.functional.cross_entropy(logits.float(), targets[chosen], reduction="sum") / denominator
    )


def backbone(model: nn.Module) -> nn.Module:
    """The transformer below the output layer, LoRA included if there is one."""
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).model


def halves(rows: list[int], lengths: Sequence[int], parts: int) -> list[list[int]]:
    """Split row numbers into `parts` groups of similar length, so that padding costs less.

    The gradient is that of the whole batch: each part's loss is divided by the batch's tokens.
    """
    order = sorted(rows, key=lambda row: (lengths[row], row))
    size = -(-len(order) // parts)
    return [order[i : i + size] for i in range(0, len(order), size)]
