"""Training rows: one ECG (the trunk) followed by several texts that do not see each other.

    [trunk: P embeddings of the ECG] [prompt answer eos] [prompt answer eos] ...

Every text attends to the trunk and to itself, its positions continue from the trunk's end, and only
its answer is supervised. So a row gives the same losses as that many separate sequences, while the
ECG is computed once. Short rows stand one after the other in a line, where they do not see each
other either: padding costs as much as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

IGNORE = -100
TRUNK, PADDING = -2, -1  # segments that are no text
SCORED = 64  # tokens scored at once: a larger block of scores is new memory at each step
LINE = 128  # tokens that rows share: shorter lines leave more padding, longer ones cost attention


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
    segment: torch.Tensor  # (B, L) number of the text in its row, PADDING behind the last
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

    return Batch(padded(0, pad), padded(1, IGNORE), padded(2, PADDING), padded(3, 0))


def share(lengths: Sequence[int], room: int = LINE) -> list[list[int]]:
    """Which rows share a line: the longest first, each to the line that is emptiest.

    There are ceil(tokens of all rows / `room`) lines, but never more than rows. A line can be
    longer than `room`: rows are not cut.
    """
    count = min(len(lengths), -(-sum(lengths) // room))
    lines: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        line = filled.index(min(filled))
        lines[line].append(row)
        filled[line] += lengths[row]
    return lines


@dataclass(frozen=True)
class Lines:
    """Rows of a batch, trunks included, laid out in R lines of T positions."""

    place: torch.Tensor  # (R, T) where the position stands in the flat (B, P + L) grid of the rows
    owner: torch.Tensor  # (R, T) the row, -1 for padding
    segment: torch.Tensor  # (R, T) number of the text in its row, TRUNK or PADDING
    position: torch.Tensor  # (R, T) as if the row stood alone
    targets: torch.Tensor  # (R, T)


def lay(batch: Batch, trunk: torch.Tensor, width: int) -> Lines:
    """Lines without the padding that lies inside the rows.

    Args:
        trunk: (B,) valid trunk positions of each row, at most `width` = P.
    """
    rows = torch.arange(len(trunk))[:, None]
    columns = torch.arange(width).expand(len(trunk), -1)
    ahead = torch.where(columns < trunk[:, None], TRUNK, PADDING)
    segment = torch.cat([ahead, batch.segment], 1)
    position = torch.cat([columns, trunk[:, None] + batch.offset], 1)
    targets = torch.cat([torch.full_like(columns, IGNORE), batch.targets], 1)
    real = [i * segment.shape[1] + row.nonzero()[:, 0] for i, row in enumerate(segment != PADDING)]
    lines = [torch.cat([real[i] for i in line]) for line in share([len(row) for row in real])]
    place = nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=-1)

    def laid(grid: torch.Tensor, fill: int) -> torch.Tensor:
        return grid.flatten()[place.clamp(min=0)].masked_fill(place < 0, fill)

    return Lines(
        place.clamp(min=0),
        laid(rows.expand_as(segment), -1),
        laid(segment, PADDING),
        laid(position, 0),
        laid(targets, IGNORE),
    )


def block_mask(lines: Lines) -> torch.Tensor:
    """Which key each query may attend to, boolean (R, 1, T, T)."""
    owner, segment = lines.owner, lines.segment
    key = segment[:, None, :]
    same = (owner[:, :, None] == owner[:, None, :]) & (
        (segment[:, :, None] == key) | (key == TRUNK)
    )
    length = segment.shape[1]
    allowed = same & torch.ones(length, length, dtype=torch.bool).tril() & (key != PADDING)
    # a padded query must see something, or the softmax is 0/0
    return (allowed | torch.eye(length, dtype=torch.bool))[:, None]


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
    lines = lay(batch, trunk_lengths.cpu(), trunk.shape[1])
    text = model.get_input_embeddings()(batch.ids.to(device))
    rows = torch.cat([trunk.to(text.dtype), text], 1).flatten(0, 1)
    hidden = backbone(model)(
        inputs_embeds=rows[lines.place.to(device)],
        attention_mask=additive(block_mask(lines).to(device), text.dtype),
        position_ids=lines.position.to(device),
        use_cache=False,
    ).last_hidden_state
    targets = lines.targets.to(device)
    chosen = targets != IGNORE
    head, losses = model.get_output_embeddings(), []
    parts = zip(hidden[chosen].split(SCORED), targets[chosen].split(SCORED), strict=True)
    for some, target in parts:
        losses.append(nn.functional.cross_entropy(head(some).float(), target, reduction="sum"))
    return torch.stack(losses).sum() / denominator


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
