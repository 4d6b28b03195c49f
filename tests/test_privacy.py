"""No identifier leaves the cohort: planted ones are searched for in everything that a run writes.

Results name patients and ECGs by numbers drawn for the run (`unit`, `ecg`). `patient_id`, `ecg_id`
and the names of the files they come from may be in a cohort's own folder and nowhere else.
"""

import itertools
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import fake_sources
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builds import needs, real
from conftest import smoke
from matplotlib.figure import Figure
from PIL import Image
from safetensors.numpy import save_file

from ecglib.run.manifest import git

REPO = Path(__file__).resolve().parents[1]
PLANTED = "A000123"  # as the simulator names patients; `-1` after it names an ECG
DIGITS = re.compile(r"[0-9]{5,}")


def pdf_text(data: bytes) -> str:
    """The text that a PDF of matplotlib shows, between BT and ET, cut up by kerning: two bytes a
    character in the fonts of our style sheet, which no word ET can therefore end."""
    lines = []
    for stream in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            content = zlib.decompress(stream[1])
        except zlib.error:  # not compressed, so it is read with the raw bytes
            continue
        for block in re.findall(rb"\bBT\b(.*?)\bET\b", content, re.DOTALL):
            for operator in re.finditer(rb"\[(.*?)\]\s*TJ|\((.*?)\)\s*Tj", block, re.DOTALL):
                strings = re.findall(rb"\(((?:\\.|[^\\()])*)\)", operator[0], re.DOTALL)
                lines.append(b"".join(strings))
    return b"\n".join(lines).replace(b"\0", b"").decode("latin-1")


def without_pixels(png: bytes) -> bytes:
    """A picture without its pixels and its list of colours: in the one an even area, in the other
    greys can be a run of digits."""
    kept, place = png[:8], 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4])
        kept += png[place:end] if png[place + 4 : place + 8] not in (b"IDAT", b"PLTE") else b""
        place = end
    return kept


def values(column: pa.ChunkedArray) -> list:
    """What a column of a table holds, each value once where they can be compared."""
    return (column if pa.types.is_nested(column.type) else column.unique()).to_pylist()


def texts(path: Path) -> Iterator[str]:
    """The texts of a file: its bytes, and the compressed parts of some formats."""
    data = path.read_bytes()
    data = without_pixels(data) if path.suffix == ".png" else data
    text = data.replace(b"\0", b"")  # numpy's strings have four bytes a character
    yield text.decode("utf-8", errors="replace")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield json.dumps([values(column) for column in table], default=str, ensure_ascii=False)
        yield str(table.schema.metadata)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            yield str(image.info)
    elif path.suffix == ".pdf":
        yield pdf_text(data)


def is_cohort(path: Path) -> bool:
    return any((folder / "cohort.json").is_file() for folder in path.parents)


def leaks(folder: Path, planted: set[str]) -> list[str]:
    """Files below `folder`, cohorts left out, that hold an identifier or have it in their name.

    Thousands of identifiers are looked up by their run of digits, which must have five or more.
    """
    by_digits = defaultdict(list)
    for identifier in planted:
        by_digits[DIGITS.search(identifier)[0]].append(identifier)
    hits_by_file = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and "assets" not in name.parts and not is_cohort(path):
            for text in (name.as_posix(), *texts(path)):
                runs = by_digits.keys() & set(DIGITS.findall(text))
                if hits := [one for run in runs for one in by_digits[run] if one in text]:
                    hits_by_file.append(f"{name}: {min(hits)}")
                    break
    return hits_by_file


def identifiers(folder: Path) -> set[str]:
    """patient_id and ecg_id of every row of every cohort below `folder`."""
    names = set()
    for manifest in sorted(folder.rglob("cohort.json")):
        records = pd.read_parquet(manifest.with_name("records.parquet"))
        names |= {*records["patient_id"].astype(str), *records["ecg_id"].astype(str)}
    return names


def draw(path: Path, label: str = "", title: str = "") -> None:
    """A figure with a label, in letters that kerning pulls apart, and a title in its metadata."""
    figure = Figure(figsize=(3, 1))
    figure.add_subplot().set_xlabel(label)
    figure.savefig(path, metadata={"Title": title})


def plant(folder: Path) -> None:
    """One file of each kind that a run writes, with the identifier where it is hard to see."""
    (folder / "table.csv").write_text(f"ecg,note\n1,{PLANTED}\n")
    pd.DataFrame({"text": ["-", PLANTED]}).to_parquet(folder / "cell.parquet")
    prompt = [{"role": "user", "content": f"This is {PLANTED}."}]
    pq.write_table(pa.table({"prompt": [prompt]}), folder / "nested.parquet")
    table = pa.table({"x": [1]}).replace_schema_metadata({"from": PLANTED})
    pq.write_table(table, folder / "schema.parquet")
    draw(folder / "label.pdf", f"ECG of ({PLANTED}) in AV block")
    draw(folder / "title.pdf", title=PLANTED)
    draw(folder / "title.png", title=PLANTED)
    np.save(folder / "strings.npy", np.array(["-", PLANTED]))
    save_file({"x": np.zeros(2)}, folder / "metadata.safetensors", metadata={"of": PLANTED})
    Image.new("L", (2, 2)).save(folder / f"{PLANTED}.png")
    (folder / "notebook.ipynb").write_text(json.dumps({"cells": [{"source": [PLANTED]}]}))
    (folder / "prompts.json").write_text(json.dumps([{"prompt": f"ECG {PLANTED}-1"}]))


def test_planted_identifiers_are_detected_in_every_kind_of_file_but_a_cohorts(tmp_path):
    plant(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "clean.csv").write_text("ecg,unit\n123,7\n")
    assert leaks(tmp_path, {PLANTED, "B000007"}) == [f"{name}: {PLANTED}" for name in files]
    greys = Image.new("P", (2, 2))
    greys.putpalette(b"100000000")  # three colours, which are no identifier
    greys.save(tmp_path / "greys.png")
    assert b"10000000" in (tmp_path / "greys.png").read_bytes()
    assert leaks(tmp_path, {"A000124", "10000000"}) == []
    cohort = tmp_path / "01" / "cohort"
    cohort.mkdir(parents=True)
    (cohort / "cohort.json").write_text("{}")
    records = pd.DataFrame({"patient_id": [PLANTED], "ecg_id": [f"{PLANTED}-1"]})
    records.to_parquet(cohort / "records.parquet")
    assert identifiers(tmp_path) == {PLANTED, f"{PLANTED}-1"}
    assert leaks(tmp_path / "01", identifiers(tmp_path)) == []


def write_tree(root: Path, n: int) -> set[str]:
    """A tree in PTB-XL's layout with identifiers that no other number equals; returns them."""
    fake_sources.write_ptbxl(root, n, rates=(500,))
    table = pd.read_csv(root / "ptbxl_database.csv")
    planted = []
    for old in [root / name for name in table["filename_hr"]]:
        planted.append(f"7{old.name[:5]}61_hr")
        header = old.with_suffix(".hea")
        header.write_text(header.read_text().replace(old.stem, planted[-1]))
        for suffix in (".hea", ".dat"):
            old.with_suffix(suffix).rename(old.with_name(planted[-1] + suffix))
    table["filename_hr"] = [f"records500/00000/{name}" for name in planted]
    table["ecg_id"] = 81_700_419 + 10_007 * table["ecg_id"]
    table["patient_id"] = 905_300_711.0 + 1009 * table["patient_id"]
    table.to_csv(root / "ptbxl_database.csv", index=False)
    # One recording is cut off, so that the quarantine has a file to name.
    broken = root / "records500" / "00000" / f"{planted[1]}.dat"
    broken.write_bytes(broken.read_bytes()[:1200])
    return {*planted, *table["ecg_id"].astype(str), *table["patient_id"].astype(int).astype(str)}


@pytest.mark.slow
def test_notebook_01_on_recordings_names_nobody(tmp_path):
    """On files, since the simulator has no file names and rejects nothing."""
    planted = write_tree(tmp_path / "data", 40)
    options = ["--data", "ptbxl", "--data-root", str(tmp_path / "data"), "--only", "01"]
    smoke(tmp_path / "out", tmp_path / "assets", *options)
    kept = identifiers(tmp_path / "out")
    assert len(kept & planted) > 40  # ECGs and their patients
    assert len(list((tmp_path / "out").rglob("fig01_*.pdf"))) >= 2
    assert leaks(tmp_path / "out", planted) == []


def test_no_waveform_and_no_report_of_a_patient_is_committed():
    """A cell that reads traces draws a waveform. `.gitignore` lists what is kept out."""
    waveforms = set()
    for notebook in (REPO / "notebooks").glob("0*.py"):
        cells = re.split(r"^# %%", notebook.read_text(), flags=re.MULTILINE)
        drawn = "".join(cell for cell in cells if "_traces" in cell)
        names = re.findall(r'stage\.figure\(\s*"(\w+)"', drawn)
        waveforms |= {f"fig{notebook.stem[:2]}_{name}" for name in names}
    assert "fig01_twelve_leads" in waveforms and "fig03_loss" not in waveforms
    for file in git(REPO, "ls-files", "figures/*/*", "reports/*/*").splitlines():
        _, run, name, *_ = Path(file).parts
        if not run.startswith(("synthetic", "benchmarks")):
            is_page = name.endswith("_files") or re.match(r"\d\d_.*\.md", name)
            assert not is_page and Path(file).stem not in waveforms, file
            assert not Path(file).stem.endswith(("_traces", "_texts")), file


def is_identifying(column: pd.Series, known: set[float]) -> bool:
    """Whether a column has ten or more different numbers, nearly all of them identifiers."""
    if not pd.api.types.is_numeric_dtype(column):
        return False
    values = set(column.dropna().astype(float))
    return len(values) >= 10 and len(values & known) > 0.95 * len(values)


@needs("ECGLIB_PTBXL_MINI")
def test_no_patient_of_ptbxl_is_in_what_is_committed_about_it(tmp_path):
    """No file's name, time of recording or longer report in a text, no numbers of ECGs or patients
    in a column. The whole release has nearly every number up to 21,837, so there only texts count.
    """
    table = pd.read_csv(real("ECGLIB_PTBXL_MINI") / "ptbxl_database.csv", dtype={"ecg_id": float})
    numbers = {name: set(table[name].dropna()) for name in ("ecg_id", "patient_id")}
    assert is_identifying(table["patient_id"], numbers["patient_id"])
    is_part = len(table) < 1000
    assert not is_part or not is_identifying(pd.Series(range(400)), numbers["ecg_id"])
    reports = table["report"].dropna()
    planted = {*reports[reports.str.len() > 30], *table["recording_date"]}
    planted |= {Path(file).stem for kind in ("filename_lr", "filename_hr") for file in table[kind]}
    one = next(text for text in sorted(planted) if not text.isascii())
    pd.DataFrame({"text": [one]}).to_parquet(tmp_path / "one.parquet")
    assert any(one in text for text in texts(tmp_path / "one.parquet"))
    runs = {Path(f).parts[1] for f in git(REPO, "ls-files", "reports/*/run.json").splitlines()}
    runs = [run for run in sorted(runs) if "ptbxl" in run]
    assert len(runs) >= 2
    for file in git(REPO, "ls-files", *(f"*/{run}/*" for run in runs)).splitlines():
        path = REPO / file
        for text in texts(path):
            assert not [one for one in planted if one in text], file
        reader = {".parquet": pd.read_parquet, ".csv": pd.read_csv}.get(path.suffix)
        columns = reader(path) if reader and is_part else pd.DataFrame()
        for name, (kind, known) in itertools.product(columns, numbers.items()):
            assert not is_identifying(columns[name], known), (file, name, kind)
