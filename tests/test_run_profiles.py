"""The project's own profiles, data plans and stages are well formed."""

from pathlib import Path

import pytest

from ecglib.run import profiles
from ecglib.run.context import Run
from ecglib.run.errors import RunError
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


def load(folder: Path, content: str) -> dict:
    """The plan `mine` with this content, as load_plan gives it."""
    data = folder / "notebooks" / "data"
    data.mkdir(parents=True)
    (data / "mine.yaml").write_text(content, encoding="utf-8")
    return profiles.load_plan(Paths(folder, folder / "artifacts", folder), "mine")


TWO = "cohorts: {a: {source: ptbxl}, b: {source: mimic}}\n"


def test_a_role_may_be_empty_or_left_out(tmp_path: Path):
    plan = load(tmp_path, TWO + "roles: {train: [a], test: [], transfer: [b]}")
    assert plan["roles"] == {"train": ["a"], "test": [], "transfer": ["b"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TWO + "roles: {train: a}", "role train of data plan mine.yaml is 'a'; write a list"),
        (TWO + "roles: {train: [a], test: }", "role test of data plan mine.yaml is None; write"),
        (TWO + "roles: {train: {a: 1}}", "is {'a': 1}; write a list of cohort names, like [a]"),
        (TWO + "roles: {train: [1]}", "is [1]; write a list of cohort names"),
        (TWO + "roles: {train: [c]}", "cohort in role train of data plan mine.yaml: 'c'; valid: a"),
        (TWO + "roles: {train: [a], transfer: [b, a]}", "cohort a of data plan mine.yaml has the"),
        (TWO + "roles: {transfer: [b], train: [a], tokenizer_train: [a, b]}", "tokenizer_train;"),
        (TWO + "roles: {test: [a]}", "data plan mine.yaml lacks the role train"),
        (TWO, "data plan mine.yaml needs a mapping `roles`"),
        (TWO + "roles: [a]", "data plan mine.yaml needs a mapping `roles`"),
        ("roles: {train: [a]}", "data plan mine.yaml needs a mapping `cohorts`"),
        ("cohorts: {}\nroles: {train: []}", "data plan mine.yaml needs a mapping `cohorts`"),
        ("cohorts: [a]\nroles: {train: [a]}", "data plan mine.yaml needs a mapping `cohorts`"),
        ("cohorts: {a: }\nroles: {train: [a]}", "cohort a of data plan mine.yaml must be a mapp"),
    ],
)
def test_a_wrong_plan_gives_one_sentence(tmp_path: Path, content: str, expected: str):
    with pytest.raises(RunError) as error:
        load(tmp_path, content)
    text = str(error.value)
    assert expected in text
    assert not text.endswith(".") and "\n" not in text


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
