"""Tokens and ECGs a second of all five tokenizers, encoding and decoding, alone and in batches.

    bash run_all.sh bench tokenizer_rates

Sizes are those of the profile `laptop`, QINCo's networks of the size `fast`; weights are random but
for the byte pairs, which are trained (their speed depends on them). `value` is ECGs encoded a
second by QINCo in batches of 32; the reference is RVQ, which runs the same autoencoder, so `ratio`
is what QINCo's networks cost (wanted: at least `limit`). `latency_ms` is the time of one ECG alone,
the median of several. `mae_uv` holds the errors of both in the committed run `RUN`: speed that is
paid for with error would be none.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from _common import REPO, write

from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.signals.leads import SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients
from ecglib.tokenizers.amplitude_bins import fit_bins
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import make_autoencoder
from ecglib.tokenizers.qinco import SIZES, QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.tokenizer_parts import autoencoder_of
from ecglib.tokenizers.vq import VQ

RUN = "synthetic-laptop"
ECGS, BATCH, TURNS, SEED, LIMIT = 64, 32, 5, 9, 0.5


def ecgs(count: int) -> torch.Tensor:
    """Simulated ECGs (count, 12, 2500) in mV."""
    signals = []
    for record in patients.patients(2 * count, SEED):
        signal = to_rate(record["signal"], record["rate"])
        if signal.shape[1] >= SAMPLES:
            signals.append(signal[:, :SAMPLES])
    return torch.from_numpy(np.stack(signals[:count]).astype(np.float32))


def tokenizers(profile: dict, x: torch.Tensor) -> dict:
    """The five at the sizes of the profile."""
    torch.manual_seed(0)
    sizes = profile["tokenizer"]["quantisers"]
    dim = profile["tokenizer"]["fit_pca_rvq"]["dim"]
    quantisers = (
        VQ(dim, **sizes["vq"]),
        ResidualVQ(dim, **sizes["rvq"]),
        QINCo(dim, **sizes["rvq"], **SIZES["fast"]),
    )
    five = {}
    for quantiser in quantisers:
        autoencoder = make_autoencoder(autoencoder_of(profile))
        with torch.no_grad():
            z = autoencoder.encode(x).flatten(0, 1)
        initialise_kmeans(quantiser, z, torch.Generator().manual_seed(0))
        five[quantiser.method] = LatentTokenizer(autoencoder, quantiser).eval()
    five["fsq"] = LeadwiseTokenizer(**profile["leadwise"]["model"]).eval()
    merges = profile["bpe"]["merges"]
    five["bpe"] = BPETokenizer.fit(fit_bins(x.numpy()), list(x.numpy()), merges)
    return five


def seconds(work: Callable[[], object]) -> float:
    """Median wall time of some runs, after one to warm up."""
    work()
    times = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def rates(tokenizer: object, x: torch.Tensor) -> dict[str, float]:
    """What one tokenizer does in a second, and the time of one ECG."""
    codes = tokenizer.encode(x)
    tokens = float((tokenizer.to_ids(codes) >= 0).sum() / len(x))
    encode = seconds(lambda: [tokenizer.encode(part) for part in x.split(BATCH)])
    decode = seconds(lambda: [tokenizer.decode(part) for part in codes.split(BATCH)])
    one = codes[:1]
    return {
        "tokens_per_ecg": tokens,
        "encode_ecgs": len(x) / encode,
        "encode_tokens": tokens * len(x) / encode,
        "decode_ecgs": len(x) / decode,
        "decode_tokens": tokens * len(x) / decode,
        "latency_ms": {
            "encode": 1000 * seconds(lambda: tokenizer.encode(x[:1])),
            "decode": 1000 * seconds(lambda: tokenizer.decode(one)),
        },
    }


def errors(*methods: str) -> dict:
    """Mean absolute error in microvolts of some tokenizers of the run; None where there is none."""
    table = REPO / "reports" / RUN / "tables" / "02_reconstruction.csv"
    if not table.is_file():
        return {"run": RUN} | dict.fromkeys(methods)
    value = pd.read_csv(table).set_index(["metric", "method"])["value"]
    return {"run": RUN} | {name: float(value["mae_uv", name]) for name in methods}


def main() -> None:
    """Measure, print and write reports/benchmarks/tokenizer_rates.json."""
    x = ecgs(ECGS)
    five = tokenizers(load_profile(Paths.here(), "laptop"), x)
    table = {name: rates(tokenizer, x) for name, tokenizer in five.items()}
    qinco, rvq = table["qinco"]["encode_ecgs"], table["rvq"]["encode_ecgs"]
    result = {
        "value": qinco,
        "unit": f"ECGs per second, encoded by QINCo in batches of {BATCH}",
        "reference": {"what": "RVQ with the same autoencoder", "value": rvq},
        "ratio": qinco / rvq,
        "limit": LIMIT,
        "mae_uv": errors("rvq", "qinco"),
        "tokenizers": table,
        "ecgs": ECGS,
        "threads": torch.get_num_threads(),
    }
    write("tokenizer_rates", result, ("torch", "numba"))


if __name__ == "__main__":
    main()
