"""The effects in reports/deviations.csv agree with the committed files that they name."""

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecglib.evaluate import claims

REPO = Path(__file__).resolve().parents[1]
TABLE = pd.read_csv(REPO / "reports" / "deviations.csv", dtype=str)
EFFECTS = dict(zip(TABLE["topic"], TABLE["effect"], strict=True))
CITED = yaml.safe_load((REPO / "tests" / "cited_numbers.yaml").read_text("utf-8"))
SOURCE = r"stud(?:y|ies)|tables?|claims?|benchmarks?|predictions|claims_withdrawn\.yaml"
NUMBER = re.compile(r"(?<![\w.])\d[\d,.]*(?!\w)")  # not a part of a name such as 06_leak
INTERVAL = ("first", "low", "high")  # the numbers of "0.7 [0.6, 0.8]"


@cache
def content(name: str) -> object:
    """A committed file: a table as a list of rows, JSON and YAML as they are."""
    path = REPO / name
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        return table.to_dict("records")
    text = path.read_text("utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def field(row: dict, name: str) -> object:
    """A field of a row; "registered.commit" is a field of a field."""
    for part in name.split("."):
        row = row[part]
    return row


def cited(name: str, *way: object) -> Decimal:
    """The number at the end of a way through a file."""
    here = content(name)
    for step, after in zip(way, [*way[1:], None], strict=True):
        if isinstance(step, dict):
            rows = [row for row in here if all(field(row, k) == v for k, v in step.items())]
            here = rows if after == "count" else only(rows, f"{name}: {step}")
        elif step == "count":
            here = len(here)
        elif step in INTERVAL and isinstance(here, str):
            here = re.findall(r"-?[\d.]+", here)[INTERVAL.index(step)]
        else:
            here = here[step]
    return Decimal(str(here))


def only(rows: list[dict], what: str) -> dict:
    """The one row of a list."""
    assert len(rows) == 1, f"{len(rows)} rows are {what}"
    return rows[0]


def text_of(entry: dict) -> str:
    """What an entry says, with the numbers of the files."""
    scale = Decimal(str(entry.get("scale", 1)))
    numbers = {name: cited(*way) * scale for name, way in entry["numbers"].items()}
    return entry["says"].format(**numbers)


@pytest.mark.parametrize("entry", CITED, ids=lambda entry: entry["says"][:40])
def test_an_effect_has_the_numbers_of_the_file_that_it_names(entry: dict):
    effect = EFFECTS[entry["topic"]]
    assert text_of(entry) in effect, "correct the effect in reports/deviations.csv"
    assert entry.get("literal", "") in effect


@pytest.mark.parametrize("topic", EFFECTS)
def test_an_effect_that_names_its_source_has_no_number_without_an_entry(topic: str):
    rest = EFFECTS[topic]
    if not re.search(rf"\b(?:{SOURCE})\b", rest):
        return
    for entry in CITED:
        if entry["topic"] == topic:
            for part in (text_of(entry), entry.get("literal", "")):
                rest = rest.replace(part, "")
    assert NUMBER.findall(rest) == [], "add these numbers to tests/cited_numbers.yaml"


def sources(effect: str) -> list[tuple[str, str]]:
    """Kind and name of the studies, tables, claims, benchmarks and predictions of an effect."""
    kinds = r"(stud|table|claim|benchmark|prediction)(?:y|ies|s)? "
    pairs = re.findall(kinds + r"([\w.]+)(?: and ([\w.]+))?", effect)
    names = [(kind, name) for kind, *both in pairs for name in both if name]
    return [(kind, name) for kind, name in names if kind == "stud" or re.search(r"[_.]", name)]


def test_what_an_effect_names_exists():
    """A table need not have been made yet where a notebook writes it."""
    registries = [claims.load(path) for path in REPO.glob("notebooks/**/*claims.yaml")]
    registered = {name for registry in registries for name in registry}
    notebooks = "".join(p.read_text("utf-8") for p in (REPO / "notebooks").rglob("*.py"))
    for topic, effect in EFFECTS.items():
        for kind, name in sources(effect):
            is_there = {
                "stud": (REPO / "notebooks" / "studies" / f"{name}.py").is_file()
                or any(REPO.glob(f"reports/*-study-{name}")),
                "table": f'stage.table("{name.partition("_")[2]}"' in notebooks
                or any(REPO.glob(f"reports/*/tables/{name}.csv")),
                "claim": name in registered,
                "benchmark": (REPO / "reports" / "benchmarks" / f"{name}.json").is_file(),
                "prediction": any(REPO.glob(f"reports/*/predictions/{name}.parquet")),
            }
            assert is_there[kind], f"{topic}: there is no {kind} {name}"


def test_the_entries_name_rows_and_keys_that_exist():
    known = {"topic", "says", "numbers", "scale", "literal"}
    for entry in CITED:
        assert set(entry) <= known and entry["topic"] in EFFECTS, entry
