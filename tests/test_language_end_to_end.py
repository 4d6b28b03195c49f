"""The steps of all systems on 40 simulated patients: files appear, losses fall."""

import json
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from _cohort import write_cohort
from builds import raises
from measure_machine import records
from safetensors.numpy import load_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from ecglib.cohorts.store import Cohort
from ecglib.language import (
    adapter,
    alignment,
    bert_score,
    heartllm,
    next_tokens,
    no_ecg,
    phrase_warm_up,
    small_model,
    train_system,
    write_texts,
)
from ecglib.language import base as base_model
from ecglib.language.base import load
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.system import load_prefix
from ecglib.language.write_texts import write
from ecglib.questions import balanced_sets
from ecglib.run import torchrun
from ecglib.run.errors import RunError
from ecglib.run.steps import check_documented
from ecglib.tokenizers import encode, train
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SMALL = {"pieces": 400, "width": 32, "layers": 2, "heads": 2, "feed_forward": 64}
SMALL |= {"steps": 30, "batch": 16, "learning_rate": 1e-2}
LATENT = {"autoencoder": {"kind": "strided", "widths": [8, 8, 16], "strides": [4, 4, 4]}}
LATENT |= {"method": "rvq", "quantiser": {"codebooks": 2, "codewords": 8}, "batch": 8, "steps": 6}
LATENT |= {"commitment": 0.25, "revive_every": 5, "learning_rate": 1e-3}
LEADWISE = {"channels": 8, "strides": [4, 4, 4], "widths": [16, 16, 16], "levels": 6, "dims": 4}
LEADWISE = {"model": LEADWISE, "batch": 8, "learning_rate": 1e-3, "steps": 6}
PRETRAIN = {"adapt": "full", "steps": 16, "batch": 8, "parts": 2, "model_rate": 1e-2}
PRETRAIN |= {"prefix_rate": 1e-2, "validate_every": 8, "validation_ecgs": 4}
TRAIN = PRETRAIN | {"questions_per_ecg": 3, "patient": True, "instruction": True}
LORA = {"adapt": "lora", "rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}
WARM = {"steps": 24, "batch": 24, "learning_rate": 3e-3, "least": 3, "most": 16}

TOKENS = {"codes": "fsq_codes", "base": "base"}
CODES = TOKENS | {"cohort": "cohort", "tokenizer": "leadwise"}
LATENTS = {"cohort": "cohort", "tokenizer": "start", "codes": "codes", "base": "base"}
ASKED = {"questions": "questions"}


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """Runs a step into a folder of its name, once: `step(name, fn, config, inputs)`."""
    out = tmp_path_factory.mktemp("steps")

    def run(name, fn=None, config=None, inputs: dict[str, str] | None = None) -> Path:
        folder = out / name
        if not folder.exists():
            folder.mkdir()
            read = {label: out / of for label, of in inputs.items()}
            check_documented(fn, config, read)
            fn(folder, read, config, 0, MACHINE)
        return folder

    cohort = write_cohort(out / "cohort", records(40, seed=0), seed=0)
    ask = {"per_ecg": 4, "rows": cohort.rows("test").tolist(), "min_positives": 1}
    run("questions", balanced_sets.write_questions, ask, {"cohort": "cohort"})
    run("base", small_model.pretrain, SMALL, {"cohort": "cohort"} | ASKED)
    run("start", train.train_jointly, LATENT, {"cohort": "cohort"})
    run("codes", encode.encode, {"batch": 32}, {"cohort": "cohort", "tokenizer": "start"})
    run("drawn", adapter.initialise, {"vectors": 3, "hidden": 16, "heads": 2}, LATENTS)
    run("warm", phrase_warm_up.warm_up, WARM, LATENTS | {"prefix": "drawn"})
    return run


def fell(folder: Path) -> bool:
    """The last quarter of the loss curve is clearly below the first."""
    loss = pd.read_csv(folder / "history.csv")["loss"].to_numpy()
    quarter = len(loss) // 4
    return loss[-quarter:].mean() < 0.97 * loss[:quarter].mean()


def test_ecg_tok_trains_and_writes(step):
    """Neither the batch size nor, for the control, the choice of ECGs changes a text."""
    step("constant", no_ecg.initialise, {"vectors": 3}, {"base": "base"})
    read = LATENTS | ASKED
    step("ecg_tok", train_system.train, TRAIN, read | {"prefix": "warm"})
    step("by_lora", train_system.train, TRAIN | LORA, read | {"prefix": "warm"})
    step("no_ecg", train_system.train, TRAIN, read | {"prefix": "constant"})
    for name in ("base", "warm", "ecg_tok", "no_ecg"):
        assert fell(step(name)), name
    curve = pd.read_csv(step("ecg_tok") / "validation.csv")
    assert curve["step"].tolist() == [0, 8, 16] and curve["loss"].iloc[-1] < curve["loss"].iloc[0]
    spent, cold = (json.loads((step(n) / "budget.json").read_text()) for n in ("ecg_tok", "no_ecg"))
    assert 120 < cold["ecg_views"] <= 16 * 8 and cold["labels"] == 0 and cold["flops"] > 0
    assert spent["ecg_views"] == cold["ecg_views"] + 24 * 24 and 0 < spent["labels"] <= 40
    assert spent["supervised_tokens"] == cold["supervised_tokens"], "not the same texts"
    rows = Cohort.open(step("cohort")).rows("test").tolist()

    def written(system: str, name: str, **config) -> pd.DataFrame:
        config = {"rows": rows, "batch": 4, "max_new": 8} | config
        out = step(f"{system}_{name}", write, config, LATENTS | {"system": system})
        return pd.read_parquet(out / "texts.parquet")

    for name in ("ecg_tok", "by_lora", "no_ecg"):
        table = written(name, "by_three", batch=3)
        pd.testing.assert_frame_equal(table, written(name, "by_five", batch=5))
        assert (table["number"] == -1).all() and table["tokens"].between(0, 8).all()
        assert set(table["stop_reason"]) <= {"eos", "length"}
        shuffled = written(name, "shuffled", ecgs=rows[::-1])
        assert table["row"].tolist() == shuffled["row"].tolist() == rows
    pd.testing.assert_frame_equal(table, shuffled)  # to the control all ECGs are the same
    # what is published is in half precision, and plain transformers opens it
    assert (step("by_lora") / "lora" / "adapter_model.safetensors").exists()
    plain = AutoModelForCausalLM.from_pretrained(step("ecg_tok") / "model", dtype="auto")
    assert plain.dtype == torch.float16
    tokenizer = AutoTokenizer.from_pretrained(step("ecg_tok") / "model")
    assert tokenizer("A: Sinus rhythm").input_ids == tokenizer("A: Sinus rhythm").input_ids
    weights = load_file(step("ecg_tok") / "prefix.safetensors")
    assert {part.dtype for part in weights.values()} == {np.dtype("float16")}
    base = load(step("base"), MACHINE)
    reports = Cohort.open(step("cohort")).records["report"].iloc[rows].tolist()
    texts = written("ecg_tok", "by_three", batch=3)["text"].tolist()
    pairs = reports, texts
    by_two, by_nine = (bert_score.score(base, MACHINE, *pairs, -1, size) for size in (2, 9))
    pd.testing.assert_frame_equal(by_two, by_nine)
    pairs = ["Sinus rhythm.", "Sinus rhythm."], ["Sinus rhythm.", ""]
    same, empty = bert_score.score(base, MACHINE, *pairs, layer=1).to_numpy()
    np.testing.assert_allclose(same, 1.0)
    assert (empty == 0).all()


def test_systems_learn_from_training_patients_alone(step, monkeypatch):
    """The questions about test patients are not even in the folder: who read them would know the
    answers that are scored."""
    cohort, seen, read = Cohort.open(step("cohort")), [], adapter.read_latents
    monkeypatch.setattr(adapter, "read_latents", lambda *of: seen.append(set(of[3])) or read(*of))
    no_test = shutil.ignore_patterns("test.parquet")
    shutil.copytree(step("questions"), step("questions").with_name("no_test"), ignore=no_test)
    asked, short = {"questions": "no_test"}, {"steps": 1}
    step("words", small_model.pretrain, SMALL | short, {"cohort": "cohort"} | asked)
    step("warmer", phrase_warm_up.warm_up, WARM | short, LATENTS | {"prefix": "drawn"})
    step("one_update", train_system.train, TRAIN | short, LATENTS | asked | {"prefix": "drawn"})
    roles = [set(cohort.rows(name)) for name in ("train", "train", "validation")]
    assert [rows <= own for rows, own in zip(seen, roles, strict=True)] == [True] * 3


def test_an_ecg_without_a_report_is_not_trained_on(step, monkeypatch):
    """It would teach that such an ECG is to be left without words."""
    shutil.copytree(step("cohort"), step("cohort").with_name("some_reports"))
    table = step("cohort").with_name("some_reports") / "records.parquet"
    given = Cohort.open(table.parent)
    silent = set(given.rows("train")[:5].tolist() + given.rows("validation")[:1].tolist())
    records = pd.read_parquet(table)
    records.loc[sorted(silent), "report"] = ""
    records.to_parquet(table)
    seen, read = [], adapter.read_latents
    monkeypatch.setattr(adapter, "read_latents", lambda *of: seen.append(set(of[3])) or read(*of))
    inputs = LATENTS | {"prefix": "drawn", "cohort": "some_reports"}
    step("warm_some", phrase_warm_up.warm_up, WARM | {"steps": 1, "least": 1}, inputs)
    step("update_some", train_system.train, TRAIN | {"steps": 1}, inputs | ASKED)
    train = set(given.rows("train").tolist()) - silent
    assert seen[0] == seen[1] == train and len(seen) == 3 and not seen[2] & silent


def test_a_loss_is_per_supervised_token_and_operations_are_those_of_all_positions(
    step, monkeypatch
):
    """Another denominator would change the rates of learning and the budgets of a comparison."""
    counts, loss = [], train_system.answer_loss
    monkeypatch.setattr(train_system, "answer_loss", lambda *of: counts.append(of[4]) or loss(*of))
    monkeypatch.setattr(train_system, "count_flops", lambda losses: 7.0)
    read = LATENTS | ASKED | {"prefix": "drawn"}
    out = step("counted", train_system.train, TRAIN | {"steps": 1}, read)
    budget = json.loads((out / "budget.json").read_text())
    assert budget["flops"] == 7.0 and budget["updates"] == 1
    assert budget["supervised_tokens"] in counts  # beside those of the validation patients


def test_a_shuffled_control_reads_another_ecg_about_the_right_patient(step, monkeypatch):
    """Else the control would keep the own ECG, or take the age of another patient, too."""
    step("ecg_tok", train_system.train, TRAIN, LATENTS | ASKED | {"prefix": "warm"})
    rows, read = Cohort.open(step("cohort")).rows("test").tolist(), LATENTS | {"system": "ecg_tok"}
    entered: dict[str, list] = {"own": [], "turned": []}  # sums over the patient and over the ECG

    def generate(_, prefix, lengths, prompts, *__):
        ends = [vectors[:n] for vectors, n in zip(prefix, lengths, strict=True)]
        entered[name] += [(one[:-3].sum().item(), one[-3:].sum().item()) for one in ends]
        return [[([], "eos")] for _ in prompts]

    monkeypatch.setattr(write_texts, "generate", generate)
    for name, more in {"own": {}, "turned": {"ecgs": rows[::-1]}}.items():
        step(name, write, {"rows": rows, "batch": 99, "max_new": 1} | more, read)
    (patients, ecgs), (others, turned) = (np.array(entered[name]).T for name in entered)
    np.testing.assert_allclose(others, patients)
    assert not np.allclose(turned, ecgs)
    np.testing.assert_allclose(np.sort(turned), np.sort(ecgs), rtol=1e-4)


class Numbers(nn.Linear):
    """A prefix whose vectors say which ECG of the rows it is."""

    kind, config = "numbers", {}

    def read_ecgs(self, inputs, rows):
        return (torch.arange(len(rows)),)

    def forward(self, index):
        return index[:, None, None] + 0.0 * self.weight.sum(), None


def test_phrases_of_the_warm_up_are_those_of_the_report_of_each_ecg(step, monkeypatch):
    """With the phrases of other reports every system would start from noise."""
    cohort, seen = Cohort.open(step("cohort")), []
    reports = cohort.records["report"].iloc[cohort.rows("train")].to_numpy()

    def loss(head, vectors, stated):
        seen.append((vectors.long().flatten(), stated))
        return vectors.sum() + head.bias.sum()

    monkeypatch.setattr(phrase_warm_up, "load_prefix", lambda folder: Numbers(1, 1))
    monkeypatch.setattr(phrase_warm_up.PhraseHead, "forward", loss)
    read = LATENTS | {"prefix": "drawn"}
    out = step("numbers", phrase_warm_up.warm_up, WARM | {"steps": 2}, read)
    phrases = (out / "phrases.txt").read_text().splitlines()
    for index, stated in seen:
        assert torch.equal(stated, phrase_warm_up.has_phrases(reports[index], phrases))


def test_a_lora_on_four_bits_learns_nearly_what_one_on_the_whole_base_does(step):
    """The loss differs by less than 2 % at the end."""
    base = step("base").with_name("base_nf4")
    shutil.copytree(step("base"), base)
    (base / base_model.QUANTISATION_FILE).write_text('{"quantisation": "nf4"}')
    read = LATENTS | ASKED | {"base": "base_nf4", "prefix": "warm"}
    folder = step("by_qlora", train_system.train, TRAIN | LORA, read)
    four, whole = (pd.read_csv(f / "history.csv")["loss"] for f in (folder, step("by_lora")))
    assert four[0] != whole[0]
    np.testing.assert_allclose(four[-4:], whole[-4:], rtol=0.02)


def test_two_processes_learn_what_one_does_and_go_on_after_one_is_killed(step, tmp_path):
    """Each takes one micro-batch of two. The kill comes behind the checkpoint of update 50."""
    config = TRAIN | {"steps": 70}
    inputs = {label: step(of) for label, of in (LATENTS | ASKED | {"prefix": "warm"}).items()}
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.mkdir(), shared.mkdir()
    train_system.train(alone, inputs, config, 0, MACHINE)

    def kill() -> None:
        """Kill the second process as soon as there is a checkpoint."""
        for _ in range(6000):  # two minutes: a failure before it must not wait for ever
            if (shared / "checkpoint" / "answers").exists():
                break
            time.sleep(0.02)
        workers = psutil.Process().children(recursive=True)
        next(p for p in workers if p.environ().get("LOCAL_RANK") == "1").kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    order = (train_system.train, shared, inputs, config, 0, MACHINE, 2)
    raises(RunError, "failed or was killed", torchrun.call, *order)
    killer.join()
    assert not (shared / "history.csv").exists()
    torchrun.call(*order)
    one, two = (pd.read_csv(folder / "history.csv")["loss"] for folder in (alone, shared))
    np.testing.assert_allclose(one, two, rtol=1e-3)
    looks = [pd.read_csv(folder / "validation.csv") for folder in (alone, shared)]
    pd.testing.assert_frame_equal(*looks, rtol=1e-3)
    budgets = [json.loads((folder / "budget.json").read_text()) for folder in (alone, shared)]
    assert budgets[0] == budgets[1]


# executes the file that the first machine writes, as soon as it is written
SECOND = 'while [ ! -s "$0" ]; do sleep 0.1; done; exec bash "$0"'


def test_a_second_machine_takes_its_share(step, tmp_path, monkeypatch):
    """Both are this one: the second executes the file that the training of the first writes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = f"localhost:{free.getsockname()[1]}"
    nodes = f"--nnodes=2 --rdzv-backend=c10d --rdzv-endpoint={place}"
    monkeypatch.setenv(torchrun.OPTIONS, nodes)
    inputs = {label: step(of) for label, of in (LATENTS | ASKED | {"prefix": "warm"}).items()}
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.mkdir(), shared.mkdir()
    train_system.train(alone, inputs, TRAIN, 0, MACHINE)
    with subprocess.Popen(["bash", "-c", SECOND, tmp_path / torchrun.SCRIPT]) as further:
        try:
            torchrun.call(train_system.train, shared, inputs, TRAIN, 0, MACHINE, 1)
            assert further.wait(timeout=120) == 0
        finally:
            further.kill()
    one, two = (pd.read_csv(folder / "history.csv")["loss"] for folder in (alone, shared))
    np.testing.assert_allclose(one, two, rtol=1e-3)


def test_bert_score_by_hand():
    """States a, the diagonal and the opposite of a in the output, a and b in the reference."""
    reference = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    output = torch.tensor([[3.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    half = 0.5**0.5
    precision, recall = (1 + half + 0) / 3, (1 + half) / 2
    f1 = 2 * precision * recall / (precision + recall)
    assert bert_score.match(reference, output) == pytest.approx((precision, recall, f1))
    assert bert_score.match(reference, output[:0]) == (0, 0, 0)
    assert bert_score.match(reference[:1], output[2:])[2] == 0  # opposite: nothing is shared


def test_heartllm_starts_at_the_codes_of_training_and_looks_at_validation(step, monkeypatch):
    """Its bias must not know the codes of test patients. Before an update both losses are alike."""
    step("leadwise", train.train_leadwise, LEADWISE, {"cohort": "cohort"})
    step("fsq_codes", encode.encode, {"batch": 32}, {"cohort": "cohort", "tokenizer": "leadwise"})
    step("untrained", heartllm.initialise, {"neighbours": "grid"}, CODES)
    cohort, seen, read = Cohort.open(step("cohort")), [], EcgTokenEmbedding.read_ecgs
    codes = encode.read_codes(step("fsq_codes"), cohort.rows("train")).flatten()
    uses, bias = np.bincount(codes, minlength=1296) + 1, load_prefix(step("untrained")).bias
    np.testing.assert_allclose(bias[:-2].detach(), np.log(uses / uses.sum()), atol=5e-3)

    def noted(self, inputs, rows):
        seen.append(set(rows))
        return read(self, inputs, rows)

    monkeypatch.setattr(EcgTokenEmbedding, "read_ecgs", noted)
    config = PRETRAIN | LORA | {"steps": 1}
    out = step("one_look", next_tokens.pretrain, config, CODES | {"prefix": "untrained"})
    assert seen[0] == set(cohort.rows("train")) and seen[1] <= set(cohort.rows("validation"))
    first = [pd.read_csv(out / f"{name}.csv")["loss"][0] for name in ("history", "validation")]
    assert first[0] == pytest.approx(first[1], rel=0.2)


def test_heartllm_trains_answers_forecasts_and_aligns(step, monkeypatch):
    step("leadwise", train.train_leadwise, LEADWISE, {"cohort": "cohort"})
    step("fsq_codes", encode.encode, {"batch": 32}, {"cohort": "cohort", "tokenizer": "leadwise"})
    step("untrained", heartllm.initialise, {"neighbours": "grid"}, CODES)
    step("pretrained", next_tokens.pretrain, PRETRAIN | LORA, CODES | {"prefix": "untrained"})
    monkeypatch.setattr(next_tokens, "HELD_AT_ONCE", 3)  # of four validation ECGs
    step("in_two", next_tokens.pretrain, PRETRAIN | LORA, CODES | {"prefix": "untrained"})
    curves = [pd.read_csv(step(n) / "validation.csv") for n in ("pretrained", "in_two")]
    np.testing.assert_allclose(*curves, rtol=1e-5)
    start = CODES | ASKED | {"prefix": "pretrained", "start": "pretrained"}
    step("tuned", train_system.train, TRAIN | LORA, start)
    for name in ("pretrained", "tuned"):
        assert fell(step(name)), name
    spent = [json.loads((step(n) / "budget.json").read_text()) for n in ("pretrained", "tuned")]
    assert [one["updates"] for one in spent] == [16, 32]
    table = pd.read_parquet(step("questions") / "test.parquet")
    rows = Cohort.open(step("cohort")).rows("test").tolist()
    config, read = {"rows": rows, "batch": 4, "max_new": 5}, CODES | ASKED
    out = step("answers", write, config, read | {"system": "tuned"})
    texts = pd.read_parquet(out / "texts.parquet")
    report = texts["number"] < 0
    assert sorted(texts["number"][~report]) == sorted(table["number"])
    assert sorted(texts["row"][report]) == rows
    row, read = rows[0], TOKENS | {"system": "pretrained"}
    losses = step("losses", next_tokens.held_out, {"rows": [row], "batch": 4}, read)
    assert np.load(losses / "losses.npy").shape == (1, 40)
    ahead = {"row": row, "context": 10, "samples": 2}
    codes = np.load(step("forecast", next_tokens.continue_ecg, ahead, read) / "codes.npy")
    true = encode.read_codes(step("fsq_codes"), np.array([row]))[0, :, 0].numpy()
    assert codes.shape == (3, *true.shape) and (codes[:, :10] == true[:10]).all()
    assert (codes[1] != codes[2]).any() and codes.min() >= 0
    # alignment of the trained and the untrained
    read, config = TOKENS | {"cohort": "cohort", "system": "untrained"}, {"rows": rows, "batch": 3}
    untrained = step("embed_untrained", alignment.embed, config, read)
    tuned = step("embed_tuned", alignment.embed, config, read | {"system": "tuned"})
    before, after = (load_file(out / "embeddings.safetensors") for out in (untrained, tuned))
    assert set(before) == {"ecg_input", "text_input", "ecg_hidden", "text_hidden"}
    for points in (*before.values(), *after.values()):
        assert points.shape == (len(rows), SMALL["width"])
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-5)
    assert np.abs(before["ecg_input"] - after["ecg_input"]).max() > 1e-3
    config = {"rows": rows, "question": "Is there low voltage?", "layers": 4}
    read = TOKENS | {"system": "tuned", "cohort": "cohort"}
    out = step("attention", alignment.attend, config, read)
    weights = np.load(out / "attention.npy")
    assert weights.shape == (len(rows), 40)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)
    with pytest.raises(ValueError, match="at least 1 of the last layers"):
        step("no_layers", alignment.attend, config | {"layers": 0}, read)
