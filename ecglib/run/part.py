"""A part of the pipeline that costs something: one step of a notebook, and what it trains."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

GIVEN = {"cohort": "01/cohort", "base": "04/base", "questions": "06/questions"}  # cost no training


@dataclass(frozen=True)
class Part:
    """One step of a notebook.

    Attributes:
        id: notebook and name, as in `02/joint_vq`.
        reads: the inputs, each as `label=part`; those of GIVEN by their label alone.
        model: builds what is trained beside the LoRA. A small model maps ECGs, or latents where
            the part reads codes. None where nothing is trained, or the LoRA alone.
        tokens: of a training of the language model, per ECG: prefix positions, reports, questions.
        like: the part with the same cost per step. It is priced with that one and not measured.
    """

    id: str
    fn: Callable
    config: dict
    reads: str
    model: Callable[[], nn.Module] | None = None
    tokens: tuple[int, int, int] | None = None
    like: str = ""

    @property
    def inputs(self) -> dict[str, str]:
        """The id of the part (or of GIVEN) behind each input label."""
        pairs = (word.partition("=") for word in self.reads.split())
        return {label: part or GIVEN[label] for label, _, part in pairs}

    @property
    def trains(self) -> bool:
        """Whether the part has updates to count."""
        return "steps" in self.config or "epochs" in self.config

    def steps(self, ecgs: int) -> int:
        """Updates of the training; `ecgs`: of the training patients, for parts with epochs."""
        if "steps" in self.config:
            return self.config["steps"]
        return self.config["epochs"] * -(-ecgs // self.config["batch"])
