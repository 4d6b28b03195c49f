"""Executed pages as notebooks, and the notebook that needs no library of ours."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from ecglib.run import page_notebook
from ecglib.run.errors import RunError

REPO = Path(__file__).resolve().parents[1]
PAGES = [page for page in sorted((REPO / "reports").glob("*/*.md")) if page.stem != "RUN"]

PAGE = """# A question

Text with a [link](../other/x.md).

```
not Python
```

<details><summary>plumbing</summary>

```python
import one
```

</details>

    printed
      indented


```python
two
```



<div>
<table><tr><td>1</td></tr></table>
</div>




![A line.](../../figures/run/line.png)




*The caption.*


    more


**Prose** again.
"""


def test_a_page_becomes_code_cells_with_their_outputs_and_prose(tmp_path: Path):
    page, picture = tmp_path / "reports/run/p.md", tmp_path / "figures/run/line.png"
    for path in (page, picture):
        path.parent.mkdir(parents=True)
    page.write_text(PAGE)
    picture.write_bytes(b"picture")
    notebook = page_notebook.as_notebook(page, tmp_path / "ipynb" / "run")
    nbformat.validate(notebook)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown", "code", "code", "markdown"]
    title, one, two, prose = notebook.cells
    assert "(../../reports/other/x.md)" in title.source and "not Python" in title.source
    assert one.metadata.jupyter.source_hidden and one.outputs[0].text == "printed\n  indented\n"
    assert two.source == "two" and "jupyter" not in two.metadata
    table, figure, caption, text = two.outputs
    assert "<td>1</td>" in table.data["text/html"] and figure.data["text/plain"] == "A line."
    assert figure.data["image/png"] == "cGljdHVyZQ=="
    assert caption.data["text/markdown"] == "*The caption.*" and text.text == "more\n"
    assert prose.source == "**Prose** again."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_committed_page_loses_no_code_picture_or_table(page: Path):
    text = page.read_text(encoding="utf-8")
    notebook = page_notebook.as_notebook(page, REPO / "ipynb" / page.parent.name)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == re.findall(r"(?ms)^```python\n(.*?)\n```$", text)
    assert "".join(piece for piece, _ in page_notebook.pieces(text)) == text
    outputs = [kind for cell in cells for one in cell.outputs for kind in one.get("data", {})]
    assert outputs.count("image/png") == len(re.findall(r"(?m)^!\[", text))
    assert outputs.count("text/html") == text.count("<div>")


FRESH = """# A better question

```python
import one
```

Between.

```python
two changed
```

**New prose**.
"""


def test_a_page_gets_fresh_prose_beside_the_code_that_it_shows():
    """What code has put out stays, and so does prose that may be about a cell that has changed."""
    unchanged = FRESH.replace(" changed", "")
    page = page_notebook.with_prose(PAGE, unchanged)
    assert page.startswith("# A better question") and page.endswith("**New prose**.\n")
    assert "Between." in page and "**Prose** again." not in page
    begin, end = (PAGE.index(of) for of in ("<details>", "```python\ntwo"))
    assert PAGE[begin:end].strip() in page and PAGE[end : PAGE.index("**Prose**")] in page
    page = page_notebook.with_prose(PAGE, FRESH)
    assert page.startswith("# A better question") and page.endswith("**Prose** again.\n")
    assert "Between." not in page and "two changed" not in page
    assert page_notebook.with_prose(PAGE, PAGE) == PAGE


def test_the_command_names_a_run_without_a_page(tmp_path: Path):
    with pytest.raises(RunError, match="holds no executed page; name another run"):
        page_notebook.main(["no-such-run", "--out", str(tmp_path)])
    assert page_notebook.main(["synthetic-laptop-study-noise", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "synthetic-laptop-study-noise" / "noise.ipynb").is_file()


ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ecglib", "torch", "sklearn", "scipy", "statsmodels"}:
            raise ModuleNotFoundError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
exec(compile(open("headline.py").read(), "headline.py", "exec"))
"""


def test_the_headline_numbers_follow_from_pandas_and_matplotlib_alone():
    """It asserts that its numbers are those of the committed tables."""
    environment = {"MPLBACKEND": "Agg", "PATH": "", "HOME": "/nonexistent", "MPLCONFIGDIR": ""}
    command = [sys.executable, "-c", ALONE]
    options = {"capture_output": True, "text": True, "check": False, "env": environment}
    done = subprocess.run(command, cwd=REPO / "docs", **options)
    assert done.returncode == 0, done.stderr
    assert re.search(r"exact match: \d+ methods, largest difference", done.stdout)


def test_the_workflows_run_the_commands_of_the_readme():
    (workflow,) = (REPO / ".github" / "workflows").glob("*.yml")
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    assert set(jobs) == {"lint", "tests", "smoke"}
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    assert [line for line in commands if line.startswith("bash") and line not in readme] == []
