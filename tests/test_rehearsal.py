"""The papers' profile with small numbers: its forms go through all nine notebooks, in bfloat16, on
files as those of MIMIC-IV-ECG, with a base model that is a folder."""

from pathlib import Path

import measure_machine
import pytest
from conftest import PATIENTS, REPO, smoke
from fake_sources import write_simulated_mimic
from test_language_prompt import begin_texts
from test_smoke import noise

from ecglib.run import profiles
from ecglib.run.context import Run
from ecglib.run.paths import Paths
from ecglib.training.device import Machine

RUN = "mimic-rehearsal"
SIZES = {"pieces": 512, "width": 32, "feed_forward": 64, "layers": 1, "heads": 4}
SIZES |= {"key_value_heads": 2}  # of the base model
SMALL = ("hardware", "studies")  # sections that say where and how long, not what


def forms(content: dict, prefix: str = "") -> dict:
    """All values that are neither numbers nor the name of a size, by their path."""
    listed = {}
    for key, value in content.items():
        if isinstance(value, dict):
            listed |= forms(value, f"{prefix}{key}.")
        elif isinstance(value, bool) or not (
            key == "size" or isinstance(value, int | float | list)
        ):
            listed[prefix + key] = value
    return listed


def test_a_rehearsal_changes_numbers_alone():
    paths = Paths(REPO, REPO / "artifacts", REPO)
    both = [profiles.load_profile(paths, name) for name in ("gpu", "rehearsal")]
    kept = [{k: v for k, v in one.items() if k not in SMALL} for one in both]
    assert forms(kept[0]) == forms(kept[1])
    vectors = [one["systems"]["ecg_tok"]["vectors"] for one in both]
    parts = [one["leadwise"]["model"]["strides"] for one in both]
    assert vectors == [1, 1] and parts[0] == parts[1]


@pytest.mark.slow
def test_the_forms_of_the_papers_profile_go_through_all_notebooks(tmp_path: Path):
    root, base, out = (tmp_path / name for name in ("mimic", "base", "out"))
    write_simulated_mimic(root, PATIENTS)
    texts = ["Sinus rhythm. Left axis deviation.", "Atrial fibrillation, age 63."]
    measure_machine.write_random(base, SIZES, texts, 0, Machine("cpu", "bfloat16", 1, "a test"))
    begin_texts(base)
    given = ("--data", "mimic", "--data-root", str(root), "--asset", f"llama32_1b={base}")
    smoke(out, tmp_path / "assets", *given, profile="rehearsal")
    pages = sorted((out / "reports" / RUN).glob("0[1-9]_*.md"))
    assert len(pages) == 9 and noise(pages) == []
    steps = {f"{path.parent.name}/{path.name}" for path in (out / "artifacts" / RUN).glob("*/*")}
    listed = Run("rehearsal", "mimic", 0, data_roots=[str(root)]).parts
    assert {f"{part.stage}/{part.name}" for part in listed.values()} <= steps
    # of patients no language model is kept beside the results: it could recite their reports
    kept = {path.name for path in (out / "reports" / RUN / "models").iterdir()}
    assert "qinco" in kept and not kept & {"ecg_tok", "heartllm", "ecg_byte", "base_llama32_1b"}
