"""A language model with more layers that starts as the same function.

The idea is that of Net2Net (Chen et al. 2016) and LLaMA Pro (Wu et al. 2024).

Each block is followed by copies of itself whose two output matrices are zero. A block adds to what
passes through it, so such a copy adds nothing until it is trained.
"""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from ecglib.training.device import Machine

BLOCK = "model.layers."
OUTPUTS = ("self_attn.o_proj.weight", "mlp.down_proj.weight")  # what a block adds


def grown(small: PreTrainedModel, times: int) -> PreTrainedModel:
    """A Llama of `times` as many layers, with the same outputs as `small`. Raises ValueError:
    `times` is below 1."""
    if times < 1:
        raise ValueError(f"expected times of 1 or more, got {times}")
    config = type(small.config)(**small.config.to_dict())
    config.num_hidden_layers = times * small.config.num_hidden_layers
    weights = {}
    for name, of in small.state_dict().items():
        if not name.startswith(BLOCK):
            weights[name] = of
            continue
        layer, _, part = name.removeprefix(BLOCK).partition(".")
        for copy in range(times):
            is_silent = copy > 0 and part in OUTPUTS
            number = times * int(layer) + copy
            weights[f"{BLOCK}{number}.{part}"] = torch.zeros_like(of) if is_silent else of.clone()
    large = AutoModelForCausalLM.from_config(config)
    large.load_state_dict(weights)
    return large.to(small.dtype)


def grow(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: a grown Llama as a plain model folder, in half precision as the small one.

    Config:
        times: as many layers as the base has.

    Inputs: base.

    Raises ValueError: the base is no Llama.
    """
    kind = AutoConfig.from_pretrained(inputs["base"]).model_type
    if kind != "llama":
        raise ValueError(f"{inputs['base']}: expected a model of the type llama, got {kind!r}")
    model = grown(AutoModelForCausalLM.from_pretrained(inputs["base"]), config["times"])
    model.half().save_pretrained(out)
    AutoTokenizer.from_pretrained(inputs["base"]).save_pretrained(out)
