"""`bash run_all.sh read FILE`: the committed models on an ECG of your own, as an HTML page."""

import argparse
import tempfile
from pathlib import Path

from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

RUN = "synthetic-laptop"  # whose models are applied
ON_REAL = "models_on_ptbxl"  # the benchmark that tried them on real ECGs


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    options = argparse.ArgumentParser(
        prog="bash run_all.sh read",
        allow_abbrev=False,
        description="Read one ECG (WFDB, .csv, .npy or .dcm); writes an HTML page and PNGs.",
    )
    add = options.add_argument
    add("file", type=Path, help="the recording; of a WFDB record its header")
    add("--rate", type=float, default=0.0, metavar="HZ", help="where the file does not say it")
    add("--unit", default="", help="mV, uV or V, where the file does not say it")
    add("--leads", default="", metavar="I,II,...", help="names in the file's order, or: standard")
    add("--age", type=float, default=float("nan"), metavar="YEARS", help="of the patient")
    add("--sex", default="", choices=["F", "M"], help="of the patient")
    add("--start", type=float, default=0.0, metavar="SECONDS", help="ten seconds from there")
    add("--out", type=Path, default=Path("own_ecg"), metavar="DIR", help="where the page goes")
    return options


def make_folder(folder: Path) -> None:
    """Raises RunError: a file is in the way, or the place may not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"--out {folder}: a file is in the way; name a folder") from error
    except PermissionError as error:
        raise RunError(f"--out {folder} cannot be written to; name another folder") from error


def main(words: list[str]) -> int:
    """Read the file, apply the models, write the page; returns the exit status."""
    options = parser().parse_args(words)
    from ecglib.own_ecg import apply_models, html_page, read_file  # with the models' libraries

    age, oldest = options.age, read_file.OLDEST
    if age < 0 or age > oldest:
        raise RunError(f"--age {age:g}: expected 0 to {oldest:g} years")
    given = options.file, options.rate, options.unit, options.leads, options.age, options.sex
    try:
        recording = read_file.read_file(*given)
        make_folder(options.out)  # before the models take their time
        print(*recording.notes, sep="\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            reports, start = Paths.here().reports(RUN), options.start
            reading = apply_models.read_with_models(recording, reports, Path(folder), start)
    except (FileNotFoundError, ValueError) as error:
        raise RunError(str(error)) from error
    print(html_page.verdict(reading))
    for line in reading.texts[reading.texts["question"] == ""].itertuples():
        print(f"{line.method}: {line.text}")
    facts = html_page.worth(Paths.here().reports("benchmarks") / f"{ON_REAL}.json")
    page = html_page.write_page(options.out, options.file.stem, recording, reading, facts)
    print(html_page.WARNING, *facts, f"page: {page}", sep="\n")
    return 0
