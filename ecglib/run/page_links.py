"""Links on an executed page: a notebook links sources, a page the pages that were made from them.

A page may be in another run: a study is a run of its own, and a run of some stages has not all
pages. Where there is no page, the link leads to the notebook's source.
"""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ecglib.run import manifest, older_runs, studies
from ecglib.run.context import Run
from ecglib.run.paths import Paths, run_name

LINK = re.compile(r"\[([^\[\]]*)\]\((?:\.\./|studies/)?(\w+)\.py\)")
STAGE_PAGE = re.compile(r"\d\d_\w+")  # of a stage; another name is that of a study


def resolve(body: str, address: Callable[[str], str]) -> str:
    """A page whose links to sources are those that `address` gives for a notebook's name; plain
    text where it gives none."""

    def link(match: re.Match) -> str:
        text, notebook = match.groups()
        place = address(notebook)
        return f"[{text}]({place})" if place else text

    return LINK.sub(link, body)


@dataclass(frozen=True)
class Pages:
    """Where the pages are to which those of one run lead.

    Attributes:
        name: the run. `main` is the run of its data and profile without a tag.
        keys: of its stages, by number.
        coming: notebooks whose pages the run is about to write.
    """

    paths: Paths
    name: str
    main: str
    keys: dict[str, str]
    coming: Collection[str] = ()

    @classmethod
    def of(cls, run: Run, numbers: Collection[str]) -> "Pages":
        """For a run that executes the stages `numbers`."""
        stages = {n: manifest.read(run.paths.stage_manifest(run.name, n)) for n in run.stages}
        keys = {number: content["key"] for number, content in stages.items() if content}
        coming = [run.stages[number].notebook.rpartition("/")[2] for number in numbers]
        return cls(run.paths, run.name, run_name(run.data_name, run.profile_name), keys, coming)

    def address(self, notebook: str) -> str:
        """The relative link to the page of a notebook, else to its source; "" without either."""
        for name in self._stage_runs() if STAGE_PAGE.fullmatch(notebook) else self._study_runs():
            page = self.paths.reports(name.format(notebook)) / f"{notebook}.md"
            if page.is_file() or (page.parent.name == self.name and notebook in self.coming):
                return self._relative(page)
        folder = "" if STAGE_PAGE.fullmatch(notebook) else "studies"
        source = self.paths.notebooks / folder / f"{notebook}.py"
        return self._relative(source) if self.paths.out == self.paths.repo else ""

    def _relative(self, target: os.PathLike) -> str:
        return os.path.relpath(target, self.paths.reports(self.name)).replace(os.sep, "/")

    def _study_runs(self) -> list[str]:
        """Runs that may have the page of a study, "{}"."""
        return [self.name, f"{self.main}-{studies.PREFIX}{{}}"]

    def _stage_runs(self) -> list[str]:
        """Runs that may have the page of a stage, the best first. That is the run itself. For a
        study, whose own pages of stages are not published, it is the run with most of its keys."""
        part = f"-{studies.PREFIX}"
        records = self.paths.out.glob(f"reports/{self.main}*/run.json")
        others = {path.parent.name: manifest.read(path).get("keys", {}) for path in records}
        runs = [name for name in others if part not in name and name != self.name]
        runs.sort(key=lambda name: (*self._distance(others[name], name), len(name), name))
        return [*runs, self.name] if part in self.name else [self.name, *runs]

    def _distance(self, keys: dict[str, str], name: str) -> tuple[int, bool]:
        """How little another run has in common with this one, and whether it is an older one."""
        same = sum(self.keys.get(number) == key for number, key in keys.items())
        return -same, bool(older_runs.commit(self.paths.repo, name, keys.values()))
