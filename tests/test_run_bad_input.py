"""Bad input gets one clear sentence and a non-zero exit."""

import shutil
from pathlib import Path

import pytest
from toy import Toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("bad") / "toy")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--profile", "huge"], "unknown profile 'huge'; valid: laptop"),
        (["--data", "moon"], "unknown data plan 'moon'; valid: real, synthetic"),
        (["--only", "12"], "unknown notebook '12'; valid: 01, 02, 03"),
        (["--from", "4"], "unknown notebook '4'"),
        (["--force", "12"], "unknown notebook '12'"),
        (["--force", "01", "--only", "02"], "leaves this notebook out"),
        (["--tag", "a/b"], "tag 'a/b' may hold only"),
        (["--seed", "-1"], "expected --seed from 0 to 4294967295, got -1"),
        (["--asset", "llama9=x"], "unknown asset 'llama9'; valid: ecg_qa, llama32_1b, "),
        (["bench", "speed"], "unknown benchmark 'speed'"),
        (["--data", "real"], "reads the cohort cohort from a folder laid out like the release"),
        (["--data", "real", "--data-root", "nowhere"], "nowhere is not a folder"),
        (["--data", "real", "--data-root", "notebooks"], "holds no list.csv"),
        (["--data", "real", "--data-root", ""], "--data-root '' names no folder"),
        (["--data", "real", "--data-root", "cohort="], "names no folder; is a variable in it"),
        (["--data", "real", "--data-root", "a:b"], "a:b holds ':', with which folders"),
        (["--asset", "llama32_1b="], "--asset 'llama32_1b=' must be NAME=FOLDER"),
        (["--data-root", "notebooks"], "data plan synthetic reads 0 folders: leave out"),
        (["--check", "--force", "12"], "unknown notebook '12'"),
        (["--dry-run", "--only", "02"], "--dry-run counts a whole run; leave out --from, --only"),
        (["--only", ""], "--from or --only names no notebook; is a variable in it unset?"),
        (["study", ""], "write `study NAME [options]`"),
        (["redraw", "none"], "run none cannot be drawn again; those that can: none"),
        (
            ["--only", "02", "--tag", "x", "--seed", "3"],
            "make it with: bash run_all.sh --tag x --seed 3 --only 01",
        ),
    ],
)
def test_options(toy: Toy, options: list[str], expected: str):
    assert expected in toy.refused(*options)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("profiles/laptop.yaml", "disk_gb: 0.001", "disk_gb: 10000000", "free some, or set ECGLIB"),
        ("stages.yaml", "sections: [make]", "sections: [mako]", "'mako'; valid: hardware, make"),
        ("stages.yaml", "reads: {", "eats: {", "unknown key 'eats' in stage 02 of stages.yaml"),
        ("data/synthetic.yaml", "train: [cohort]", "train: [x]", "'x'; valid: cohort"),
        ("data/synthetic.yaml", "roles:", "rolls:", "unknown key 'rolls' in data plan synthetic"),
        ("profiles/laptop.yaml", "{n: 3}", "{n: 3", "laptop.yaml is not valid YAML"),
        ("profiles/smoke.yaml", "{steps: 5}", "{steps: 5, x: 6}", "unknown key 'train.x' in"),
        ("profiles/smoke.yaml", "{steps: 5}", "{}", "lacks the key 'train.steps'"),
        ("profiles/smoke.yaml", "steps: 5", "steps: many", "train.steps in profile smoke.yaml is"),
        ("profiles/smoke.yaml", "steps: 5", "steps: 2e3", "write 2e3 as 2000"),
        ("profiles/smoke.yaml", "other:", "more: 1\nother:", "unknown key 'more' in profile smoke"),
        ("01_make.py", 'tag = ""\n', 'label = ""\n', "'tag'; valid: data, label, profile, seed"),
    ],
)
def test_files(tmp_path: Path, file: str, old: str, new: str, expected: str):
    fresh = Toy(tmp_path / "toy")
    laptop = fresh.folder / "notebooks/profiles/laptop.yaml"
    shutil.copy(laptop, laptop.with_name("smoke.yaml"))
    fresh.edit(f"notebooks/{file}", old, new)
    assert expected in fresh.refused("--profile", "smoke" if "smoke" in file else "laptop")


def test_a_folder_that_cannot_be_written_or_is_given_twice_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    toy = Toy(tmp_path / "toy", ECGLIB_HOME=str(tmp_path / "file"))
    assert f"{tmp_path}/file cannot be written (File exists); mend its rights" in toy.refused()
    for name in ("one", "two"):
        toy.write(f"{name}/list.csv", "")
    given = ("--data-root", "one", "--data-root", "cohort=two")
    toy = Toy(tmp_path / "toy")
    expected = f"--data-root gives the cohort cohort twice: {toy.folder}/one and two"
    assert expected in toy.refused("--data", "real", *given)
    toy.edit("notebooks/data/real.yaml", "source: real, ", "")
    assert "reads a folder; say of which `source`" in toy.refused("--data", "real", *given)


def test_an_unusable_data_root_is_refused_before_a_notebook_starts(tmp_path: Path):
    """A table without its columns, a folder without records, and records that cannot be read."""
    toy, root = Toy(tmp_path / "toy"), tmp_path / "root"
    real = (toy.folder / "notebooks/data/real.yaml").read_text().replace("list.csv", ".")
    for source in ("ptbxl", "wfdb"):
        toy.write(
            f"notebooks/data/{source}.yaml", real.replace("source: real", f"source: {source}")
        )

    def refused(source: str) -> str:
        text = toy.refused("--data", source, "--data-root", str(root), "--only", "01")
        assert not list((toy.folder / "artifacts").rglob("executed"))
        return text

    (root / "records500").mkdir(parents=True)
    assert "ptbxl_database.csv is missing; give the folder of PTB-XL" in refused("ptbxl")
    (root / "ptbxl_database.csv").write_text("ecg_id,age\n1,60\n")
    assert "lacks the columns patient_id, sex, scp_codes, strat_fold" in refused("ptbxl")
    assert "expected 12-lead WFDB records" in refused("wfdb")
    (root / "broken.hea").write_text("no header\n")
    expected = "none of the 1 ECGs of the wfdb source can be used (1 unreadable file; the first is"
    assert expected in refused("wfdb")


def test_unknown_option_and_failing_cells(tmp_path: Path):
    """Notebook, cell (counted as in the .py), first line, error, log file, and how to go on."""
    fresh = Toy(tmp_path / "toy")
    assert "unrecognized arguments: --profil" in fresh.run("--profil", "smoke", code=2)
    fresh.edit("notebooks/01_make.py", 'section("make")', 'section("other")')
    text = fresh.run("--only", "01", "--seed", "7", code=1)
    assert "does not declare the profile section 'other'" in text
    assert "add it to `sections` (make) in notebooks/stages.yaml" in text
    assert not list(fresh.folder.rglob("run.json")), "a run without results took the name"
    fresh.edit("notebooks/01_make.py", 'section("other")', 'section("make")')
    fresh.edit("notebooks/01_make.py", "frame = pd", "# a comment\nboom = 1 / 0\nframe = pd")
    text = fresh.run("--only", "01", "--tag", "t", code=1)
    assert "notebook 01_make failed in cell 6 of 7\n" in text
    assert "cell begins: boom = 1 / 0\n" in text
    assert "error: ZeroDivisionError: division by zero\n" in text
    assert "resume with: bash run_all.sh --tag t --only 01\n" in text
    log = fresh.folder / "artifacts/synthetic-laptop-t/executed/01_make.log"
    assert f"log: {log}\n" in text and "ZeroDivisionError" in log.read_text()
    fresh.edit("notebooks/01_make.py", "boom = 1 / 0", "import sys\nsys.exit(0)")
    assert "01_make ended before cell 7 of 7" in fresh.run("--only", "01", code=1)


def test_changed_output(finished: Toy):
    model = finished.folder / "artifacts/synthetic-laptop/02/model/model.txt"
    sizes = finished.folder / "reports/synthetic-laptop/tables/01_sizes.csv"
    for changed, stage in ((model, "02"), (sizes, "01")):
        changed.write_text("other")
        text = finished.refused("--only", "01,02")
        assert str(changed) in text and f"--force {stage}" in text
        if stage == "02":
            finished.run("--only", "02", "--force", "02")
            assert model.read_text() == "model 10"


def test_changed_input_of_a_stage_that_runs(finished: Toy):
    (finished.folder / "artifacts/synthetic-laptop/01/cohort/numbers.csv").write_text("other")
    finished.edit("notebooks/02_train.py", '"model.txt", (', '"model2.txt", (')
    text = finished.run("--only", "02", code=1)
    assert "01/cohort/numbers.csv was changed after stage 01 wrote it" in text


def test_another_seed_needs_a_tag_and_a_damaged_manifest_is_named(finished: Toy):
    text = finished.refused("--seed", "7")
    assert "run synthetic-laptop was made with seed 0, not 7" in text and "--tag NAME" in text
    (finished.folder / "artifacts/synthetic-laptop/stages/01.json").write_text("{")
    assert "01.json is damaged" in finished.refused()
    shutil.rmtree(finished.folder / "artifacts")
    assert "was made with seed 0" in finished.refused("--seed", "7"), "reports remember"
    assert "run" in finished.run("--seed", "7", "--tag", "seven", "--only", "01")


def test_files_that_are_not_text_or_hold_another_type(tmp_path: Path):
    fresh = Toy(tmp_path / "toy")
    stages = fresh.folder / "notebooks/stages.yaml"
    good = stages.read_text()
    for old, new, expected in (
        ("sections: [make]", "sections: make", "`sections` of stage 01 of stages.yaml must be a"),
        ("sections: [make]", "models: 3", "`models` of stage 01 of stages.yaml must be a list"),
    ):
        stages.write_text(good.replace(old, new, 1))
        assert expected in fresh.refused("--list")
    stages.write_bytes(b"\xff" + good.encode())
    assert "stages.yaml is not valid YAML" in fresh.refused("--list")
