"""What needs no notebook: the dry run's sizes, and the entry that measures a machine."""

import copy
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import _older_torch
import measure_machine
import numpy as np
import pandas as pd
import pytest
from builds import missing, raises

from ecglib.language import base
from ecglib.run import arms, dry_run, profiles, steps
from ecglib.run.context import Run
from ecglib.run.paths import Paths
from ecglib.tokenizers import plugin
from ecglib.tokenizers.tokenizer_parts import NAMES
from ecglib.training.device import Machine
from ecglib.training.part import GIVEN

REPO = Path(__file__).parents[1]
PROFILES = {
    name: profiles.load_profile(Paths(REPO, REPO / "artifacts", REPO), name)
    for name in ("smoke", "laptop", "mini", "rehearsal", "gpu", "gpu_ptbxl")
}
GPU = PROFILES["gpu"]


@cache
def estimated(name: str) -> pd.DataFrame:
    """The dry run's table of a profile. Building the paper's models takes seconds."""
    return dry_run.estimate(PROFILES[name])


def test_every_profile_is_estimated_with_the_published_size_of_its_base_model():
    bases = {"smoke": None, "laptop": None, "gpu": ("base_llama32_1b", 1_235_814_400)}
    for name, published in bases.items():
        table = estimated(name)
        assert table.index.is_unique and (table.fillna(0) >= 0).all(axis=None)
        lines = table.to_string(formatters=dry_run.FORMATS).splitlines()
        assert lines[0].split() == ["model", *dry_run.FORMATS] and len(lines) == len(table) + 1
        if published:
            assert table.loc[published[0], "parameters"] == published[1]
    small = estimated("laptop").loc["04/base_small", "parameters"]
    assert 3e6 <= small <= 5e6
    own = estimated("laptop").loc["06/ecg_byte", "trained"] - small
    assert own > 256 * (26 + 3500)  # a vector of each symbol


def test_the_systems_that_a_study_lists_are_priced(capsys, monkeypatch):
    example = Path(__file__).resolve().parents[1] / "docs" / "example_system.py"
    monkeypatch.setenv(plugin.VARIABLE, str(example))
    cases = [("gpu", "systems", 3), ("gpu", "ablations", 3), ("laptop", "ecg_tok_by_tokenizer", 8)]
    cases += [("gpu", "own_system", 1)]
    for profile, name, systems in cases:  # the last with an adapter on FSQ's grid
        dry_run.print_costs(Run(profile, "synthetic", 0, f"study-{name}"))
        *rows, hours = capsys.readouterr().out.splitlines()[2:]
        assert len(rows) == systems and all(row.startswith("study/") for row in rows)
        summed = sum(float(row.split()[-1]) for row in rows)
        assert float(hours.split(": ")[1]) == pytest.approx(summed, abs=0.1)
    dry_run.print_costs(Run("gpu", "synthetic", 0, "study-two_stage"))
    *rows, _, again, of_run = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 5, "in this profile each opponent has two names, and is trained once"
    assert "merl_lora (merl), " in again and of_run.endswith("them: ecg_byte_lora (ecg_byte)")
    for name, times in (("four_times", 4), ("ecg_qa", 1)):  # copies that their notebooks change
        dry_run.print_costs(Run("gpu", "synthetic", 0, f"study-{name}"))
        rows = capsys.readouterr().out.splitlines()[2:]
        system = next(row for row in rows if row.startswith("study/heartllm"))
        once = estimated("gpu").loc["06/heartllm", "hours"]
        assert float(system.split()[-1]) == pytest.approx(times * once, abs=0.01)
        assert ("heartllm_ecg_qa (heartllm)" in rows[-1]) == (times == 1)
    dry_run.print_costs(Run("gpu", "synthetic", 0, "study-stream"))
    assert "lists no systems" in capsys.readouterr().out


def test_lora_by_hand_and_hours_that_follow_steps_and_throughput():
    """Llama-3.2-1B: q and o 2048 to 2048, k and v 2048 to 512, three layers between 2048 and 8192;
    16 of each. ECG-Byte's LoRA has 11,272,192 numbers."""
    defaults = GPU["systems"]["defaults"]
    assert len(defaults["targets"]) == 7
    vectors = GPU["systems"]["no_ecg"]["vectors"] * 2048
    lora = 16 * defaults["rank"] * (2 * 4096 + 2 * 2560 + 3 * 10240)
    assert lora == 11_272_192
    expected = lora + vectors
    before = estimated("gpu")
    assert before.loc["04/no_ecg", "trained"] == expected
    more = copy.deepcopy(GPU)
    more["systems"]["defaults"]["steps"] *= 10
    more["hardware"]["tflops"] *= 2
    hours = dry_run.estimate(more, stage="06").loc["06/heartllm", "hours"]
    assert hours == pytest.approx(5 * before.loc["06/heartllm", "hours"])


def test_costs_are_those_of_the_plans_ecgs():
    """PTB-XL has 21,799 ECGs of 18,869 patients; a profile for more of them passes often."""
    sizes = {"ptbxl": 21_799, "mimic": 800_035, "ptbxl_to_mimic": 821_834, "wfdb": 250_000}
    for plan, number in sizes.items():
        assert dry_run.ecgs(Run("gpu", plan, 0)) == number
    assert dry_run.ecgs(Run("laptop", "mimic", 0)) == round(8000 * 800_035 / 161_352)
    for profile, passes in (("gpu", 83.9), ("gpu_ptbxl", 12.6)):
        table = dry_run.estimate(PROFILES[profile], 21_799)
        assert table.loc["06/heartllm", "passes"] == pytest.approx(passes, abs=0.05)
        assert table.loc["03/deepsl", "passes"] == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("name", sorted(PROFILES))
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


def test_only_what_the_named_parts_read():
    only = ("heartllm_pretrained",)
    names = [part.name for part in measure_machine.measured_parts(GPU, 1, only)]
    expected = ["fsq", "fsq_codes", "base_llama32_1b", "heartllm_pretrained_initial", *only]
    assert names == expected
    raises(ValueError, "no part", measure_machine.measured_parts, GPU, 1, ("heartllm_", *only))


def test_a_base_in_four_bits_is_prepared_as_in_a_run(tmp_path, monkeypatch):
    """Its weights are random; what is measured loads it in 4 bits."""
    profile = copy.deepcopy(GPU)
    profile["systems"]["defaults"]["base"] = "llama32_3b_nf4"
    shape = {"vocabulary" if key == "pieces" else key: value for key, value in CUT.items()}
    monkeypatch.setattr(measure_machine, "pin", lambda asset: {"shape": shape})
    machine = Machine("cpu", "float32", 1, "a test")
    what = measure_machine.prepare(tmp_path, profile, "random", 15, 0, machine)
    assert "llama32_3b" in what and not (tmp_path / "asset").exists()
    assert base.load(tmp_path / "04/base_llama32_3b_nf4", machine).model.is_quantized


def test_torchrun_gets_what_it_can_divide(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(measure_machine.torchrun, "call", lambda *order: calls.append(order))
    monkeypatch.setattr(arms, "function", lambda part: lambda *order: calls.append(order))
    listed, machine = arms.parts(GPU), Machine("cpu", "float32", 1, "a test")
    for name in ("no_ecg", "fsq"):
        part = listed[name]
        more = {"settings": dict(part.settings), "seed": 0, "processes": 3}
        measure_machine.seconds(part, listed, tmp_path, tmp_path / name, machine, **more)
    (_, *divided, count), whole = calls
    assert count == 3 and divided[0] == tmp_path / "no_ecg" and whole[0] == tmp_path / "fsq"
    part = listed["no_ecg"]
    read = {k: tmp_path / measure_machine.place(of, listed) for k, of in part.inputs.items()}
    assert divided[1:] == [read, part.settings, 0, machine]


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


CUT = {"pieces": 2000, "width": 256, "feed_forward": 512, "layers": 2, "heads": 4}
CUT |= {"key_value_heads": 2}
FEW = {"batch": 2, "questions_per_ecg": 2, "validation_ecgs": 2, "max_new": 4}  # at most


@pytest.mark.slow
def test_every_step_of_the_papers_profile_runs_in_bfloat16(tmp_path):
    """Two updates each, on 15 ECGs; the papers' sizes but for the batches, which are small because
    few processors have a fast bfloat16, and for the language model, which is cut."""
    machine = Machine("cpu", "bfloat16", 1, "a test")
    texts = ["Sinus rhythm. Left axis deviation.", "Atrial fibrillation, age 63."]
    measure_machine.write_random(tmp_path / "cut", CUT, texts, 0, machine)
    measure_machine.prepare(tmp_path, GPU, str(tmp_path / "cut"), 15, 0, machine)
    listed, curves = {p.name: p for p in measure_machine.measured_parts(GPU, cap=2)}, {}
    for part in listed.values():
        folder = tmp_path / measure_machine.place(part.name, listed)
        if folder.exists():  # the base
            continue
        settings = dict(part.settings)
        settings |= {key: min(settings[key], most) for key, most in FEW.items() if key in settings}
        settings |= {"rows": [0, 1]} if part.name.endswith("_texts") else {}
        arguments = {"settings": settings, "seed": 0}
        measure_machine.seconds(part, listed, tmp_path, folder, machine, **arguments)
        if (folder / "history.csv").exists():
            curves[part.name] = pd.read_csv(folder / "history.csv")["loss"]
    assert {"encoder", "qinco", "fsq", "ecg_tok", "heartllm_pretrained", "heartllm"} < set(curves)
    assert "ecg_byte" in curves and len(curves) >= 20
    assert all(np.isfinite(curve).all() for curve in curves.values())


def test_a_base_that_is_none_is_named(tmp_path):
    arguments = ["--out", str(tmp_path / "out"), "--profile", "smoke", "--patients", "20"]
    unknown = [*arguments, "--base-entry", "x"]
    raises(ValueError, "no base of the profile", measure_machine.main, unknown)
    missing(r"holds no config\.json", measure_machine.main, [*arguments, "--base", str(tmp_path)])


def test_an_older_counter_counts_query_heads_that_share_keys(monkeypatch):
    """As torch 2.11 does: it refuses heads of two numbers, and else counts what 2.13 counts."""

    def older(count):
        def of(*shapes):
            if len({shape[1] for shape in shapes}) > 1:
                raise AssertionError("incompatible")
            return count(*shapes)

        return of

    q, k = (2, 8, 16, 4), (2, 2, 16, 4)
    counter = _older_torch.flop_counter
    given = {"sdpa_flop_count": (q, k, k), "sdpa_backward_flop_count": (q, q, k, k)}
    expected = {name: getattr(counter, name)(*shapes) for name, shapes in given.items()}
    for name in given:
        monkeypatch.setattr(counter, name, older(getattr(counter, name)))
    _older_torch.count_grouped_queries()
    assert {name: getattr(counter, name)(*shapes) for name, shapes in given.items()} == expected
    assert min(expected.values()) > 0
