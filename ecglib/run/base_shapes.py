"""Shapes of the base language models, and a stand-in of any shape where the weights cannot travel.

The stand-in has random weights and a text tokenizer made in code, so that it needs no download.
Its speed and memory are those of the real model; its answers mean nothing.
"""

from collections.abc import Iterable
from pathlib import Path

from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

END = "<|im_end|>"


def _llama(
    vocabulary: int, width: int, feed_forward: int, layers: int, heads: int, key_value_heads: int
) -> dict:
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": feed_forward,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "tie_word_embeddings": True,
    }


# From the models' published config.json.
SHAPES = {
    "smollm2": _llama(49152, 576, 1536, 30, 9, 3),
    "llama32_1b": _llama(128256, 2048, 8192, 16, 32, 8),
}


def shape(language: dict) -> dict:
    """The Llama configuration of the base model in a profile's `language` section. Raises
    ValueError: the asset's shape is not known here."""
    if language["asset"] not in SHAPES:
        raise ValueError(
            f"the shape of asset {language['asset']!r} is unknown; add it to SHAPES in "
            "ecglib/run/base_shapes.py"
        )
    published, base = SHAPES[language["asset"]], language["base"]
    if base["kind"] != "config":
        return published
    width, heads = base["hidden"], base["heads"]
    return _llama(published["vocab_size"], width, 3 * width, base["layers"], heads, heads)


def _text_tokenizer(texts: Iterable[str], vocabulary: int):
    """A byte-level BPE tokenizer; trained on reports, it makes them about as many tokens long as a
    real one does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(list(texts), trainer)
    special = dict.fromkeys(("eos_token", "bos_token", "pad_token"), END)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def write_random(
    folder: Path, config: dict, texts: Iterable[str], seed: int, machine: Machine
) -> None:
    """Write a random model of the shape `config` (see `shape`) with its tokenizer into `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    tokenizer = _text_tokenizer(texts, min(1024, config["vocab_size"]))
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    torch.manual_seed(sub_seed(seed, "random base"))
    model = AutoModelForCausalLM.from_config(LlamaConfig(**config, **ends))
    folder.mkdir(parents=True, exist_ok=True)
    model.to(machine.torch_dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
