"""The floor of all tokenizers: principal components of windows, then residual k-means.

Nothing here is trained by gradient. A tokenizer that learns must have the smaller error at equal
bits, or its training was for nothing.
"""

from pathlib import Path

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.cached_latents import latents_of
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.latent import PcaRVQ
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.window_pca import components
from ecglib.training import seeds
from ecglib.training.device import Machine


def fit_pca_rvq(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: principal components of training windows, and k-means of their residuals.

    Inputs: cohort (its role tokenizer_train).

    Config:
        hop: samples of a window.
        dim: principal components that are kept.
        codebooks: how many.
        codewords: of each codebook.
        vectors: windows that k-means reads, at most.
        ecgs: random training ECGs of which they are.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("tokenizer_train")
    rows = rows[seeds.draw_rows(len(rows), config["ecgs"], seed, "pca_rvq").numpy()]
    tokenizer = PcaRVQ(
        Autoencoder(config["hop"], config["dim"], width=0),
        ResidualVQ(config["dim"], config["codebooks"], config["codewords"]),
    )
    autoencoder = tokenizer.autoencoder
    autoencoder.components.copy_(components(cohort, rows, config["hop"], config["dim"]))
    z = latents_of(tokenizer, cohort, rows)
    autoencoder.spread.copy_(z.square().mean(0).sqrt())
    z = z[seeds.draw_rows(len(z), config["vectors"], seed, "pca_rvq", "vectors")]
    initialise_kmeans(tokenizer.quantiser, z, seeds.generator(seed, "k-means"))
    tokenizer.save(out)
