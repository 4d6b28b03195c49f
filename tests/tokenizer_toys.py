"""Untrained tokenizers of all methods, for ECGs of 200 samples; a cohort to train others on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from _cohort import write_cohort

from ecglib.labels.label_set import LABELS
from ecglib.tokenizers.amplitude_bins import AmplitudeBins
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.latent import LatentTokenizer, PcaRVQ
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import Tokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.strided_autoencoder import StridedAutoencoder
from ecglib.tokenizers.vq import VQ

SAMPLES, CODEBOOKS, CODEWORDS = 200, 3, 8
LEARNED = {  # quantisers with learned codebooks
    "vq": lambda dim: VQ(dim, CODEWORDS),
    "rvq": lambda dim: ResidualVQ(dim, CODEBOOKS, CODEWORDS),
    "qinco": lambda dim: QINCo(
        dim, CODEBOOKS, CODEWORDS, width=6, hidden=8, blocks=2, candidates=4
    ),
}
METHODS = (*LEARNED, "strided", "pca_rvq", "fsq", "fsq_pca", "bpe", "bpe_released")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unlabelled_cohort(folder: Path, ecgs: Iterable[tuple[np.ndarray, int]]) -> Path:
    """A cohort of ECGs (12, 2500) with their n_valid, one per patient, no label assessable."""
    records = []
    for i, (signal, n_valid) in enumerate(ecgs):
        record = {"ecg_id": f"e{i}", "patient_id": f"p{i}", "n_valid": n_valid, "site": "A"}
        record |= {"signal": signal.astype(np.float32), "age": 50.0, "sex": "F"}
        records.append(record | {"labels": np.full(len(LABELS), -1, np.int8)})
    write_cohort(folder, records, seed=0)
    return folder


def pca_autoencoder(width: int = 10) -> Autoencoder:
    """Random orthonormal components; networks, where there are some, that add to them."""
    autoencoder = Autoencoder(16, 12, width, SAMPLES)
    axes = torch.linalg.qr(noise(192, 12, seed=5)).Q
    autoencoder.start(axes, torch.linspace(2.0, 0.5, 12))
    for part in (autoencoder.encoder, autoencoder.decoder) if width else ():
        part[-1].weight.data = 0.1 * noise(*part[-1].weight.shape, seed=6)
    return autoencoder


def latent(
    quantiser: VQ | ResidualVQ | QINCo, axis: str = "time", strided: bool = False
) -> LatentTokenizer:
    """A tokenizer around a quantiser with random codebooks and networks that move them."""
    if len(quantiser.codebooks):
        quantiser.codebooks.data = 0.3 * noise(*quantiser.codebooks.shape, seed=1)
    if isinstance(quantiser, QINCo):
        for part in quantiser.adapt:
            part.back.weight.data = 0.3 * noise(*part.back.weight.shape, seed=2)
    if strided:
        autoencoder = StridedAutoencoder([8, 12], [4, 4], SAMPLES)
        return LatentTokenizer(autoencoder, quantiser, axis).eval()
    return LatentTokenizer(pca_autoencoder(), quantiser, axis).eval()


def make(method: str) -> Tokenizer:
    """An untrained tokenizer; byte pairs are fitted to noise."""
    torch.manual_seed(3)
    if method in ("fsq", "fsq_pca"):
        tokenizer = LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES, pca=method == "fsq_pca")
        return tokenizer.eval()
    if method == "pca_rvq":
        return PcaRVQ(pca_autoencoder(0), latent(LEARNED["rvq"](12)).quantiser).eval()
    if method == "strided":
        return latent(LEARNED["rvq"](12), strided=True)
    if method.startswith("bpe"):
        bins, ecgs = AmplitudeBins(-3.0, 3.0), list(noise(4, 12, SAMPLES, seed=4).numpy())
        return BPETokenizer.fit(bins, ecgs, 40, method == "bpe_released", SAMPLES)
    return latent(LEARNED[method](12))
