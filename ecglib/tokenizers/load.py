"""Load a saved tokenizer by its folder."""

from pathlib import Path

from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.contract import load_weights, read_config
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ


def load(folder: Path) -> LatentTokenizer | LeadwiseTokenizer:
    """The tokenizer that a training step saved in `folder`, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: `folder` holds no saved model.
        ValueError: its method is not one of ours.
    """
    config = read_config(folder)
    method = config.pop("method", None)
    if method == "fsq":
        tokenizer = LeadwiseTokenizer(**config)
    elif method in ("rvq", "qinco"):
        quantiser = (ResidualVQ if method == "rvq" else QINCo)(**config["quantiser"])
        tokenizer = LatentTokenizer(Autoencoder(**config["autoencoder"]), quantiser)
    else:
        raise ValueError(f"{folder}/config.json: method {method!r} is none of rvq, qinco, fsq")
    load_weights(tokenizer, folder)
    return tokenizer.eval()
