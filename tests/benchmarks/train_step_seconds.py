"""An update of each quantiser on cached latents, one after another in turn.

    bash run_all.sh bench train_step_seconds

Sizes and batch are those of the profile `laptop`: the relative error of a batch of vectors, its
gradient and an update. `value` is QINCo's milliseconds, the reference RVQ's; `ratio` is what QINCo
costs, and `rvq_steps` how many updates RVQ can take in the time of one of QINCo, which the study of
rates uses at equal seconds. `fast` has the numbers of QINCo's other size.
"""

import time

import numpy as np
import torch
from _common import write

from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.tokenizers.qinco import SIZES, QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.train_quantiser import relative_error
from ecglib.tokenizers.vq import VQ

STEPS, UNTIMED = 25, 5


def main() -> None:
    """Measure, print and write reports/benchmarks/train_step_seconds.json."""
    profile = load_profile(Paths.here(), "laptop")["tokenizer"]
    sizes, dim = profile["train_quantiser"], profile["fit_pca_rvq"]["dim"]
    shape = profile["quantisers"]["rvq"]
    models = {"vq": VQ(dim, **profile["quantisers"]["vq"]), "rvq": ResidualVQ(dim, **shape)}
    models |= {name: QINCo(dim, **shape, **networks) for name, networks in SIZES.items()}
    models["qinco"] = models.pop(profile["quantisers"]["qinco"]["size"])
    del models["paper"]
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(sizes["batch"], dim, generator=draw)
    for model in models.values():
        model.codebooks.data.normal_(std=0.3, generator=draw)
    updates = {n: torch.optim.AdamW(m.parameters(), lr=1e-4) for n, m in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(STEPS):
        for name, model in models.items():
            begun = time.perf_counter()
            updates[name].zero_grad(set_to_none=True)
            relative_error(model, z, 1.0).mean().backward()
            updates[name].step()
            times[name].append(time.perf_counter() - begun)
    milliseconds = {name: 1000 * float(np.median(t[UNTIMED:])) for name, t in times.items()}
    result = {
        "value": milliseconds["qinco"],
        "unit": f"ms per update of {len(z)} latent vectors with QINCo (median)",
        "reference": {"what": "the same with RVQ", "value": milliseconds["rvq"]},
        "ratio": milliseconds["rvq"] / milliseconds["qinco"],
        "rvq_steps": milliseconds["qinco"] / milliseconds["rvq"],
        "milliseconds": milliseconds,
        "steps": STEPS - UNTIMED,
        "threads": torch.get_num_threads(),
    }
    write("train_step_seconds", result, ("torch",))


if __name__ == "__main__":
    main()
