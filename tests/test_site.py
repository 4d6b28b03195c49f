"""The site: its pages, links and pictures, and how a browser without a screen sees it."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from ecglib.run import site_command
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
LOADS = {("img", "src"), ("script", "src"), ("link", "href")}


class Page(HTMLParser):
    """The anchors of a page, where it leads to, and what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.images = set(), [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.anchors.add(of.get("id"))
        self.images += tag == "img"
        for name in ("href", "src"):
            if (target := of.get(name)) is not None:
                is_load = (tag, name) in LOADS and of.get("rel") not in ("next", "prev")
                (self.loaded if is_load else self.links).append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout."""
    folder = tmp_path_factory.mktemp("site") / "site"
    assert site_command.build(Paths.here(), folder) == []  # no warning of Sphinx
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """All pages of the site."""
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_and_every_picture_of_every_page_is_there(site: Path, pages: dict):
    dead = []
    for path, page in pages.items():
        for target in {*page.links, *page.loaded}:
            if re.match(r"(https?|mailto|data):", target):
                continue
            name, _, anchor = unquote(target.split("?")[0]).partition("#")
            place = (path.parent / name).resolve() if name else path
            here = place.exists() and place.is_relative_to(site.resolve() if name else site)
            named = pages.get(place) if name else page
            if not here or (anchor and named and anchor not in named.anchors):
                dead.append(f"{path.relative_to(site)}: {target}")
    assert dead == []


def test_nothing_is_loaded_from_another_server(pages: dict):
    assert [name for page in pages.values() for name in page.loaded if "//" in name] == []


def test_guides_notebooks_studies_figures_and_modules_have_a_place(site: Path, pages: dict):
    here = {path.relative_to(site).as_posix() for path in pages}
    for folder in ("docs", "reports/synthetic-laptop"):
        wanted = {f"{folder}/{path.stem}.html" for path in (REPO / folder).glob("*.md")}
        assert wanted <= here
    figures = [path for path in (REPO / "figures").rglob("*.png") if path.is_file()]
    assert pages[site / "gallery.html"].images >= len(figures) > 50
    rooms = {path.parent.name for path in (REPO / "ecglib").glob("*/__init__.py")}
    assert {f"library/{room}.html" for room in rooms} <= here
    text = (site / "library" / "tokenizers.html").read_text(encoding="utf-8")
    assert 'id="ecglib.tokenizers.qinco.QINCo"' in text
    first = (site / "reports" / "synthetic-laptop" / "01_preprocess.html").read_text("utf-8")
    assert re.search(r'class="next-page" href="02_tokenizers\.html"', first)
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert '"qinco"' in index or "qinco:" in index


def test_equations_are_drawn_and_no_command_is_left(pages: dict):
    drawn = [
        equation
        for path in pages
        for equation in re.findall(r"<math.*?</math>", path.read_text("utf-8"), re.DOTALL)
    ]
    assert len(drawn) > 100
    assert [equation for equation in drawn if "\\" in html.unescape(equation)] == []


def test_only_a_site_of_this_command_is_replaced(tmp_path: Path):
    """Another Sphinx site, a link, the repository's parent and a file stay as they are."""
    other, link, file = (tmp_path / name for name in ("other", "link", "letter.txt"))
    (other / "sub").mkdir(parents=True)
    (other / ".buildinfo").write_text("of another project")
    link.symlink_to(other)
    file.write_text("mine")
    for out in (other, link, file, REPO.parent):
        with pytest.raises(RunError, match="exists and is no site; name another folder"):
            site_command.build(Paths.here(), out)
    with pytest.raises(RunError, match="is not a folder; make it"):
        site_command.build(Paths.here(), file / "site")
    assert (other / "sub").is_dir() and file.read_text() == "mine"
    (other / site_command.MARK).touch()
    site_command.require_free(other, REPO)


LISTEN = (
    "<script>var wrong=[];onerror=(m)=>wrong.push(m);console.error=(m)=>wrong.push(m);</script>"
)
LOOK = """<script>addEventListener("load", () => {
  const head = document.querySelector("thead th[tabindex]"), cells = () =>
    [...head.closest("table").tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  if (head) head.click();
  const wide = document.documentElement.scrollWidth, rows = head ? cells() : [];
  const seen = {wrong, wide, rows};
  document.body.innerHTML = `<pre id="seen">${JSON.stringify(seen)}</pre>`;
});</script>"""
LOOKED_AT = ["index", "gallery", "docs/items", "library/tokenizers", "docs/known_problems"]
LOOKED_AT += [f"reports/synthetic-laptop/{name}" for name in ("02_tokenizers", "09_discussion")]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_phone_shows_the_page_without_an_error(site: Path, name: str):
    page = site / f"{name}.html"
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{LISTEN}", 1)
    copy = page.with_name(f"{page.stem}_looked_at.html")
    copy.write_text(text.replace("</body>", f"{LOOK}</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,800"]
    command = [BROWSER, *options, "--virtual-time-budget=5000", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    copy.unlink()
    match = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    seen = json.loads(html.unescape(match[1]))
    assert seen["wrong"] == []
    assert seen["wide"] <= 500  # the narrowest window of this browser
    if not any(re.match(r"-?\d", row) for row in seen["rows"]):
        assert seen["rows"] == sorted(seen["rows"], key=str.casefold)
