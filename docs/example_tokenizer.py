"""The example of docs/adding.md: means of windows of 40 ms, in equal steps of voltage.

bash run_all.sh study plugin --plugin docs/example_tokenizer.py
"""

import torch

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers import contract

SETTINGS = {"levels": 32, "hop": 10, "ecgs": 200}


class Tokenizer:
    """One code per lead and window: codes (B, T, 12) out of `levels`, from -span to span mV."""

    method = "window_means"

    def __init__(self, levels: int, hop: int, span: float):
        self.levels, self.hop, self.span = levels, hop, span
        self.step = 2 * span / (levels - 1)  # mV

    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """ECGs (B, 12, n) in mV -> codes (B, T, 12)."""
        contract.check_signals(x, SAMPLES)
        x = torch.nn.functional.pad(contract.mask_padding(x, n_valid), (0, SAMPLES - x.shape[2]))
        means = x.unflatten(2, (-1, self.hop)).mean(-1).transpose(1, 2)
        return ((means + self.span) / self.step).round().clamp(0, self.levels - 1).long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes -> ECGs (B, 12, 2500), constant in each window."""
        contract.check_codes(codes, self.levels)
        return (
            (codes * self.step - self.span).transpose(1, 2).repeat_interleave(self.hop, 2).float()
        )

    def features(self, codes: torch.Tensor, n_valid: torch.Tensor) -> contract.Features:
        """Codes -> the voltages (B, T, 12), and the windows with signal (B,)."""
        return (codes * self.step - self.span).float(), -(-n_valid // self.hop)

    def to_ids(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes -> integers (B, T * 12); each lead has its own range."""
        return contract.to_ids(codes, self.levels)

    def from_ids(self, ids: torch.Tensor) -> torch.Tensor:
        """The inverse of `to_ids`."""
        return contract.from_ids(ids, len(LEADS), self.levels)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of ten seconds."""
        return contract.uniform_rate(SAMPLES // self.hop, len(LEADS), self.levels)

    def to(self, device: str) -> "Tokenizer":
        """Itself; it computes wherever its input is."""
        return self

    @classmethod
    def from_saved(cls, config: dict, tensors: dict) -> "Tokenizer":
        """What `fit` saved."""
        return cls(**config)


def fit(out, inputs, config, seed, machine):
    """Step: the span of voltages from training ECGs.

    Inputs: cohort.

    Config:
        levels: codes per window and lead.
        hop: samples per window.
        ecgs: training ECGs that are read.
    """
    cohort = Cohort.open(inputs["cohort"])
    x = torch.from_numpy(cohort.signals(cohort.rows("tokenizer_train")[: config["ecgs"]]))
    span = x.abs().flatten().kthvalue(int(0.999 * x.numel())).values.item()
    sizes = {"levels": config["levels"], "hop": config["hop"], "span": span}
    contract.save_model({"span": torch.tensor([span])}, sizes | {"method": Tokenizer.method}, out)
