"""The base language model: prepared once as a plain folder, loaded frozen ever after."""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

transformers_logging.disable_progress_bar()


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

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self.tokenizer(text, add_special_tokens=False).input_ids


def _from_gguf(folder: Path, file: str) -> PreTrainedModel:
    """Dequantise a GGUF file to float32 (transformers does the arithmetic)."""
    if not (folder / file).exists():
        raise FileNotFoundError(f"{folder / file} is missing; fetch it with --prefetch")
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    del model.config.quantization_config  # the weights are plain numbers from here on
    model.hf_quantizer = None
    model.is_quantized = False
    return model


def _from_config(vocabulary: int, config: dict, eos: int, seed: int) -> PreTrainedModel:
    """A small Llama with random weights, for runs that test the machinery and not the model."""
    torch.manual_seed(sub_seed(seed, "tiny"))
    return AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=config["hidden"],
            intermediate_size=3 * config["hidden"],
            num_hidden_layers=config["layers"],
            num_attention_heads=config["heads"],
            num_key_value_heads=config["heads"],
            tie_word_embeddings=True,
            eos_token_id=eos,
            pad_token_id=eos,
        )
    )


def prepare(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: write the base model as safetensors and JSON; inputs: `asset`.

    `config["kind"]`: `gguf` (4-bit weights in `config["file"]`, dequantised), `folder` (a model
    folder as published), or `config` (random weights of `hidden`, `layers`, `heads`, with the text
    tokenizer of the asset).
    """
    machine.configure_torch()
    kind, source = config["kind"], inputs["asset"]
    if kind not in ("gguf", "folder", "config"):
        raise ValueError(f"language.kind is {kind!r}; use gguf, folder or config")
    file = {"gguf_file": config["file"]} if config.get("file") else {}
    tokenizer = AutoTokenizer.from_pretrained(source, **file)
    if kind == "gguf":
        model = _from_gguf(source, config["file"])
    elif kind == "folder":
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
    else:
        model = _from_config(len(tokenizer), config, tokenizer.eos_token_id, seed)
    # Written in the format it will be used in: half the disk for bfloat16, and quick to load.
    model.to(machine.torch_dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def load(folder: Path, machine: Machine) -> Base:
    """The prepared base, frozen, on the machine's device and in its format."""
    # On a CPU and at our lengths plain attention is quicker: tests/benchmarks/attention_cpu.py.
    attention = "eager" if machine.device == "cpu" else "sdpa"
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=machine.torch_dtype, attn_implementation=attention
    )
    model.requires_grad_(False)
    return Base(model.to(machine.device).eval(), AutoTokenizer.from_pretrained(folder))


def random_like(folder: Path, seed: int) -> PreTrainedModel:
    """The same architecture with random weights: the control that shows pretraining is in use."""
    torch.manual_seed(sub_seed(seed, "random"))
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).eval()


def perplexity(model: PreTrainedModel, ids: list[int]) -> float:
    """exp of the mean next-token loss over a text; at least two tokens."""
    with torch.no_grad():
        tokens = torch.tensor([ids], device=model.device)
        return float(torch.exp(model(input_ids=tokens, labels=tokens).loss.float()))


def add_lora(base: Base, config: dict, seed: int) -> PeftModel:
    """Wrap the base in a fresh LoRA: `rank`, `alpha`, `targets` (Hu et al. 2021)."""
    torch.manual_seed(sub_seed(seed, "lora"))
    settings = LoraConfig(
        r=config["rank"],
        lora_alpha=config["alpha"],
        lora_dropout=0.0,
        target_modules=list(config["targets"]),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base.model, settings)  # LoRA weights stay float32 (PEFT's default)


def load_lora(base: Base, folder: Path, trainable: bool) -> PeftModel:
    """Wrap the base in a saved PEFT adapter."""
    return PeftModel.from_pretrained(base.model, folder, is_trainable=trainable)
