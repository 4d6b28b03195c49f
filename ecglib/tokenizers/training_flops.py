"""Floating-point operations of one training step, counted while it is done.

Products and convolutions count, forwards and backwards, each multiplication and each addition as
one operation; the search of the codewords is part of it. Element-wise work does not count.
"""

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.train import latent_loss


class OperationCount(TorchDispatchMode):
    """Adds up the operations of all products and convolutions inside the block, in `total`.

    torch's own `FlopCounterMode` follows the modules too, and fails where a module is called
    without gradients, as in QINCo's search.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Do one operation, and count it where it is a product or a convolution."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += int(count(*args, **kwargs, out_val=out))
        return out


def frozen_encoder_step(tokenizer: LatentTokenizer, cohort: Cohort, batch: int) -> int:
    """Operations of one step behind the frozen encoder on `batch` ECGs (`train_frozen_encoder`).
    The tokenizer is not changed: no update follows."""
    rows = cohort.rows("tokenizer_train")[:batch]
    x = torch.from_numpy(cohort.signals(rows))
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    tokenizer.autoencoder.freeze_encoder()
    with OperationCount() as counter:
        latent_loss(tokenizer, x, n_valid, commitment=0.25).backward()
    tokenizer.zero_grad(set_to_none=True)
    return counter.total
