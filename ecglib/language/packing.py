"""Sequence packing: one prefix per ECG, several texts behind it, several ECGs in one packed row.

    [prefix: P embeddings of the ECG] [prompt answer eos] [prompt answer eos] ...

Such a sequence belongs to one ECG. Each text attends to the prefix and to itself, its positions
continue from the end of the prefix, and only its answer is supervised. The losses equal those of
separate sequences, while the prefix is computed once. Short sequences are packed into one row with
a block-diagonal attention mask, because padding costs as much compute as text. On a CPU, sequences
of similar length share a block of rows, and each block is padded to its own length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ecglib.language import packed_llama

IGNORE = -100
PREFIX, PADDING = -2, -1  # segments other than texts
SCORED = 3 << 20  # logits that are computed at once; a larger block costs new memory per step
PACK_LENGTH = 128  # tokens per packed row: shorter rows pad more, longer ones cost attention
BLOCKS = 4  # of rows in a batch on a CPU, by length: fewer pad more, more cost calls


@dataclass(frozen=True)
class Text:
    """Token ids of a prompt and of its answer (the closing eos included)."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Batch:
    """Texts of B sequences, padded to L: ids, targets, segment and offset, int64 (B, L)."""

    ids: torch.Tensor
    targets: torch.Tensor  # the token that follows, IGNORE outside answers
    segment: torch.Tensor  # number of the text in its sequence, PADDING behind the last
    offset: torch.Tensor  # position within the text


def collate(sequences: Sequence[Sequence[Text]], pad: int) -> Batch:
    """Concatenate the texts of each sequence.

    Example: a text with prompt (7, 8) and answer (9, 2) gives ids 7 8 9 with targets IGNORE 9 2:
    the last token of an answer is predicted, never read.
    """
    ids, targets, segment, offset = ([[] for _ in sequences] for _ in range(4))
    for i, texts in enumerate(sequences):
        for number, text in enumerate(texts):
            read = (text.prompt + text.answer)[:-1]
            ids[i] += read
            targets[i] += [IGNORE] * (len(text.prompt) - 1) + text.answer
            segment[i] += [number] * len(read)
            offset[i] += range(len(read))
    length = max(map(len, ids))
    padded = (
        torch.tensor([tokens + [fill] * (length - len(tokens)) for tokens in column])
        for column, fill in ((ids, pad), (targets, IGNORE), (segment, PADDING), (offset, 0))
    )
    return Batch(*padded)


def assign_bins(lengths: Sequence[int], capacity: int = PACK_LENGTH) -> list[list[int]]:
    """Which sequences share a packed row: the longest first, each into the emptiest row.

    There are ceil(tokens of all sequences / `capacity`) packed rows, at most one per sequence. A
    packed row can be longer than `capacity`, because sequences are not cut.
    """
    count = min(len(lengths), -(-sum(lengths) // capacity))
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for sequence in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        emptiest = filled.index(min(filled))
        bins[emptiest].append(sequence)
        filled[emptiest] += lengths[sequence]
    return bins


@dataclass(frozen=True)
class PackedBatch:
    """Sequences of a batch, prefixes included, in R packed rows of T positions, int64 (R, T)."""

    source: torch.Tensor  # index into the flattened (B, P + L) grid of prefixes and texts
    sequence: torch.Tensor  # number of the sequence, -1 for padding
    segment: torch.Tensor  # number of the text in its sequence, PREFIX or PADDING
    position: torch.Tensor  # as if the sequence were alone
    targets: torch.Tensor


def pack(
    batch: Batch, prefix_lengths: torch.Tensor, width: int, group: Sequence[int] | None = None
) -> PackedBatch:
    """Pack sequences into rows, without the padding inside the sequences.

    Args:
        prefix_lengths: (B,) valid prefix positions of each sequence, at most `width` = P.
        group: numbers of the sequences to pack, all where absent.
    """
    numbers = torch.arange(len(prefix_lengths))[:, None]
    segment, position = behind_prefixes(batch, prefix_lengths, width)
    targets = nn.functional.pad(batch.targets, (width, 0), value=IGNORE)
    group = range(len(segment)) if group is None else group
    used = [i * segment.shape[1] + (segment[i] != PADDING).nonzero()[:, 0] for i in group]
    rows = [torch.cat([used[i] for i in share]) for share in assign_bins([len(u) for u in used])]
    source = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)

    index, padding = source.clamp(min=0), source < 0
    grids = (numbers.expand_as(segment), -1), (segment, PADDING), (position, 0), (targets, IGNORE)
    packed = (grid.flatten()[index].masked_fill(padding, fill) for grid, fill in grids)
    return PackedBatch(index, *packed)


def behind_prefixes(
    batch: Batch, prefix_lengths: torch.Tensor, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Segment and position (B, P + L) of each token, prefixes included; arguments as of `pack`."""
    columns = torch.arange(width).expand(len(prefix_lengths), -1)
    in_front = torch.where(columns < prefix_lengths[:, None], PREFIX, PADDING)
    position = torch.cat([columns, prefix_lengths[:, None] + batch.offset], 1)
    return torch.cat([in_front, batch.segment], 1), position


def visible(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Whether segments (B, Q) may attend to segments (B, K) of the same sequence, wherever these
    stand: to themselves and to the prefix. Boolean (B, Q, K)."""
    key = key[:, None, :]
    return ((query[:, :, None] == key) | (key == PREFIX)) & (key != PADDING)


def block_mask(packed: PackedBatch) -> torch.Tensor:
    """Which key each query may attend to, boolean (R, 1, T, T)."""
    sequence, segment = packed.sequence, packed.segment
    same = sequence[:, :, None] == sequence[:, None, :]
    allowed = (visible(segment, segment) & same).tril()
    # a padded query must attend to something, or the softmax is 0/0
    return (allowed | torch.eye(segment.shape[1], dtype=torch.bool))[:, None]


def answer_loss(
    model: nn.Module, prefix: torch.Tensor, prefix_lengths: torch.Tensor, batch: Batch, tokens: int
) -> torch.Tensor:
    """Cross-entropy of the answers, summed and divided by `tokens`.

    Only supervised positions pass the output layer, which is a fifth of a small model's work.

    `model`: causal language model (bare or PEFT-wrapped). `prefix`: (B, P, d) embeddings of the
    ECG, where P may be 0; `prefix_lengths`: (B,) valid positions.
    """
    device, core, prefix_lengths = prefix.device, backbone(model), prefix_lengths.cpu()
    groups: list[list[int] | None] = [None]
    if packed_llama.computes(core, device):
        lengths = (prefix_lengths + (batch.segment != PADDING).sum(1)).tolist()
        groups = microbatches(list(range(len(lengths))), lengths, BLOCKS)
    blocks = [pack(batch, prefix_lengths, prefix.shape[1], group) for group in groups]
    text = model.get_input_embeddings()(batch.ids.to(device))
    embeddings = torch.cat([prefix.to(text.dtype), text], 1).flatten(0, 1)
    hidden = _hidden_states(core, embeddings, blocks)

    targets = torch.cat([block.targets.flatten() for block in blocks]).to(device)
    supervised = (targets != IGNORE).nonzero()[:, 0]
    states, wanted = hidden.index_select(0, supervised), targets[supervised]
    head, losses = model.get_output_embeddings(), []
    size = max(1, SCORED // head.out_features)
    for part, target in zip(states.split(size), wanted.split(size), strict=True):
        losses.append(nn.functional.cross_entropy(head(part).float(), target, reduction="sum"))
    return torch.stack(losses).sum() / tokens


def _hidden_states(
    core: nn.Module, embeddings: torch.Tensor, blocks: Sequence[PackedBatch]
) -> torch.Tensor:
    """Last hidden states (N, d) of the N positions of all blocks; of one block by transformers."""
    device = embeddings.device
    source, position = (
        torch.cat([getattr(block, name).flatten() for block in blocks]).to(device)
        for name in ("source", "position")
    )
    x = embeddings.index_select(0, source)
    masks = [block_mask(block).to(device) for block in blocks]
    if packed_llama.computes(core, device):
        return packed_llama.hidden_states(core, x, position, masks)
    rows = blocks[0].source.shape
    out = core(
        inputs_embeds=x.unflatten(0, rows),
        attention_mask=packed_llama.additive(masks[0], x.dtype),
        position_ids=position.unflatten(0, rows),
        use_cache=False,
    )
    return out.last_hidden_state.flatten(0, 1)


def backbone(model: nn.Module) -> nn.Module:
    """The transformer below the output layer, LoRA included if there is one."""
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).model


def microbatches(
    indices: list[int], lengths: Mapping[int, int] | Sequence[int], parts: int
) -> list[list[int]]:
    """Split ECGs into `parts` groups of similar length (in tokens), which leaves less padding.

    The gradient is that of the whole batch: each part's loss is divided by the batch's tokens.
    """
    order = sorted(indices, key=lambda index: (lengths[index], index))
    size = -(-len(order) // parts)
    return [order[i : i + size] for i in range(0, len(order), size)]
