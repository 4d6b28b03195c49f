"""Links: those of the committed pages resolve, and a new page gets the right ones."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from ecglib.run import page_links
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]
GUIDES = [REPO / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)|(?:href|src)=\"([^\"]+)\"")


def pages() -> list[Path]:
    """The guides, and the Markdown of reports/ that git has or would have."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "reports/*.md"]
    names = subprocess.run(listed, cwd=REPO, capture_output=True, text=True, check=False).stdout
    reports = [REPO / name for name in names.split()] or sorted(REPO.glob("reports/**/*.md"))
    guides = [*GUIDES, *sorted((REPO / "docs").glob("*.md"))]
    return [*guides, *(path for path in reports if path.is_file())]


def test_the_readme_is_read_in_a_minute():
    lines = read(REPO / "README.md").splitlines()
    assert len(lines) <= 110
    assert not [line for line in lines if len(line) > 400], "move numbers to docs/results.md"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = CODE.sub(lambda match: match[0].strip("`") if "\n" not in match[0] else "", read(page))
    titles = re.findall(r"(?m)^#+ (.+)$", re.sub(r"\]\([^)]*\)", "", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def read(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def dead_links(page: Path) -> list[str]:
    """The links of a page, outside of code, that lead nowhere in this repository."""
    dead = []
    for link in [first or second for first, second in LINK.findall(CODE.sub("", read(page)))]:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        is_dead = not target.exists() or not target.resolve().is_relative_to(REPO)
        if is_dead or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(REPO).as_posix())
def test_every_link_of_a_page_resolves(page: Path):
    assert dead_links(page) == []


def repository(folder: Path, runs: dict[str, dict[str, str]], written: tuple[str, ...]) -> Paths:
    """A repository with runs, {name: keys}, and pages, "run/page"."""
    for name, keys in runs.items():
        (folder / "reports" / name).mkdir(parents=True)
        (folder / "reports" / name / "run.json").write_text(json.dumps({"keys": keys}))
    for page in written:
        (folder / "reports" / f"{page}.md").write_text("# A title\n\nText.\n")
    return Paths(folder, folder / "artifacts", folder)


def test_a_link_to_a_source_becomes_one_to_its_page_wherever_that_is(tmp_path):
    runs = {"a-b": {"01": "old"}, "a-b-tag": {"01": "new"}, "a-b-study-x": {}, "c-d-study-x": {}}
    runs |= {"c-d-study-z": {}, "c-d-study-w": {}, "e-f-study-w": {}}
    written = ("a-b/01_make", "a-b/02_use", "a-b-tag/01_make", "a-b-study-x/x", "c-d-study-x/x")
    written += ("c-d-study-z/z", "c-d-study-w/w", "e-f-study-w/w")
    paths = repository(tmp_path, runs, written)
    for words in (["init", "-q"], ["add", "reports"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    repository(tmp_path, {"c-d-study-v": {}}, ["c-d-study-v/v"])
    of_tag = page_links.Pages(paths, "a-b-tag", "a-b", runs["a-b-tag"], ["03_end"])
    text = "[one](01_make.py), [two](02_use.py), [three](03_end.py), [x](studies/x.py)"
    assert page_links.resolve(text, of_tag.address) == (
        "[one](01_make.md), [two](../a-b/02_use.md), [three](03_end.md), [x](../a-b-study-x/x.md)"
    )
    assert of_tag.address("z") == "../c-d-study-z/z.md", "the only one, of other data"
    assert of_tag.address("v") == "../../notebooks/studies/v.py", "git does not know the page"
    assert of_tag.address("w") == "../../notebooks/studies/w.py", "which of the two is not known"
    assert of_tag.address("y") == "../../notebooks/studies/y.py"
    assert of_tag.address("04_more") == "../../notebooks/04_more.py"
    elsewhere = Paths(tmp_path / "notebooks", tmp_path, tmp_path)  # writes to another folder
    lost = page_links.Pages(elsewhere, "a-b", "a-b", {})
    assert page_links.resolve("see [y](studies/y.py)", lost.address) == "see y"


def test_a_study_links_the_run_whose_cohort_it_has(tmp_path):
    runs = {"a-b": {"01": "old"}, "a-b-tag": {"01": "new"}, "a-b-study-x": {"01": "new"}}
    written = ("a-b/01_make", "a-b-tag/01_make", "a-b-study-x/01_make", "a-b-study-x/x")
    paths = repository(tmp_path, runs, written)
    for key, place in {"old": "../a-b/01_make.md", "new": "../a-b-tag/01_make.md"}.items():
        of_study = page_links.Pages(paths, "a-b-study-y", "a-b", {"01": key})
        assert of_study.address("01_make") == place
        assert of_study.address("x") == "../a-b-study-x/x.md"
