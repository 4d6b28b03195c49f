"""Claims: what was registered before the run, and whether the run bears it out.

The registry, notebooks/claims.yaml, is a list of entries

    id, statement, metric, direction (above | below), margin, tolerance, primary, seeds, paper

`paper` is the paper's number, or null for an ordering or a margin of our own. An own claim holds
iff its 95 % interval over patients lies wholly on the right side of the margin, the tolerance
granted ("above" margin - tolerance, "below" margin + tolerance; both strict). A paper's number is
judged only where the run is comparable (the paper's data at the paper's scale): it holds iff the
value is within the tolerance of it.
"""

from pathlib import Path

import pandas as pd
import yaml

FIELDS = ["id", "statement", "metric", "direction", "margin", "tolerance"]
FIELDS += ["primary", "seeds", "paper"]
MEASURED = ["id", "value", "low", "high", "n", "key"]
JUDGED = ["id", "statement", "value", "low", "high", "n", "paper", "tolerance", "verdict", "key"]
VERDICTS = ["holds", "fails", "not comparable"]


def load(path: str | Path) -> dict[str, dict]:
    """The registry by id, in file order; ValueError names the entry and field that is wrong."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no claims registry {path}")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ValueError(f"{path}: the registry must be a list of claims")
    registry: dict[str, dict] = {}
    for entry in entries:
        check(entry, path)
        if entry["id"] in registry:
            raise ValueError(f"{path}: claim {entry['id']} is registered twice")
        registry[entry["id"]] = entry
    return registry


def check(entry: dict, source: str | Path) -> None:
    """Raise ValueError unless the entry has exactly the registry's fields with sensible values."""
    if not isinstance(entry, dict) or set(entry) != set(FIELDS):
        name = entry.get("id", entry) if isinstance(entry, dict) else entry
        got = sorted(set(entry) ^ set(FIELDS)) if isinstance(entry, dict) else "no mapping"
        raise ValueError(f"{source}: claim {name}: fields missing or unknown: {got}")
    if entry["direction"] not in ("above", "below"):
        raise ValueError(
            f"{source}: claim {entry['id']}: direction is above or below, {entry['direction']!r}"
        )
    for field in ("margin", "tolerance", "paper"):
        number = isinstance(entry[field], int | float) and not isinstance(entry[field], bool)
        if not number and not (field == "paper" and entry[field] is None):
            raise ValueError(
                f"{source}: claim {entry['id']}: {field} must be a number, got {entry[field]!r}"
            )
    if entry["tolerance"] < 0 or not isinstance(entry["primary"], bool):
        raise ValueError(
            f"{source}: claim {entry['id']}: tolerance must not be negative, primary true or false"
        )


def judge(claim: dict, value: float, low: float, high: float, comparable: bool) -> str:
    """The verdict on one claim. A value or bound that could not be computed (NaN) never holds."""
    if claim["paper"] is not None:
        if not comparable:
            return "not comparable"
        return "holds" if abs(value - claim["paper"]) <= claim["tolerance"] else "fails"
    if claim["direction"] == "above":
        return "holds" if low > claim["margin"] - claim["tolerance"] else "fails"
    return "holds" if high < claim["margin"] + claim["tolerance"] else "fails"


def merge(measured: pd.DataFrame, registry: dict[str, dict], comparable: bool) -> pd.DataFrame:
    """All claims of a run, judged, in the registry's order: one row a claim, columns JUDGED.

    `measured` (columns MEASURED) is what the notebooks reported, with the key of each stage.
    Raises ValueError for an unregistered or repeated claim, and for a registered one that nobody
    reports: a claim never leaves the table quietly.
    """
    absent = [name for name in MEASURED if name not in measured.columns]
    if absent:
        raise ValueError(f"measured claims lack the columns {', '.join(absent)}")
    repeated = measured["id"][measured["id"].duplicated()]
    if len(repeated):
        raise ValueError(f"claim {repeated.iloc[0]} is reported twice")
    unknown = [name for name in measured["id"] if name not in registry]
    missing = [name for name in registry if name not in set(measured["id"])]
    if unknown or missing:
        raise ValueError(
            f"claims do not fit the registry: unregistered {unknown or 'none'}, "
            f"registered but not reported {missing or 'none'}"
        )
    frame = measured.set_index("id").loc[list(registry)].reset_index()
    numbers = zip(frame["id"], frame["value"], frame["low"], frame["high"], strict=True)
    frame["verdict"] = [judge(registry[i], v, lo, hi, comparable) for i, v, lo, hi in numbers]
    for field in ("statement", "paper", "tolerance"):
        frame[field] = [registry[name][field] for name in frame["id"]]
    frame["paper"] = frame["paper"].astype("float64")
    return frame[JUDGED]


def compare(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """This run's claims beside earlier ones of the same run, in this run's order.

    Columns id, before, now ("0.812 holds"; "-" where there is none) and same (value to six digits
    and verdict are equal).
    """

    def shown(frame: pd.DataFrame) -> dict[str, str]:
        rows = zip(frame["id"], frame["value"], frame["verdict"], strict=True)
        return {name: f"{value:.6g} {verdict}" for name, value, verdict in rows}

    old, new = shown(before), shown(now)
    names = [*new, *(name for name in old if name not in new)]
    table = [(name, old.get(name, "-"), new.get(name, "-")) for name in names]
    frame = pd.DataFrame(table, columns=["id", "before", "now"])
    return frame.assign(same=frame["before"] == frame["now"])
