"""Load a saved tokenizer by its folder."""

from pathlib import Path

from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.contract import load_weights, read_config
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

QUANTISERS = {"vq": VQ, "rvq": ResidualVQ, "qinco": QINCo, "fsq": FSQ}


def load(folder: Path) -> LatentTokenizer | LeadwiseTokenizer | BPETokenizer:
    """The tokenizer that a training step saved in `folder`, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: `folder` holds no saved model.
        ValueError: its method is not one of ours, or its files are damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    method = config.pop("method", None)
    if method == "bpe":
        return BPETokenizer.open(folder)
    if method not in QUANTISERS:
        known = ", ".join((*QUANTISERS, "bpe"))
        raise ValueError(f"{folder}/config.json: method {method!r} is none of {known}")
    try:
        if method == "fsq" and "autoencoder" not in config:  # HeartLLM's own encoder
            tokenizer = LeadwiseTokenizer(**config)
        else:
            quantiser = QUANTISERS[method](**config["quantiser"])
            autoencoder = Autoencoder(**config["autoencoder"])
            tokenizer = LatentTokenizer(autoencoder, quantiser, config.get("axis", "time"))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder}/config.json does not describe a {method} tokenizer ({error}); train it again"
        ) from error
    load_weights(tokenizer, folder)
    return tokenizer.eval()
