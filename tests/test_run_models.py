"""The committed models open, as the README says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ecglib.run import manifest
from ecglib.run.profiles import read_yaml
from ecglib.tokenizers.load import load

REPO = Path(__file__).resolve().parents[1]
MODELS = REPO / "reports" / "synthetic-laptop" / "models"
LISTED = [
    one["models"] for one in read_yaml(REPO / "notebooks/stages.yaml").values() if "models" in one
]


def test_the_lines_of_the_readme_work_in_a_clone(monkeypatch):
    code = re.search(r"```python\n(.*?)```", (REPO / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(REPO)
    snippet: dict = {}
    exec(compile(code, "README.md", "exec"), snippet)
    assert snippet["codes"].shape == (1, 79, 16) and snippet["again"].shape == (1, 12, 2500)
    assert (snippet["again"] - snippet["ecg"]).abs().mean() < 0.03  # mV
    tokenizer = snippet["tokenizer"]
    silence = tokenizer.decode(tokenizer.encode(torch.zeros(1, 12, 2500)))
    assert silence.abs().max() < 0.02  # mV: silence stays nearly silent


@pytest.mark.parametrize("name", LISTED[0])
def test_a_committed_tokenizer_opens(name):
    rate = load(MODELS / name).rate()
    assert rate.bits_per_ecg > 500


def test_every_committed_model_has_a_card_and_weights():
    names = [name for listed in LISTED for name in listed]
    assert sorted(names) == sorted(path.name for path in MODELS.iterdir())
    whole = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())
    assert whole < 34e6
    for name in names:
        card = json.loads((MODELS / name / "card.json").read_text())
        assert len(card["key"]) == 64 and card["config"] and card["function"].startswith("ecglib.")
        files = {Path(file).name for file in manifest.contents(MODELS / name)}
        assert "card.json" in files and not any(file.endswith(".parquet") for file in files)
        assert files & {"model.safetensors", "adapter_model.safetensors"}


def test_committed_models_repeat_committed_predictions():
    """In a process of its own, on ten test ECGs: scores within 0.01, nine of ten reports equal."""
    script = [sys.executable, str(REPO / "tests" / "repeat_predictions.py"), str(MODELS.parent)]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    repeated = json.loads(printed.splitlines()[-1])
    assert max(repeated["largest difference of a score"].values()) < 0.01
    assert min(repeated["share of equal reports"].values()) >= 0.9
