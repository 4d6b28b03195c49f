"""What needs no notebook: the dry run's sizes, and the entry that measures a machine."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import measure_machine
import pytest
from builds import missing, raises, refused

from ecglib.run import base_shapes, dry_run, pipeline, profiles, steps
from ecglib.run.paths import Paths

REPO = Path(__file__).parents[1]
PROFILES = {
    name: profiles.load_profile(Paths(REPO, REPO / "artifacts", REPO), name)
    for name in ("smoke", "laptop", "gpu")
}
GPU = PROFILES["gpu"]


def test_every_profile_is_estimated_with_the_published_size_of_its_base_model():
    for name, published in (("smoke", None), ("laptop", 134_515_008), ("gpu", 1_235_814_400)):
        table = dry_run.estimate(PROFILES[name])
        assert table.index.is_unique and (table >= 0).all(axis=None)
        lines = table.to_string(formatters=dry_run.FORMATS).splitlines()
        assert lines[0].split() == ["model", *dry_run.FORMATS] and len(lines) == len(table) + 1
        parameters = table.loc["base language model", "parameters"]
        assert published is None or parameters == published, name
    refused("shape of asset 'gpt'", base_shapes.shape, {"asset": "gpt", "base": {"kind": "folder"}})


def test_lora_by_hand_and_hours_that_follow_steps_and_throughput():
    """Llama-3.2-1B: q 2048 to 2048, k and v 2048 to 512, o 2048 to 2048, in 16 layers."""
    assert GPU["language"]["lora"]["targets"] == ["q_proj", "k_proj", "v_proj", "o_proj"]
    expected = 16 * GPU["language"]["lora"]["rank"] * (4096 + 2560 + 2560 + 4096)
    before = dry_run.estimate(GPU)
    assert before.loc["04/report_style", "trained"] == expected
    more = copy.deepcopy(GPU)
    more["instruction_tuning"]["training"]["steps"] *= 10
    more["hardware"]["tflops"] *= 2
    name = "06/tuned and 1 alike"
    hours = dry_run.estimate(more).loc[name, "hours"]
    assert hours == pytest.approx(5 * before.loc[name, "hours"])


@pytest.mark.parametrize("name", ["smoke", "gpu"])
def test_each_part_reads_earlier_ones_and_is_priced_once(name):
    known = ["01/cohort", "04/base", "06/questions"]
    for part in pipeline.parts(PROFILES[name]):
        assert set(part.inputs.values()) <= set(known), part.id
        assert not part.like or part.like in known
        assert part.id not in known
        # a config that lacks nothing but record numbers, and no key that the step does not know
        documented = steps.documented(part.fn, "Config")
        assert set(part.config) <= set(documented), part.id
        assert {key for key, required in documented.items() if required} <= {*part.config, "rows"}
        assert set(part.inputs) <= set(steps.documented(part.fn, "Inputs")), part.id
        known.append(part.id)


def test_a_training_seed_reads_its_own_tokenizers_and_is_priced_with_the_first():
    listed = {part.id: part for part in pipeline.parts(GPU)}
    head = listed["03/head_qinco_2"]
    folders = {"cohort": "01/cohort", "tokenizer": "03/qinco_2", "codes": "03/qinco_codes_2"}
    assert head.inputs == folders and head.like == "03/head_qinco"
    assert listed["03/qinco_2"].inputs["joint"] == "03/joint_rvq_2"
    assert listed["03/qinco_codes_2"].like == "02/qinco_codes"
    assert listed["03/head_rvq_low"].config["codebooks"] == GPU["classify"]["low_codebooks"]
    assert listed["03/head_deepssl_1"].inputs["features"] == "03/deep_ssl_features_1"
    assert "03/linear_qinco" in listed and "03/linear_qinco_1" not in listed
    trained = [part.id for part in pipeline.parts(PROFILES["laptop"]) if part.id[:2] == "03"]
    assert trained == ["03/raw"]  # its predictions of heads are those of another run


def test_no_training_is_longer_than_the_cap_or_needs_notebook_tools():
    """Its machine may lack them, and the readers of files as well."""
    parts = measure_machine.measured_parts(GPU, cap=7)
    assert {part.id[:2] for part in parts} == {"02", "03", "04", "05", "06"}
    assert all(part.config.get("steps", 7) == 7 for part in parts if part.trains)
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
    assert set(parts) >= {"02/joint_rvq", "02/qinco", "03/head_qinco", "04/ecg_tok", "06/tuned"}
    for row in parts.values():
        for what in ("ecgs_per_second", "speed_up"):  # None: too short to be measured
            assert row.get(what) is None or row[what] > 0
    raises(FileExistsError, "is not empty", measure_machine.main, arguments)


def test_a_base_that_is_none_is_named(tmp_path):
    arguments = ["--out", str(tmp_path / "out"), "--profile", "smoke", "--patients", "20"]
    missing(r"holds no config\.json", measure_machine.main, [*arguments, "--base", str(tmp_path)])
