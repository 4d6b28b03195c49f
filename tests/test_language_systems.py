"""The base model, and what systems are made of: prefixes, warm-up, LoRA on disk, alignment."""

import json
import logging

import numpy as np
import pandas as pd
import peft
import pytest
import torch
from builds import refused
from measure_machine import write_random
from safetensors.torch import load_file
from torch import nn

from ecglib.language import alignment, heartllm, phrase_warm_up, train_system
from ecglib.language import base as base_model
from ecglib.language.adapter import Adapter
from ecglib.language.base import Base
from ecglib.language.ecg_byte import ByteEmbedding
from ecglib.language.heartllm import EcgTokenEmbedding, draw_embeddings
from ecglib.language.next_tokens import next_token_losses
from ecglib.language.no_ecg import LearnedPrefix
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, load_prefix, prompted, save_prefix
from ecglib.run import assets
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths, from_environment
from ecglib.tokenizers.fsq import FSQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
TINY = {"pieces": 400, "layers": 2, "width": 80, "feed_forward": 240, "heads": 2}
SMALL = {"pieces": 400, "layers": 2, "width": 64, "feed_forward": 192, "heads": 4}
SENTENCE = "The patient came to the hospital because of chest pain and shortness of breath."
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LORA = {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}


def new_adapter(vectors: int) -> Adapter:
    torch.manual_seed(0)
    return Adapter(6, 7, hidden=8, heads=2, vectors=vectors, width=10, scale=0.1).eval()


def latents() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([7, 4, 1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny base with random weights."""
    folder = tmp_path_factory.mktemp("base")
    write_random(folder, TINY | {"key_value_heads": 2}, ["Sinus rhythm."], 0, MACHINE)
    return folder


@pytest.fixture
def base(folder) -> Base:
    return base_model.load(folder, MACHINE)


def test_an_adapter_ignores_padding_positions_and_its_one_vector_starts_as_the_mean():
    z, lengths = latents()
    other = z.clone()
    other[1, 4:], other[2, 1:] = 99.0, -99.0
    for vectors in (1, 5):
        adapter = new_adapter(vectors)
        embeddings, valid = adapter(z, lengths)
        assert embeddings.shape == (3, vectors, 10) and valid.tolist() == [vectors] * 3
        assert float(embeddings.detach().square().mean().sqrt()) == pytest.approx(0.1, rel=0.01)
        torch.testing.assert_close(embeddings, adapter(other, lengths)[0])
    x = torch.randn(3, 7, 8)
    pooled = new_adapter(1).pool(x, torch.arange(7) >= lengths[:, None])[:, 0]
    expected = torch.stack([x[i, :n].mean(0) for i, n in enumerate(lengths.tolist())])
    torch.testing.assert_close(pooled, expected)


PREFIXES = {
    "adapter": (lambda: new_adapter(3), latents),
    "no_ecg": (lambda: LearnedPrefix(3, 10, 0.1), lambda: (torch.zeros(3, 1),)),
    "heartllm": (
        lambda: EcgTokenEmbedding(9, 10, 3, levels=3, dims=2),
        lambda: (torch.tensor([[8, 0, 2]] * 3),),
    ),
    "ecg_byte": (
        lambda: ByteEmbedding(9, 10, 3, 1.0, False),
        lambda: (torch.tensor([[8, 0, 2], [1, -1, -1], [4, 4, -1]]),),
    ),
}


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_prefix_survives_saving(tmp_path, kind):
    build, ecgs = PREFIXES[kind]
    prefix = build()
    for parameter in prefix.parameters():
        nn.init.normal_(parameter)
    save_prefix(prefix, tmp_path)
    again = load_prefix(tmp_path)
    assert type(again) is type(prefix) and again.config == prefix.config
    assert prefix(*ecgs())[0].shape[1] == prefix.positions
    for expected, value in zip(prefix.eval()(*ecgs()), again(*ecgs()), strict=True):
        torch.testing.assert_close(value, expected, rtol=0.02, atol=0.02)  # in half precision
    state, stored = prefix.state_dict(), load_file(tmp_path / "prefix.safetensors")
    assert all(torch.equal(stored[name], part.half()) for name, part in state.items())


@pytest.mark.parametrize("kind", ["ear", "../base", "os", "base"])
def test_an_unknown_system_or_start_is_named(base, tmp_path, kind):
    (tmp_path / "system.json").write_text(f'{{"kind": "{kind}"}}')
    refused(f"got kind '{kind}'", load_prefix, tmp_path)
    refused(
        f"neighbours grid or independent, got '{kind}'", heartllm.new_prefix, base, None, kind, 0
    )


def test_phrases_are_what_many_reports_have_in_common():
    reports = ["Sinus rhythm. Normal ECG.", "Sinus rhythm, low voltage.", "Low voltage. Rate 72.5."]
    assert phrase_warm_up.clauses(reports[2]) == ["low voltage", "rate 72.5"]
    phrases = phrase_warm_up.common_phrases(reports, least=2, most=9)
    assert phrases == ["sinus rhythm", "low voltage"]  # in the order in which reports state them
    assert phrase_warm_up.common_phrases(reports, least=1, most=1) == ["low voltage"]
    assert phrase_warm_up.has_phrases([*reports, ""], phrases).tolist() == [
        [1.0, 0.0],
        [1.0, 1.0],
        [0.0, 1.0],
        [0.0, 0.0],
    ]
    refused("a phrase in 4 of 3 reports", phrase_warm_up.common_phrases, reports, 4, 9)


def test_the_head_reads_each_phrase_in_its_own_vector(base):
    """A vector along one direction, long enough, states that phrase alone."""
    phrases = [
        f"{side} {what}" for side in ("left", "right") for what in ("axis", "block", "atrium")
    ]
    count = len(phrases)
    directions = phrase_warm_up.phrase_directions(base, phrases)
    torch.testing.assert_close(directions @ directions.T, torch.eye(count), atol=1e-4, rtol=0)
    head = phrase_warm_up.PhraseHead(directions, scale=0.5)
    vectors, stated = torch.zeros(1, 3, base.width), torch.zeros(1, count)
    vectors[0, 2] = 40 * 0.5 * directions[-1]  # the last phrase belongs to the last of the vectors
    stated[0, -1] = 1.0
    others = (count - 1) * float(torch.log1p(torch.exp(torch.tensor(-2.0))))
    assert float(head(vectors, stated)) == pytest.approx(others / count, abs=1e-3)
    assert float(head(vectors.flip(1), stated)) > float(head(vectors, stated)) + 0.02


def test_brackets_logits_and_drawn_embeddings_with_the_moments_of_the_text():
    embedding = EcgTokenEmbedding(codewords=5, width=3, tokens=2)
    codes = torch.tensor([[0, 4], [2, 2]])
    assert embedding.bracket(codes).tolist() == [[5, 0, 4, 6], [5, 2, 2, 6]]
    embedding.own.data = torch.arange(21.0).reshape(7, 3)
    embedding.bias.data[:] = 10.0
    hidden = torch.tensor([[1.0, 0.0, 2.0]])
    # vector k is (3k, 3k + 1, 3k + 2): its score is 3k + 2 (3k + 2) = 9k + 4
    assert embedding.logits(hidden).tolist() == [[14.0 + 9 * k for k in range(7)]]
    assert embedding.embed(codes)[0, 1].tolist() == [12.0, 13.0, 14.0]
    mix = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.2]])
    text = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) @ mix
    text += torch.tensor([5.0, -1.0, 0.0])
    embedding = EcgTokenEmbedding(20_000, 3, 9)
    draw_embeddings(embedding, text, seed=0)
    weight = embedding.weight.detach()
    torch.testing.assert_close(weight.mean(0), text.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(weight.T.cov(), text.T.cov(), atol=0.05, rtol=0)
    # a code is the sum of its levels and of its own vector, and neighbours start as neighbours
    fsq = FSQ(4, levels=6, dims=4)
    grid = fsq.codes_to_grid(torch.arange(fsq.codewords))
    embedding = EcgTokenEmbedding(fsq.codewords, 16, 9, fsq.levels, fsq.dims)
    text = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)) + 2.0
    draw_embeddings(embedding, text, seed=0)
    weight = embedding.weight.detach()[: fsq.codewords]
    levels = (5 * grid[777]).round().long()
    by_hand = embedding.own[777] + sum(embedding.of_levels[d, n] for d, n in enumerate(levels))
    torch.testing.assert_close(weight[777], by_hand.detach())
    apart = torch.cdist(grid, grid, p=1) * 5  # steps on the grid
    distance = torch.cdist(weight, weight)
    assert distance[apart.round() == 1].mean() < 0.5 * distance[apart.round() == 10].mean()
    spread = (weight - text.mean(0)).square().mean().sqrt()
    assert 0.5 < float(spread / (text - text.mean(0)).square().mean().sqrt()) < 2.0


def test_next_token_losses_by_hand(base):
    """Position t is predicted from <start_ecg> and the codes before t, among the new tokens."""
    embedding = EcgTokenEmbedding(5, base.width, 3)
    draw_embeddings(embedding, base.model.get_input_embeddings().weight, 0)
    embedding.bias.data[:] = torch.randn(7)
    codes = torch.tensor([[3, 0, 4], [1, 1, 2]])
    losses = next_token_losses(base.model, embedding, codes)
    for b, t in np.ndindex(2, 3):
        before = torch.tensor([embedding.codewords, *codes[b, :t].tolist()])
        entering = embedding.weight[before][None]
        hidden = base.model.model(inputs_embeds=entering).last_hidden_state
        score = (hidden[0, -1] @ embedding.weight.T + embedding.bias).log_softmax(-1)
        torch.testing.assert_close(losses[b, t], -score[codes[b, t]], atol=1e-4, rtol=1e-4)


def test_lora_is_saved_in_the_format_of_peft(base, folder, tmp_path):
    model = base_model.add_lora(base, LORA, seed=0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide a file that is not read
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([base.encode("Sinus rhythm. Normal ECG.")])
    expected = model(ids).logits
    base_model.save_adapted(base, model, tmp_path)
    files = {path.name for path in (tmp_path / "lora").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    stored = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert len(stored) == 2 * 2 * 2  # A and B of two projections in two layers
    fresh = base_model.load(folder, MACHINE)
    assert not torch.allclose(fresh.model(ids).logits, expected)
    loaded = peft.PeftModel.from_pretrained(fresh.model, tmp_path / "lora")
    torch.testing.assert_close(loaded(ids).logits, expected, rtol=0.01, atol=0.01)
    assert {part.dtype for part in stored.values()} == {torch.float16}
    model = base_model.load_lora(base_model.load(folder, MACHINE), tmp_path, trainable=True)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == len(stored) and all("lora" in name for name in trained)


def test_pooled_embeddings_ignore_padding_and_have_length_one(base):
    short, long = "Sinus rhythm.", "Sinus rhythm. Left bundle branch block. Low voltage."
    together = alignment.text_levels(base, base.model, [short, long])
    alone = alignment.text_levels(base, base.model, [short])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:1], one, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    pieces = base.model.get_input_embeddings()(torch.tensor(base.encode(" " + short)))
    mean = nn.functional.normalize(pieces.mean(0), dim=-1)  # of its own pieces, without an end
    torch.testing.assert_close(alone[0][0], mean)
    refused("got an empty one", alignment.text_levels, base, base.model, [short, " "])


@torch.no_grad()
def test_attention_is_that_of_the_last_layers_on_the_tokens_of_the_ecg(base):
    """With other layers, or one position beside them, a figure would show other tokens."""
    embedding, codes = EcgTokenEmbedding(5, base.width, 3), torch.tensor([[3, 0, 4]])
    draw_embeddings(embedding, base.model.get_input_embeddings().weight, 0)
    record = pd.DataFrame([{"age": 63.0, "sex": "F", "height": 170.0, "weight": 80.0}])
    system = prompted(System(base, base.model, embedding, (codes,)), Prompt(), record)
    x, tokens = alignment.enter(system, 0, [1, 2])
    torch.testing.assert_close(x[0, tokens], embedding.embed(codes[0]))
    base.model.set_attn_implementation("eager")
    last = base.model.model(inputs_embeds=x, output_attentions=True).attentions[-1]
    shares = last[0, :, -1, tokens].mean(0)
    ours = alignment.first_answer_attention(system, 0, [1, 2], 1)
    torch.testing.assert_close(ours, shares / shares.sum())


def test_the_prepared_model_is_plain_and_its_weights_are_in_use(tmp_path):
    """Random weights are as good as a guess among 49,152 tokens; English is far from that.

    The GGUF file is given by ECGLIB_ASSETS, was fetched before, or is fetched now.
    """
    local = assets.parse_local(from_environment("ECGLIB_ASSETS"))
    try:
        asset = assets.fetch("smollm2", Paths.here(), local)
    except RunError as error:
        pytest.skip(f"the asset smollm2 cannot be had: {error}")
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    base_model.prepare(prepared, {"asset": asset}, {"kind": "gguf", "file": FILE}, 0, MACHINE)
    base = base_model.load(prepared, MACHINE)
    ids = base.encode(SENTENCE)
    assert base.tokenizer.decode(ids) == SENTENCE
    assert base_model.perplexity(base.model, ids) < 50
    assert base_model.perplexity(base_model.random_like(prepared, 0), ids) > 10_000
    config = json.loads((prepared / "config.json").read_text())
    assert "quantization_config" not in config
    shape = assets.pin("smollm2")["shape"]
    assert [config["vocab_size"], config["num_key_value_heads"], config["intermediate_size"]] == [
        shape[key] for key in ("vocabulary", "key_value_heads", "feed_forward")
    ]
    assert base.width == 576 and not any(p.requires_grad for p in base.model.parameters())


def test_a_base_that_cannot_be_prepared_is_refused(tmp_path):
    for config, message in (
        ({"kind": "onnx"}, "kind gguf, folder of the base, got 'onnx'"),
        ({"kind": "folder", "quantisation": "int8"}, "none, nf4 of the base, got 'int8'"),
    ):
        refused(message, base_model.prepare, tmp_path, {"asset": tmp_path}, config, 0, MACHINE)
        assert list(tmp_path.iterdir()) == []


def test_a_base_in_four_bits(tmp_path, caplog):
    """A LoRA gets gradients through it; it cannot learn itself."""
    write_random(tmp_path, SMALL | {"key_value_heads": 4}, ["Sinus rhythm."], 0, MACHINE)
    plain = base_model.load(tmp_path, MACHINE)
    (tmp_path / base_model.QUANTISATION_FILE).write_text('{"quantisation": "nf4"}')
    quantised = base_model.load(tmp_path, MACHINE)
    refused("for a base in 4 bits", base_model.adapt, quantised, {"adapt": "full"}, 0)
    assert quantised.model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    tokens = torch.tensor([plain.encode("Sinus rhythm. Normal ECG.")])
    quantised.model.train()  # in evaluation mode a CPU with AVX512-BF16 packs the weights for good
    with torch.no_grad():
        exact, rounded = plain.model(tokens).logits, quantised.model(tokens).logits
    assert 0 < float((exact - rounded).abs().mean()) < 0.1 * float(exact.abs().mean())
    model = base_model.add_lora(quantised, LORA, seed=0)
    whole = base_model.add_lora(plain, LORA, seed=0)
    four, all_bits = (
        train_system.count_flops([lambda of=of: of(input_ids=tokens, labels=tokens).loss])
        for of in (model, whole)
    )
    assert four == all_bits > 0  # of the trainings' budgets
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 2 and all(p.grad is not None for p in trained)
    caplog.clear()
    # bitsandbytes, which peft imports, misses a package that nothing here needs
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s", "no module")
    logger.warning("another message")
    assert caplog.messages == ["another message"]
