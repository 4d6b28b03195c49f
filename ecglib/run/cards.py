"""The model card and the data card of a run, as Markdown; notebook 09 writes both to cards/."""

from pathlib import Path

import pandas as pd

from ecglib.run.assets import pin
from ecglib.run.profiles import is_simulated, read_yaml

TEXT = read_yaml(Path(__file__).with_name("cards.yaml"))
RANDOM = "Its weights are drawn at random here, and only its text tokenizer is used."


def model_card(name: str, data: str, plan: dict, language: dict, splits: pd.DataFrame) -> str:
    """`language`: the profile section; the other arguments are those of `data_card`."""
    asset, train = pin(language["asset"]), splits.set_index("split").loc["train"]
    return TEXT["model"].format(
        **{"name": name, "data": data, "asset": language["asset"]},
        **{key: asset[key] for key in ("about", "licence")},
        **{key: train[key] for key in ("ecgs", "patients")},
        rank=language["lora"]["rank"],
        weights=RANDOM if language["base"]["kind"] == "config" else "Its weights stay frozen.",
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
