"""The cards of a run name what is simulated, what a base model is, and how many ECGs it saw."""

import pandas as pd
import pytest

from ecglib.run import cards, profiles
from ecglib.run.paths import Paths

SPLITS = pd.DataFrame({"split": ["train", "test"], "ecgs": [70, 20], "patients": [60, 15]})


@pytest.mark.parametrize("plan", profiles.names(Paths.here().notebooks / "data"))
def test_cards_of_every_plan_tell_simulated_from_recorded_ecgs(plan: str):
    content = profiles.load_plan(Paths.here(), plan)
    bases = profiles.load_profile(Paths.here(), "laptop")["bases"]
    small, large = (
        cards.model_card("a-run", plan, content, {"name": name} | bases[name], SPLITS)
        for name in ("small", "smollm2")
    )
    data = cards.data_card("a-run", plan, content, SPLITS)
    assert "Apache-2.0" in large and "no English" in small and "no English" not in large
    model = small
    assert "70 ECGs of 60 patients" in model
    sources = [cohort["source"] for cohort in content["cohorts"].values()]
    assert ("All ECGs are simulated" in model) == all(name == "synthetic" for name in sources)
    assert ("off the simulated heart" in data) == ("synthetic" in sources)
    assert data.count("- `") == len(content["cohorts"]) and "- test: 20 ECGs" in data
