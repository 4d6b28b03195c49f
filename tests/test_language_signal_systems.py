"""TEST, Time-LLM and CLIP: what they read, their contrasts, and the steps on 40 patients."""

import json

import numpy as np
import pytest
import torch
from _cohort import write_cohort
from builds import refused
from measure_machine import records, write_random
from safetensors.numpy import load_file
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import (
    alignment,
    clip,
    continuous,
    text_prototypes,
    time_llm,
    train_system,
    two_stage,
)
from ecglib.language import base as base_model
from ecglib.language.info_nce import info_nce
from ecglib.language.signal_patches import PatchEncoder, read_signals
from ecglib.language.system import System, load_prefix
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.window_pca import windows
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
BASE = {"pieces": 400, "layers": 2, "width": 32, "feed_forward": 64, "heads": 2}
ENCODER = {"widths": [8, 12, 16], "strides": [4, 4, 4]}
CONTRAST = {"contrast_steps": 30, "contrast_batch": 8, "contrast_rate": 3e-3}
KINDS = {
    "clip": (clip, ENCODER | CONTRAST | {"joint": 8, "pooled": False}),
    "text_prototypes": (text_prototypes, ENCODER | CONTRAST | {"soft": 2, "prototypes": 3}),
    "time_llm": (
        time_llm,
        {"hop": 64, "hidden": 8, "heads": 2, "key": 4, "prototypes": 5, "line": 9},
    ),
}
TRAIN = {"adapt": "lora", "rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"], "steps": 6}
TRAIN |= {"batch": 4, "parts": 1, "model_rate": 1e-2, "prefix_rate": 1e-2, "validate_every": 6}
TRAIN |= {"validation_ecgs": 4, "questions_per_ecg": 3, "patient": True, "instruction": True}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A cohort of 40 patients, a base with random weights, and each untrained system."""
    folder = tmp_path_factory.mktemp("signal_systems")
    write_cohort(folder / "cohort", records(40, seed=0), seed=0)
    (folder / "base").mkdir()
    write_random(folder / "base", BASE | {"key_value_heads": 2}, ["Sinus rhythm."], 0, MACHINE)
    read = {"cohort": folder / "cohort", "base": folder / "base"}
    for kind, (module, config) in KINDS.items():
        (folder / kind).mkdir()
        module.initialise(folder / kind, read, config, 0, MACHINE)
    return read | {kind: folder / kind for kind in KINDS}


def test_signals_are_read_when_they_are_indexed(inputs):
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")[:4]
    signals, lengths = read_signals(cohort, rows, hop=64)
    assert len(signals) == 4 and signals[[2, 0]].shape == (2, 12, SAMPLES)
    assert torch.equal(signals[1:3][0], torch.from_numpy(cohort.signals(rows[[1]])[0]))
    expected = -(-cohort.records["n_valid"].to_numpy()[rows] // 64)
    assert lengths.tolist() == expected.tolist()


def test_an_encoder_gives_one_vector_per_hop():
    encoder = PatchEncoder(**ENCODER)
    assert encoder(torch.zeros(2, 12, 130)).shape == (2, 3, 16) and encoder.hop == 64


def test_info_nce_is_low_for_partners_and_the_logarithm_of_n_for_equal_rows():
    rows = torch.eye(4)
    assert float(info_nce(3 * rows, rows, 0.01)) == pytest.approx(0.0, abs=1e-6)
    assert float(info_nce(torch.ones(4, 4), rows, 1.0)) == pytest.approx(np.log(4))
    left, right = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(info_nce(left, right, 0.3), info_nce(right, left, 0.3))
    mixed = info_nce(left, left[torch.tensor([1, 2, 3, 4, 0])], 0.3)
    assert info_nce(left, left, 0.3) < mixed


@pytest.mark.parametrize("kind", ["clip", "text_prototypes"])
def test_a_contrast_falls_and_what_it_trained_is_frozen(inputs, kind):
    losses = np.loadtxt(inputs[kind] / "history.csv", delimiter=",", skiprows=1)[:, 1]
    assert losses[-5:].mean() < losses[:5].mean()
    spent = json.loads((inputs[kind] / "budget.json").read_text())
    assert spent["updates"] == 30 and spent["ecg_views"] == 240 and spent["flops"] > 0
    prefix = load_prefix(inputs[kind])
    trained = {name for name, part in prefix.named_parameters() if part.requires_grad}
    assert {name.split(".")[0] for name in trained} == (
        {"soft"} if kind == "text_prototypes" else {"into_model", "gain"}
    )


def test_a_contrast_pairs_an_ecg_of_training_with_its_own_report(inputs, tmp_path):
    """Pairs of test patients, or with another's report, would decide what the encoder sees."""
    base, prefix = base_model.load(inputs["base"], MACHINE), load_prefix(inputs["clip"])
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    ecgs, texts = torch.tensor(cohort.signals(rows)), clip.report_vectors(base, cohort, rows)

    def loss(x, lengths, text):
        own = [int((ecgs == one).flatten(1).all(1).nonzero()[0]) for one in x]  # fails for others
        torch.testing.assert_close(text, texts[own], atol=1e-5, rtol=1e-4)
        return prefix.contrast(x, lengths, text)

    config = CONTRAST | {"contrast_steps": 5}
    clip.fit_on_reports(prefix, loss, base, inputs, config, 0, MACHINE, tmp_path, "pairs")


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_has_a_vector_per_valid_patch_behind_its_front(inputs, kind):
    prefix = load_prefix(inputs[kind])
    rows = Cohort.open(inputs["cohort"]).rows("train")[:3]
    ecgs = [part[:3] for part in prefix.read_ecgs(inputs, rows)]
    embeddings, lengths = prefix(*ecgs)
    assert embeddings.shape == (3, prefix.positions, 32)
    assert prefix.positions == prefix.front + 40 and (lengths - prefix.front).max() == 40
    again = load_prefix(inputs[kind])
    torch.testing.assert_close(again(*ecgs)[0], embeddings)


def test_one_vector_of_clip_ignores_what_is_behind_the_end(inputs):
    prefix = load_prefix(inputs["clip"])
    prefix.pooled = True
    x, lengths = torch.randn(2, 12, SAMPLES), torch.tensor([40, 12])
    other = x.clone()
    other[1, :, 16 * 64 :] = 9.0  # behind the reach of the twelfth position
    vectors, count = prefix(x, lengths)
    assert vectors.shape == (2, 1, 32) and count.tolist() == [1, 1]
    torch.testing.assert_close(prefix(other, lengths)[0], vectors)


def test_time_llm_reads_the_shape_of_a_lead_and_not_its_size():
    x, n_valid = torch.randn(2, 12, 640), torch.tensor([640, 320])
    one, other = (time_llm.standardise(signal, n_valid) for signal in (x, 3 * x + 1))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    assert one[1, :, 320:].abs().max() == 0
    assert float(one[0].square().mean()) == pytest.approx(1.0, rel=1e-3)
    beats = np.zeros(2500)
    beats[100::210] = 1.0
    assert "lags 0.84 1.68 2.52 s" in time_llm.describe(beats)
    assert "lags unknown" in time_llm.describe(np.zeros(2500))


def test_reprogramming_is_the_attention_of_torch(inputs):
    prefix = load_prefix(inputs["time_llm"])
    patches = torch.randn(2, 7, 8)
    prototypes = prefix.mixtures(prefix.vocabulary.T).T.expand(2, -1, -1)
    prototypes = nn.functional.layer_norm(prototypes, prototypes.shape[-1:])
    heads = [
        layer(of).unflatten(-1, (2, -1)).transpose(1, 2)
        for layer, of in (
            (prefix.query, nn.functional.layer_norm(patches, patches.shape[-1:])),
            (prefix.key, prototypes),
            (prefix.value, prototypes),
        )
    ]
    expected = nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    torch.testing.assert_close(prefix.reprogram(patches), prefix.into_model(expected))
    vectors = prefix.reprogram(patches).flatten(0, 1)
    apart = (vectors - vectors.mean(0)).norm() / vectors.norm()
    assert apart > 0.05, "without the norms all patches enter as one vector"


TRANSFORMER = {"hop": 125, "dim": 16, "layers": 1, "heads": 2}


@pytest.mark.parametrize(
    ("encoder", "losses"),
    [(ENCODER, ["pairs", "views"]), (TRANSFORMER, ["masked"]), (TRANSFORMER, ["pairs", "masked"])],
)
def test_stage_one_learns_and_gives_one_frozen_vector(inputs, tmp_path, encoder, losses):
    config = CONTRAST | {"encoder": encoder, "losses": losses, "joint": 8}
    two_stage.initialise(tmp_path, inputs, config, 0, MACHINE)
    course = np.loadtxt(tmp_path / "history.csv", delimiter=",", skiprows=1)[:, 1]
    assert course[-5:].mean() < course[:5].mean()
    prefix = load_prefix(tmp_path)
    trained = {name.split(".")[0] for name, part in prefix.named_parameters() if part.requires_grad}
    assert trained == {"into_model", "gain"}
    rows = Cohort.open(inputs["cohort"]).rows("train")[:3]
    embeddings, valid = prefix(*(part[:3] for part in prefix.read_ecgs(inputs, rows)))
    assert embeddings.shape == (3, 1, 32) and valid.tolist() == [1, 1, 1]


def test_a_hidden_patch_is_predicted_from_the_others_alone():
    torch.manual_seed(0)
    encoder = two_stage.PatchTransformer(**TRANSFORMER).eval()
    x, hidden = torch.randn(1, 12, SAMPLES), torch.zeros(1, 20, dtype=torch.bool)
    hidden[0, 3] = True
    other = x.clone()
    other[..., 3 * 125 : 4 * 125] = 5.0
    torch.testing.assert_close(encoder(x, hidden), encoder(other, hidden))
    assert not torch.allclose(encoder(x), encoder(other))
    # and the loss is that of hidden patches alone: what is visible need not be predicted
    error = encoder.predict(encoder(x, hidden)) - windows(x, 125).transpose(1, 2)
    torch.testing.assert_close(encoder.masked_loss(x, hidden), error[0, 3].square().mean())


def test_wrong_losses_of_stage_one_are_named(inputs, tmp_path):
    config = CONTRAST | {"encoder": ENCODER, "losses": ["masked"], "joint": 8}
    refused("needs a transformer", two_stage.initialise, tmp_path, inputs, config, 0, MACHINE)
    config |= {"losses": ["triplet"]}
    refused("got 'triplet'", two_stage.initialise, tmp_path, inputs, config, 0, MACHINE)


def test_without_tokens_the_model_reads_what_fsq_would_round(inputs, tmp_path):
    torch.manual_seed(0)
    tokenizer = LeadwiseTokenizer(channels=4, strides=[8, 8], widths=[8, 8]).eval()
    (tmp_path / "fsq").mkdir()
    tokenizer.save(tmp_path / "fsq")
    read = inputs | {"tokenizer": tmp_path / "fsq"}
    continuous.initialise(tmp_path, read, {}, 0, MACHINE)
    prefix, cohort = load_prefix(tmp_path), Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")[:4]
    z, lengths = prefix.read_ecgs(read, rows)
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    codes = tokenizer.encode(torch.from_numpy(cohort.signals(rows)), n_valid)
    assert len(z) == 4 and torch.equal(tokenizer.fsq.encode(z[:]), codes)
    embeddings, valid = prefix(z[[2, 0]], lengths[[2, 0]])
    assert embeddings.shape == (2, prefix.positions, 32) and torch.equal(valid, lengths[[2, 0]])
    assert float(embeddings.detach().square().mean().sqrt()) == pytest.approx(
        prefix.config["scale"], rel=0.01
    )


def test_views_keep_the_signal_but_for_size_order_and_noise():
    x = torch.randn(3, 12, 400)
    weak, strong = text_prototypes.views(x, torch.Generator().manual_seed(0))
    scale = (weak * x).sum((1, 2)) / x.square().sum((1, 2))
    assert (scale - 1).abs().max() < 0.21 and (weak - scale[:, None, None] * x).abs().max() < 0.12
    for ecg, view in zip(x, strong, strict=True):
        turned = [(view - ecg.roll(turn, -1)).abs().max() < 0.12 for turn in (0, 100, 200, 300)]
        assert sum(turned[1:]) == 1 and not turned[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_is_trained_written_with_and_embedded(inputs, tmp_path, kind):
    """The frozen encoder stays as the contrast has left it."""
    (tmp_path / "system").mkdir()
    read = {"cohort": inputs["cohort"], "base": inputs["base"]}
    train_system.train(tmp_path / "system", read | {"prefix": inputs[kind]}, TRAIN, 0, MACHINE)
    before, after = (load_prefix(folder) for folder in (inputs[kind], tmp_path / "system"))
    changed = {
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert changed and changed <= {n for n, p in before.named_parameters() if p.requires_grad}
    rows = Cohort.open(inputs["cohort"]).rows("test")[:5].tolist()
    read |= {"system": tmp_path / "system"}
    alignment.embed(tmp_path, read, {"rows": rows, "batch": 2}, 0, MACHINE)
    for points in load_file(tmp_path / "embeddings.safetensors").values():
        assert points.shape == (5, 32)
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-5)
    if kind == "clip":
        clip.embed_joint(tmp_path, read | {"prefix": inputs[kind]}, {"rows": rows}, 0, MACHINE)
        points = load_file(tmp_path / "embeddings.safetensors")
        assert points["ecg_joint"].shape == points["text_joint"].shape == (5, 8)


def test_the_mean_of_an_ecg_leaves_out_the_soft_prompt(inputs):
    """It is the same for all ECGs, so all would look alike."""
    base, prefix = base_model.load(inputs["base"], MACHINE), load_prefix(inputs["text_prototypes"])
    rows = Cohort.open(inputs["cohort"]).rows("train")[:4]
    system = System(base, base.model, prefix, prefix.read_ecgs(inputs, rows))
    with torch.no_grad():
        vectors, lengths = system.ecg_prefix([0, 1, 2, 3])
        means = [of[2:n].mean(0) for of, n in zip(vectors, lengths, strict=True)]
        ours = alignment.ecg_levels(system, base.model, slice(0, 4))[0]
    torch.testing.assert_close(ours, nn.functional.normalize(torch.stack(means), dim=-1))


@pytest.mark.parametrize("kind", ["clip", "text_prototypes"])
def test_embeddings_are_in_the_order_of_the_rows_and_do_not_depend_on_the_batch(
    inputs, tmp_path, kind
):
    """In another order a report would be compared with an ECG that it does not describe."""
    rows, points = Cohort.open(inputs["cohort"]).rows("test")[2::-1].tolist(), {}
    step = clip.embed_joint if kind == "clip" else alignment.embed
    for name, batch, of in (("all", 3, rows), ("one", 1, rows[:1])):
        (tmp_path / name).mkdir()
        read = inputs | {"prefix": inputs[kind], "system": inputs[kind]}
        step(tmp_path / name, read, {"rows": of, "batch": batch}, 0, MACHINE)
        points[name] = load_file(tmp_path / name / "embeddings.safetensors")
    for level, together in points["all"].items():
        np.testing.assert_allclose(together[0], points["one"][level][0], atol=1e-4)
