"""The parts of the systems: prefixes, their files, the finding warm-up, LoRA on disk, alignment."""

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ecglib.labels.findings import FINDINGS
from ecglib.language import alignment, heartllm
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.ecg_tok import Adapter
from ecglib.language.finding_warmup import FindingHead, finding_directions, stated_findings
from ecglib.language.heartllm import EcgTokenEmbedding, draw_embeddings, next_token_losses
from ecglib.language.no_ecg import LearnedPrefix
from ecglib.language.system import load_prefix, save_prefix
from ecglib.run import base_shapes
from ecglib.tokenizers.fsq import FSQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
TINY = {"kind": "config", "layers": 2, "hidden": 80, "heads": 2}
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
    shape = base_shapes.shape({"asset": "smollm2", "base": TINY}) | {"vocab_size": 400}
    base_shapes.write_random(folder, shape, ["Sinus rhythm."], 0, MACHINE)
    return folder


@pytest.fixture
def base(folder) -> Base:
    return base_model.load(folder, MACHINE)


# ---- prefixes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vectors", [1, 5])
def test_adapter_shapes_and_scale(vectors):
    embeddings, lengths = new_adapter(vectors)(*latents())
    assert embeddings.shape == (3, vectors, 10)
    assert lengths.tolist() == [vectors] * 3
    assert float(embeddings.detach().square().mean().sqrt()) == pytest.approx(0.1, rel=0.01)


def test_one_prefix_vector_is_the_mean_at_the_start():
    adapter = new_adapter(1)
    x = torch.randn(3, 7, 8)
    pad = torch.arange(7) >= latents()[1][:, None]
    pooled = adapter.pool(x, pad)[:, 0]
    expected = torch.stack([x[i, :n].mean(0) for i, n in enumerate(latents()[1].tolist())])
    torch.testing.assert_close(pooled, expected)


def test_adapter_ignores_padding_positions():
    adapter, (z, lengths) = new_adapter(3), latents()
    other = z.clone()
    other[1, 4:], other[2, 1:] = 99.0, -99.0
    torch.testing.assert_close(adapter(z, lengths)[0], adapter(other, lengths)[0])


def test_one_vector_per_ecg_is_warmed_up_where_tokens_are_many():
    embedding = EcgTokenEmbedding(6, 10)
    nn.init.normal_(embedding.weight)
    vectors = embedding.finding_vectors(torch.tensor([[5, 0, 2]]))
    torch.testing.assert_close(vectors[0, 0], embedding.weight[[5, 0, 2]].mean(0))


def test_learned_prefix_ignores_the_ecg():
    embeddings, lengths = LearnedPrefix(4, 10, 0.1)(latents()[0])
    assert embeddings.shape == (3, 4, 10)
    assert torch.equal(embeddings[0], embeddings[2])
    assert lengths.tolist() == [4] * 3


PREFIXES = {
    "ecg_tok": (lambda: new_adapter(3), latents),
    "no_ecg": (lambda: LearnedPrefix(3, 10, 0.1), lambda: (torch.zeros(3, 1),)),
    "heartllm": (lambda: EcgTokenEmbedding(6, 10), lambda: (torch.tensor([[5, 0, 2]] * 3),)),
}


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_prefix_survives_saving(tmp_path, kind):
    build, ecgs = PREFIXES[kind]
    prefix = build()
    for parameter in prefix.parameters():
        nn.init.normal_(parameter)
    save_prefix(prefix, tmp_path)
    again = load_prefix(tmp_path)
    assert type(again) is type(prefix)
    assert again.config == prefix.config
    for expected, value in zip(prefix(*ecgs()), again(*ecgs()), strict=True):
        assert torch.equal(value, expected)


@pytest.mark.parametrize("kind", ["ear", "../base", "os", "base"])
def test_an_unknown_system_is_named(tmp_path, kind):
    (tmp_path / "system.json").write_text(f'{{"kind": "{kind}"}}')
    with pytest.raises(ValueError, match=f"got kind '{kind}'"):
        load_prefix(tmp_path)


def test_an_unknown_start_of_the_embeddings_is_named(base):
    with pytest.raises(ValueError, match="expected embeddings that start from grid or independent"):
        heartllm.new_prefix(base, None, "rows", 0)


# ---- finding warm-up ----------------------------------------------------------------------------


def test_the_head_reads_each_finding_in_its_own_vector(base):
    """A vector along one direction, long enough, states that finding alone."""
    directions = finding_directions(base)
    torch.testing.assert_close(
        directions @ directions.T, torch.eye(len(FINDINGS)), atol=1e-4, rtol=0
    )
    head = FindingHead(directions, scale=0.5)
    number = len(FINDINGS) - 1  # belongs to the last of three vectors
    vectors = torch.zeros(1, 3, base.width)
    vectors[0, 2] = 40 * 0.5 * directions[number]
    stated = torch.zeros(1, len(FINDINGS))
    stated[0, number] = 1.0
    others = (len(FINDINGS) - 1) * float(torch.log1p(torch.exp(torch.tensor(-2.0))))
    assert float(head(vectors, stated)) == pytest.approx(others / len(FINDINGS), abs=1e-3)
    assert float(head(vectors.flip(1), stated)) > float(head(vectors, stated)) + 0.02


def test_stated_findings_leave_out_what_is_denied():
    stated = stated_findings(["Left bundle branch block.", "No left bundle branch block.", ""])
    assert stated.sum(1).tolist() == [1.0, 0.0, 0.0]


# ---- ECG-token embeddings -------------------------------------------------------------------


def test_brackets_and_logits():
    embedding = EcgTokenEmbedding(codewords=5, width=3)
    codes = torch.tensor([[0, 4], [2, 2]])
    assert embedding.bracket(codes).tolist() == [[5, 0, 4, 6], [5, 2, 2, 6]]
    embedding.weight.data = torch.arange(21.0).reshape(7, 3)
    hidden = torch.tensor([[1.0, 0.0, 2.0]])
    # vector k is (3k, 3k + 1, 3k + 2): its score is 3k + 2 (3k + 2) = 9k + 4
    assert embedding.logits(hidden).tolist() == [[4.0 + 9 * k for k in range(7)]]
    assert embedding.embed(codes)[0, 1].tolist() == [12.0, 13.0, 14.0]


def text_matrix() -> torch.Tensor:
    """4,000 text embeddings with a mean and two correlated axes."""
    draw = torch.Generator().manual_seed(0)
    mix = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.2]])
    return torch.randn(4000, 3, generator=draw) @ mix + torch.tensor([5.0, -1.0, 0.0])


def test_independent_embeddings_have_the_moments_of_the_text():
    embedding, text = EcgTokenEmbedding(20_000, 3), text_matrix()
    draw_embeddings(embedding, text, None, seed=0)
    weight = embedding.weight.detach()
    torch.testing.assert_close(weight.mean(0), text.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(weight.T.cov(), text.T.cov(), atol=0.05, rtol=0)


def test_neighbours_on_the_grid_start_as_neighbours():
    fsq = FSQ(4, levels=6, dims=4)
    grid = fsq.codes_to_grid(torch.arange(fsq.codewords))
    embedding = EcgTokenEmbedding(fsq.codewords, 16)
    text = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)) + 2.0
    draw_embeddings(embedding, text, grid, seed=0)
    weight = embedding.weight.detach()[: fsq.codewords]
    apart = torch.cdist(grid, grid, p=1) * 5  # steps on the grid
    distance = torch.cdist(weight, weight)
    assert distance[apart.round() == 1].mean() < 0.5 * distance[apart.round() == 10].mean()
    spread = (weight - text.mean(0)).square().mean().sqrt()
    assert 0.5 < float(spread / (text - text.mean(0)).square().mean().sqrt()) < 2.0


def test_next_token_losses_by_hand(base):
    """Position t is predicted from <start_ecg> and the codes before t, among the new tokens."""
    embedding = EcgTokenEmbedding(5, base.width)
    draw_embeddings(embedding, base.model.get_input_embeddings().weight, None, 0)
    codes = torch.tensor([[3, 0, 4], [1, 1, 2]])
    losses = next_token_losses(base.model, embedding, codes)
    for b in range(2):
        for t in range(3):
            before = torch.tensor([embedding.codewords, *codes[b, :t].tolist()])
            hidden = base.model.model(
                inputs_embeds=embedding.weight[before][None]
            ).last_hidden_state
            score = (hidden[0, -1] @ embedding.weight.T).log_softmax(-1)
            torch.testing.assert_close(losses[b, t], -score[codes[b, t]], atol=1e-4, rtol=1e-4)


# ---- LoRA on disk ---------------------------------------------------------------------------


def test_lora_is_saved_in_the_format_of_peft(base, folder, tmp_path):
    model = base_model.add_lora(base, LORA, seed=0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide a file that is not read
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([base.encode("Sinus rhythm. Normal ECG.")])
    expected = model(ids).logits
    base_model.save_lora(model, tmp_path)
    assert sorted(p.name for p in (tmp_path / "lora").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    stored = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert len(stored) == 2 * 2 * 2  # A and B of two projections in two layers
    fresh = base_model.load(folder, MACHINE)
    assert not torch.allclose(fresh.model(ids).logits, expected)
    loaded = peft.PeftModel.from_pretrained(fresh.model, tmp_path / "lora")
    torch.testing.assert_close(loaded(ids).logits, expected)
    model = base_model.load_lora(base_model.load(folder, MACHINE), tmp_path, trainable=True)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == len(stored)
    assert all("lora" in name for name in trained)


# ---- alignment ------------------------------------------------------------------------


def test_pooled_embeddings_ignore_padding_and_have_length_one(base):
    short, long = "Sinus rhythm.", "Sinus rhythm. Left bundle branch block. Low voltage."
    together = alignment.text_levels(base, base.model, [short, long])
    alone = alignment.text_levels(base, base.model, [short])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:1], one, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="got an empty one"):
        alignment.text_levels(base, base.model, [short, " "])


def test_attention_over_the_ecg_adds_up_to_one(base):
    embedding = EcgTokenEmbedding(5, base.width)
    draw_embeddings(embedding, base.model.get_input_embeddings().weight, None, 0)
    codes = torch.tensor([[3, 0, 4, 1], [1, 1, 2, 0]])
    prompt = torch.tensor(base.encode("What is the rhythm?"))
    base.model.set_attn_implementation("eager")
    share = alignment.first_answer_attention(base.model, embedding, codes, prompt, layers=2)
    assert share.shape == (2, 4)
    torch.testing.assert_close(share.sum(1), torch.ones(2))
    with pytest.raises(ValueError, match="at least 1 of the last layers"):
        alignment.first_answer_attention(base.model, embedding, codes, prompt, layers=0)
