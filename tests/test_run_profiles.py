"""Profiles, data plans, stages and studies: ours are well formed, and wrong ones are refused."""

import resource
from pathlib import Path

import pytest
import yaml
from builds import raises

from ecglib.run import profiles, studies
from ecglib.run.__main__ import OPEN_FILES, allow_open_files, main, of_study
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths, run_name
from ecglib.run.profiles import StageSpec
from ecglib.training.part import GIVEN

PATHS = Paths.here()
TWO = "cohorts: {a: {source: ptbxl}, b: {source: mimic}}\n"
FIRST = StageSpec("01", "01_make", ("make",), {}, ())
SECOND = StageSpec("02", "02_train", (), {"01": ["cohort"]}, ())
STAGES, PROFILE = {"01": FIRST, "02": SECOND}, {"make": {"n": 3}}
STUDY = {"after": ["01"], "sections": ["make"], "reads": {"01": ["cohort"]}}
STUDY["settings"] = {"seeds": [1, 2]}


def write(folder: Path, name: str, content: str) -> Paths:
    """The paths of a project with the file notebooks/`name`."""
    path = folder / "notebooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return Paths(folder, folder / "artifacts", folder)


def load_plan(folder: Path, content: str) -> dict:
    """The plan `mine` with this content."""
    return profiles.load_plan(write(folder, "data/mine.yaml", content), "mine")


def load_study(
    folder: Path, content: dict, tag: str = "study-mine", **of_profile: dict
) -> tuple[dict, dict]:
    """Stages and profile of a run with this tag, where the study `mine` has this content."""
    write(folder, "studies/mine.py", "# %% [markdown]\n# # Is it so?\n")
    paths = write(folder, "studies/mine.yaml", yaml.safe_dump(content))
    return studies.load(paths, tag, STAGES, PROFILE | of_profile)


def test_the_limit_of_open_files_is_raised():
    """Each shard of an open cohort is an open file."""
    _, most = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, most))
    try:
        allow_open_files()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert limit == (OPEN_FILES if most == -1 else min(OPEN_FILES, most), most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_our_profiles_plans_and_stages(monkeypatch: pytest.MonkeyPatch):
    for name in ("ECGLIB_REPO", "ECGLIB_PACKAGE"):
        monkeypatch.delenv(name, raising=False)
    assets = {"gpu": ["llama32_1b"], "gpu_ptbxl": ["llama32_1b"], "laptop": [], "mini": []}
    assets |= {"rehearsal": assets["gpu"], "smoke": []}
    assert profiles.names(PATHS.notebooks / "profiles") == list(assets)
    for name, listed in assets.items():
        assert profiles.load_profile(PATHS, name)["hardware"]["disk_gb"] > 0
        run = Run(name, "synthetic", 0)
        assert run.asset_names(run.spec("04")) == listed
    plans = profiles.names(PATHS.notebooks / "data")
    assert {"synthetic", "synthetic_enriched", "ptbxl", "mimic"} <= set(plans)
    for name in plans:
        plan = profiles.load_plan(PATHS, name)
        assert {"tokenizer_train", "train", "test"} <= set(plan["roles"]), name
        assert profiles.is_simulated(plan) == name.startswith("synthetic"), name
    stages = profiles.load_stages(PATHS)
    assert list(stages) == [f"0{n}" for n in range(1, 10)]
    assert all(other < number for number, spec in stages.items() for other in spec.reads)
    assert set(stages["09"].reads) == set(list(stages)[:8])


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
        ("cohorts: {a: }\nroles: {train: [a]}", "cohort a of data plan mine.yaml must be a mapp"),
    ],
)
def test_a_wrong_plan_gives_one_sentence(tmp_path: Path, content: str, expected: str):
    with pytest.raises(RunError) as error:
        load_plan(tmp_path, content)
    text = str(error.value)
    assert expected in text
    assert not text.endswith(".") and "\n" not in text


def test_plans_names_and_commands_of_runs(tmp_path: Path):
    plan = load_plan(tmp_path, TWO + "roles: {train: [a], test: [], transfer: [b]}")
    assert plan["roles"] == {"train": ["a"], "test": [], "transfer": ["b"]}  # one may be empty
    assert not profiles.is_simulated({"cohorts": {"a": {}, "b": {"source": "ptbxl"}}})
    assert profiles.is_simulated({"cohorts": {"a": {}}})  # the default source
    assert run_name("synthetic", "laptop") == "synthetic-laptop"
    assert run_name("ptbxl", "laptop", "mini") == "ptbxl-laptop-mini"
    laptop, tagged = Run("laptop", "synthetic", 0), Run("smoke", "synthetic", 3, "a", [])
    assert laptop.command("--only", "02") == "bash run_all.sh --only 02"
    assert tagged.command() == "bash run_all.sh --profile smoke --tag a --seed 3"


def test_a_study_runs_after_its_stages_and_a_wrong_one_is_one_sentence(
    tmp_path: Path,
):
    stages, profile = load_study(tmp_path, STUDY)
    assert list(stages) == ["01", "study"] and stages["01"] is FIRST
    assert stages["study"].notebook == "studies/mine"
    assert stages["study"].sections == ("make", "study")
    assert stages["study"].declared_in == "notebooks/studies/mine.yaml"  # what errors name
    assert stages["01"].declared_in == "notebooks/stages.yaml"
    assert profile == {"make": {"n": 3}, "study": {"seeds": [1, 2]}}
    assert studies.title(Paths(tmp_path, tmp_path, tmp_path), "mine") == "Is it so?"
    assert load_study(tmp_path, STUDY, "mine") == (STAGES, PROFILE), "no tag of a study"
    for change, expected in (
        ({"steps": 3}, "unknown key 'steps' in study mine.yaml"),
        ({"after": ["03"]}, "stage in `after` of study mine.yaml: '03'"),
        ({"reads": {"03": ["model"]}}, "earlier stage in `reads` of study mine.yaml: '03'"),
        ({"beside": ["03"]}, "earlier stage in `beside` of study mine.yaml: '03'"),
        ({"sections": ["train"]}, "section of study mine.yaml: 'train'"),
        ({"after": ["02"], "reads": {}}, "stage 02 reads stages that `after` does not name"),
    ):
        raises(RunError, expected, load_study, tmp_path, STUDY | change)
    for given, expected in (
        ({"yours": {}}, "unknown key 'yours' in section studies of the profile"),
        ({"mine": {"x": 1}}, "unknown key 'x' in section studies.mine of the profile"),
    ):
        raises(RunError, expected, load_study, tmp_path, STUDY, studies=given)
    _, smaller = load_study(tmp_path, STUDY, studies={"mine": {"seeds": [1]}})
    assert smaller["study"] == {"seeds": [1]}
    with pytest.raises(RunError, match="unknown study 'yours'; valid: mine"):
        load_study(tmp_path, STUDY, "study-yours")


def test_a_profile_changes_keys_of_a_studys_systems(tmp_path: Path):
    content = STUDY | {"systems": {"test": {"kind": "x", "alpha": 64}}}
    _, as_written = load_study(tmp_path, content)
    assert as_written["systems"] == {"test": {"kind": "x", "alpha": 64, "notebook": "study"}}
    change = {"mine": {"seeds": [1], "systems": {"test": {"alpha": 16}}}}
    _, changed = load_study(tmp_path, content, studies=change)
    assert changed["systems"] == {"test": {"kind": "x", "alpha": 16, "notebook": "study"}}
    assert changed["study"] == {"seeds": [1]}
    wrong, message = (
        {"mine": {"systems": {"yours": {}}}},
        "unknown key 'yours' in `systems` in sect",
    )
    raises(RunError, message, load_study, tmp_path, content, studies=wrong)


@pytest.mark.parametrize("profile", profiles.names(PATHS.notebooks / "profiles"))
def test_what_a_stage_reads_and_keeps_is_made_in_every_profile(profile: str):
    """The base model has another name in each."""
    run = Run(profile, "synthetic", 0)
    known = run.parts.keys() | GIVEN
    for spec in run.stages.values():
        named = {step for of in spec.reads.values() if of != "*" for step in of}
        assert named | set(spec.models) <= known, spec.notebook
    large = ("gpu", "gpu_ptbxl", "rehearsal")
    for name in studies.names(PATHS):
        if profile not in large or name != "decoder_size":  # which varies the small model
            run = Run(profile, "synthetic", 0, f"study-{name}")
            assert run.asset_names(run.spec("study")) is not None


def test_the_command_line_gives_a_study_its_tag():
    assert of_study(["--only", "02"]) == [["--only", "02"]]
    words = of_study(["study", "utilisation", "rates", "--profile", "smoke"])
    smoke = ["--profile", "smoke", "--tag"]
    assert words == [[*smoke, "study-utilisation"], [*smoke, "study-rates"]]
    raises(RunError, "lab opens one study", main, ["lab", "study", "utilisation", "rates"])
    for wrong in (["study", "--check"], ["study", "rates", "--tag", "x"]):
        raises(RunError, r"study NAME \[options\]", of_study, wrong)
    raises(RunError, "lab opens a whole, finished run", main, ["lab", "--only", "02"])
    for name in studies.names(PATHS):  # ours are well formed
        assert Run("smoke", "synthetic", 0, studies.PREFIX + name, [], []).stages
        run = Run("laptop", "synthetic", 0, studies.PREFIX + name, [], [])
        assert list(run.stages)[-1] == "study" and run.notebook("study").is_file()
        assert run.command() == f"bash run_all.sh study {name}"
        assert run.command("--force", "study").endswith(f"study {name} --force study")
        assert all((PATHS.repo / file).is_file() for file in run.stages["study"].files)


def test_a_profile_that_extends_another_names_what_differs(tmp_path: Path):
    laptop = {
        "train": {"steps": 5, "sizes": {"a": 1, "b": [1, 2]}},
        "systems": {"x": {"kind": "k", "size": 4}},
    }
    write(tmp_path, "profiles/laptop.yaml", yaml.safe_dump(laptop))

    def loaded(**changes: object) -> dict:
        content = {"extends": "laptop"} | changes
        return profiles.load_profile(
            write(tmp_path, "profiles/mine.yaml", yaml.safe_dump(content)), "mine"
        )

    changed = loaded(train={"sizes": {"b": [3]}}, systems={"x": {"steps": 7}, "y": {"kind": "l"}})
    assert changed["train"] == {"steps": 5, "sizes": {"a": 1, "b": [3]}}
    x = {"kind": "k", "size": 4, "steps": 7}
    assert changed["systems"] == {"x": x, "y": {"kind": "l"}}
    write(tmp_path, "profiles/yours.yaml", "extends: mine\ntrain: {steps: 9}\n")
    yours = profiles.load_profile(Paths(tmp_path, tmp_path, tmp_path), "yours")
    assert yours["train"] == {"steps": 9, "sizes": {"a": 1, "b": [3]}}
    loaded(systems={"y": {"kind": "l", "size": "of another kind, whose key it is"}})
    for changes, expected in (
        ({"trian": {}}, "unknown key 'trian' in profile mine.yaml"),
        ({"train": {"stpes": 1}}, "unknown key 'train.stpes' in section train of profile mine"),
        ({"train": {"steps": "2e-3"}}, "write 2e-3 as 2.0e-3"),
        ({"systems": {"x": {"rate": "2e-3"}}}, "write 2e-3 as 2.0e-3"),
        ({"train": {"steps": -1}}, "train.steps in profile mine.yaml is -1; expected numbers of"),
        ({"systems": {"x": {"widths": [8, float("nan")]}}}, "expected numbers of at least 0"),
        (
            {"systems": {"x": {"size": "3"}}},
            "systems.x.size in profile mine.yaml is '3'; expected a int",
        ),
        ({"systems": {"y": {"kind": "k", "size": None}}}, "is None; expected a int like 4"),
        ({"systems": {"y": 3}}, "systems.y in profile mine.yaml is 3; expected a dict"),
        ({"train": {"sizes": {"b": ["x"]}}}, "is .'x'.; expected numbers like .1, 2."),
        ({"extends": "desktop"}, "unknown profile 'desktop'"),
        ({"extends": "mine"}, "profile mine.yaml extends itself"),
    ):
        raises(RunError, expected, loaded, **changes)
