"""The parts of ECG-Tok and HeartLLM: adapter, ECG rows, LoRA on disk."""

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ecglib.language import alignment, ecg_tok, heartllm
from ecglib.language import base as base_model
from ecglib.language import prefix as ear_files
from ecglib.language.adapter import Adapter, Constant
from ecglib.language.base import Base
from ecglib.language.ecg_embedding import EcgRows, initialise, load_rows
from ecglib.run import bases
from ecglib.tokenizers.fsq import FSQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
TINY = bases.shape({"asset": "smollm2", "kind": "config", "layers": 2, "hidden": 32, "heads": 2})
LORA = {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}


def new_adapter(prefix: int) -> Adapter:
    torch.manual_seed(0)
    return Adapter(dim=6, positions=7, hidden=8, heads=2, prefix=prefix, width=10, scale=0.1).eval()


def latents() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([7, 4, 1])


@pytest.fixture
def base(tmp_path) -> Base:
    shape = TINY | {"vocab_size": 400}
    bases.write_random(tmp_path / "base", shape, ["Sinus rhythm."], 0, MACHINE)
    return base_model.load(tmp_path / "base", MACHINE)


# ---- adapter and constant ---------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [1, 5])
def test_adapter_shapes_and_scale(prefix):
    out = new_adapter(prefix)(*latents())
    assert out.shape == (3, prefix, 10)
    assert float(out.detach().square().mean().sqrt()) == pytest.approx(0.1, rel=0.01)


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
    torch.testing.assert_close(adapter(z, lengths), adapter(other, lengths))


def test_constant_ignores_the_ecg():
    torch.manual_seed(0)
    constant = Constant(4, 10, 0.1)
    out = constant(*latents())
    assert out.shape == (3, 4, 10)
    assert torch.equal(out[0], out[2])


@pytest.mark.parametrize("kind", ["adapter", "constant"])
def test_an_ear_survives_saving(tmp_path, kind):
    ear = new_adapter(3) if kind == "adapter" else Constant(3, 10, 0.1)
    ear_files.save_ear(ear, tmp_path)
    again = ear_files.load_ear(tmp_path)
    assert type(again) is type(ear)
    assert torch.equal(again(*latents()), ear(*latents()))


def test_an_unknown_ear_is_named(base):
    with pytest.raises(ValueError, match="use ecg or none"):
        ecg_tok.new_ear(base, {"ear": "both"}, 6, 7, 0)


# ---- the extended vocabulary -------------------------------------------------------------------


def test_brackets_and_logits():
    rows = EcgRows(codewords=5, width=3)
    codes = torch.tensor([[0, 4], [2, 2]])
    assert rows.bracket(codes).tolist() == [[5, 0, 4, 6], [5, 2, 2, 6]]
    rows.weight.data = torch.arange(21.0).reshape(7, 3)
    hidden = torch.tensor([[1.0, 0.0, 2.0]])
    # row k is (3k, 3k + 1, 3k + 2): its score is 3k + 2 (3k + 2) = 9k + 4
    assert rows.logits(hidden).tolist() == [[4.0 + 9 * k for k in range(7)]]
    assert rows.embed(codes)[0, 1].tolist() == [12.0, 13.0, 14.0]


def test_rows_survive_saving(tmp_path):
    rows = EcgRows(6, 4)
    rows.weight.data.normal_()
    rows.save(tmp_path)
    again = load_rows(tmp_path)
    assert again.codewords == 6
    assert torch.equal(again.weight, rows.weight)


def text_matrix() -> torch.Tensor:
    """4,000 text embeddings with a mean and two correlated axes."""
    draw = torch.Generator().manual_seed(0)
    mix = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.2]])
    return torch.randn(4000, 3, generator=draw) @ mix + torch.tensor([5.0, -1.0, 0.0])


def test_independent_rows_have_the_moments_of_the_text():
    rows, text = EcgRows(20_000, 3), text_matrix()
    initialise(rows, text, None, seed=0)
    weight = rows.weight.detach()
    torch.testing.assert_close(weight.mean(0), text.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(weight.T.cov(), text.T.cov(), atol=0.05, rtol=0)


def test_neighbours_on_the_grid_start_as_neighbours():
    fsq = FSQ(4, levels=6, dims=4)
    grid = fsq.codes_to_grid(torch.arange(fsq.codewords))
    rows = EcgRows(fsq.codewords, 16)
    text = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)) + 2.0
    initialise(rows, text, grid, seed=0)
    weight = rows.weight.detach()[: fsq.codewords]
    apart = torch.cdist(grid, grid, p=1) * 5  # steps on the grid
    distance = torch.cdist(weight, weight)
    assert distance[apart.round() == 1].mean() < 0.5 * distance[apart.round() == 10].mean()
    spread = (weight - text.mean(0)).square().mean().sqrt()
    assert 0.5 < float(spread / (text - text.mean(0)).square().mean().sqrt()) < 2.0


def test_next_token_losses_by_hand(base):
    """Position t is predicted from <start_ecg> and the codes before t, among the new rows only."""
    rows = EcgRows(5, base.width)
    initialise(rows, base.model.get_input_embeddings().weight, None, 0)
    codes = torch.tensor([[3, 0, 4], [1, 1, 2]])
    found = heartllm.next_token_losses(base.model, rows, codes)
    for b in range(2):
        for t in range(3):
            before = torch.tensor([rows.start, *codes[b, :t].tolist()])
            hidden = base.model.model(inputs_embeds=rows.weight[before][None]).last_hidden_state
            score = (hidden[0, -1] @ rows.weight.T).log_softmax(-1)
            torch.testing.assert_close(found[b, t], -score[codes[b, t]], atol=1e-4, rtol=1e-4)


# ---- LoRA on disk, the shuffled control ----------------------------------------------------------


def test_lora_is_saved_in_the_format_of_peft(base, tmp_path):
    model = base_model.add_lora(base, LORA, seed=0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide a file that is not read
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([base.ids("Sinus rhythm. Normal ECG.")])
    expected = model(ids).logits
    ear_files.save_lora(model, tmp_path)
    assert sorted(p.name for p in (tmp_path / "lora").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    stored = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert len(stored) == 2 * 2 * 2  # A and B of two projections in two layers
    fresh = base_model.load(tmp_path / "base", MACHINE)
    assert not torch.allclose(fresh.model(ids).logits, expected)
    loaded = peft.PeftModel.from_pretrained(fresh.model, tmp_path / "lora")
    torch.testing.assert_close(loaded(ids).logits, expected)


def test_a_lora_can_be_trained_on(base, tmp_path):
    ear_files.save_lora(base_model.add_lora(base, LORA, seed=0), tmp_path)
    fresh = base_model.load(tmp_path / "base", MACHINE)
    model = base_model.load_lora(fresh, tmp_path / "lora", trainable=True)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)


# ---- alignment ------------------------------------------------------------------------


def test_pooled_embeddings_ignore_padding_and_have_length_one(base):
    short, long = "Sinus rhythm.", "Sinus rhythm. Left bundle branch block. Low voltage."
    together = alignment.text_levels(base, base.model, [short, long])
    alone = alignment.text_levels(base, base.model, [short])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:1], one, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="report is empty"):
        alignment.text_levels(base, base.model, [short, " "])


def test_attention_over_the_ecg_adds_up_to_one(base):
    rows = EcgRows(5, base.width)
    initialise(rows, base.model.get_input_embeddings().weight, None, 0)
    codes = torch.tensor([[3, 0, 4, 1], [1, 1, 2, 0]])
    prompt = torch.tensor(base.ids("What is the rhythm?"))
    base.model.set_attn_implementation("eager")
    share = alignment.first_answer_attention(base.model, rows, codes, prompt, layers=2)
    assert share.shape == (2, 4)
    torch.testing.assert_close(share.sum(1), torch.ones(2))
    with pytest.raises(ValueError, match="has 2"):
        alignment.first_answer_attention(base.model, rows, codes, prompt, layers=3)
