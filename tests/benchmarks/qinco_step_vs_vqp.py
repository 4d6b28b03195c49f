"""A QINCo training step: ours beside the implicit codebooks of vector-quantize-pytorch.

    bash run_all.sh bench qinco_step_vs_vqp

1,280 latent vectors of 128 numbers, 8 codebooks of 64 codewords, AdamW, float32 on the CPU; QINCo's
networks have the registered size `fast`. A step
assigns codes, takes the quantiser's loss, its gradient and an update. `value` is ours; `ratio` the
library's time over ours, step by step in turn.

`error_ratio` is our relative quantisation error of other vectors over the library's after 30 equal
steps at one learning rate, mean of three seeds: each begins as it does by default (ours as RVQ with
k-means codebooks). `error_ratio_same_start` gives both the codebooks that the library begins with.
Latents are windows of simulated ECGs through a fixed random map. It takes a quarter of an hour, all
but a minute of it the library's.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import vector_quantize_pytorch
from _common import write
from torch import nn

from ecglib.signals.resample import to_rate
from ecglib.simulator import patients
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.qinco import SIZES, QINCo
from ecglib.tokenizers.rvq import ResidualVQ

DIM, CODEBOOKS, CODEWORDS, VECTORS = 128, 8, 64, 1280
STEPS, SEEDS, RATE, HOP = 30, 3, 1e-3, 64


def latents() -> torch.Tensor:
    """Windows of simulated ECGs (n, 12 x 64), mapped at random to 128 dimensions of variance 1."""
    windows = []
    for record in patients.patients(150, 5):
        signal = to_rate(record["signal"], record["rate"])[:, :2496]
        windows += (
            np.split(signal, signal.shape[1] // HOP, axis=1) if signal.shape[1] == 2496 else []
        )
    flat = torch.from_numpy(np.stack(windows).reshape(len(windows), -1).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    z = flat @ torch.randn(flat.shape[1], DIM, generator=generator)
    z = (z - z.mean(0)) / z.std(0)
    return z[torch.randperm(len(z), generator=generator)]


def loss_of_ours(model: QINCo, z: torch.Tensor) -> torch.Tensor:
    """The codebook loss alone: the encoder is frozen here."""
    return model(z)[1]


def loss_of_theirs(model: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """The sum of the commitment losses, which reach the codebooks where these are learned."""
    return model(z[None])[2].sum()


def decode_ours(model: QINCo, z: torch.Tensor) -> torch.Tensor:
    """Vectors through the quantiser."""
    return model.decode(model.encode(z))


def decode_theirs(model: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """Vectors through the library's quantiser."""
    return model.eval()(z[None])[0][0]


def theirs(seed: int) -> nn.Module:
    """The library's quantiser as it begins."""
    torch.manual_seed(seed)
    return vector_quantize_pytorch.ResidualVQ(
        dim=DIM, num_quantizers=CODEBOOKS, codebook_size=CODEWORDS, implicit_neural_codebook=True
    )


def ours(seed: int, first: torch.Tensor, books: torch.Tensor | None = None) -> QINCo:
    """Our quantiser: k-means codebooks, or those given."""
    torch.manual_seed(seed)
    model = QINCo(DIM, CODEBOOKS, CODEWORDS, **SIZES["fast"])
    if books is None:
        rvq = ResidualVQ(DIM, CODEBOOKS, CODEWORDS)
        initialise_kmeans(rvq, first, torch.Generator().manual_seed(seed))
        books = rvq.codebooks.data
    model.codebooks.data.copy_(books)
    return model


def trained(model: nn.Module, loss: Callable, batches: torch.Tensor) -> list[float]:
    """Train in place; returns the seconds of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    model.train()
    seconds = []
    for z in batches:
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(model, z).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    return seconds


@torch.no_grad()
def error(model: nn.Module, decode: Callable, z: torch.Tensor) -> float:
    """Relative quantisation error: sum |z - zhat|^2 over sum |z|^2."""
    return float((z - decode(model, z)).square().sum() / z.square().sum())


def main() -> None:
    """Measure, print and write reports/benchmarks/qinco_step_vs_vqp.json."""
    z = latents()
    judged_on, rest = z[:VECTORS], z[VECTORS:]
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    errors = []
    for seed in range(SEEDS):
        draw = torch.Generator().manual_seed(seed)
        batches = rest[torch.randint(len(rest), (STEPS, VECTORS), generator=draw)]
        library = theirs(seed)
        books = torch.stack([layer._codebook.embed[0].detach() for layer in library.layers])
        same, own = ours(seed, batches[0], books), ours(seed, batches[0])
        times["theirs"] += trained(library, loss_of_theirs, batches)[5:]
        times["ours"] += trained(own, loss_of_ours, batches)[5:]
        trained(same, loss_of_ours, batches)
        of_ours = [error(model, decode_ours, judged_on) for model in (own, same)]
        errors.append([*of_ours, error(library, decode_theirs, judged_on)])
    own_time, other_time = np.median(times["ours"]), np.median(times["theirs"])
    table = np.array(errors)
    result = {
        "value": 1000 * own_time,
        "unit": "ms per training step of 1,280 vectors (median)",
        "reference": {"what": "ResidualVQ, implicit_neural_codebook", "value": 1000 * other_time},
        "ratio": other_time / own_time,
        "target": 15,
        "error_ratio": float((table[:, 0] / table[:, 2]).mean()),
        "error_ratio_same_start": float((table[:, 1] / table[:, 2]).mean()),
        "errors_ours_same_start_theirs": errors,
        "steps": STEPS,
        "seeds": SEEDS,
        "learning_rate": RATE,
        "size": SIZES["fast"],
        "threads": torch.get_num_threads(),
    }
    write("qinco_step_vs_vqp", result, ("torch", "vector-quantize-pytorch"))


if __name__ == "__main__":
    main()
