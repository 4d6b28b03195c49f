"""What a profile would build and cost: parameters, steps, memory, disk and hours of every model.

The parts come from `pipeline`. Models are built on torch's meta device, which knows shapes and
holds no numbers. Operations of the small models are counted on one forward pass. Those of the
language model are, per token,

    2 N forward + 2 N for the gradient of the activations + 2 N' for that of the weights

with N parameters of which N' are trained. The output layer is computed only where a token is
predicted. Disk is what remains after training. Hours are operations over `hardware.tflops`, a
sustained throughput that the profile states. All are estimates, good to a factor of about two.
"""

import pandas as pd
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from ecglib.run import base_shapes, pipeline
from ecglib.run.pipeline import Part
from ecglib.signals.leads import LEADS, SAMPLES

ECGS_PER_PATIENT = 1.25  # of the simulator
TRAIN = 0.7  # of the ECGs
REPORT, QUESTION = 32, 18  # tokens of a report and of a question with its answer, on average
BYTES = {"auto": 2, "bfloat16": 2, "float32": 4}
TRAINED = 16  # bytes per trained parameter: float32 weight, gradient, two moments of AdamW
# Bytes per token, layer and hidden unit that a half-precision transformer layer keeps for its
# backward pass (Korthikanti et al. 2022, without the attention matrix, which is never formed).
KEPT = 34
# The columns of an estimate: memory (of the largest moment) and disk are in bytes.
FORMATS = dict.fromkeys(("parameters", "trained", "steps"), "{:,}".format)
FORMATS |= {"memory": lambda n: f"{n / 1e9:.2f} GB", "disk": lambda n: f"{n / 1e9:.3f} GB"}
FORMATS |= {"hours": "{:.2f}".format}


def estimate(profile: dict) -> pd.DataFrame:
    """One row per trained model, one for the cohort and one for the base language model.

    Parts with the same cost per step (`Part.like`) share a row, which counts the steps of all.
    `profile` is a whole profile, as notebooks/profiles/*.yaml. Returns the columns FORMATS, indexed
    by the model's name.
    """
    ecgs = int(profile["cohort"]["patients"] * ECGS_PER_PATIENT)
    store = ecgs * len(LEADS) * SAMPLES * 2
    base = _base(base_shapes.shape(profile["language"]))
    size, bytes_each = _count(base), BYTES[profile["hardware"]["dtype"]]
    rows: dict[str, tuple] = {
        "cohort (simulated)": (0, 0, 0, store / max(1, ecgs // 256), store, 0.0),
        "base language model": (size, 0, 0, size * bytes_each, size * bytes_each, 0.0),
    }
    operations_per_hour = profile["hardware"]["tflops"] * 1e12 * 3600
    trained = [part for part in pipeline.parts(profile) if part.trains]
    for part in trained:
        if part.like or (part.model is None and part.tokens is None):
            continue  # counted with another part, or costs no pass of a model
        alike = [other for other in trained if part.id in (other.id, other.like)]
        name = part.id + (f" and {len(alike) - 1} alike" if len(alike) > 1 else "")
        steps = sum(other.steps(round(TRAIN * ecgs)) for other in alike)
        if part.tokens is None:
            parameters, new, memory, operations = _price_small(part, profile)
        else:
            parameters, new, memory, operations = _price_language(part, profile, base)
        hours = operations * part.config["batch"] * steps / operations_per_hour
        rows[name] = (parameters, new, steps, memory, 4 * new, hours)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(FORMATS))
    return frame.rename_axis("model", axis=1)


def _price_small(part: Part, profile: dict) -> tuple[int, int, float, float]:
    """Parameters, those trained, memory, and operations per ECG, without a language model."""
    with torch.device("meta"):
        model, inputs = part.model(), [torch.zeros(1, len(LEADS), SAMPLES)]
        if "codes" in part.inputs:
            latents = pipeline.autoencoder(profile)
            length = torch.full((1,), latents.positions)
            inputs = [torch.zeros(1, latents.positions, latents.widths[-1]), length]
        elif "epochs" in part.config:  # the network on the raw signal reads the valid lengths too
            inputs.append(torch.full((1,), SAMPLES))
    operations, kept = _forward_pass(model, inputs)
    count = _count(model)
    # AdamW's state, and the activations twice: kept, and their gradients
    memory = TRAINED * count + 2 * kept * part.config["batch"]
    return count, count, memory, 3 * operations


def _price_language(part: Part, profile: dict, base: nn.Module) -> tuple[int, int, float, float]:
    """The same of a part that trains the language model's LoRA and a prefix."""
    with torch.device("meta"):
        trained = _count(part.model()) if part.model else 0
    trained += _lora_size(base, profile["language"]["lora"])
    size, config = _count(base), base.config
    prefix, reports, questions = part.tokens
    text = reports * REPORT + questions * QUESTION
    output = config.vocab_size * config.hidden_size  # the matrix that embeds and scores
    number = BYTES[profile["hardware"]["dtype"]]
    ecgs_at_once = -(-part.config["batch"] // part.config["parts"])
    kept = KEPT * number // 2 * config.num_hidden_layers * config.hidden_size * (prefix + text)
    logits = 3 * 4 * config.vocab_size * text  # scores, their float32 copy and its gradient
    memory = size * number + TRAINED * trained + ecgs_at_once * (kept + logits)
    operations = (4 * (size - output) + 6 * trained) * (prefix + text) + 4 * output * text
    return size + trained, trained, memory, operations


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _forward_pass(model: nn.Module, inputs: list[torch.Tensor]) -> tuple[int, int]:
    """Operations of a forward pass, and bytes of all layer outputs."""
    kept = 0

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal kept
        is_layer = isinstance(output, torch.Tensor) and not list(module.children())
        if torch.is_grad_enabled() and is_layer:  # codes are searched for without a graph
            kept += 4 * output.numel()

    model.requires_grad_(False)  # the counter asks for graphs that quantisers do not build
    handle = register_module_forward_hook(count)
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
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
