"""The project's own profiles, data plans and stages are well formed."""

from pathlib import Path

import pytest

from ecglib.run import profiles
from ecglib.run.context import Run
from ecglib.run.paths import Paths, run_name

REPO = Path(__file__).parents[1]


@pytest.fixture
def paths() -> Paths:
    return Paths(REPO, REPO / "artifacts", REPO)


def test_three_profiles_with_the_same_keys(paths: Paths):
    names = profiles.names(REPO / "notebooks" / "profiles")
    assert names == ["gpu", "laptop", "smoke"]
    for name in names:
        assert profiles.load_profile(paths, name)["hardware"]["disk_gb"] > 0


def test_data_plans(paths: Paths):
    assert {"synthetic", "ptbxl", "mimic"} <= set(profiles.names(REPO / "notebooks" / "data"))
    for name in profiles.names(REPO / "notebooks" / "data"):
        plan = profiles.load_plan(paths, name)
        assert {"tokenizer_train", "train", "test"} <= set(plan["roles"])


def test_nine_stages_that_read_earlier_ones(paths: Paths):
    stages = profiles.load_stages(paths)
    assert list(stages) == [f"0{n}" for n in range(1, 10)]
    for number, spec in stages.items():
        assert all(other < number for other in spec.reads)
    assert set(stages["09"].reads) == set(list(stages)[:8])


def test_assets_of_the_profiles(monkeypatch: pytest.MonkeyPatch):
    for name in ("ECGLIB_REPO", "ECGLIB_PACKAGE"):
        monkeypatch.delenv(name, raising=False)
    for profile, asset in [("smoke", "smollm2"), ("laptop", "smollm2"), ("gpu", "llama32_1b")]:
        run = Run(profile, "synthetic", 0)
        assert run.asset_names(run.spec("04")) == [asset]


def test_run_names():
    assert run_name("synthetic", "laptop") == "synthetic-laptop"
    assert run_name("ptbxl", "laptop", "mini") == "ptbxl-laptop-mini"


def test_command_repeats_what_makes_a_run():
    run = Run("laptop", "synthetic", 0)
    assert run.command("--only", "02") == "bash run_all.sh --only 02"
    run = Run("smoke", "synthetic", 3, "a", [])
    assert run.command() == "bash run_all.sh --profile smoke --tag a --seed 3"
