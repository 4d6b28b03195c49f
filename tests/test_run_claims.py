"""claims.csv after a run: what is current is judged, the rest is not run."""

import pandas as pd
import pytest
import yaml
from test_evaluate_claims import OWN
from toy import Toy

from ecglib.run import claims_table
from ecglib.run.context import Run
from ecglib.run.errors import RunError

MADE = OWN | {"id": "made", "margin": -1.0, "runs": ["laptop"]}
OTHER = OWN | {"id": "other", "runs": ["gpu"]}


def register(toy: Toy, *claims: dict) -> None:
    toy.write("notebooks/claims.yaml", yaml.safe_dump(list(claims)))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A project of one notebook, which reports the claim `made`; it has run."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    register(toy, MADE, OTHER)
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
    ("claims", "message"),
    [
        ((MADE, OTHER | {"runs": ["laptop"]}), "for the claim other, which no notebook reports"),
        ((OTHER,), "claim made is reported, but not registered"),
    ],
)
def test_a_registry_that_does_not_fit_is_refused(toy, monkeypatch, claims, message):
    register(toy, *claims)
    with pytest.raises(RunError, match=message):
        verdicts(toy, monkeypatch)
    register(toy, MADE, OTHER)


def test_an_edited_file_of_claims_is_refused(toy, monkeypatch):
    path = toy.folder / "reports/synthetic-laptop/claims/01.csv"
    content = path.read_text()
    path.write_text(content.replace("3.0", "9.0"))
    with pytest.raises(RunError, match=r"01\.csv"):
        verdicts(toy, monkeypatch)
    path.write_text(content)
