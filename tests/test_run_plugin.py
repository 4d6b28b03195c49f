"""A tokenizer or a system in a file outside the library: opened, hashed, and asked for by name."""

import json
import sys
from pathlib import Path

import pytest
import torch
from builds import build_cohort, missing, raises
from test_run_arms import TOY

from ecglib.language import system_parts
from ecglib.language.system import Shapes, load_prefix, save_prefix
from ecglib.run import arms, given, keys
from ecglib.run.__main__ import main
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.tokenizers import encode, plugin
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

DOCS = Path(__file__).resolve().parents[1] / "docs"
EXAMPLE = DOCS / "example_tokenizer.py"
MACHINE = Machine("cpu", "float32", 1, "a test")
STUDY = ("smoke", "synthetic", 0, "study-plugin")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the documentation, named as by --plugin."""
    monkeypatch.setenv(plugin.VARIABLE, str(EXAMPLE))


def test_the_example_keeps_the_contract(example, tmp_path):
    """Fitted, loaded, encoded as a step; an error of at most half a step and the variation."""
    cohort = build_cohort(tmp_path / "cohort", source="synthetic", patients=6)
    for name in ("fitted", "codes"):
        (tmp_path / name).mkdir()
    inputs, module = {"cohort": cohort.folder}, plugin.module()
    module.fit(tmp_path / "fitted", inputs, module.SETTINGS, 0, MACHINE)
    tokenizer = load(tmp_path / "fitted")
    inputs |= {"tokenizer": tmp_path / "fitted"}
    encode.encode(tmp_path / "codes", inputs, {"batch": 4}, 0, MACHINE)
    rows = cohort.rows()
    codes = encode.read_codes(tmp_path / "codes", rows)
    assert codes.shape == (len(rows), 250, 12) and tokenizer.rate().bits_per_ecg == 250 * 12 * 5
    assert torch.equal(tokenizer.from_ids(tokenizer.to_ids(codes)), codes)
    x = torch.from_numpy(cohort.signals(rows)).clamp(-tokenizer.span, tokenizer.span)
    means = x.unflatten(2, (-1, 10)).mean(-1)
    back = tokenizer.decode(codes)[:, :, ::10]
    assert (back - means).abs().max() <= tokenizer.step  # also where a window was clipped
    vectors, lengths = tokenizer.features(codes, torch.full((len(rows),), 2001))
    assert vectors.shape == (len(rows), 250, 12) and set(lengths.tolist()) == {201}


def test_its_code_is_part_of_the_keys_and_without_a_file_the_study_asks_for_one(
    tmp_path, monkeypatch
):
    run = Run(*STUDY)
    raises(RunError, "name its file with --plugin FILE", given.require_plugin, run, ["study"])
    hashes = []
    for text in ("", "\nSTEP = 1\n"):
        file = tmp_path / "mine.py"
        file.write_text(EXAMPLE.read_text() + text)
        monkeypatch.setenv(plugin.VARIABLE, str(file))
        run = Run(*STUDY)
        library = keys.Library(run.paths.library)
        hashes.append(library.closure(plugin.NAME))
        assert arms.function(run.parts["plugin"]).__module__ == plugin.NAME
        assert "plugin" in run.stage_parts("study", library)["made"]
    assert set(hashes[0]) == set(hashes[1]) and "ecglib.tokenizers.contract" in hashes[0]
    changed = {name for name in hashes[0] if hashes[0][name] != hashes[1][name]}
    assert changed == {plugin.NAME}
    monkeypatch.setenv(plugin.VARIABLE, str(tmp_path / "none.py"))
    missing("--plugin: .*none.py does not exist", plugin.module)


def test_a_file_without_what_the_study_needs_is_named(tmp_path, monkeypatch):
    """Before anything is made or priced; and a file that nothing reads is said to be so."""
    monkeypatch.setenv(plugin.VARIABLE, str(DOCS / "example_system.py"))
    run = Run(*STUDY)
    expected = "example_system.py has no Tokenizer; it needs Tokenizer, fit, SETTINGS"
    raises(RunError, expected, given.require_plugin, run, ["study"])
    for words in (["--dry-run"], []):
        file = ["--plugin", str(EXAMPLE), "--profile", "smoke"]
        with pytest.raises(RunError, match=r"tokenizer\.py has no Prefix; it needs Pre"):
            main(["study", "own_system", *file, *words])
    unread = given.unread(Run("smoke", "synthetic", 0, local=[f"ecg_qa={tmp_path}"]))
    assert unread == ["the asset ecg_qa of --asset", f"{EXAMPLE.resolve()} of --plugin"]
    with pytest.raises(RunError, match=r"ecg_qa needs ECGs of ptbxl or mimic, and .* synthetic;"):
        main(["study", "ecg_qa", "--profile", "smoke", "--dry-run"])
    folder = ["--data", "ptbxl", "--data-root", str(tmp_path / "none")]
    with pytest.raises(RunError, match="none is not a folder"):
        main(["--profile", "gpu", *folder, "--dry-run"])


def test_a_system_of_a_file_opens_by_its_kind(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(TOY)
    monkeypatch.setenv(plugin.VARIABLE, str(tmp_path / "mine.py"))
    toy = plugin.part("Prefix")(2, 8, 0.1)
    save_prefix(toy, tmp_path)
    assert json.loads((tmp_path / "system.json").read_text())["kind"] == "toy"
    again = load_prefix(tmp_path)
    assert type(again).__name__ == "Toy" and again(torch.zeros(3, 1))[0].shape == (3, 2, 8)


def test_the_example_of_a_system_reads_the_extremes_and_becomes_an_entry(tmp_path, monkeypatch):
    """Its settings are those of the entry whose kind is `plugin`; without a file the study asks."""
    study = ("smoke", "synthetic", 0, "study-own_system")
    run = Run(*study)
    raises(RunError, "trains a system of yours", given.require_plugin, run, ["study"])
    assert "own_system" not in run.parts
    monkeypatch.setenv(plugin.VARIABLE, str(DOCS / "example_system.py"))
    run = Run(*study)
    given.require_plugin(run, ["study"])
    part = run.parts["own_system_initial"]
    assert part.fn == f"{plugin.NAME}.initialise" and part.settings["kind"] == "extremes"
    assert arms.config(part) == plugin.module().SYSTEM
    arms.check_entry(run.profile, "own_system", run.parts)
    entry = run.profile["systems"]["own_system"]
    assert system_parts.entries({"systems": {"a": entry | {"hidden": 3}}})["a"]["hidden"] == 3
    cohort = build_cohort(tmp_path / "cohort", source="synthetic", patients=6)
    rows = cohort.rows()
    prefix = plugin.part("Prefix").build({"hidden": 4}, Shapes(width=8, scale=0.1))
    (ecgs,) = prefix.read_ecgs({"cohort": cohort.folder}, rows)
    x = cohort.signals(rows)
    assert ecgs.shape == (len(rows), 10, 24)
    assert ecgs[2, 3, 1] == x[2, 1, 750:1000].min() and ecgs[2, 3, 13] == x[2, 1, 750:1000].max()
    embeddings, lengths = prefix(ecgs)
    assert embeddings.shape == (len(rows), 10, 8) and set(lengths.tolist()) == {10}


def test_a_file_cannot_stand_in_for_a_system_of_the_library(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    monkeypatch.setenv(plugin.VARIABLE, str(file))
    study = {"systems": {"own_system": {"kind": "plugin"}}}
    for kind in ("\n    kind = 'adapter'", "\n    pass"):
        file.write_text(f"class Prefix:{kind}\n")
        monkeypatch.delitem(sys.modules, plugin.NAME, raising=False)
        raises(ValueError, "mine.py: expected `kind` of Prefix to", system_parts.entries, study)
    file.write_text("class Prefix:\n    kind = 'own'\n\n\nSYSTEM = {'like': 'ecg_tok'}\n")
    monkeypatch.delitem(sys.modules, plugin.NAME, raising=False)
    raises(ValueError, "take 'like' out of SYSTEM", system_parts.entries, study)
