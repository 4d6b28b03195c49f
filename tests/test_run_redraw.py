"""Committed runs are drawn again."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest

from ecglib.run import keys, manifest, notebook, redraw, shared_kernel
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]
LONG = ("-reliability", "-faithfulness", "-few_labels")  # studies, drawn in 90 s together
ABOVE = re.compile(r'stage\.(figure|table)\(\s*"(\w+)"')


def test_a_committed_study_reads_other_stages_from_the_run_that_it_was_made_beside(tmp_path):
    """Only its own stage is committed. Where it has a file of another stage, this one is read. Else
    the file must be the one that the study has read, whatever the key of that stage is today. Rows
    that it compares with are its own, whatever the other stage has today."""
    paths, study = Paths(tmp_path, tmp_path / "artifacts", tmp_path), object.__new__(redraw.Redrawn)
    spec = SimpleNamespace(beside=())
    study.run = SimpleNamespace(tag="study-x", main="a-b", spec=lambda _: spec)
    study.paths, study.number, study.name, study._read = paths, "study", "a-b-study-x", {}
    files = [paths.reports(run) / "predictions" / "03_seen.parquet" for run in ("a-b", study.name)]
    for value, file in enumerate(files):
        file.parent.mkdir(parents=True)
        pd.DataFrame({"value": [value]}).to_parquet(file)
    digest = sha256(files[0].read_bytes()).hexdigest()
    record = {"keys": {"03": "1" * 64}, "read": {files[0].name: digest}}
    (paths.reports(study.name) / "run.json").write_text(json.dumps(record))
    assert study.read("seen", "03")["value"].tolist() == [1]
    files[1].unlink()
    assert study.read("seen", "03")["value"].tolist() == [0] and not study.has("seen")
    pd.DataFrame({"value": [2]}).to_parquet(files[0])
    for spec.beside in ((), ("03",)):
        with pytest.raises(RunError, match=r"beside another 03_seen\.parquet"):
            study.read("seen", "03")
    kept = paths.reports(study.name) / "predictions" / "study_beside_03_seen.parquet"
    pd.DataFrame({"value": [0, 1], "method": ["vq", "rvq"]}).to_parquet(kept)
    assert study.beside("seen", "03", ["rvq"])["value"].tolist() == [1]


def test_a_stage_that_was_drawn_again_is_intact_without_its_data(tmp_path):
    """Its manifest gets the digests of what was made now; a stage of another key keeps its own."""
    paths, stage = Paths(tmp_path, tmp_path / "artifacts", tmp_path), object.__new__(redraw.Redrawn)
    figure = tmp_path / "figures" / "a-b" / "fig01_x.png"
    figure.parent.mkdir(parents=True)
    figure.write_text("stamped")
    place = paths.stage_manifest("a-b", "01")
    place.parent.mkdir(parents=True)
    written = {"key": "1" * 64, "outputs": {"figures/a-b/fig01_x.png": manifest.sha256(figure)}}
    figure.write_text("without a stamp")
    stage.paths, stage.name, stage.number, stage._claims = paths, "a-b", "01", []
    stage.spec, stage._outputs = SimpleNamespace(notebook="01_x"), {figure}
    for stage.key, changed in (("2" * 64, 1), ("1" * 64, 0)):
        manifest.write(place, written)
        stage.finish()
        assert len(manifest.changed(tmp_path, manifest.read(place)["outputs"])) == changed


def test_a_page_has_printed_lines_together_however_the_kernel_sent_them(tmp_path):
    pages = []
    for name, pieces in (("whole", ["a\nb\n"]), ("pieces", ["a\n", "b\n"])):
        cell = nbformat.v4.new_code_cell("print()")
        cell.outputs = [nbformat.v4.new_output("stream", text=text) for text in pieces]
        folder = tmp_path / name
        folder.mkdir()
        book = nbformat.v4.new_notebook(
            cells=[cell], metadata={"language_info": {"name": "python"}}
        )
        nbformat.write(book, folder / "01_a.ipynb")
        (page,) = notebook.render(folder / "01_a.ipynb", folder, {}, str)
        pages.append(page.read_text())
    assert pages[0] == pages[1] and "    a\n    b\n" in pages[0] and "```python" in pages[0]


def test_a_page_shows_the_saved_figure_and_keeps_copies_of_others_only(tmp_path):
    dots = [b"one", b"other"]
    cells = [nbformat.v4.new_code_cell("plt.show()") for _ in dots]
    for cell, content in zip(cells, dots, strict=True):
        data = {"image/png": b64encode(content).decode()}
        cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(book, tmp_path / "01_a.ipynb")
    figures = {sha256(dots[0]).hexdigest(): "../fig01.png"}
    page, picture = notebook.render(tmp_path / "01_a.ipynb", tmp_path, {}, str, figures=figures)
    assert "![a figure](../fig01.png)" in page.read_text() and picture.read_bytes() == dots[1]
    assert f"![a figure](01_a_files/{picture.name})" in page.read_text()


def above_the_line(code: Path) -> set[str]:
    """Names of the figures and tables that a run alone draws."""
    names = set()
    for path in (code / "notebooks").glob("0*.py"):
        for kind, name in ABOVE.findall("\n".join(keys.notebook_cells(path)[0])):
            names.add(f"{'fig' * (kind == 'figure')}{path.stem[:2]}_{name}")
    return names


def with_few_dots(folder: Path) -> Path:
    """This repository, whose pictures have so few dots that they are drawn in half the time."""
    shutil.copytree(REPO / "notebooks", folder / "notebooks")
    for path in REPO.iterdir():
        if path.name not in (".git", "notebooks"):
            (folder / path.name).symlink_to(path)
    profile = folder / "notebooks" / "profiles" / "laptop.yaml"
    text = profile.read_text()
    assert "dpi: 300" in text
    profile.write_text(text.replace("dpi: 300", "dpi: 72"))
    return folder


def redrawn(
    out: Path,
    runs: list[str],
    folder: Path,
    code: Path = REPO,
    beside: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
) -> dict[Path, Path]:
    """Redraw runs in a folder that has their predictions, claims and pages alone, with those of
    their siblings and of the studies `beside` them: {a run's file: the file made now}. `code` has
    the notebooks and the library. `only`: as if the runs had no other stages, whose
    files are not made."""
    mains = {run.partition("-study-")[0] for run in runs}  # a study reads its run
    again = {of.name for main in mains for of in (out / "reports").glob(f"{main}-seed*")}
    for run in {*runs, *mains, *beside, *again}:
        place, reports = out / "reports" / run, folder / "reports" / run
        reports.mkdir(parents=True)
        for file in ("run.json", *(page.name for page in place.glob("*.md"))):
            shutil.copy(place / file, reports)
        for part in ("predictions", "claims", *(part.name for part in place.glob("*_files"))):
            if (place / part).is_dir():
                shutil.copytree(place / part, reports / part)
    for record in [folder / "reports" / run / "run.json" for run in runs if only]:
        content = json.loads(record.read_text())
        kept = {number: key for number, key in content["keys"].items() if number in only}
        record.write_text(json.dumps(content | {"keys": kept}))
    env = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "nothing")}
    env |= {"PYTHONPATH": str(code), "ECGLIB_REPO": str(code)}
    command = [sys.executable, "-m", "ecglib.run", "redraw", *runs]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    kinds = (
        "reports/{}/claims.csv",
        "reports/{}/claims/*",
        "reports/{}/tables/*",
        "figures/{}/fig*",
    )
    files, by_runs_alone = [], above_the_line(code)
    for run in runs:
        paths = [path for kind in kinds for path in out.glob(kind.format(run))]
        files += [path for path in paths if path.stem not in by_runs_alone]
    assert len(files) > 50
    return {path: folder / path.relative_to(out) for path in files}


def drawn_page(old: Path, new: Path) -> tuple[str, str]:
    """What stands below the line of a page, before and now, without the sentence at its end; above
    it nothing was changed, and each picture is there, and no other."""
    texts = [path.read_text("utf-8").partition(keys.LINE) for path in (old, new)]
    assert texts[0][0] == texts[1][0] and texts[1][2].count("drawn again: ") == 1
    pictures = {name for text in texts[1] for name in redraw.PICTURE.findall(text)}
    assert pictures == {
        f"{new.stem}_files/{path.name}" for path in new.parent.glob(f"{new.stem}_files/*")
    }
    return tuple(re.sub(r"    (finished|drawn again:) .*", "", text[2]) for text in texts)


def same_numbers(pairs: dict[Path, Path]):
    """Equal tables, and every other file drawn."""
    for old, new in pairs.items():
        if old.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(old), pd.read_csv(new), obj=str(old))
        assert new.stat().st_size > 0


def test_runs_are_drawn_again_that_have_pages():
    """Of a committed sibling there are predictions alone, so `redraw` leaves it out."""
    paths = Paths(REPO, REPO / "artifacts", REPO)
    runs = set(redraw.whole_runs(paths))
    records = {record.parent.name for record in REPO.glob("reports/*/run.json")}
    assert {"synthetic-laptop", "ptbxl-mini", "synthetic-laptop-confirm"} < runs
    assert records - runs == {"synthetic-laptop-seed1", "synthetic-laptop-seed2"}
    with pytest.raises(RunError, match="seed1 cannot be drawn again; those that can: ptbxl-mini"):
        redraw.redraw(paths, "synthetic-laptop-seed1", None)


@pytest.mark.slow
def test_redraw_gives_the_committed_numbers(tmp_path):
    studies = tuple(path.name for path in (REPO / "reports").glob("synthetic-laptop-study-*"))
    confirm = Path("reports", "synthetic-laptop-confirm")
    (tmp_path / confirm).mkdir(parents=True)
    for file in ("claims.csv", "run.json"):
        shutil.copy(REPO / confirm / file, tmp_path / confirm)
    code = with_few_dots(tmp_path / "code")
    same_numbers(redrawn(REPO, ["synthetic-laptop"], tmp_path, code, studies))
    confirmed = pd.read_csv(tmp_path / "reports/synthetic-laptop/tables/09_confirmation.csv")
    assert "confirmed" in confirmed["outcome"].tolist()
    page = "reports/synthetic-laptop/02_tokenizers.md"
    before, now = drawn_page(REPO / page, tmp_path / page)
    assert before.count("\n") == now.count("\n")
    assert "(../../figures/synthetic-laptop/fig02_" in now


@pytest.mark.slow
def test_redraw_gives_the_committed_numbers_of_the_studies(tmp_path):
    """But of those that resample for minutes: `bash run_all.sh redraw` draws them, too. The run on
    real ECGs is drawn on a machine that has none."""
    records = REPO.glob("reports/synthetic-laptop-study-*/run.json")
    runs = sorted(record.parent.name for record in records)
    runs = [run for run in runs if not run.endswith(LONG)]
    assert len(runs) >= 5
    pairs = redrawn(REPO, [*runs, "ptbxl-mini"], tmp_path, with_few_dots(tmp_path / "code"))
    real = {new for old, new in pairs.items() if "ptbxl-mini" in old.parts}
    drawn = {new for new in real if new.exists()}
    assert {new.stem for new in real - drawn} == {"05_forecast"}  # of waveforms of patients
    same_numbers({old: new for old, new in pairs.items() if new not in real - drawn})


def test_a_shared_kernel_finds_the_modules_of_the_folder_that_it_was_started_from(
    tmp_path, monkeypatch
):
    """As `redraw` in a clone whose environment does not have the library installed."""
    (tmp_path / "only_here.py").write_text("VALUE = 7\n")
    monkeypatch.chdir(tmp_path)
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    cell = nbformat.v4.new_code_cell("import only_here\nprint(only_here.VALUE)")
    with shared_kernel.kernels() as kernel_of:
        client = kernel_of(environment)
        client.nb = nbformat.v4.new_notebook(cells=[cell])
        client.execute_cell(cell, 0)
    assert cell.outputs[0]["text"] == "7\n"
