"""What decoding QINCo's vectors costs on one CPU thread, in the sizes of the profile `gpu`.

    bash run_all.sh bench qinco_decode

Each training that reads QINCo's vectors decodes them once per process, on the CPU. Weights are
random, because the time does not depend on them. A chunk of ECGs is decoded at a time, as there;
the median of several. `value` is ms per ECG; the reference is RVQ, whose codewords no network
moves; the ratio is what the networks cost. `minutes_175000` is for the training ECGs of `gpu`.
"""

import time
from statistics import median

import torch
from _common import REPO, write

from ecglib.run.dry_run import autoencoder
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.tokenizers.encode import CHUNK
from ecglib.tokenizers.qinco import SIZES, QINCo
from ecglib.tokenizers.rvq import ResidualVQ

TURNS, SEED, ECGS = 5, 0, 175_000


def milliseconds(quantiser: torch.nn.Module, codes: torch.Tensor) -> float:
    """The median time of decoding the codes (N * T, S) of a chunk, per ECG."""
    spent = []
    for _ in range(TURNS):
        start = time.perf_counter()
        quantiser.decode(codes)
        spent.append(1e3 * (time.perf_counter() - start))
    return median(spent) / CHUNK


def main() -> None:
    """Time both, and write the result."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    profile = load_profile(Paths(REPO, REPO, REPO), "gpu")
    of_ecg = autoencoder(profile)
    sizes = dict(profile["tokenizer"]["quantisers"]["rvq"])
    size = profile["tokenizer"]["quantisers"]["qinco"]["size"]
    shape = (CHUNK * of_ecg.positions, sizes["codebooks"])
    codes = torch.randint(sizes["codewords"], shape)
    with torch.no_grad():
        own = milliseconds(QINCo(of_ecg.dim, **sizes, **SIZES[size]).eval(), codes)
        plain = milliseconds(ResidualVQ(of_ecg.dim, **sizes).eval(), codes)
    result = {
        "unit": "ms per ECG to decode QINCo's vectors, one thread",
        "value": round(own, 2),
        "reference": {"what": "RVQ's, the same codes", "value": round(plain, 4)},
        "ratio": round(own / plain, 1),
        "ratio_is": "value / reference",
        "minutes_175000": round(own * ECGS / 6e4, 1),
    }
    write(
        "qinco_decode", {**result, "size": size, "dim": of_ecg.dim, "positions": of_ecg.positions}
    )


if __name__ == "__main__":
    main()
