"""The parts of a run, from its profile: what notebooks make by name, and a dry run prices."""

import importlib
from collections.abc import Callable, Collection

from ecglib.classify.classifier_parts import classifier_parts
from ecglib.language import system_parts
from ecglib.language.system_parts import KEYS, ROOM, entries
from ecglib.run.docstrings import PACKAGE, docstrings, of_plugin, stand_in
from ecglib.run.errors import RunError, unknown
from ecglib.run.profiles import StageSpec
from ecglib.run.steps import check_documented, documented
from ecglib.tokenizers import plugin
from ecglib.tokenizers.tokenizer_parts import plugin_parts, tokenizer_parts
from ecglib.training.part import GIVEN, Part

SYSTEM_WORDS = {"adapt": ("full", "lora"), "objective": ("answers", "next_token")}
BASE_WORDS = {"kind": ("gguf", "folder"), "quantisation": ("none", "nf4")}  # `language.base.KNOWN`
LORA = {"rank", "alpha", "targets"}
ASSET = "asset/"  # begins an input that is no step
TOKENIZER = ("Tokenizer", "fit", "SETTINGS")  # what such a file has, or
SYSTEM = ("Prefix", "initialise")
OUTSIDE = ("plugin", "plugin_codes")  # inputs that a file outside the library makes


def parts(profile: dict) -> dict[str, Part]:
    """All parts by name, each after those that it reads. Raises RunError: an entry of `systems`
    names a base or another entry that does not exist, or a value is unknown."""
    try:
        tokenizers = tokenizer_parts(profile) if "tokenizer" in profile else []
        classifiers = classifier_parts(profile) if "classify" in profile else []
        systems = system_parts.system_parts(profile)
        outside = plugin_parts(profile) if "tokenizer" in profile else []
    except ValueError as error:
        raise RunError(f"the profile: {error}") from error
    return {part.name: part for part in (*tokenizers, *outside, *classifiers, *systems)}


def base_step(profile: dict) -> str:
    """The step of notebook 04 that prepares the language model of all systems: `base_small`; ""
    where a profile has no systems."""
    defaults = profile.get("systems", {}).get("defaults", {})
    return f"base_{defaults['base']}" if "base" in defaults else ""


def needs_of_plugin(own: list[Part], profile: dict) -> dict[str, tuple[str, ...]]:
    """What the parts that a stage makes need of a file outside the library: words for it, and the
    names that the file has for it."""
    reads = {of for part in own for of in part.inputs.values()} & set(OUTSIDE)
    kinds = {entry.get("kind") for entry in profile.get("systems", {}).values()}
    needs = {"reads a tokenizer of yours": TOKENIZER} if reads else {}
    return needs | ({"trains a system of yours": SYSTEM} if system_parts.OUTSIDE in kinds else {})


def require_plugin(own: list[Part], profile: dict) -> None:
    """A stage's parts need no file outside the library, or the named one has what they need. Raises
    RunError: none is named, or it lacks something."""
    for what, names in needs_of_plugin(own, profile).items():
        lacking = [name for name in names if plugin.part(name) is None]
        if lacking and plugin.path():
            text = f"this study {what}, and {plugin.path()} has no {lacking[0]}"
            raise RunError(f"{text}; it needs {', '.join(names)} (docs/adding.md)")
        if lacking:
            text = f"this study {what}; name its file with --plugin FILE"
            raise RunError(f"{text}; it has {', '.join(names)}")


def of_stage(listed: dict[str, Part], stage: str, code: str) -> list[Part]:
    """The parts that a notebook makes: of a system only where its code has the name in quotes, and
    a base only where one of them reads it. So a new entry changes no notebook."""
    own = [part for part in listed.values() if part.stage == stage]
    own = [part for part in own if stage == "study" or not part.entry or f'"{part.entry}"' in code]
    used = {of for part in own for of in part.inputs.values()}
    return [part for part in own if not part.name.startswith("base_") or part.name in used]


def behind(listed: dict[str, Part], names: list[str], executed: list[str]) -> list[Part]:
    """The parts among `names`, and those that they read, which no executed stage makes."""
    waiting, parts = list(names), {}
    for name in waiting:  # which grows
        if name in listed and listed[name].stage not in executed and name not in parts:
            parts[name] = listed[name]
            waiting += listed[name].inputs.values()
    return list(parts.values())


def reads(listed: dict[str, Part], parts: list[Part], spec: StageSpec) -> dict:
    """What a stage reads of other notebooks, as `spec.reads`: what it declares, what its `parts`
    read, and what the systems need that it opens. Raises RunError: a part reads a step that does
    not exist."""
    opened = [name for steps in spec.reads.values() if steps != "*" for name in steps]
    parts = parts + [listed[n] for n in opened if n in listed and "base" in listed[n].inputs]
    merged = dict(spec.reads)
    for of in [of for part in parts for of in part.inputs.values() if not of.startswith(ASSET)]:
        if of in OUTSIDE and of not in listed:  # `given.require_plugin` asks for it before a run
            continue
        if of not in listed and of not in GIVEN:
            raise RunError(f"a system reads {of!r}, which no part makes")
        number = GIVEN.get(of) or listed[of].stage
        if number != spec.number and merged.get(number) != "*":
            merged[number] = sorted({*merged.get(number, ()), of})
    return dict(sorted(merged.items()))


def function(part: Part) -> Callable:
    """The step function."""
    module, _, name = part.fn.rpartition(".")
    if module == plugin.NAME:
        return of_plugin(name)
    return getattr(importlib.import_module(module), name)


def config(part: Part) -> dict:
    """What the step function is given: of a whole entry the keys that it documents, else all."""
    if not part.shared:
        return dict(part.settings)
    known = documented(stand_in(part.fn), "Config")
    return {key: value for key, value in part.settings.items() if key in known}


def check(profile: dict, listed: dict[str, Part]) -> None:
    """Each part gets the settings and inputs that its step documents, each key of `systems` is
    used, and each word is known: what would otherwise end a run hours later, or make another one.
    Record numbers are given in the notebook. Raises RunError: a key that is unknown or missing, or
    a value that no step knows."""
    defaults = profile.get("systems", {}).get("defaults", {})
    if defaults and (odd := sorted(set(defaults) - (keys := _keys_of_systems()))):
        raise unknown("key in systems.defaults:", odd[0], sorted(keys))
    for name, entry in entries(profile).items():
        _require_words(f"the system {name}", entry, SYSTEM_WORDS | {"kind": _kinds()})
        if entry.get("adapt") == "lora" and (lacking := sorted(LORA - entry.keys())):
            raise RunError(f"the system {name} has adapt lora and lacks the key {lacking[0]!r}")
        check_entry(profile, name, listed)
    for part in listed.values():
        if part.name.startswith("base_"):
            _require_words(f"the base {part.name[5:]}", part.settings, BASE_WORDS)
        known = documented(stand_in(part.fn), "Config")
        rows = {"rows": []} if "rows" in known else {}
        if not part.fn.startswith(plugin.NAME):
            check_documented(stand_in(part.fn), rows | config(part), part.inputs)


def _require_words(where: str, entry: dict, words: dict[str, Collection[str]]) -> None:
    for key, known in words.items():
        if key in entry and entry[key] not in known:
            raise unknown(f"{key} of {where}:", str(entry[key]), list(known))


def _kinds() -> list[str]:
    """The kinds of systems: the modules with a step `initialise`, and that of a file."""
    modules = sorted(file.stem for file in (PACKAGE / "language").glob("*.py"))
    own = getattr(plugin.part("Prefix"), "kind", None)
    kinds = [name for name in modules if "initialise" in docstrings(f"{ROOM}.{name}")]
    return kinds + ([own] if own else [])


def _keys_of_systems() -> set[str]:
    """The keys that `systems.defaults` may have: those of an entry, or of a step that gets one."""
    steps = [f"{plugin.system_module(kind)}.initialise" for kind in _kinds()]
    steps += [f"{ROOM}.train_system.train", f"{ROOM}.next_tokens.pretrain"]
    return {*KEYS}.union(*(documented(stand_in(name), "Config") for name in steps))


def check_entry(profile: dict, name: str, listed: dict[str, Part]) -> None:
    """Every key of an entry is used: by one of its steps, or by the entry itself. Raises RunError:
    an unknown key."""
    known = set(KEYS)
    for part in listed.values():
        own = part.shared and part.entry == name
        known |= set(documented(stand_in(part.fn), "Config")) if own else set()
    systems = profile["systems"]
    own = systems[name] | systems.get(systems[name].get("like"), {})
    shared = set(systems.get("defaults", {})) - set(own)
    for key in set(entries(profile)[name]) - shared - known:
        raise RunError(
            f"unknown key {key!r} in the system {name}; valid: {', '.join(sorted(known))}"
        )


def card(part: Part, listed: dict[str, Part], settings: dict, name: str = "") -> str:
    """Step function, configuration and inputs, to be read in a notebook; of a part that is like
    another one, what differs. `name`: of the result, where it is not that of the part."""
    name = name or part.name
    places = GIVEN | {name: one.stage for name, one in listed.items()}
    inputs = [of if of.startswith(ASSET) else f"{places[of]}/{of}" for of in part.inputs.values()]
    named = ", ".join(f"{key} {of}" for key, of in zip(part.inputs, inputs, strict=True))
    if part.like:
        other = listed[part.like].settings
        apart = [f", {key} {of}" for key, of in settings.items() if other.get(key) != of]
        return f"{name}: like {part.like}{''.join(apart)}; reads {named}"
    text = ", ".join(f"{key} {value}" for key, value in settings.items()) or "nothing to set"
    return f"{name}: {part.fn}\n    {text}\n    reads {named}"
