"""Results of a notebook: one way to write each kind, and to read back what was saved."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ecglib.evaluate import claims, predictions, wide_tables
from ecglib.figures import tables
from ecglib.run import manifest, siblings, studies
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIRM = "confirm"  # the tag of the run on the cohort that was set aside


class Results:
    """The results of one stage, under reports/<run>/ and figures/<run>/."""

    run: Run
    number: str
    name: str
    key: str
    paths: Paths
    _outputs: set[Path]  # files written so far
    _read: dict[str, str]  # digests of the predictions of other stages that were read, by file
    _claims: list[dict]
    _beside_earlier: set[str]  # studies that were joined
    _todays: dict[Path, dict[str, pd.DataFrame]]  # predictions by method, beside a study's

    def has(self, name: str, number: str = "") -> bool:
        """Whether predictions/NN_<name>.parquet exists: of real patients no text is published."""
        return self._saved(name, number).is_file()

    def read(self, name: str, number: str = "") -> pd.DataFrame:
        """What `predictions` or `data` saved under a name, here or in the stage `number`. Raises
        RunError: it is not declared that this stage reads that one, or there is no such file."""
        path = self._saved(name, number)
        if number:
            self._require_output(number, path)
        if not path.is_file():
            raise RunError(f"{self.number} reads {path}, which does not exist; save it first")
        if number:
            self._read[path.name] = manifest.sha256(path)
        frame = predictions.read_table(path)
        is_scored = list(frame.columns) == predictions.COLUMNS
        return predictions.validate(frame, path) if is_scored else frame

    def beside(
        self, name: str, number: str, methods: Collection[str], seeds: bool = False
    ) -> pd.DataFrame:
        """The rows of some methods of what another stage saved under a name, with `seeds` of the
        run's siblings, too. They are kept as `beside_NN_<name>`: what was compared stays known when
        that stage is made again. Raises RunError as `read`, and on a second call for a file."""
        other = self.read(name, number)
        if seeds:
            other = self._join_siblings(other, self.run.main, self._saved(name, number).name)
        other = other[other["method"].isin(methods)].reset_index(drop=True)
        if self._saved(kept := f"beside_{number}_{name}") in self._outputs:
            raise RunError(f"{number}/{name} is read beside twice; name all methods at once")
        is_scored = list(other.columns) == predictions.COLUMNS
        (self.predictions if is_scored else self.data)(kept, other)
        return other

    def read_beside(
        self, name: str, number: str, methods: Collection[str], own: str = "", seeds: bool = False
    ) -> pd.DataFrame:
        """What `beside` gives, followed by what this stage saved under the same name, or under
        `own`. Raises RunError as `read`."""
        parts = [self.beside(name, number, methods, seeds), self.read(own or name)]
        return pd.concat(parts, ignore_index=True)

    def read_seeds(self, name: str, number: str = "") -> pd.DataFrame:
        """`read` of predictions, and those of the committed siblings of the run, as rows of other
        seeds (`siblings`). It prints which sibling is left out, and why."""
        frame = self.read(name, number)
        if self.run.training_seed or studies.named(self.run.tag):
            return frame
        return self._join_siblings(frame, self.name, self._saved(name, number).name)

    def _join_siblings(self, frame: pd.DataFrame, run: str, file: str) -> pd.DataFrame:
        joined, left_out = siblings.join(frame, file, run, self.paths)
        print("".join(f"{sentence}\n" for sentence in left_out), end="")
        return joined

    def join_study(
        self, study: str, name: str, frame: pd.DataFrame, items: set[str] | None = None
    ) -> pd.DataFrame:
        """Predictions or data of the run, followed by what a study of it has saved under a name,
        about other methods; the frame alone where the study has not been run, or in a tagged run.
        A study's copies of the run's own systems are replaced by today's rows of all seeds. It
        prints that a study was made beside an earlier training of the run, or that it is left out,
        because it is about other ECGs or items than `frame`. With `items` only these are taken."""
        reports = self.paths.reports(f"{self.name}-{studies.PREFIX}{study}")
        file = reports / "predictions" / f"{studies.STAGE}_{name}.parquet"
        if self.run.tag or not file.is_file():
            return frame
        more = predictions.read_table(file)
        own = self.paths.reports(self.name) / "predictions"
        read = (manifest.read(reports / "run.json") or {}).get("read", {})
        earlier = [*manifest.missing(own, read), *manifest.changed(own, read)]
        if list(more.columns) == predictions.COLUMNS:
            more = more if items is None else more[more["item"].isin(items)]
            more, cells = predictions.validate(more, file), ["unit", "ecg", "item", "target"]
            known = pd.MultiIndex.from_frame(frame[cells].drop_duplicates())
            if not pd.MultiIndex.from_frame(more[cells].drop_duplicates()).isin(known).all():
                print(f"study {study} is left out: it is about other ECGs or items", end="; ")
                print(f"bash run_all.sh study {study}")
                return frame
        if earlier:
            if study not in self._beside_earlier:
                print(f"study {study} was made beside an earlier training of this run")
            self._beside_earlier.add(study)
        more = self._of_today(more, [own / file for file in read])
        return pd.concat([frame, more], ignore_index=True)

    def _of_today(self, more: pd.DataFrame, files: list[Path]) -> pd.DataFrame:
        """Rows of a study, of which those that it copied of the run's own systems are replaced by
        those in today's files, with the run's siblings."""
        copied = set(more.get("method", ())) & set(systems := self.run.profile["systems"])
        if list(more.columns) != predictions.COLUMNS or not copied or not files:
            return more
        parts, items = [more[~more["method"].isin(copied)]], set(more["item"].unique())
        for file in filter(Path.is_file, files):
            if file not in self._todays:  # all studies that are joined ask for it
                self._todays[file] = siblings.by_method(file, self.name, self.paths, systems)
        for method in sorted(copied):  # 04 has its reports, 06 all that it wrote
            rows = [self._todays[file].get(method) for file in files if file in self._todays]
            rows = [of[of["item"].isin(items)] for of in rows if of is not None]
            parts += [max(rows, key=len)] if rows else []
        return pd.concat(parts, ignore_index=True)

    def studies_note(self, estimates: pd.DataFrame | None = None, mark: str = "") -> str:
        """Sentences for the caption of what shows studies: that their rows have one training seed,
        where those of the run have more, and which studies were made beside an earlier training of
        the run; "" where there is nothing to say. `estimates` are of both, with a column `seeds`;
        `mark` is what a figure has at rows with one training seed."""
        differ = estimates is not None and estimates["seeds"].nunique() > 1
        rows = f"{mark}: rows of studies with" if mark else "Rows of studies have"
        text = f" {rows} one training seed." if differ else ""
        if self._beside_earlier:
            text += " These studies were made beside an earlier training of this run, on the same "
            text += f"ECGs: {', '.join(sorted(self._beside_earlier)).replace('_', ' ')}."
        return text

    def confirmation(self) -> pd.DataFrame | None:
        """claims.csv of the same run on the cohort that was set aside; None where it has not been
        made, and in a tagged run. It prints that a run of the same seed is left out."""
        reports = self.paths.reports(f"{self.name}-{CONFIRM}")
        if self.run.tag or not (reports / "claims.csv").is_file():
            return None
        if (manifest.read(reports / "run.json") or {}).get("seed") == self.run.seed:
            print(f"{reports.name} is left out: it has the seed of this run, so the same cohort")
            return None
        return pd.read_csv(reports / "claims.csv")

    def study_claims(self, study: str) -> pd.DataFrame:
        """claims.csv of a study of this run by id, with the outcome of each in words (`claims`);
        empty where it has not been made, and in a tagged run."""
        file = self.paths.reports(f"{self.name}-{studies.PREFIX}{study}") / "claims.csv"
        if self.run.tag or not file.is_file():
            return pd.DataFrame(columns=["statement", "value", "low", "high", "outcome"])
        table = pd.read_csv(file).set_index("id")
        of = claims.load(self.paths.repo / studies.registry_file(f"{studies.PREFIX}{study}"))
        rows = zip(table.index, table["verdict"], table["low"], table["high"], strict=True)
        rows = [claims.outcome(of[id], *rest) if id in of else rest[0] for id, *rest in rows]
        return table.assign(outcome=rows)

    def registry(self) -> dict[str, dict]:
        """The registered claims by id; a numbered notebook has those of the main line in a study's
        run too. They are part of no key: `redraw` judges by new ones."""
        return claims.load(self.paths.repo / studies.registry_file(self.run.tag, self.number))

    def print_claims(self, digits: int = 3, only: Collection[str] | None = None) -> None:
        """Print claims of the run (`only` some, by id) with their values and verdicts; millivolts
        as microvolts, and of one that fails whether the opposite is shown (`claims.outcome`). A
        numbered notebook judges its claims one by one, since those of later notebooks, which Holm's
        correction needs, are not there."""
        registry, table = self.registry(), self.claims()
        for row in table[table["id"].isin(table["id"] if only is None else only)].itertuples():
            claim = registry[row.id]
            times, unit = (1000, " µV") if row.measure_unit == "mV" else (1, "")
            measured = wide_tables.cell(row.value, row.low, row.high, digits, times)
            verdict = row.verdict
            if self.number != studies.STAGE and verdict in ("holds", "fails"):
                verdict = claims.judge(claim, row.value, row.low, row.high, comparable=True)
            text = claims.outcome(claim, verdict, row.low, row.high)
            print(f"- {row.statement}\n  {measured}{unit}: {text}")

    def _saved(self, name: str, number: str = "") -> Path:
        file = f"{number or self.number}_{name}.parquet"
        run = self.run.main if number in self.run.spec(self.number).beside else self.name
        return self.paths.reports(run) / "predictions" / file

    def predictions(self, name: str, frame: pd.DataFrame) -> Path:
        """Write prediction rows to reports/<run>/predictions/NN_<name>.parquet."""
        return predictions.write(frame, self._output(self._saved(name)))

    def data(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Write what else a result needs (counts, choices, traces) beside the predictions.

        `frame`: plain columns. Returns the frame as `read` gives it.
        """
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, self._output(self._saved(name)), compression="zstd")
        return self.read(name)

    def losses(self, folders: dict[str, Path], name: str = "history") -> None:
        """Save the losses of trainings, {method: folder}: method, part (train or validation), step,
        loss."""
        files = {"train": "history.csv", "validation": "validation.csv"}
        curves = [
            pd.read_csv(folder / file).assign(method=method, part=part)
            for part, file in files.items()
            for method, folder in folders.items()
            if (folder / file).is_file()
        ]
        self.data(name, pd.concat(curves)[["method", "part", "step", "loss"]].round(4))

    def table(
        self, name: str, frame: pd.DataFrame, caption: str = "", best: dict | None = None
    ) -> pd.DataFrame:
        """Write tables/NN_<name>.csv, .md and .tex; returns the frame, `captioned` for a page.

        `best`: columns whose best value is set in bold, {column: "max" or "min"}.
        """
        for suffix, render in tables.FORMATS.items():
            path = self._report(f"tables/{self.number}_{name}{suffix}")
            path.write_text(render(frame, caption, best), encoding="utf-8")
        return tables.captioned(frame, caption)

    def write(self, name: str, content: pd.DataFrame | str) -> Path:
        """Write a frame as CSV, or text as it is, to reports/<run>/<name> (cards/model.md)."""
        path = self._report(name)
        path.write_text(content if isinstance(content, str) else tables.csv(content), "utf-8")
        return path

    def figure(
        self, name: str, figure: "Figure", data: pd.DataFrame, caption: str, alt: str
    ) -> None:
        """Write figures/<run>/figNN_<name>.pdf, .png, .csv and .txt, stamped, and show it.

        Args:
            data: the numbers behind the figure.
            caption: what is drawn, from what, and what the intervals are.
            alt: what the picture shows, for a reader who cannot see it.
        """
        from IPython.display import Image, Markdown, display

        from ecglib.figures import style

        stem = self.paths.figures(self.name) / f"fig{self.number}_{name}"
        files = {s: self._output(stem.with_suffix(s)) for s in (".pdf", ".png", ".csv", ".txt")}
        if not os.environ.get("ECGLIB_NO_STAMP"):
            style.stamp(figure, f"{self.name}  {self.key[:12]}")
        style.save(figure, files[".pdf"])
        style.save(figure, files[".png"], self.run.profile["figures"]["dpi"])
        files[".csv"].write_text(tables.csv(data), encoding="utf-8")
        files[".txt"].write_text(f"{caption}\n\nAlt text: {alt}\n", encoding="utf-8")
        width = round(figure.get_figwidth() * 120)  # pixels on a page; the file has more
        image = Image(data=files[".png"].read_bytes(), width=width, alt=alt)
        display(image, metadata={"image/png": {"width": width, "alt": alt}})
        display(Markdown(f"*{caption}*"))

    def claim(self, id: str, value: float, low: float, high: float, n: int, seeds: int = 1) -> None:
        """Note a measured value with its 95 % interval over `n` patients, for claims/NN.csv.

        `seeds`: the number of training seeds behind the value. Raises RunError: the id was given
        before in this notebook."""
        if any(claim["id"] == id for claim in self._claims):
            raise RunError(f"claim {id!r} was given twice in notebook {self.number}")
        numbers = {"value": float(value), "low": float(low), "high": float(high), "n": int(n)}
        self._claims.append({"id": id, **numbers, "seeds": seeds, "key": self.key})

    def _write_claims(self) -> None:
        """Write claims/NN.csv, where there are any."""
        if self._claims:
            self.write(f"claims/{self.number}.csv", pd.DataFrame(self._claims))

    def _report(self, name: str) -> Path:
        return self._output(self.paths.reports(self.name) / name)

    def _output(self, path: Path) -> Path:
        """Note a path as an output of the stage, and make its folder."""
        self.run.record()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._outputs.add(path)
        return path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.paths.out).as_posix()
