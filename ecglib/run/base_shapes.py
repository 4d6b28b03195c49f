"""Shapes of the base language models, and a stand-in of any shape where the weights cannot travel.

The stand-in has random weights and a text tokenizer made in code, so that it needs no download.
Its speed and memory are those of the real model; its answers mean nothing.
"""

from collections.abc import Iterable
from pathlib import Path

from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

END = "<|im_end|>"

# From the models' published config.json.
SHAPES = {
    "smollm2": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
    "llama32_1b": {
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
}


def shape(language: dict) -> dict:
    """The Llama configuration that a profile's `language` section stands for.

    Raises:
        ValueError: the asset's shape is not known here.
    """
    if language["asset"] not in SHAPES:
        raise ValueError(
            f"the shape of asset {language['asset']!r} is unknown; add it to SHAPES in "
            "ecglib/run/base_shapes.py"
        )
    published = SHAPES[language["asset"]]
    base = language["base"]
    if base["kind"] != "config":
        return published
    return {
        "vocab_size": published["vocab_size"],
        "hidden_size": base["hidden"],
        "intermediate_size": 3 * base["hidden"],
        "num_hidden_layers": base["layers"],
        "num_attention_heads": base["heads"],
        "num_key_value_heads": base["heads"],
        "tie_word_embeddings": True,
    }


def text_tokenizer(texts: Iterable[str] = (), vocabulary: int = 1024):
    """A byte-level BPE tokenizer, trained on `texts`; without texts every byte is a token.

    The training makes reports about as many tokens long as with a real tokenizer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(list(texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=END
    )


def write_random(
    folder: Path, config: dict, texts: Iterable[str], seed: int, machine: Machine
) -> None:
    """Write a random model of the shape `config` (see `shape`) with its tokenizer into `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    tokenizer = text_tokenizer(texts, min(1024, config["vocab_size"]))
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    torch.manual_seed(sub_seed(seed, "random base"))
    model = AutoModelForCausalLM.from_config(LlamaConfig(**config, **ends))
    folder.mkdir(parents=True, exist_ok=True)
    model.to(machine.torch_dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
