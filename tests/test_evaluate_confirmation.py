"""Claims of a run beside those on the cohort that was set aside."""

import pandas as pd

from ecglib.evaluate import confirmation


def claims(verdicts: dict[str, str], value: float) -> pd.DataFrame:
    rows = [
        {"id": name, "statement": f"{name}.", "primary": name != "d", "measure_unit": "AUC", "n": 9}
        | {"value": value, "low": value - 0.1, "high": value + 0.1, "verdict": verdict}
        for name, verdict in verdicts.items()
    ]
    return pd.DataFrame(rows)


def test_a_claim_is_confirmed_where_it_holds_on_both_cohorts():
    here = claims({"a": "holds", "b": "holds", "c": "fails", "d": "holds", "e": "holds"}, 0.5)
    elsewhere = claims({"d": "fails", "c": "holds", "b": "fails", "a": "holds"}, 0.4)
    both = confirmation.side_by_side(here, elsewhere).set_index("id")
    outcomes = {"a": "confirmed", "b": "not confirmed", "c": "holds there alone", "e": "-"}
    assert both["outcome"].to_dict() == outcomes, "primary claims alone, in the order of the first"
    assert both.loc["a", ["value", "value_there", "low_there"]].round(3).tolist() == [0.5, 0.4, 0.3]
    assert both.loc["e", "verdict_there"] == "not run"
