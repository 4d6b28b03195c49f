"""Links on an executed page: a notebook links sources, a page the pages that were made from them.

A page may be in another run: a study is a run of its own, perhaps of other data, and a run of some
stages has not all pages. Where there is no page, the link leads to the notebook's source.
"""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from ecglib.run import manifest, studies
from ecglib.run.paths import Paths

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

    def address(self, notebook: str) -> str:
        """The relative link to the page of a notebook, else to its source; "" without either."""
        is_stage = STAGE_PAGE.fullmatch(notebook)
        for name in self._stage_runs() if is_stage else self._study_runs(notebook):
            page = self.paths.reports(name) / f"{notebook}.md"
            if page.is_file() or (name == self.name and notebook in self.coming):
                return self._relative(page)
        source = self.paths.notebooks / ("" if is_stage else "studies") / f"{notebook}.py"
        return self._relative(source) if self.paths.out == self.paths.repo else ""

    def _study_runs(self, study: str) -> list[str]:
        """Runs that may have the page of a study: this one, the one beside its main run, else the
        only committed one, which may be of other data."""
        part = f"-{studies.PREFIX}{study}"
        kept = manifest.git(self.paths.out, "ls-files", "--", f"reports/*{part}/{study}.md")
        only = [Path(page).parent.name for page in kept.splitlines()]
        return [self.name, f"{self.main}{part}", *(only if len(only) == 1 else [])]

    def _relative(self, target: os.PathLike) -> str:
        return os.path.relpath(target, self.paths.reports(self.name)).replace(os.sep, "/")

    def _stage_runs(self) -> list[str]:
        """Runs that may have the page of a stage, the best first. That is the run itself. For a
        study, whose own pages of stages are not published, it is the run with most of its keys."""
        part, shared = f"-{studies.PREFIX}", {}
        for path in self.paths.out.glob(f"reports/{self.main}*/run.json"):
            keys = manifest.read(path).get("keys", {})
            shared[path.parent.name] = len(keys.items() & self.keys.items())
        others = [name for name in shared if part not in name and name != self.name]
        others.sort(key=lambda name: (-shared[name], len(name), name))
        return [*others, self.name] if part in self.name else [self.name, *others]
