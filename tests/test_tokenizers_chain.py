"""PCA, encoder, cached latents, quantisers, decoders: each step starts where the last one ends."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tokenizer_toys import make, noise, pca_autoencoder, unlabelled_cohort

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import (
    bpe,
    cached_latents,
    encode,
    pca_rvq,
    train,
    train_decoder,
    train_quantiser,
)
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.train_quantiser import relative_error
from ecglib.tokenizers.window_pca import components, signals, windows
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
BOOKS = {"codebooks": 3, "codewords": 8}
NETWORKS = {"width": 6, "hidden": 8, "blocks": 1, "candidates": 4}
LEARN = {"steps": 30, "learning_rate": 5e-3}
BPE = {"ecgs": 30, "merges": 5, "released": False, "inverse": "centre"}
STEPS = {  # name: function, config, inputs
    "pca_rvq": (
        pca_rvq.fit_pca_rvq,
        BOOKS | {"hop": 50, "dim": 10, "ecgs": 30, "vectors": 900},
        (),
    ),
    "encoder": (
        train.train_jointly,
        {"method": "rvq", "quantiser": BOOKS, "commitment": 0.25, "revive_every": 0, "batch": 8}
        | {"autoencoder": {"kind": "pca", "hop": 50, "dim": 10, "width": 8}, **LEARN},
        ("start:pca_rvq",),
    ),
    "latents": (cached_latents.cache, {"validation_ecgs": 4}, ("tokenizer:encoder",)),
    "codebooks": (train_quantiser.fit_codebooks, BOOKS | {"vectors": 500}, ("latents:latents",)),
}
for method in ("rvq", "qinco"):
    config = LEARN | {"method": method, "batch": 64, "validate_every": 10}
    config |= {"networks": NETWORKS} if method == "qinco" else {}
    inputs = ("encoder:encoder", "latents:latents", "start:codebooks")
    STEPS[f"{method}_quantiser"] = (train_quantiser.train_quantiser, config, inputs)
    STEPS[f"{method}_codes"] = (encode.encode, {"batch": 8}, (f"tokenizer:{method}_quantiser",))
    config = LEARN | {"batch": 8, "squared_weight": 1.0}
    inputs = (f"quantiser:{method}_quantiser", f"codes:{method}_codes")
    STEPS[method] = (train_decoder.train_decoder, config, inputs)


def make_step(name: str, folders: dict[str, Path], out: Path, **changes: object) -> Path:
    """Do one of the steps above, with changes of its config."""
    fn, config, inputs = STEPS[name]
    named = {"cohort": folders["cohort"]} if fn not in CACHED else {}
    named |= {label: folders[of] for label, _, of in (text.partition(":") for text in inputs)}
    out.mkdir(exist_ok=True)
    fn(out, named, config | changes, 0, MACHINE)
    return out


CACHED = (train_quantiser.fit_codebooks, train_quantiser.train_quantiser)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """All steps on forty ECGs of sines in the limb leads alone, every fifth of them 4 s long."""
    base, rng, t = (
        tmp_path_factory.mktemp("chain"),
        np.random.default_rng(0),
        np.arange(SAMPLES) / 250,
    )
    ecgs = []
    for i in range(40):
        signal = np.sin(2 * np.pi * (rng.uniform(1, 5, (12, 1)) * t + rng.random((12, 1))))
        ecgs.append((signal * (np.arange(12) < 6)[:, None], SAMPLES if i % 5 else 1000))
    folders_of = {"cohort": unlabelled_cohort(base / "cohort", ecgs)}
    for name in STEPS:
        folders_of[name] = make_step(name, folders_of, base / name)
    return folders_of


def test_no_tokenizer_reads_an_ecg_of_another_role(folders, tmp_path, monkeypatch):
    """A codebook that knows the test patients would rebuild them too well."""
    whole, read = Cohort.open(folders["cohort"]), Cohort.signals
    own = set(whole.rows("tokenizer_train"))

    def guarded(self, rows):
        assert own >= set(np.asarray(rows).tolist()), "an ECG of another role"
        return read(self, rows)

    monkeypatch.setattr(Cohort, "signals", guarded)
    for name, changes in (("pca_rvq", {}), ("encoder", {"steps": 9}), ("rvq", {"steps": 9})):
        make_step(name, folders, tmp_path / name, **changes)
    bpe.fit_bpe(tmp_path, folders, BPE, 0, MACHINE)


def test_bins_and_merges_know_nothing_of_the_padding(tmp_path):
    """Short recordings around 3 mV: the zeros behind their end are in no bin."""
    rng, inside = np.random.default_rng(0), np.arange(SAMPLES) < 500
    ecgs = [(inside * rng.normal(3, 0.1, (12, SAMPLES)), 500) for _ in range(20)]
    folder = {"cohort": unlabelled_cohort(tmp_path / "cohort", ecgs)}
    bpe.fit_bpe(tmp_path, folder, BPE, 0, MACHINE)
    assert load(tmp_path).bins.low > 2


def test_components_are_those_of_the_best_linear_map(folders):
    """numpy's singular vectors of all windows, padding left out or silent."""
    cohort = Cohort.open(folders["cohort"])
    rows = cohort.rows("tokenizer_train")
    x = torch.from_numpy(cohort.signals(rows))
    w = windows(x, 50).transpose(1, 2).flatten(0, 1)
    assert torch.equal(signals(windows(x, 50), 50), x)
    ours, axes = components(cohort, rows, 50, 10), np.linalg.svd(w.numpy())[2][:10].T
    np.testing.assert_allclose(np.abs((ours.numpy() * axes).sum(0)), 1.0, atol=1e-3)
    np.testing.assert_allclose(ours.T @ ours, np.eye(10), atol=1e-5)
    assert (ours[300:].abs() < 1e-6).all()  # the chest leads are silent
    one_lead = components(cohort, rows, 50, 4, lead_by_lead=True)
    assert one_lead.shape == (50, 4)


def test_the_encoder_starts_at_the_pca_and_learns_from_there(folders, tmp_path):
    before = load(make_step("encoder", folders, tmp_path / "start", steps=0))
    floor, after, x = load(folders["pca_rvq"]), load(folders["encoder"]), noise(2, 12, SAMPLES)
    assert floor.method == "pca_rvq" and floor.autoencoder.encoder is None
    torch.testing.assert_close(before.latents(x), floor.latents(x))
    torch.testing.assert_close(before.signals(floor.latents(x)), floor.signals(floor.latents(x)))
    assert not torch.allclose(after.latents(x), floor.latents(x), atol=1e-3)
    assert torch.equal(after.autoencoder.components, floor.autoencoder.components)
    loss = pd.read_csv(folders["encoder"] / "history.csv")["loss"]
    assert loss[-5:].mean() < loss[:5].mean()
    # the released running means start there, too; channels have vectors of another length
    released = copy.deepcopy(floor.quantiser), ResidualVQ(10, **BOOKS, released=True)
    tokenizer = LatentTokenizer(floor.autoencoder, released[1])
    train._initialise(tokenizer, {"start": folders["pca_rvq"]}, {"batch": 8}, 0, "cpu")
    assert torch.equal(*(quantiser.codebooks for quantiser in released))
    make_step("encoder", folders, tmp_path / "released", steps=1, released=True)
    channels = load(make_step("encoder", folders, tmp_path / "axis", steps=1, axis="channel"))
    assert channels.quantiser.codebooks.shape[-1] == channels.autoencoder.positions


def test_latents_are_cached_without_those_of_the_padding(folders):
    cohort, tokenizer = Cohort.open(folders["cohort"]), load(folders["encoder"])
    rows = cohort.rows("tokenizer_train")
    z = cached_latents.read(folders["latents"])
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    assert z.dtype == torch.float16 and z.shape == (sum(-(-n_valid // 50)), 10)
    first = tokenizer.latents(torch.from_numpy(cohort.signals(rows[:1])))[0][: len(z)]
    count = -(-n_valid[0] // 50)
    torch.testing.assert_close(z[:count].float(), first[:count], atol=5e-3, rtol=5e-3)
    held = cached_latents.read(folders["latents"], "validation")
    assert 0 < len(held) <= 4 * 50


def test_rvq_and_qinco_start_alike_and_the_validation_error_falls(folders, tmp_path):
    start = load_file(folders["codebooks"] / "codebooks.safetensors")["codebooks"]
    fresh, x = {}, noise(2, 12, SAMPLES)
    z, held = (cached_latents.read(folders["latents"], *of).float() for of in ((), ["validation"]))
    floor = z.square().sum(1).median().item()
    for method in ("rvq", "qinco"):
        out = make_step(f"{method}_quantiser", folders, tmp_path / method, steps=0)
        fresh[method] = load(out)
        assert torch.equal(fresh[method].quantiser.codebooks, start)
        looks = pd.read_csv(folders[f"{method}_quantiser"] / "validation.csv")
        assert sorted(looks["step"].unique()) == [0, 10, 20, 30] and looks["codebook"].max() == 3
        last = looks.pivot(index="step", columns="codebook", values="error")
        assert (last.loc[30] < last.loc[0]).all()
        with torch.no_grad():  # the errors are those of the validation patients
            error = relative_error(load(folders[f"{method}_quantiser"]).quantiser, held, floor)
        np.testing.assert_allclose(last.loc[30], error.mean(1), rtol=1e-4)
        history = pd.read_csv(folders[f"{method}_quantiser"] / "history.csv")
        assert history["step"].tolist() == list(range(30))
    assert torch.equal(fresh["rvq"].encode(x), fresh["qinco"].encode(x))
    encoders = [load(folders[name]).latents(x) for name in ("encoder", "rvq", "qinco")]
    assert torch.equal(encoders[0], encoders[1]) and torch.equal(encoders[0], encoders[2])


def test_a_giant_beat_weighs_as_much_as_another():
    """|z - zhat|^2 over |z|^2 + floor, by hand; ten times the vector has nearly the same error."""
    quantiser, z = make("rvq").quantiser, noise(5, 12)
    sums = quantiser.partial_sums(quantiser.encode(z))
    expected = (sums - z).square().sum(2) / (z.square().sum(1) + 0.5)
    torch.testing.assert_close(relative_error(quantiser, z, 0.5), expected)
    assert relative_error(quantiser, 1000 * z, 0.5).max() < 1.1


def test_the_decoder_learns_on_fixed_codes_and_can_read_the_first_ones(folders, tmp_path):
    for method in ("rvq", "qinco"):
        before, after = load(folders[f"{method}_quantiser"]), load(folders[method])
        moved = [
            name
            for name, tensor in after.state_dict().items()
            if not torch.equal(tensor, before.state_dict()[name])
        ]
        assert moved and all(name.startswith("autoencoder.decoder.") for name in moved)
        loss = pd.read_csv(folders[method] / "history.csv")["loss"]
        assert loss[-5:].mean() < loss[:5].mean()
        fewer = load(make_step(method, folders, tmp_path / method, codebooks=2, steps=2))
        x = noise(2, 12, SAMPLES)
        assert torch.equal(fewer.encode(x), after.encode(x)[..., :2])
        assert fewer.rate().bits_per_ecg == after.rate().bits_per_ecg * 2 / 3


def test_networks_of_the_autoencoder_add_to_the_pca_and_look_at_neighbours():
    """A window of 16 samples; the decoder sees three positions on each side, not four."""
    plain, whole, x = pca_autoencoder(0), pca_autoencoder(10), noise(1, 12, 200)
    z = plain.encode(x)
    first = (plain.components @ z[0, 0]).view(12, 16)
    torch.testing.assert_close(plain.decode(z)[0, :, :16], first)
    assert not torch.allclose(whole.encode(x), z)
    other = z.clone()
    other[:, 7] += 1.0
    changed = (whole.decode(other) - whole.decode(z)).abs().amax((0, 1)) > 1e-6
    assert (
        not changed[: 4 * 16].any()
        and changed[4 * 16 : 11 * 16].all()
        and not changed[11 * 16 :].any()
    )
