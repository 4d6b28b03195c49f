"""What a system reads in words: a line about the patient, an instruction, and what is asked.

    Age 63, male, height unknown, weight 80 kg.     once per ECG, in front of it
    Report of site A:                               an instruction and what is asked, behind it

The line is HeartLLM's table of patient data. It is the same for every system, so that one control
without the ECG knows as much about the patient as any of them.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

FILE = "prompt.json"
SEXES = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class Prompt:
    """Which words a system reads.

    Args:
        patient: age, sex, height and weight; what is unknown is called so.
        instruction: what to do; without it, a report is asked for by the site alone, because the
            site decides the wording, and a question stands alone.
    """

    patient: bool = True
    instruction: bool = True

    def line(self, record: pd.Series) -> str:
        """The patient of a record, with a line break at the end; empty without `patient`."""
        if not self.patient:
            return ""
        numbers = [("age", ""), ("height", " cm"), ("weight", " kg")]
        age, *size = (_number(name, record[name], unit) for name, unit in numbers)
        sex = SEXES.get(record["sex"], "sex unknown")
        return ", ".join([age.capitalize(), sex, *size]) + ".\n"

    def report(self, site: str) -> str:
        """What asks for a report."""
        return f"Report of site {site}:" if self.instruction else f"{site}:"

    def question(self, question: str) -> str:
        """What asks a question."""
        return f"Answer about this ECG. {question}" if self.instruction else question

    def save(self, folder: Path) -> None:
        """Write `prompt.json`."""
        (folder / FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def of(cls, folder: Path) -> "Prompt":
        """That of a trained system."""
        return cls(**json.loads((folder / FILE).read_text()))


def _number(name: str, value: float, unit: str) -> str:
    return f"{name} unknown" if math.isnan(value) else f"{name} {value:.0f}{unit}"
