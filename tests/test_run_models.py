"""The committed models open, as the README says, and are taken by a run that is told to."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import ecglib
from ecglib.evaluate import reconstruction
from ecglib.own_ecg.load_models import PATIENT, TOKENIZERS
from ecglib.run import keys, manifest, models
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import TAKES_MODELS
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.load import load

REPO = Path(__file__).resolve().parents[1]
MODELS = REPO / "reports" / "synthetic-laptop" / "models"
PREDICTIONS = MODELS.parent / "predictions"
LISTED = [
    list(spec.models) for spec in Run("laptop", "synthetic", 0).stages.values() if spec.models
]
THERE = {path.name for path in MODELS.iterdir()}
TOLERANCE = 1e-4  # mV, of the error of one ECG: another processor may choose another code


def test_the_lines_of_the_readme_work_in_a_clone(monkeypatch):
    code = re.search(r"```python\n(.*?)```", (REPO / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(REPO)
    snippet: dict = {}
    exec(compile(code, "README.md", "exec"), snippet)
    assert snippet["codes"].shape == (1, 79, 16) and snippet["again"].shape == (1, 12, 2500)
    assert snippet["again"].abs().max() < 0.02  # mV: silence stays nearly silent
    assert snippet["report"]


def test_committed_models_have_the_keys_of_this_code(monkeypatch):
    """So nothing that trains has changed since, whatever else has. Libraries may be others here."""
    (versions,) = {
        json.dumps(manifest.read(card)["versions"]) for card in MODELS.glob("*/card.json")
    }
    monkeypatch.setattr(keys, "versions", lambda: json.loads(versions))
    same = models.of_this_code(Run("laptop", "synthetic", 0))
    assert set(same) == THERE and all(same.values()), same


def test_a_wheel_carries_models_that_open_without_a_clone(tmp_path):
    """Tokenizers, the classifier and ECG-Tok; HeartLLM is named as absent."""
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("ecglib", "reports/synthetic-laptop/models"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPO / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(REPO / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 20e6
    shutil.unpack_archive(wheel, target, "zip")
    code = """
        import ecglib, torch
        ecg = torch.zeros(1, 12, 2500)
        print(ecglib.__file__, *ecglib.load("qinco").encode(ecg).shape)
        network, reader = ecglib.load("decoded_qinco"), ecglib.load("ecg_tok")
        print(reader.report(ecg) != "", *network.probabilities(ecg).shape)
        try:
            ecglib.load("heartllm")
        except FileNotFoundError as error:
            print(error)
    """
    variables = os.environ | {"PYTHONPATH": str(target)}
    options = {"env": variables, "cwd": tmp_path, "text": True, "check": True}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    printed = subprocess.run(command, capture_output=True, **options).stdout.splitlines()
    assert printed[0].startswith(str(target)) and printed[0].endswith("1 79 16")
    assert printed[1].startswith("True 1 ") and "heartllm is not published here" in printed[2]


@pytest.mark.parametrize("name", sorted(THERE & set(LISTED[0])))
def test_a_committed_tokenizer_opens(name):
    rate = load(MODELS / name).rate()
    assert rate.bits_per_ecg > 500


def test_every_committed_model_has_a_card_and_weights():
    names = [name for listed in LISTED for name in listed]
    assert sorted(names) == sorted(THERE)
    whole = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())
    assert whole < 42e6
    for name in sorted(THERE):
        card = json.loads((MODELS / name / "card.json").read_text())
        assert len(card["key"]) == 64 and card["config"] and card["function"].startswith("ecglib.")
        files = {Path(file).name for file in manifest.contents(MODELS / name)}
        assert "card.json" in files and not any(file.endswith(".parquet") for file in files)
        assert files & {"model.safetensors", "adapter_model.safetensors"}


def test_committed_models_repeat_committed_predictions():
    """In a process of its own, on ten test ECGs: scores within 0.01, nine of ten reports equal. All
    published models but VQ and RVQ, which none of them reads."""
    script = [sys.executable, str(REPO / "tests" / "repeat_predictions.py"), str(MODELS.parent)]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    repeated = json.loads(printed.splitlines()[-1])
    assert max(repeated["largest difference of a score"].values()) < 0.01
    assert min(repeated["share of equal reports"].values()) >= 0.9


@pytest.fixture(scope="module")
def ten_ecgs() -> pd.DataFrame:
    """The ten test ECGs of notebook 09, with a column `signal`: (12, 2500) in mV."""
    table = pd.read_parquet(PREDICTIONS / "09_ten_ecgs.parquet")
    stacked = np.stack([np.stack(table[lead].to_list()) for lead in LEADS], 1)
    return table.assign(signal=list(stacked.astype(np.float32) / 1000))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_committed_tokenizer_repeats_the_committed_errors_of_ten_ecgs(name, ten_ecgs):
    """Their mean absolute errors, 8 to 116 microvolts. With one thread and with two they differ by
    1.4e-8 mV at most, where the models of training seed 1 differ by 6e-4 mV or more in the worst
    ECG. The ECGs are stored in whole microvolts, as in the cohort, so nothing is lost."""
    signals, n_valid = np.stack(ten_ecgs["signal"]), ten_ecgs["n_valid"].to_numpy()
    tokenizer = load(MODELS / name)
    with torch.no_grad():
        codes = tokenizer.encode(torch.tensor(signals), torch.tensor(n_valid))
        decoded = tokenizer.decode(codes).numpy()
    ours = reconstruction.per_record(signals, decoded, n_valid)["mae_mv"].to_numpy()
    saved = pd.read_parquet(PREDICTIONS / "02_reconstruction.parquet")
    saved = saved[(saved["method"] == name) & (saved["item"] == "mae_mv")].set_index("ecg")
    theirs = saved["score"].loc[ten_ecgs["ecg"]].to_numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["heartllm", "ecg_byte"])
def test_a_published_system_repeats_committed_answers(name, ten_ecgs):
    """To the first question about each of the ten ECGs: nine of ten are equal."""
    asked = pd.read_parquet(PREDICTIONS / "06_questions.parquet")
    asked = ten_ecgs.merge(asked.drop_duplicates("ecg"), on="ecg")
    saved = pd.read_parquet(PREDICTIONS / "06_answers.parquet")
    saved = saved[saved["method"] == name][["ecg", "item", "prediction"]]
    asked = asked.merge(saved, on=["ecg", "item"], validate="one_to_one")
    assert len(asked) == 10 and asked["prediction"].nunique() > 3
    reader = ecglib.load(name)
    ours = [
        reader.answer(torch.tensor(one["signal"]), one["question"], **{k: one[k] for k in PATIENT})
        for one in asked.to_dict("records")
    ]
    assert np.mean(ours == asked["prediction"].to_numpy()) >= 0.9


def test_a_tokenizer_is_taken_with_its_own_codebooks_alone(tmp_path):
    """Keys are the same on all machines, codebooks are not. A study encodes with the committed
    model instead of a quantiser that it would train again."""
    run = Run("laptop", "synthetic", 0, "study-table_1", [], [])
    keys_of = {path.name: manifest.read(path / "card.json")["key"] for path in MODELS.iterdir()}
    codes = run.parts["qinco_codes"]
    assert codes.inputs["tokenizer"] == "qinco_quantiser"
    assert models.whole_of(run, codes, lambda name: keys_of.get(name, "")) == "qinco"
    assert models.whole_of(run, codes, lambda name: "") == ""
    assert models.whole_of(run, run.parts["ecg_tok"], lambda name: keys_of.get(name, "")) == ""
    shutil.copytree(MODELS / "rvq", tmp_path / "same")
    models.require_same_codebooks(MODELS / "rvq", tmp_path / "same")
    tensors = load_file(MODELS / "rvq" / "model.safetensors")
    name = next(name for name in tensors if name.startswith("quantiser."))
    save_file(tensors | {name: tensors[name] + 1}, tmp_path / "same" / "model.safetensors")
    with pytest.raises(RunError, match="rvq has other codebooks than its quantiser, which was"):
        models.require_same_codebooks(MODELS / "rvq", tmp_path / "same")


def test_a_run_takes_committed_models_where_it_is_told_to(finished, monkeypatch):
    """Only models of its keys, with all files of their steps, and unchanged."""
    monkeypatch.setenv(TAKES_MODELS, "")  # the option sets it; this ends that with the test
    finished.edit("notebooks/stages.yaml", '[cohort]}}\n"03"', '[cohort]}, models: [model]}\n"03"')
    finished.run("--force", "02")
    model = finished.folder / "reports/synthetic-laptop/models/model"
    card = json.loads((model / "card.json").read_text())
    assert card["whole"] and list(card["files"]) == ["model.txt"]

    def trained() -> bool:
        """Whether a run that is told so, on a machine without artifacts, trains the model."""
        shutil.rmtree(finished.folder / "artifacts")
        finished.log.write_text("")
        finished.run("--only", "01,02", "--committed-models")
        return bool(finished.log.read_text())

    assert not trained()
    recorded = manifest.read(finished.folder / "artifacts/synthetic-laptop/02/model/manifest.json")
    assert recorded["taken_from"] == "model" and recorded["key"] == card["key"]
    assert manifest.read(model / "card.json") == card, "its card is that of the training"
    finished.edit("notebooks/profiles/laptop.yaml", "steps: 5", "steps: 6")
    assert trained(), "another key"
    (model / "model.txt").write_text("changed by hand")
    again = ("--only", "02", "--force", "02", "--committed-models")
    assert "is not the file of its card" in finished.run(*again, code=1)
