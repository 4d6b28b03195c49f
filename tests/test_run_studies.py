"""Studies: a tag that names one swaps the stages, and the command line knows them."""

from pathlib import Path

import pytest
import yaml

from ecglib.run import studies
from ecglib.run.__main__ import of_study
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.profiles import StageSpec

REPO = Path(__file__).parents[1]
FIRST = StageSpec("01", "01_make", ("make",), {}, (), ())
SECOND = StageSpec("02", "02_train", (), {"01": ["cohort"]}, (), ())
STAGES, PROFILE = {"01": FIRST, "02": SECOND}, {"make": {"n": 3}}
GOOD = {
    "after": ["01"],
    "sections": ["make"],
    "reads": {"01": ["cohort"]},
    "settings": {"seeds": [1, 2]},
}


def load(folder: Path, content: dict, tag: str = "study-mine") -> tuple[dict, dict]:
    """Stages and profile of a run with this tag, where the study `mine` has this content."""
    place = folder / "notebooks" / "studies"
    place.mkdir(parents=True)
    (place / "mine.yaml").write_text(yaml.safe_dump(content))
    (place / "mine.py").write_text("# %% [markdown]\n# # Is it so?\n")
    return studies.load(Paths(folder, folder / "artifacts", folder), tag, STAGES, PROFILE)


def test_a_study_runs_after_its_stages_with_its_settings(tmp_path: Path):
    stages, profile = load(tmp_path, GOOD)
    assert list(stages) == ["01", "study"] and stages["01"] is FIRST
    assert stages["study"].notebook == "studies/mine"
    assert stages["study"].sections == ("make", "study")
    assert stages["study"].declared_in == "notebooks/studies/mine.yaml"  # what errors name
    assert stages["01"].declared_in == "notebooks/stages.yaml"
    assert profile == {"make": {"n": 3}, "study": {"seeds": [1, 2]}}
    assert studies.title(Paths(tmp_path, tmp_path, tmp_path), "mine") == "Is it so?"


def test_another_tag_changes_nothing(tmp_path: Path):
    assert load(tmp_path, GOOD, "mine") == (STAGES, PROFILE)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"steps": 3}, "unknown key 'steps' in study mine.yaml"),
        ({"after": ["03"]}, "stage in `after` of study mine.yaml: '03'"),
        ({"reads": {"02": ["model"]}}, "earlier stage in `reads` of study mine.yaml: '02'"),
        ({"sections": ["train"]}, "section of study mine.yaml: 'train'"),
        ({"after": ["02"], "reads": {}}, "stage 02 reads stages that `after` does not name"),
    ],
)
def test_a_wrong_study_is_one_sentence(tmp_path: Path, change: dict, expected: str):
    with pytest.raises(RunError, match=expected):
        load(tmp_path, GOOD | change)


def test_an_unknown_study_is_one_sentence(tmp_path: Path):
    with pytest.raises(RunError, match="unknown study 'yours'; valid: mine"):
        load(tmp_path, GOOD, "study-yours")


def test_the_command_line_gives_a_study_its_tag():
    assert of_study(["--only", "02"]) == ["--only", "02"]
    words = of_study(["study", "tokenizers", "--profile", "smoke"])
    assert words == ["--profile", "smoke", "--tag", "study-tokenizers"]
    for wrong in (["study", "--check"], ["study", "tokenizers", "--tag", "x"]):
        with pytest.raises(RunError, match=r"study NAME \[options\]"):
            of_study(wrong)


@pytest.mark.parametrize("name", studies.names(Paths(REPO, REPO, REPO)))
def test_our_studies_are_well_formed(name: str):
    run = Run("laptop", "synthetic", 0, studies.PREFIX + name, [], [])
    assert list(run.stages)[-1] == "study" and run.notebook("study").is_file()
    assert run.command() == f"bash run_all.sh study {name}"
    assert run.command("--force", "study").endswith(f"study {name} --force study")
    assert all((REPO / file).is_file() for file in run.stages["study"].files)
