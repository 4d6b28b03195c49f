"""Packed rows against separate sequences, and cached generation against naive decoding."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from builds import refused
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from ecglib.language import packed_llama, packing
from ecglib.language.packing import IGNORE, PADDING, PREFIX, Text, assign_bins, collate, pack
from ecglib.language.write_texts import generate

EOS = 1


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    # far from uniform, or a wrong mask would hardly show
    config = LlamaConfig(**sizes, **heads, eos_token_id=EOS, initializer_range=0.3)
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def prefixes() -> tuple[torch.Tensor, torch.Tensor]:
    """Three ECGs of 5, 3 and 1 valid positions; what lies behind is rubbish."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(3, 5, 32, generator=draw), torch.tensor([5, 3, 1])


SEQUENCES = [
    [Text([7, 8, 9], [10, 11, EOS]), Text([12], [13, EOS]), Text([14, 15], [EOS])],
    [Text([20, 21], [22, 23, 24, 25, EOS])],
    [Text([30, 31, 32, 33], [34, EOS]), Text([7, 8, 9], [10, 11, EOS])],
]


def separate_loss(model: nn.Module, prefix: torch.Tensor, text: Text) -> torch.Tensor:
    """Summed loss of one text behind one prefix, as a sequence of its own."""
    whole = model.get_input_embeddings()(torch.tensor(text.prompt + text.answer))
    logits = model(inputs_embeds=torch.cat([prefix, whole])[None]).logits[0]
    first, target = len(prefix) + len(text.prompt) - 1, torch.tensor(text.answer)
    return nn.functional.cross_entropy(logits[first:-1], target, reduction="sum")


@pytest.mark.parametrize("capacity", [1, 15, 1000])  # a row per sequence, two rows, one
def test_a_packed_row_equals_separate_sequences(model, monkeypatch, capacity):
    monkeypatch.setattr(packing, "assign_bins", partial(assign_bins, capacity=capacity))
    prefix, lengths = prefixes()
    batch = collate(SEQUENCES, EOS)
    supervised = sum(len(text.answer) for texts in SEQUENCES for text in texts)
    together = packing.answer_loss(model, prefix, lengths, batch, supervised)
    pairs = zip(prefix, lengths, SEQUENCES, strict=True)
    alone = sum(separate_loss(model, p[:n], text) for p, n, texts in pairs for text in texts)
    torch.testing.assert_close(together, alone / supervised, atol=1e-5, rtol=1e-5)


def test_packed_rows_by_hand(monkeypatch):
    """A prefix with one valid position of two, then one with both; then a row for each of two."""
    # the example of collate's docstring, beside a shorter row that is padded with 0
    batch = collate([[Text([7, 8], [9, 2]), Text([5], [2])], [Text([6], [4, 2])]], pad=0)
    assert batch.ids.tolist() == [[7, 8, 9, 5], [6, 4, 0, 0]]
    assert batch.targets.tolist() == [[IGNORE, 9, 2, 2], [4, 2, IGNORE, IGNORE]]
    assert batch.segment.tolist() == [[0, 0, 0, 1], [0, 0, -1, -1]]
    assert batch.offset.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0]]
    # the longest first, each into the emptiest row; never more rows than sequences
    assert assign_bins([5, 9, 4, 6], capacity=12) == [[1, 2], [3, 0]]
    assert assign_bins([5, 9], capacity=1) == [[1], [0]]
    assert assign_bins([3], capacity=100) == [[0]]
    batch = collate([[Text([7, 8], [9, 2])], [Text([6], [2])]], pad=0)
    packed = pack(batch, torch.tensor([1, 2]), width=2)
    assert packed.source.tolist() == [[0, 2, 3, 4, 5, 6, 7]]
    assert packed.sequence.tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert packed.segment.tolist() == [[PREFIX, 0, 0, 0, PREFIX, PREFIX, 0]]
    assert packed.position.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert packed.targets.tolist() == [[IGNORE, IGNORE, 9, 2, IGNORE, IGNORE, 2]]
    monkeypatch.setattr(packing, "assign_bins", partial(assign_bins, capacity=1))
    packed = pack(batch, torch.tensor([1, 1]), width=1)
    assert packed.sequence.tolist() == [[0, 0, 0, 0], [1, 1, -1, -1]]
    assert packed.segment.tolist() == [[PREFIX, 0, 0, 0], [PREFIX, 0, PADDING, PADDING]]
    assert packed.targets.tolist() == [[IGNORE, IGNORE, 9, 2], [IGNORE, 2, IGNORE, IGNORE]]


@pytest.mark.parametrize("lora", [False, True])
def test_our_forward_pass_has_the_loss_and_the_gradients_of_transformers(model, monkeypatch, lora):
    """Several key heads per query head, blocks of different lengths."""
    trained = deepcopy(model).requires_grad_()
    if lora:
        low_rank = LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        trained = get_peft_model(trained, low_rank).eval()
    (prefix, lengths), batch = prefixes(), collate(SEQUENCES, EOS)

    def gradients() -> list[torch.Tensor]:
        leaf = prefix.clone().requires_grad_()
        weights = [weight for weight in trained.parameters() if weight.requires_grad]
        loss = packing.answer_loss(trained, leaf, lengths, batch, 10)
        return [loss, *torch.autograd.grad(loss, [leaf, *weights])]

    assert packed_llama.computes(packing.backbone(trained), torch.device("cpu"))
    ours = gradients()
    monkeypatch.setattr(packed_llama, "computes", lambda core, device: False)
    torch.testing.assert_close(ours, gradients(), atol=1e-5, rtol=1e-4)


def test_microbatches_give_the_gradient_of_the_whole_batch(model):
    """They sort by length and keep every ECG."""
    assert packing.microbatches([4, 2, 9], {4: 10, 2: 30, 9: 20}, 2) == [[4, 9], [2]]
    prefix, lengths = prefixes()
    sizes = [sum(map(len, texts)) for texts in SEQUENCES]
    total = sum(len(text.answer) for texts in SEQUENCES for text in texts)

    def gradient(groups: list[list[int]]) -> torch.Tensor:
        leaf = prefix.clone().requires_grad_()
        for group in groups:
            batch = collate([SEQUENCES[i] for i in group], EOS)
            packing.answer_loss(model, leaf[group], lengths[group], batch, total).backward()
        return leaf.grad

    parts = packing.microbatches([0, 1, 2], sizes, 2)
    assert len(parts) == 2
    torch.testing.assert_close(gradient(parts), gradient([[0, 1, 2]]), atol=1e-6, rtol=1e-4)


@torch.no_grad()
def naive(model: nn.Module, prefix: torch.Tensor, prompt: list[int], most: int) -> list[int]:
    """Greedy decoding without cache, padding or batch."""
    embed = model.get_input_embeddings()
    sequence = torch.cat([prefix, embed(torch.tensor(prompt))])[None]
    written: list[int] = []
    while len(written) < most:
        token = model(inputs_embeds=sequence).logits[0, -1].argmax()
        if token == EOS:
            break
        written.append(int(token))
        sequence = torch.cat([sequence, embed(token[None])[None]], 1)
    return written


def test_generation_equals_naive_decoding(model):
    """Where the token that would come first is declared the end token, nothing is written."""
    prefix, lengths = prefixes()
    prompts = [[[7, 8, 9, 10], [12]], [[20, 21]], [[30], [31, 32], [33, 34, 35, 36, 37]]]
    replies = generate(model, prefix, lengths, prompts, EOS, 12)
    for i, asked in enumerate(prompts):
        for prompt, reply in zip(asked, replies[i], strict=True):
            expected = naive(model, prefix[i, : lengths[i]], prompt, 12)
            assert reply == (expected, "length" if len(expected) == 12 else "eos")
    first = naive(model, prefix[0], [7], 1)[0]
    assert generate(model, prefix[:1], lengths[:1], [[[7]]], first, 5) == [[([], "eos")]]
    refused("got an empty one", generate, model, prefix, lengths, [[[]], [[7]], [[7]]], EOS, 3)
