"""claims.csv after a run: what is current is judged, the rest is not run."""

from pathlib import Path

import pandas as pd
import pytest
from toy import Toy

from ecglib.run import claims_table
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.profiles import is_simulated, load_plan

PLANS = sorted(path.stem for path in (Path(__file__).parents[1] / "notebooks/data").glob("*.yaml"))
CLAIM = """\
- id: {id}
  statement: It is made.
  metric: count
  measure_unit: things
  direction: above
  margin: -1
  tolerance: 0
  primary: true
  kind: confirmatory
  registered: {{date: 2026-11-20, commit: null}}
  runs: [{runs}]
  paper: null
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A project of one notebook, which reports the claim `made`; it has run."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    other = CLAIM.format(id="other", runs="gpu")
    toy.write("notebooks/claims.yaml", CLAIM.format(id="made", runs="laptop") + other)
    toy.write("notebooks/stages.yaml", '"01": {notebook: 01_make, sections: [make]}\n')
    assert "3 holds" in toy.run()
    return toy


def verdicts(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the runner would write now."""
    toy.enter(monkeypatch)
    claims_table.write(Run("laptop", "synthetic", 0))
    table = pd.read_csv(toy.folder / "reports/synthetic-laptop/claims.csv")
    assert (table["value"].isna() == (table["verdict"] == "not run")).all()
    return dict(zip(table["id"], table["verdict"], strict=True))


def test_claims_of_another_run_and_of_a_stale_stage_are_not_run(toy, monkeypatch):
    assert verdicts(toy, monkeypatch) == {"made": "holds", "other": "not run"}
    toy.edit("notebooks/profiles/laptop.yaml", "n: 3", "n: 4")
    assert verdicts(toy, monkeypatch) == {"made": "not run", "other": "not run"}
    toy.edit("notebooks/profiles/laptop.yaml", "n: 4", "n: 3")
    assert verdicts(toy, monkeypatch) == {"made": "holds", "other": "not run"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[gpu]", "[laptop]", "for the claim other, which no notebook reports"),
        ("id: made", "id: renamed", "claim made is reported, but not registered"),
    ],
)
def test_a_registry_that_does_not_fit_is_refused(toy, monkeypatch, old, new, message):
    toy.edit("notebooks/claims.yaml", old, new)
    with pytest.raises(RunError, match=message):
        verdicts(toy, monkeypatch)
    toy.edit("notebooks/claims.yaml", new, old)


def test_an_edited_file_of_claims_is_refused(toy, monkeypatch):
    path = toy.folder / "reports/synthetic-laptop/claims/01.csv"
    content = path.read_text()
    path.write_text(content.replace("3.0", "9.0"))
    with pytest.raises(RunError, match=r"01\.csv"):
        verdicts(toy, monkeypatch)
    path.write_text(content)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_simulated_where_every_cohort_is(name):
    """synthetic_enriched has no recordings of people either."""
    assert is_simulated(load_plan(Paths.here(), name)) == name.startswith("synthetic")


def test_one_real_cohort_makes_a_plan_real():
    cohorts = {"a": {}, "b": {"source": "ptbxl"}}
    assert not is_simulated({"cohorts": cohorts})
    assert is_simulated({"cohorts": {"a": {}}})  # the default source
