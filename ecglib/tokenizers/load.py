"""A saved tokenizer of any kind from its folder."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ecglib.tokenizers import plugin
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.latent import LatentTokenizer, PcaRVQ
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.strided_autoencoder import StridedAutoencoder
from ecglib.tokenizers.vq import VQ

QUANTISERS = {"vq": VQ, "rvq": ResidualVQ, "qinco": QINCo}
LATENT = QUANTISERS | {"pca_rvq": ResidualVQ}
AUTOENCODERS = {"pca": Autoencoder, "strided": StridedAutoencoder}
Tokenizer = LatentTokenizer | LeadwiseTokenizer | BPETokenizer


def load(folder: Path) -> Tokenizer:
    """The tokenizer that a training step saved in `folder`, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: `folder` holds no saved tokenizer.
        ValueError: its method is unknown, or its files are damaged.
    """
    folder = Path(folder)
    config, tensors = _read(folder)
    method = config.pop("method", None)
    if method not in (*LATENT, "fsq", "bpe"):
        outside = plugin.part("Tokenizer")
        if outside is not None and outside.method == method:
            return outside.from_saved(config, tensors)
        known = ", ".join((*LATENT, "fsq", "bpe"))
        text = f"{folder}/config.json: expected a method out of {known}, got {method!r}"
        raise ValueError(f"{text}; train the tokenizer again")
    try:
        if method == "bpe":
            return BPETokenizer.from_saved(config, tensors)
        if method == "fsq":
            tokenizer = LeadwiseTokenizer(**config)
        else:
            quantiser = LATENT[method](**config["quantiser"])
            wrap = PcaRVQ if method == "pca_rvq" else LatentTokenizer
            autoencoder = make_autoencoder(config["autoencoder"])
            tokenizer = wrap(autoencoder, quantiser, config.get("axis", "time"))
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        text = f"{folder}/config.json does not describe a {method} tokenizer ({reason})"
        raise ValueError(f"{text}; train it again") from error
    try:
        tokenizer.load_state_dict(tensors)
    except RuntimeError as error:
        raise _damaged(folder / "model.safetensors", error) from error
    return tokenizer.eval()


def make_autoencoder(config: dict) -> Autoencoder | StridedAutoencoder:
    """An untrained autoencoder of the `kind` that the config names. Raises KeyError: another."""
    return AUTOENCODERS[config["kind"]](**{k: v for k, v in config.items() if k != "kind"})


def _read(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The content of `config.json` and of `model.safetensors`."""
    for path in (folder / "config.json", folder / "model.safetensors"):
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; give a folder that a training step wrote")
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(config, dict):
        raise _damaged(path, "it holds no mapping")
    path = folder / "model.safetensors"
    try:
        return config, load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: object) -> ValueError:
    return ValueError(f"{path} is damaged ({str(reason).splitlines()[0]}); train it again")
