"""The base language model: prepared once as a plain folder, loaded frozen, wrapped in a LoRA."""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

if TYPE_CHECKING:
    from peft import PeftModel  # its import takes seconds, so functions that need it do it

# The `kernels` package would fetch code from the network and nothing here needs it. The message is
# logged when bitsandbytes is imported.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(
    lambda record: not record.getMessage().startswith("Failed to load CPU gemm_4bit_forward")
)
transformers_logging.disable_progress_bar()
# PEFT reads an attribute that transformers will rename.
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
KNOWN = {"kind": ("gguf", "folder"), "quantisation": ("none", "nf4")}
QUANTISATION_FILE = "quantisation.json"  # only in the folder of a base that is loaded in 4 bits


@dataclass(frozen=True)
class Base:
    """A frozen causal language model with its text tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def width(self) -> int:
        """d_llm, the size of an input embedding."""
        return self.model.config.hidden_size

    @property
    def eos(self) -> int:
        """The token that ends every answer."""
        return self.tokenizer.eos_token_id

    @property
    def begin(self) -> list[int]:
        """The tokens that its tokenizer puts in front of every text: `<|begin_of_text|>` of Llama,
        none of our small model and of SmolLM2."""
        return self.tokenizer("").input_ids

    @property
    def embedding_scale(self) -> float:
        """Root mean square of the token embeddings."""
        return float(self.model.get_input_embeddings().weight.float().square().mean().sqrt())

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def decode(self, ids: list[int]) -> str:
        """Generated token ids as text, without special tokens and outer blanks."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


def prepare(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: write the base model as safetensors and JSON.

    Config:
        kind: gguf (4-bit weights, dequantised) or folder (a model folder as published).
        file (optional): name of the GGUF file.
        quantisation (optional): none, or nf4: linear layers are loaded in 4 bits (QLoRA, Dettmers
            et al. 2023); none where absent.

    Inputs: asset (the model as fetched).

    Raises:
        ValueError: an unknown kind or quantisation.
        FileNotFoundError: the GGUF file is missing.
    """
    machine.configure_torch()
    kind, source, quantisation = config["kind"], inputs["asset"], config.get("quantisation", "none")
    for name, value in {"kind": kind, "quantisation": quantisation}.items():
        if value not in KNOWN[name]:
            known = ", ".join(KNOWN[name])
            raise ValueError(f"expected {name} {known} of the base, got {value!r}")
    if quantisation == "nf4":
        (out / QUANTISATION_FILE).write_text(json.dumps({"quantisation": quantisation}))
    file = {"gguf_file": config["file"]} if config.get("file") else {}
    if kind == "gguf" and not (source / config["file"]).exists():
        raise FileNotFoundError(f"{source / config['file']} is missing; fetch it with --prefetch")
    tokenizer = AutoTokenizer.from_pretrained(source, **file)
    if kind == "gguf":  # dequantised to float32 by transformers
        model = AutoModelForCausalLM.from_pretrained(source, **file, dtype=torch.float32)
        del model.config.quantization_config  # the weights are plain numbers from here on
        model.hf_quantizer, model.is_quantized = None, False
    else:
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
    # Saved in the dtype of later use: bfloat16 needs half the disk and loads faster.
    model.to(machine.torch_dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def load(folder: Path, machine: Machine) -> Base:
    """The prepared base, frozen, on the machine's device and in its dtype, or in 4 bits where it
    was prepared for them."""
    # On a CPU and at our lengths plain attention is faster: tests/benchmarks/attention_cpu.py.
    options = {"attn_implementation": "eager" if machine.device == "cpu" else "sdpa"}
    if (folder / QUANTISATION_FILE).exists():
        # 4-bit NormalFloat weights with doubly quantised scales
        nf4 = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=machine.torch_dtype,
        )
        options |= {"quantization_config": nf4, "device_map": {"": machine.device}}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=machine.torch_dtype, **options)
    model.requires_grad_(False)
    if "device_map" not in options:
        model.to(machine.device)
    return Base(model.eval(), AutoTokenizer.from_pretrained(folder))


def random_like(folder: Path, seed: int) -> PreTrainedModel:
    """The same architecture with random weights: the control for pretrained weights."""
    torch.manual_seed(sub_seed(seed, "random"))
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).eval()


def perplexity(model: PreTrainedModel, ids: list[int]) -> float:
    """exp of the mean next-token loss over a text; at least two tokens."""
    with torch.no_grad():
        tokens = torch.tensor([ids], device=model.device)
        return float(torch.exp(model(input_ids=tokens, labels=tokens).loss.float()))


def adapt(base: Base, config: dict, seed: int) -> "PreTrainedModel | PeftModel":
    """The model to be trained: with a fresh LoRA, or the base itself (`adapt`: lora or full).
    Raises ValueError: another word, or full of a base in 4 bits."""
    if config["adapt"] == "lora":
        return add_lora(base, config, seed)
    if config["adapt"] != "full":
        raise ValueError(f"expected adapt lora or full, got {config['adapt']!r}")
    if getattr(base.model, "is_quantized", False):
        raise ValueError("expected adapt lora for a base in 4 bits, which cannot learn, got full")
    return thaw(base.model)


def thaw(model: PreTrainedModel) -> PreTrainedModel:
    """All weights as float32, to be trained; the matrix products still run in the machine's dtype
    (`Machine.autocast`)."""
    return model.float().requires_grad_(True)


def add_lora(base: Base, config: dict, seed: int) -> "PeftModel":
    """Wrap the base in a fresh LoRA: `rank`, `alpha`, `targets` (Hu et al. 2021)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(sub_seed(seed, "lora"))
    sizes = {"r": config["rank"], "lora_alpha": config["alpha"], "lora_dropout": 0.0}
    targets = list(config["targets"])
    settings = LoraConfig(**sizes, target_modules=targets, bias="none", task_type="CAUSAL_LM")
    # LoRA weights stay float32 (PEFT's default). In evaluation mode a CPU would pack 4-bit weights
    # for inference, without gradients.
    return get_peft_model(base.model, settings).train()


def load_lora(base: Base, folder: Path, trainable: bool) -> "PeftModel":
    """Wrap the base in the LoRA that `save_adapted` wrote."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(base.model, folder / "lora", is_trainable=trainable)
    return model.train(trainable)


def four_bit_products() -> dict[object, Callable[..., int]]:
    """The operations of a product of an input (..., K) and a 4-bit weight (N, K), 2 M N K, by
    bitsandbytes' operator in trainings, for torch's `FlopCounterMode`, which does not know it.
    Empty where bitsandbytes is not imported, or has no such operator."""
    operator = getattr(torch.ops.bitsandbytes, "gemm_4bit", None)

    def operations(
        read: torch.Size, packed: torch.Size, weight: list[int], *_: object, **__: object
    ) -> int:
        return 2 * read.numel() * weight[0]

    return {operator: operations} if operator else {}


def save_adapted(base: Base, model: "PreTrainedModel | PeftModel", folder: Path) -> None:
    """Write `lora/` in PEFT's format (without its generated read-me and the folder of the base,
    which is a path of this machine), or `model/`, a whole model folder with the text tokenizer.
    Weights are in half precision, as they are published."""
    if isinstance(model, PreTrainedModel):
        model.half().save_pretrained(folder / "model")
        base.tokenizer.save_pretrained(folder / "model")
        return
    model.save_pretrained(folder / "lora", safe_serialization=True)
    (folder / "lora" / "README.md").unlink(missing_ok=True)
    place = folder / "lora" / "adapter_config.json"
    settings = json.loads(place.read_text("utf-8")) | {"base_model_name_or_path": None}
    place.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    weights = folder / "lora" / "adapter_model.safetensors"
    save_file({name: halved(part) for name, part in load_file(weights).items()}, weights)


def halved(part: torch.Tensor) -> torch.Tensor:
    """A weight on the CPU in half precision; integers as they are."""
    return part.detach().cpu().to(torch.float16 if part.is_floating_point() else part.dtype)
