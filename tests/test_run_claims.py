"""claims.csv after a run: what is current is judged, the rest is not run."""

import pandas as pd
import yaml
from builds import raises
from test_evaluate_claims import OWN
from toy import Toy

from ecglib.run import claims_table
from ecglib.run.context import Run
from ecglib.run.errors import RunError

MADE = OWN | {"id": "made", "margin": -9.0, "runs": ["laptop"]}
OTHER = OWN | {"id": "other", "runs": ["gpu"]}


def test_claims_of_what_is_current_are_judged(tmp_path, monkeypatch):
    """A project of one notebook, which reports the claim `made`; it has run."""

    def register(*claims: dict) -> None:
        toy.write("notebooks/claims.yaml", yaml.safe_dump({"claims": list(claims)}))

    def verdicts() -> dict[str, str]:
        """What the runner would write now."""
        claims_table.write(Run("laptop", "synthetic", 0))
        table = pd.read_csv(toy.folder / "reports/synthetic-laptop/claims.csv")
        assert (table["value"].isna() == (table["verdict"] == "not run")).all()
        return dict(zip(table["id"], table["verdict"], strict=True))

    def refused(message: str) -> None:
        raises(RunError, message, verdicts)

    toy = Toy(tmp_path)
    register(MADE, OTHER)
    toy.write("notebooks/stages.yaml", '"01": {notebook: 01_make, sections: [make]}\n')
    assert "3 holds" in toy.run()
    toy.enter(monkeypatch)
    assert verdicts() == {"made": "holds", "other": "not run"}
    toy.edit("notebooks/profiles/laptop.yaml", "n: 3", "n: 4")
    assert verdicts() == {"made": "not run", "other": "not run"}
    toy.edit("notebooks/profiles/laptop.yaml", "n: 4", "n: 3")
    assert verdicts() == {"made": "holds", "other": "not run"}
    register(MADE, OTHER | {"runs": ["laptop"]})
    refused("for the claim other, which no notebook reports")
    register(OTHER)
    refused("claim made is reported, but not registered")
    register(MADE, OTHER)
    path = toy.folder / "reports/synthetic-laptop/claims/01.csv"
    path.write_text(path.read_text().replace("3.0", "9.0"))
    refused(r"01\.csv")
