"""What needs no notebook: the dry run's sizes, and the entry that measures a machine."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import measure_machine
import pytest
from builds import missing, raises

from ecglib.run import arms, dry_run, profiles, steps
from ecglib.run.paths import Paths
from ecglib.tokenizers.tokenizer_parts import NAMES
from ecglib.training.part import GIVEN

REPO = Path(__file__).parents[1]
PROFILES = {
    name: profiles.load_profile(Paths(REPO, REPO / "artifacts", REPO), name)
    for name in ("smoke", "laptop", "mini", "gpu")
}
GPU = PROFILES["gpu"]


def test_every_profile_is_estimated_with_the_published_size_of_its_base_model():
    bases = {"smoke": None, "laptop": None, "gpu": ("base_llama32_1b", 1_235_814_400)}
    for name, published in bases.items():
        table = dry_run.estimate(PROFILES[name])
        assert table.index.is_unique and (table >= 0).all(axis=None)
        lines = table.to_string(formatters=dry_run.FORMATS).splitlines()
        assert lines[0].split() == ["model", *dry_run.FORMATS] and len(lines) == len(table) + 1
        if published:
            assert table.loc[published[0], "parameters"] == published[1]
    small = dry_run.estimate(PROFILES["laptop"]).loc["04/base_small", "parameters"]
    assert 3e6 <= small <= 5e6
    own = dry_run.estimate(PROFILES["laptop"]).loc["06/ecg_byte", "trained"] - small
    assert own > 256 * (26 + 3500)  # a vector of each symbol


def test_lora_by_hand_and_hours_that_follow_steps_and_throughput():
    """Llama-3.2-1B: q 2048 to 2048, k and v 2048 to 512, o 2048 to 2048, in 16 layers."""
    defaults = GPU["systems"]["defaults"]
    assert defaults["targets"] == ["q_proj", "k_proj", "v_proj", "o_proj"]
    vectors = GPU["systems"]["no_ecg"]["vectors"] * 2048
    expected = 16 * defaults["rank"] * (4096 + 2560 + 2560 + 4096) + vectors
    before = dry_run.estimate(GPU)
    assert before.loc["04/no_ecg", "trained"] == expected
    more = copy.deepcopy(GPU)
    more["systems"]["defaults"]["steps"] *= 10
    more["hardware"]["tflops"] *= 2
    hours = dry_run.estimate(more).loc["06/heartllm", "hours"]
    assert hours == pytest.approx(5 * before.loc["06/heartllm", "hours"])


@pytest.mark.parametrize("name", ["smoke", "laptop", "mini", "gpu"])
def test_each_part_reads_earlier_ones_and_gets_what_its_step_documents(name):
    known, listed = set(GIVEN), arms.parts(PROFILES[name])
    for part in listed.values():
        inputs = [of for of in part.inputs.values() if not of.startswith(arms.ASSET)]
        assert set(inputs) <= known, part.name
        assert not part.like or part.like in listed
        # a config that lacks nothing but record numbers, and no key that the step does not know
        documented, config = steps.documented(arms.function(part), "Config"), arms.config(part)
        assert set(config) <= set(documented), part.name
        required = {key for key, is_required in documented.items() if is_required}
        assert required <= {*config, "rows"}, part.name
        read = steps.documented(arms.function(part), "Inputs")
        assert set(part.inputs) <= set(read), part.name
        assert {key for key, is_required in read.items() if is_required} <= set(part.inputs)
        known.add(part.name)
    for system in {part.entry for part in listed.values() if part.entry}:
        arms.check_entry(PROFILES[name], system, listed)


def test_every_reader_goes_on_from_the_raw_network_for_as_long():
    """What is trained further differs in what it reads alone: decoded ECGs, or the originals."""
    listed = arms.parts(GPU)
    further = [part for name, part in listed.items() if part.inputs.get("start") == "raw"]
    assert {part.name for part in further} == {"raw_further", *(f"decoded_{n}" for n in NAMES)}
    same = [{k: v for k, v in part.settings.items() if k != "reads"} for part in further]
    assert all(settings == same[0] for settings in same) and same[0]["epochs"] == 2
    assert listed["raw"].settings == same[0] | {"reads": "signals"} | GPU["classify"]["raw"]
    assert listed["decoded_fsq"].inputs["codes"] == "fsq_codes"
    assert listed["head_deepssl"].inputs["features"] == "deep_ssl_features"
    assert listed["probe"].settings == listed["head_qinco"].settings
    assert listed["asked_decoded"].inputs["start"] == "asked_raw"


def test_no_training_is_longer_than_the_cap_or_needs_notebook_tools():
    """Its machine may lack them, and the readers of files as well."""
    parts = measure_machine.measured_parts(GPU, cap=7)
    assert {part.stage for part in parts} == {"02", "03", "04", "05", "06", "07"}
    assert all(part.settings.get("steps", 7) <= 7 for part in parts)
    code = "import json, sys, measure_machine; print(json.dumps(sorted(sys.modules)))"
    env = os.environ | {"PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests' / 'benchmarks'}"}
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, text=True, cwd=REPO, env=env)
    loaded = set(json.loads(output.splitlines()[-1]))
    assert not loaded & {"jupytext", "papermill", "nbformat", "wfdb", "matplotlib", "umap"}


@pytest.mark.slow
def test_trainings_on_the_smallest_profile(tmp_path):
    arguments = ["--out", str(tmp_path), "--profile", "smoke", "--patients", "40", "--steps", "1"]
    assert measure_machine.main([*arguments, "--compare-cpu", "1"]) == 0
    report = json.loads((tmp_path / "machine.json").read_text())
    assert report["device"]
    parts = {f"{row['notebook']}/{row['part']}": row for row in report["parts"]}
    assert set(parts) >= {"02/encoder", "02/qinco", "03/head_qinco", "04/ecg_tok", "06/heartllm"}
    for row in parts.values():
        for what in ("ecgs_per_second", "speed_up"):  # None: too short to be measured
            assert row.get(what) is None or row[what] > 0
    raises(FileExistsError, "is not empty", measure_machine.main, arguments)


def test_a_base_that_is_none_is_named(tmp_path):
    arguments = ["--out", str(tmp_path / "out"), "--profile", "smoke", "--patients", "20"]
    missing(r"holds no config\.json", measure_machine.main, [*arguments, "--base", str(tmp_path)])
