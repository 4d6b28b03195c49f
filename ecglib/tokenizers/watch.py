"""Use of the codebooks and error of the reconstruction, at several times of a training."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecglib.tokenizers.autoencoder import mean_valid
from ecglib.tokenizers.latent import LatentTokenizer

RELEASED_BATCH = 16  # ECGs in which the released metric counts the distinct indices


class Watch:
    """Looks at a tokenizer while it learns; each look is a line of `use.csv`.

    Columns: step (updates so far), then those of `use_and_error`.

    Args:
        signals: (n, 12, samples) mV, the ECGs of every look.
        n_valid: (n,) samples with signal.
        every: updates between two looks.
        out: folder of the training.
    """

    def __init__(self, signals: torch.Tensor, n_valid: torch.Tensor, every: int, out: Path):
        self.signals, self.n_valid, self.every, self.out = signals, n_valid, every, out
        self.lines = out / "checkpoint" / "use"
        self.lines.mkdir(parents=True, exist_ok=True)

    def look(self, tokenizer: LatentTokenizer, step: int) -> None:
        """Write a line, where it is time for one, in a file that an interruption leaves."""
        if step % self.every == 0:
            self._write(tokenizer, step)

    def finish(self, tokenizer: LatentTokenizer, steps: int) -> None:
        """Look once more, after all updates; bring the lines together in `use.csv`."""
        self._write(tokenizer, steps)
        lines = [pd.read_csv(file) for file in sorted(self.lines.glob("*.csv"))]
        pd.concat(lines).to_csv(self.out / "use.csv", index=False)

    def _write(self, tokenizer: LatentTokenizer, step: int) -> None:
        device, training = next(tokenizer.parameters()).device, tokenizer.training
        tokenizer.eval()
        use = use_and_error(tokenizer, self.signals.to(device), self.n_valid.to(device))
        tokenizer.train(training)
        line = pd.DataFrame([{"step": step, **use}])
        line.to_csv(self.lines / f"{step:06d}.csv", index=False)


@torch.no_grad()
def use_and_error(
    tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor
) -> dict[str, float]:
    """Use and error of a tokenizer on ECGs.

    Args:
        tokenizer: with codebooks, in evaluation mode.
        x: (n, 12, samples) mV.
        n_valid: (n,) samples with signal.

    Returns:
        pooled_percent (the released figure: distinct indices of any codebook in a batch of 16
        ECGs, over the codewords of one), used_percent (codewords of all codebooks that any ECG
        uses), perplexity_share (perplexity over codewords, the lowest one) and error (L1, mV).
    """
    size, codes = tokenizer.quantiser.codewords, tokenizer.encode(x, n_valid)  # (n, T, S)
    pooled = [len(part.unique()) / size for part in codes.split(RELEASED_BATCH)]
    inside = codes[tokenizer.valid(n_valid)]  # (N, S)
    counts = np.stack([np.bincount(c, minlength=size) for c in inside.T.cpu().numpy()])
    share = counts / counts.sum(1, keepdims=True)
    entropy = -(share * np.log2(np.where(share > 0, share, 1.0))).sum(1)
    return {
        "pooled_percent": 100 * float(np.mean(pooled)),
        "used_percent": 100 * float((counts > 0).mean()),
        "perplexity_share": float((2**entropy / size).min()),
        "error": mean_valid((x - tokenizer.decode(codes)).abs(), n_valid).item(),
    }
