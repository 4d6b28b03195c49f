"""What a profile would build and cost: parameters, steps, memory, disk and hours of every model.

The parts come from `pipeline`. Models are built on torch's meta device, which knows shapes and
holds no numbers. Operations of the small models are counted on one forward pass. Those of the
language model are, per token,

    2 N forward + 2 N for the gradient of the activations + 2 N' for that of the weights

with N parameters of which N' are trained. The output layer is computed only where a token is
predicted. Disk is what remains after training. Hours are operations over `hardware.tflops`, a
sustained throughput that the profile states. All are estimates, good to a factor of about two.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecglib.run import base_shapes, pipeline
from ecglib.run.pipeline import Part
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.autoencoder import Autoencoder

ECGS_PER_PATIENT = 1.25  # of the simulator
REPORT, QUESTION = 32, 18  # tokens of a report and of a question with its answer, on average
BYTES = {"auto": 2, "bfloat16": 2, "float32": 4}
TRAINED = 16  # bytes per trained parameter: float32 weight, gradient, two moments of AdamW
# Bytes per token, layer and hidden unit that a half-precision transformer layer keeps for its
# backward pass (Korthikanti et al. 2022, without the attention matrix, which is never formed).
KEPT = 34


def estimate(profile: dict) -> list[dict]:
    """One row per trained model, one for the cohort and one for the base language model.

    Parts with the same cost per step (`Part.like`) share a row, which counts the steps of all.

    Args:
        profile: a whole profile, as notebooks/profiles/*.yaml.

    Returns:
        Rows with model, parameters, trained, steps, memory (of the largest moment), disk, hours;
        all values are text.
    """
    ecgs = int(profile["cohort"]["patients"] * ECGS_PER_PATIENT)
    store = ecgs * len(LEADS) * SAMPLES * 2
    rows = [_row("cohort (simulated)", 0, 0, 0, store / max(1, ecgs // 256), store, 0.0)]
    base = _base(base_shapes.shape(profile["language"]))
    size = _count(base)
    disk = size * BYTES[profile["hardware"]["dtype"]]
    rows.append(_row("base language model", size, 0, 0, disk, disk, 0.0))
    trained = [part for part in pipeline.parts(profile) if part.trains]
    for part in trained:
        if part.like or (part.model is None and part.tokens is None):
            continue  # counted with another part, or costs no pass of a model
        alike = [other for other in trained if part.id in (other.id, other.like)]
        name = part.id + (f" and {len(alike) - 1} alike" if len(alike) > 1 else "")
        steps = sum(other.config["steps"] for other in alike)
        price = _price_small if part.tokens is None else _price_language
        rows.append(_row(name, *price(part, steps, profile, base)))
    return rows


def _price_small(part: Part, steps: int, profile: dict, base: nn.Module) -> tuple:
    """Parameters, those trained, steps, memory, disk and hours of a part without language model."""
    with torch.device("meta"):
        model = part.model()
        if part.reads == "latents":
            model = _Latents(model, profile)
    operations, kept = _one_ecg(model)
    batch, count = part.config["batch"], _count(model)
    # AdamW's state, and the activations twice: kept, and their gradients
    memory = TRAINED * count + 2 * kept * batch
    hours = 3 * operations * batch * steps / _operations_per_hour(profile)
    return count, count, steps, memory, 4 * count, hours


def _price_language(part: Part, steps: int, profile: dict, base: nn.Module) -> tuple:
    """The same of a part that trains the language model's LoRA and a prefix."""
    with torch.device("meta"):
        prefix = _count(part.model()) if part.model else 0
    trained = _lora_size(base, profile["language"]["lora"]) + prefix
    size, config = _count(base), base.config
    text = part.tokens.text(REPORT, QUESTION)
    tokens = part.tokens.prefix + text
    output = config.vocab_size * config.hidden_size  # the matrix that embeds and scores
    number = BYTES[profile["hardware"]["dtype"]]
    ecgs_at_once = -(-part.config["batch"] // part.config["parts"])
    kept = KEPT * number // 2 * config.num_hidden_layers * config.hidden_size * tokens
    logits = 3 * 4 * config.vocab_size * text  # scores, their float32 copy and its gradient
    memory = size * number + TRAINED * trained + ecgs_at_once * (kept + logits)
    operations = (4 * (size - output) + 6 * trained) * tokens + 4 * output * text
    hours = operations * part.config["batch"] * steps / _operations_per_hour(profile)
    return size + trained, trained, steps, memory, 4 * trained, hours


def _operations_per_hour(profile: dict) -> float:
    return profile["hardware"]["tflops"] * 1e12 * 3600


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _is_leaf(module: nn.Module) -> bool:
    return not list(module.children())


class _Latents(nn.Module):
    """A model of latents (B, T, D), fed with full-length ones."""

    def __init__(self, model: nn.Module, profile: dict):
        super().__init__()
        autoencoder = profile["tokenizer"]["train_jointly"]["autoencoder"]
        self.model = model
        self.shape = (Autoencoder(**autoencoder).positions, autoencoder["widths"][-1])

    def forward(self, x: torch.Tensor) -> object:
        """x (B, ...) -> what the model makes of B records."""
        z = x.new_zeros(len(x), *self.shape)
        return self.model(z, torch.full((len(x),), self.shape[0], device=x.device))


def _one_ecg(model: nn.Module) -> tuple[int, int]:
    """Operations of the forward pass of one ECG, and bytes of all layer outputs."""
    kept = 0

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal kept
        # codes are searched for without a graph: nothing is kept there
        if torch.is_grad_enabled() and isinstance(output, torch.Tensor) and _is_leaf(module):
            kept += 4 * output.numel()

    handles = [module.register_forward_hook(count) for module in model.modules()]
    x = torch.zeros(1, len(LEADS), SAMPLES, device="meta")
    model.requires_grad_(False)  # the counter asks for graphs that quantisers do not build
    with FlopCounterMode(display=False) as counter:
        model(x)
    for handle in handles:
        handle.remove()
    return counter.get_total_flops(), kept


def _base(shape: dict) -> nn.Module:
    """The language model on the meta device."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(LlamaConfig(**shape))


def _lora_size(base: nn.Module, lora: dict) -> int:
    """Parameters of a LoRA: rank x (in + out) of every linear layer it is put on."""
    return sum(
        lora["rank"] * (module.in_features + module.out_features)
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in lora["targets"]
    )


def _row(
    model: str, parameters: int, trained: int, steps: int, memory: float, disk: float, hours: float
) -> dict:
    return {
        "model": model,
        "parameters": f"{parameters:,}",
        "trained": f"{trained:,}",
        "steps": f"{steps:,}",
        "memory": f"{memory / 1e9:.2f} GB",
        "disk": f"{disk / 1e9:.3f} GB",
        "hours": f"{hours:.2f}",
    }
