"""The claims of a run beside those of the same run on a cohort that was set aside.

A claim that holds on the cohort on which the protocol was made is confirmed if it holds there, too.
Each run corrects its primary claims by Holm for itself (`claims.merge`).
"""

import pandas as pd

OUTCOMES = {  # verdicts: here, on the other cohort
    ("holds", "holds"): "confirmed",
    ("holds", "fails"): "not confirmed",
    ("fails", "holds"): "holds there alone",
    ("fails", "fails"): "fails in both",
}
NUMBERS = ["value", "low", "high", "verdict"]


def side_by_side(here: pd.DataFrame, elsewhere: pd.DataFrame) -> pd.DataFrame:
    """The primary claims of two runs, in the order of the first.

    Args:
        here, elsewhere: claims.csv of the runs (`claims.JUDGED`).

    Returns columns id, statement, measure_unit, n, value, low, high and verdict of both runs
    (`<name>_there` for the other one) and outcome: "-" where a verdict is neither holds nor fails.
    """
    primary = here[here["primary"]].set_index("id")
    other = elsewhere.set_index("id").reindex(primary.index)[[*NUMBERS, "n"]]
    own = primary[["statement", "measure_unit", *NUMBERS, "n"]]
    both = own.join(other.add_suffix("_there"))
    both["verdict_there"] = both["verdict_there"].fillna("not run")
    pairs = zip(both["verdict"], both["verdict_there"], strict=True)
    both["outcome"] = [OUTCOMES.get(pair, "-") for pair in pairs]
    return both.reset_index()
