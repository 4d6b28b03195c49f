"""The model card and the data card of a run, as Markdown; notebook 09 writes both to cards/."""

from pathlib import Path

import pandas as pd

from ecglib.run.assets import pin
from ecglib.run.profiles import is_simulated, read_yaml

TEXT = read_yaml(Path(__file__).with_name("cards.yaml"))


def model_card(name: str, data: str, plan: dict, base: dict, splits: pd.DataFrame) -> str:
    """`base`: an entry of `bases`, with its name; the other arguments are those of `data_card`."""
    train = splits.set_index("split").loc["train"]
    given = base | (pin(base["asset"]) if "asset" in base else {}) | {"name": base["name"]}
    return TEXT["model"].format(
        **{"name": name, "data": data},
        **{key: train[key] for key in ("ecgs", "patients")},
        base=TEXT["base_asset" if "asset" in base else "base_small"].format(**given),
        limits=_by_kind("limits", plan),
    )


def data_card(name: str, data: str, plan: dict, splits: pd.DataFrame) -> str:
    """`data`, `plan`: a data plan's name and content; `splits`: columns split, ecgs, patients."""
    origin = {key: one.get("source", "synthetic") for key, one in plan["cohorts"].items()}
    cohorts = [f"- `{key}`: {TEXT['sources'][source]}" for key, source in origin.items()]
    parts = [f"- {p.split}: {p.ecgs} ECGs of {p.patients} patients" for p in splits.itertuples()]
    lists = {"cohorts": "\n".join(cohorts), "parts": "\n".join(parts)}
    return TEXT["data"].format(name=name, data=data, **lists, kept_out=_by_kind("kept_out", plan))


def _by_kind(key: str, plan: dict) -> str:
    return TEXT[f"{key}_{'simulated' if is_simulated(plan) else 'recorded'}"]
