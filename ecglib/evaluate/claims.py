"""Claims: what was registered before a run, and whether the run bears it out.

The registry, notebooks/claims.yaml, is a mapping: `defaults` of fields, and `claims`, a list of
entries that say what differs. Its head explains the fields FIELDS. `paper` is the paper's number,
or null for an ordering or a margin of our own. An entry with `methods` is one claim per method.

A claim of our own holds iff its 95 % interval lies wholly on the right side of the margin, the
tolerance granted ("above" margin - tolerance, "below" margin + tolerance, "within" +- (margin +
tolerance), an equivalence; all strict), and its value reaches `least`, where the claim has one. A
primary one must also pass Holm's correction over the primary claims of our own that have a value in
the run: its corrected one-sided p-value is below LEVEL, which fits a 95 % interval. A paper's
number is judged where the run meets the claim's `requires`: it holds iff the value is within the
tolerance of it. A claim without a margin reports a level and is not judged ("no margin").
"""

import math
from datetime import date
from pathlib import Path

import pandas as pd
import yaml

# field: what it must be
FIELDS = {
    "id": str,
    "statement": str,
    "metric": str,
    "measure_unit": str,
    "direction": ("above", "below", "within"),
    "margin": float,
    "tolerance": float,
    "primary": bool,
    "kind": ("confirmatory", "exploratory"),
    "registered": dict,
    "runs": list,
    "paper": float,
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that of libyaml is six times as fast
PLACE = "<method>"  # in id and statement of an entry with `methods`
REQUIRES = "requires"  # a field of claims with a paper's number
LEAST = "least"  # a field that a claim of our own may have
LEVEL = 0.025  # of a one-sided test
NORMAL_WIDTH = 2 * 1.959964  # of a 95 % interval, in standard errors
MEASURED = ["id", "value", "low", "high", "n", "seeds", "key"]
JUDGED = ["id", "statement", "primary", "value", "low", "high", "n", "seeds", "measure_unit"]
JUDGED += ["paper", "tolerance", "p_holm", "verdict", "key"]


def load(path: str | Path) -> dict[str, dict]:
    """The registry by id, in file order; ValueError names the entry and field that is wrong."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no claims registry {path}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("claims"), list):
        raise ValueError(f"{path}: expected a mapping with a list `claims`; see claims.yaml")
    if not isinstance(content.get("defaults", {}), dict):
        raise ValueError(f"{path}: expected a mapping `defaults`, got {content['defaults']!r}")
    registry: dict[str, dict] = {}
    for claim in [claim for entry in content["claims"] for claim in expand(entry, path)]:
        claim = content.get("defaults", {}) | claim
        check(claim, path)
        if claim["id"] in registry:
            raise ValueError(f"{path}: claim {claim['id']} is registered twice; remove one")
        registry[claim["id"]] = claim
    return registry


def expand(entry: dict, source: str | Path) -> list[dict]:
    """The claims of one entry: one for each of its `methods` {method: name in prose}, else itself.

    "<method>" is replaced by the method in the id, and by its name in the statement. Raises
    ValueError: no mapping, or an id or statement that does not mention it.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"{source}: expected a claim as a mapping of fields, got {entry!r}")
    if "methods" not in entry:
        return [entry]
    entry = dict(entry)
    methods = entry.pop("methods")
    if not isinstance(methods, dict) or not methods:
        raise ValueError(f"{source}: claim {entry.get('id')}: expected methods {{method: name}}")
    if not all(PLACE in str(entry.get(field)) for field in ("id", "statement")):
        raise ValueError(f"{source}: claim {entry.get('id')}: expected {PLACE} in id and statement")
    texts = [{"id": method, "statement": name} for method, name in methods.items()]
    return [entry | {key: entry[key].replace(PLACE, text[key]) for key in text} for text in texts]


def check(claim: dict, source: str | Path) -> None:
    """Raise ValueError unless the claim has exactly the registry's fields with sensible values."""
    place = f"{source}: claim {claim.get('id')}"
    judged = {REQUIRES: dict} if claim.get("paper") is not None else {}
    judged |= {LEAST: float} if LEAST in claim and not judged else {}
    if differ := sorted(set(claim) ^ {*FIELDS, *judged}):
        raise ValueError(f"{place}: expected the fields {', '.join(FIELDS)}; differing: {differ}")
    for field, kind in (FIELDS | judged).items():
        value = claim[field]
        if field == "paper" and value is None:
            continue
        if field == "margin" and value is None and not claim["primary"]:
            continue
        if isinstance(kind, tuple):
            if value not in kind:
                raise ValueError(f"{place}: expected {field} {' or '.join(kind)}, got {value!r}")
        elif kind is float:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(f"{place}: expected a number as {field}, got {value!r}")
        elif not isinstance(value, kind) or (kind is not bool and not value):
            raise ValueError(f"{place}: expected a {kind.__name__} as {field}, got {value!r}")
    if claim["tolerance"] < 0:
        raise ValueError(f"{place}: expected a tolerance of 0 or more, got {claim['tolerance']}")
    if REQUIRES in judged and {*claim[REQUIRES]} | {"base"} != {"data", "patients", "base"}:
        raise ValueError(f"{place}: expected requires {{data, patients, base (optional)}}")
    day, commit = (claim["registered"].get(part) for part in ("date", "commit"))
    if not isinstance(day, date) or not isinstance(commit, str | None):
        raise ValueError(
            f"{place}: expected registered {{date: YYYY-MM-DD, commit: text or null}}, got "
            f"{claim['registered']!r}; quote the commit"
        )


def is_listed(entries: list[str], data: str, profile: str) -> bool:
    """Whether a list of `profile` and `data-profile` names contains the run of these two."""
    return profile in entries or f"{data}-{profile}" in entries


def is_comparable(requires: dict, plan: dict, sizes: dict) -> bool:
    """Whether a run is on the paper's data and at its scale, as far as its number requires it.

    Args:
        requires: data (the only source of test ECGs), patients (that the profile must admit at
            least; with 0 it admits all) and, where the number depends on it, base (the language
            model of the systems).
        plan, sizes: content of the run's data plan and profile.
    """
    sources = [plan["cohorts"][name].get("source") for name in plan["roles"]["test"]]
    admitted = sizes["cohort"]["patients"] or math.inf
    return (
        sources == [requires["data"]]
        and admitted >= requires["patients"]
        and ("base" not in requires or sizes["systems"]["defaults"]["base"] == requires["base"])
    )


def outcome(claim: dict, verdict: str, low: float, high: float) -> str:
    """A verdict, and of a claim that fails whether its whole interval says the opposite: it lies
    below both the margin and zero where a value was claimed to be above the margin, or outside
    where it was claimed to be within. One with `least` that holds has both of its conditions."""
    margin = claim["margin"] or 0.0
    if verdict == "holds" and LEAST in claim:
        return f"holds (value at least {claim[LEAST]:g}, interval above {margin:g})"
    opposite = {
        "above": high < min(0.0, margin - claim["tolerance"]),
        "within": low > margin or high < -margin,
    }
    is_clear = verdict == "fails" and opposite.get(claim["direction"], False)
    return f"{verdict}; the opposite is shown" if is_clear else verdict


def beyond(claim: dict, number: float) -> float:
    """By how much a number exceeds the margin in the claimed direction, the tolerance granted;
    where it must be within the margins, how far it is from the nearer one."""
    if claim["direction"] == "within":
        return claim["margin"] + claim["tolerance"] - abs(number)
    sign = 1 if claim["direction"] == "above" else -1
    return sign * (number - claim["margin"]) + claim["tolerance"]


def p_value(claim: dict, value: float, low: float, high: float) -> float:
    """One-sided p-value of a value that is not beyond the margin, from its 95 % interval.

    The standard error is (high - low) / 3.92, the distribution normal (Altman and Bland, BMJ 2011;
    343:d2304). Of a t interval over few seeds, small p-values are therefore too small. An interval
    of no width gives 0 if the value is beyond the margin, else 1.
    """
    distance, error = beyond(claim, value), (high - low) / NORMAL_WIDTH
    if error <= 0:
        return float(distance <= 0)
    return math.erfc(distance / error / math.sqrt(2)) / 2


def holm(measured: pd.DataFrame, registry: dict[str, dict]) -> pd.Series:
    """p-values of the primary claims of our own that have an interval, corrected by Holm; NaN for
    the others. `measured`: columns value, low, high, by id."""
    from statsmodels.stats.multitest import multipletests  # takes a second

    own = [n for n in measured.index if registry[n]["primary"] and registry[n]["paper"] is None]
    rows = measured.loc[own, ["value", "low", "high"]].dropna()
    alone = [p_value(registry[name], *row) for name, *row in rows.itertuples()]
    corrected = multipletests(alone, method="holm")[1].round(6) if alone else []
    return pd.Series(corrected, rows.index, dtype="float64").reindex(measured.index)


def judge(
    claim: dict, value: float, low: float, high: float, comparable: bool, p_holm: float = math.nan
) -> str:
    """The verdict on one claim that was measured. `p_holm`: the corrected p-value of a primary
    claim of our own, else NaN."""
    if pd.isna(value):
        return "cannot be computed"
    if claim["paper"] is not None:
        if not comparable:
            return "not comparable"
        return "holds" if abs(value - claim["paper"]) <= claim["tolerance"] else "fails"
    if claim["margin"] is None:
        return "no margin"
    if pd.isna(low) or pd.isna(high):
        return "cannot be computed"
    is_beyond = min(beyond(claim, low), beyond(claim, high)) > 0
    is_large = value >= claim.get(LEAST, value)
    return "holds" if is_beyond and is_large and not p_holm >= LEVEL else "fails"


def merge(
    measured: pd.DataFrame,
    registry: dict[str, dict],
    data: str,
    profile: str,
    plan: dict,
    sizes: dict,
    whole: bool = False,
) -> pd.DataFrame:
    """All claims of the registry, judged, in its order: one row per claim, columns JUDGED.

    A claim that was not measured, or whose `runs` do not list this run, has the verdict "not run"
    and no numbers.

    Args:
        measured: columns MEASURED, from the current stages, with the key of each stage.
        data, profile: names of the run's data plan and profile.
        plan, sizes: their content.
        whole: all stages of the run are current.

    Raises ValueError: a column is missing, a claim is unregistered or repeated, or the run is whole
    and a claim that lists it was not measured.
    """
    if missing := [name for name in MEASURED if name not in measured.columns]:
        raise ValueError(f"measured claims must have {', '.join(MEASURED)}; got no {missing[0]}")
    repeated = measured["id"][measured["id"].duplicated()]
    if len(repeated):
        raise ValueError(f"claim {repeated.iloc[0]} is reported twice; report it in one notebook")
    if unknown := [name for name in measured["id"] if name not in registry]:
        raise ValueError(f"claim {unknown[0]} is reported, but not registered; register it first")
    due = [name for name in registry if is_listed(registry[name]["runs"], data, profile)]
    silent = set(due) - set(measured["id"])
    if whole and silent:
        text = f"this run is listed for the claim {min(silent)}, which no notebook reports"
        raise ValueError(f"{text}; call stage.claim in one, or correct its `runs`")
    frame = measured[measured["id"].isin(due)].set_index("id").reindex(list(registry))
    frame["p_holm"] = holm(frame, registry)
    verdicts = {}
    for row in frame.dropna(subset="key").itertuples():
        claim = registry[row.Index]
        comparable = REQUIRES in claim and is_comparable(claim[REQUIRES], plan, sizes)
        verdicts[row.Index] = judge(claim, row.value, row.low, row.high, comparable, row.p_holm)
    frame["verdict"] = [verdicts.get(name, "not run") for name in frame.index]
    for field in ("statement", "primary", "measure_unit", "paper", "tolerance"):
        frame[field] = [registry[name][field] for name in frame.index]
    types = {"paper": "float64", "n": "Int64", "seeds": "Int64"}
    return frame.reset_index().astype(types)[JUDGED]


def compare(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """This run's claims beside earlier ones of the same run, in this run's order.

    Columns id, before, now ("0.812 holds"; "-" where there is none) and same (value to six digits
    and verdict are equal).
    """

    def texts(frame: pd.DataFrame) -> dict[str, str]:
        rows = zip(frame["id"], frame["value"], frame["verdict"], strict=True)
        return {n: verdict if pd.isna(v) else f"{v:.6g} {verdict}" for n, v, verdict in rows}

    old, new = texts(before), texts(now)
    names = [*new, *(name for name in old if name not in new)]
    table = [(name, old.get(name, "-"), new.get(name, "-")) for name in names]
    frame = pd.DataFrame(table, columns=["id", "before", "now"])
    return frame.assign(same=frame["before"] == frame["now"])
