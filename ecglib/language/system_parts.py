"""The steps of each entry of `systems` in a profile, and of the base models that they use.

An entry is flat: each step takes the keys that its docstring lists. The keys of an entry itself:

    notebook    the stage that makes it
    kind        the module of `ecglib.language` that defines its prefix; `plugin` stands for that of
                the file of `--plugin`, with the entry `SYSTEM` of this file
    like        another entry, of which this one takes all keys that it does not have
    base        an entry of `bases`
    tokenizer   the tokenizer of notebook 02 that it reads
    start       another system, from which its training goes on
    objective   answers (reports and questions), or next_token (of the ECG)
    warm_up     the settings of a warm-up on phrases, or null

What is the same for all systems is said once, in the entry `defaults`.
"""

from ecglib.tokenizers import plugin
from ecglib.training.part import Part

KEYS = ("notebook", "kind", "like", "base", "tokenizer", "start", "objective", "warm_up")
OUTSIDE = "plugin"  # the kind of a system of a file outside the library
ROOM = "ecglib.language"
TEXTS = "_texts"  # ending of the step that writes with a system


def entries(profile: dict) -> dict[str, dict]:
    """The systems of a profile by name, each with all its keys; that of a file, and those like it,
    only where one is named. Raises ValueError: `like` names no other system, or the file's `kind`
    or entry cannot be used."""
    systems = dict(profile.get("systems", {}))
    defaults = systems.pop("defaults", {})
    outside = {name for name, entry in systems.items() if entry.get("kind") == OUTSIDE}
    if plugin.part("Prefix") is None:
        dropped = outside | {name for name in systems if systems[name].get("like") in outside}
        systems = {name: entry for name, entry in systems.items() if name not in dropped}
    else:
        systems |= {name: _of_file(systems[name]) for name in outside}
    return {name: defaults | _whole(name, systems) for name in systems}


def _of_file(entry: dict) -> dict:
    """An entry for the system of a file: what its `SYSTEM` says, where the entry does not."""
    kind = getattr(plugin.part("Prefix"), "kind", None)
    if not isinstance(kind, str) or plugin.system_module(kind) != plugin.NAME:
        raise ValueError(
            f"{plugin.path()}: expected `kind` of Prefix to be a word that no module of {ROOM} has "
            f"as its name, got {kind!r}"
        )
    own = dict(plugin.part("SYSTEM") or {})
    if fixed := sorted({"notebook", "kind", "like"} & set(own)):
        raise ValueError(f"{plugin.path()}: take {fixed[0]!r} out of SYSTEM; the study sets it")
    return own | entry | {"kind": kind}


def _whole(name: str, systems: dict) -> dict:
    other = systems[name].get("like")
    if other is None:
        return systems[name]
    if other not in systems or other == name or systems[other].get("like"):
        known = ", ".join(key for key in systems if key != name and not systems[key].get("like"))
        raise ValueError(f"system {name}: expected like to be one of {known}, got {other!r}")
    return systems[other] | systems[name]


def system_parts(profile: dict) -> list[Part]:
    """The bases in use, each in the first notebook that uses it, and the steps of each system.
    Raises ValueError: an unknown base, or an entry without a notebook, a kind or a base."""
    systems, used = entries(profile), {}
    for name, entry in systems.items():
        for key in ("notebook", "kind", "base"):
            if not isinstance(entry.get(key), str):
                raise ValueError(f"system {name}: expected a word as {key}, got {entry.get(key)!r}")
        used[entry["base"]] = min(used.get(entry["base"], "~"), entry["notebook"])
    listed = [_base(name, profile.get("bases", {}), stage) for name, stage in used.items()]
    for name, entry in systems.items():
        listed += _steps(name, entry, profile["scoring"])
    return listed


def _base(name: str, bases: dict, stage: str) -> Part:
    if name not in bases:
        raise ValueError(f"expected a base of {', '.join(bases)}, got {name!r}")
    entry = dict(bases[name])
    if entry.get("kind") == "small":
        # `smoke` puts a small model in the place of a fetched one, whose keys are still there.
        entry = {key: of for key, of in entry.items() if key not in ("kind", "asset", "file")}
        inputs = {"cohort": "cohort", "questions": "questions"}
        return Part(stage, f"base_{name}", f"{ROOM}.small_model.pretrain", entry, inputs)
    if not isinstance(entry.get("asset"), str):
        raise ValueError(f"base {name}: expected the name of an asset, got {entry.get('asset')!r}")
    inputs = {"asset": f"asset/{entry.pop('asset')}"}
    return Part(stage, f"base_{name}", f"{ROOM}.base.prepare", entry, inputs)


def _steps(name: str, entry: dict, scoring: dict) -> list[Part]:
    """Untrained prefix, warm-up, training and texts of one system, as far as it has them."""
    stage, kind = entry["notebook"], entry["kind"]
    module = plugin.system_module(kind) or f"{ROOM}.{kind}"  # an unknown kind is refused later
    reads = {"cohort": "cohort", "base": f"base_{entry['base']}"}
    if entry.get("tokenizer"):
        reads |= {"tokenizer": entry["tokenizer"], "codes": f"{entry['tokenizer']}_codes"}
    listed, prefix = [], entry.get("start")
    if not prefix:
        prefix = f"{name}_initial"
        listed.append(Part(stage, prefix, f"{module}.initialise", entry, reads, name, True))
    if entry.get("warm_up"):
        fn, inputs = f"{ROOM}.phrase_warm_up.warm_up", reads | {"prefix": prefix}
        prefix = f"{name}_warm_up"
        listed.append(Part(stage, prefix, fn, entry["warm_up"], inputs, name))
    inputs = reads | {"prefix": prefix}
    if entry.get("objective") == "next_token":
        fn = f"{ROOM}.next_tokens.pretrain"
        return [*listed, Part(stage, name, fn, entry, inputs, name, True)]
    inputs |= {"questions": "questions"} | ({"start": entry["start"]} if entry.get("start") else {})
    written = reads | {"system": name, "questions": "questions"}
    return [
        *listed,
        Part(stage, name, f"{ROOM}.train_system.train", entry, inputs, name, True),
        Part(stage, name + TEXTS, f"{ROOM}.write_texts.write", scoring, written, name, True),
    ]
