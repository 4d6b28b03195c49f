"""A training step of each quantiser behind the frozen encoder, one after another in turn.

    bash run_all.sh bench train_step_seconds

Sizes and batch are those of the profile `laptop`: latents, loss, gradient and an update of
quantiser and decoder. `value` is QINCo's milliseconds, the reference RVQ's; `ratio` is what QINCo
costs, and `rvq_steps` how many steps RVQ can take in the time of one of QINCo (wanted: at most
`limit`), which the study of tokenizers at equal seconds uses.
"""

import time
from pathlib import Path

import numpy as np
import torch
import yaml
from _common import write
from tokenizer_rates import ecgs, tokenizers

from ecglib.tokenizers.train import latent_loss

PROFILE = Path(__file__).parents[2] / "notebooks" / "profiles" / "laptop.yaml"
STEPS, UNTIMED, LIMIT = 25, 5, 1.5


def main() -> None:
    """Measure, print and write reports/benchmarks/train_step_seconds.json."""
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    sizes = profile["tokenizer"]["train_frozen_encoder"]
    x = ecgs(sizes["batch"])
    models = {
        n: m.train() for n, m in tokenizers(profile, x).items() if n in ("vq", "rvq", "qinco")
    }
    updates = {}
    for name, model in models.items():
        model.autoencoder.freeze_encoder()
        trained = [p for p in model.parameters() if p.requires_grad]
        updates[name] = torch.optim.AdamW(trained, lr=1e-4)
    commitment, full = sizes["commitment"], torch.full((len(x),), x.shape[-1])
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(STEPS):
        for name, model in models.items():
            begun = time.perf_counter()
            updates[name].zero_grad(set_to_none=True)
            latent_loss(model, x, full, commitment).backward()
            updates[name].step()
            times[name].append(time.perf_counter() - begun)
    milliseconds = {name: 1000 * float(np.median(t[UNTIMED:])) for name, t in times.items()}
    result = {
        "value": milliseconds["qinco"],
        "unit": f"ms per step of {len(x)} ECGs with QINCo behind the frozen encoder (median)",
        "reference": {"what": "the same with RVQ", "value": milliseconds["rvq"]},
        "ratio": milliseconds["rvq"] / milliseconds["qinco"],
        "rvq_steps": milliseconds["qinco"] / milliseconds["rvq"],
        "limit": LIMIT,
        "milliseconds": milliseconds,
        "steps": STEPS - UNTIMED,
        "threads": torch.get_num_threads(),
    }
    write("train_step_seconds", result, ("torch",))


if __name__ == "__main__":
    main()
