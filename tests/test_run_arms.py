"""Systems are entries of the profile: a new one is its file, its entry, its colour and its rows.
It changes no key of what exists."""

import shutil
from pathlib import Path

import pytest
from builds import raises

from ecglib.language import base
from ecglib.run import arms, keys
from ecglib.run.context import Run
from ecglib.run.errors import RunError

REPO = Path(__file__).resolve().parents[1]
TOY = '''"""A toy system: one learned vector per ECG, the mean of its codes."""

from ecglib.language.no_ecg import LearnedPrefix


class Toy(LearnedPrefix):
    """The control under another name."""

    kind = "toy"


Prefix = Toy


def initialise(out, inputs, config, seed, machine):
    """Step: draw it.

    Config:
        vectors: how many.

    Inputs: cohort, base, tokenizer, codes.
    """
'''
ENTRY = '  toy: {notebook: "06", kind: toy, tokenizer: rvq, vectors: 3, steps: 7}\n'


def add(path: Path, old: str, new: str) -> None:
    """Put a text behind another one that the file has once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, old + new), encoding="utf-8")


def all_keys() -> tuple[Run, dict[str, str]]:
    """The keys of every stage of an empty run, and what each step hashes."""
    run = Run("smoke", "synthetic", 0)
    library = keys.Library(run.paths.library)
    known = {number: keys.digest(run.stage_parts(number, library)) for number in run.stages}
    for part in run.parts.values():
        if not part.entry or part.entry != "toy":
            module = part.fn.rpartition(".")[0]
            content = {"modules": library.closure(module), "config": arms.config(part)}
            known[part.name] = keys.digest(content | {"inputs": part.inputs})
    return run, known


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of library and notebooks, in which runs are made."""
    for name in ("ecglib", "notebooks"):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "reports").mkdir()
    shutil.copy(REPO / "reports/deviations.csv", tmp_path / "reports")
    monkeypatch.setenv("ECGLIB_REPO", str(tmp_path))
    monkeypatch.setenv("ECGLIB_HOME", str(tmp_path / "artifacts"))
    return tmp_path


def test_a_new_system_changes_no_existing_key(checkout: Path):
    _, before = all_keys()
    (checkout / "ecglib/language/toy.py").write_text(TOY)
    profile = checkout / "notebooks/profiles/laptop.yaml"
    add(profile, "systems: # ecglib/language/system_parts.py says what the keys mean\n", ENTRY)
    looks = checkout / "ecglib/figures/methods.csv"
    looks.write_text(looks.read_text() + "toy,#000000,o,-,Toy,,full\n")
    deviations = checkout / "reports/deviations.csv"
    deviations.write_text(deviations.read_text() + "toy,a,b,c,d,e\n")
    claims = checkout / "notebooks/claims.yaml"
    claims.write_text(claims.read_text() + "# toy.better: a claim about it\n")
    run, after = all_keys()
    assert after == before
    steps = {name: part for name, part in run.parts.items() if part.entry == "toy"}
    assert list(steps) == ["toy_initial", "toy", "toy_texts"]
    assert steps["toy"].inputs["codes"] == "rvq_codes" and steps["toy"].settings["steps"] == 7
    assert run.parts["toy"].settings["batch"] == run.parts["ecg_tok"].settings["batch"]

    notebook = checkout / "notebooks/06_instruction_tuning.py"
    notebook.write_text(notebook.read_text() + '\n# %%\nstage.make("toy")\n')
    run, named = all_keys()
    assert {name for name in after if named[name] != after[name]} == {"06"}
    assert "rvq_codes" in run.stages["06"].reads["02"]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"a": {"notebook": "04", "kind": "no_ecg", "base": "large"}}, "a base of small"),
        ({"a": {"notebook": "04", "kind": "no_ecg", "like": "b"}}, "like to be one of"),
        (
            {"a": {"kind": "no_ecg", "base": "small"}},
            "system a: expected a word as notebook, got N",
        ),
        ({"a": {"notebook": "04", "kind": 3}}, "system a: expected a word as kind, got 3"),
    ],
)
def test_a_wrong_entry_is_one_sentence(profile: dict, expected: str):
    content = {"systems": profile, "bases": {"small": {"kind": "small"}}, "scoring": {}}
    raises(RunError, expected, arms.parts, content)


@pytest.mark.parametrize(
    ("section", "entry", "changes", "expected"),
    [
        ("systems", "defaults", {"stepz": 100}, "key in systems.defaults: 'stepz'; valid: .*steps"),
        ("systems", "defaults", {"learning_rate": 0.1}, "systems.defaults: 'learning_rate'; valid"),
        ("systems", "defaults", {"adapt": "lora"}, "has adapt lora and lacks the key 'alpha'"),
        ("systems", "ecg_tok", {"contrast_steps": 4}, "unknown key 'contrast_steps' in the system"),
        ("systems", "heartllm", {"objective": "next"}, "'next'; valid: answers, next_token"),
        ("systems", "ecg_tok", {"vectorz": 3}, "unknown key 'vectorz' in the system ecg_tok"),
        (
            "systems",
            "ecg_tok",
            {"kind": "adaptor"},
            "kind of the system ecg_tok: 'adaptor'; valid: ",
        ),
        (
            "systems",
            "ecg_tok",
            {"kind": "base"},
            "kind of the system ecg_tok: 'base'; valid: adapt",
        ),
        ("systems", "heartllm", {"adapt": "lorra"}, "system heartllm: 'lorra'; valid: full, lora"),
        ("bases", "small", {"quantization": "nf4"}, "config entry 'quantization'.*small_model"),
    ],
)
def test_what_would_end_a_run_hours_later_is_refused_before_it(
    section: str, entry: str, changes: dict, expected: str
):
    profile = Run("smoke", "synthetic", 0).profile
    arms.check(profile, arms.parts(profile))
    wrong = profile | {section: profile[section] | {entry: profile[section][entry] | changes}}
    raises(RunError, expected, arms.check, wrong, arms.parts(wrong))


def test_the_words_of_a_base_are_those_that_its_step_knows():
    profile = Run("gpu", "synthetic", 0).profile
    for changes, expected in (
        ({"kind": "foldr"}, "kind of the base llama32_1b: 'foldr'; valid: folder, gguf"),
        ({"quantisation": "nf5"}, "quantisation of the base llama32_1b: 'nf5'; valid: nf4, none"),
        ({"quantization": "nf4"}, "config entry 'quantization'"),
        ({"asset": None}, "base llama32_1b: expected the name of an asset, got None"),
    ):
        wrong = profile | {"bases": {"llama32_1b": profile["bases"]["llama32_1b"] | changes}}
        with pytest.raises(RunError, match=expected):
            arms.check(wrong, arms.parts(wrong))
    assert arms.BASE_WORDS == base.KNOWN


def test_an_unknown_key_of_an_entry_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ECGLIB_REPO", raising=False)
    profile = Run("smoke", "synthetic", 0).profile
    for name in ("ecg_tok", "heartllm_pretrained"):
        arms.check_entry(profile, name, arms.parts(profile))
    systems = profile["systems"] | {"ecg_tok": profile["systems"]["ecg_tok"] | {"vectrs": 3}}
    wrong = profile | {"systems": systems}
    message = r"unknown key 'vectrs' in the system ecg_tok; valid: .*vectors"
    raises(RunError, message, arms.check_entry, wrong, "ecg_tok", arms.parts(wrong))
