"""What needs no notebook: the dry run's sizes, and the entry that measures a machine."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecglib.run import bases, dry_run, profiles, trainings
from ecglib.run.paths import Paths

REPO = Path(__file__).parents[1]
PATHS = Paths(REPO, REPO / "artifacts", REPO)


def number(text: str) -> float:
    return float(text.split()[0].replace(",", ""))


@pytest.fixture(scope="module")
def gpu() -> dict:
    return profiles.load_profile(PATHS, "gpu")


@pytest.mark.parametrize(
    ("profile", "parameters"), [("laptop", 134_515_008), ("gpu", 1_235_814_400)]
)
def test_base_models_have_their_published_size(profile, parameters):
    rows = dry_run.estimate(profiles.load_profile(PATHS, profile))
    base = next(row for row in rows if row["model"] == "base language model")
    assert number(base["parameters"]) == parameters


def test_lora_by_hand(gpu):
    """Llama-3.2-1B: q 2048 to 2048, k and v 2048 to 512, o 2048 to 2048, in 16 layers."""
    rank = gpu["language"]["lora"]["rank"]
    assert gpu["language"]["lora"]["targets"] == ["q_proj", "k_proj", "v_proj", "o_proj"]
    rows = {row["model"]: row for row in dry_run.estimate(gpu)}
    expected = 16 * rank * (4096 + 2560 + 2560 + 4096)
    assert number(rows["ECG-Tok, wording"]["trained"]) == expected


def test_hours_follow_steps_and_throughput(gpu):
    more = copy.deepcopy(gpu)
    more["instruction_tuning"]["training"]["steps"] *= 10
    more["hardware"]["tflops"] *= 2
    hours = [
        {row["model"]: number(row["hours"]) for row in dry_run.estimate(profile)}
        for profile in (gpu, more)
    ]
    before, after = (found["HeartLLM, tuning"] for found in hours)
    assert after == pytest.approx(5 * before, abs=0.06)


@pytest.mark.parametrize("name", ["smoke", "laptop", "gpu"])
def test_every_profile_can_be_estimated(name):
    rows = dry_run.estimate(profiles.load_profile(PATHS, name))
    assert len({row["model"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == list(rows[0])
        assert all(isinstance(value, str) for value in row.values())


def test_an_unknown_shape_is_named():
    with pytest.raises(ValueError, match="shape of asset 'gpt'"):
        bases.shape({"asset": "gpt", "base": {"kind": "folder"}})


def test_no_training_is_longer_than_the_cap(gpu):
    jobs = trainings.jobs(gpu, cap=7)
    assert {job.notebook for job in jobs} == {"02", "03", "04", "05", "06"}
    for job in jobs:
        if job.steps:
            assert job.config[job.steps] == 7
            assert job.config[job.batch] > 7
    made = ["cohort", "base", "questions"]
    for job in jobs:  # each reads only what was made before
        assert set(job.inputs.values()) <= set(made), job.name
        made.append(job.name)


def test_trainings_need_no_notebook_tools():
    """Its machine may lack them, and the readers of files as well."""
    code = "import json, sys; import ecglib.run.trainings; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"jupytext", "papermill", "nbformat", "wfdb", "matplotlib", "umap"}


@pytest.mark.slow
def test_trainings_on_the_smallest_profile(tmp_path):
    arguments = ["--out", str(tmp_path), "--profile", "smoke", "--patients", "40", "--steps", "1"]
    assert trainings.main([*arguments, "--compare-cpu", "1"]) == 0
    report = json.loads((tmp_path / "trainings.json").read_text())
    assert report["device"]
    stages = {row["stage"]: row for row in report["stages"]}
    for name in (
        "joint_rvq",
        "rvq",
        "qinco",
        "probe",
        "warm_adapter",
        "ecg_tok",
        "pretrained",
        "warmed_up",
        "tuned",
    ):
        for what in ("ecgs_per_second", "speed_up"):  # None: too short to be measured
            assert stages[name][what] is None or stages[name][what] > 0
    with pytest.raises(FileExistsError, match="is not empty"):
        trainings.main(arguments)


def test_a_base_that_is_none_is_named(tmp_path):
    arguments = ["--out", str(tmp_path / "out"), "--profile", "smoke", "--patients", "20"]
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        trainings.main([*arguments, "--base", str(tmp_path)])
