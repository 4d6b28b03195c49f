"""The trainings of both systems on 40 simulated patients: files appear, losses fall."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.language import alignment, answers, ecg_tok, heartllm, reports
from ecglib.questions import balanced_sets
from ecglib.run import bases, trainings
from ecglib.tokenizers import encode, train
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SHAPE = bases.shape({"asset": "smollm2", "kind": "config", "layers": 2, "hidden": 32, "heads": 2})
# With the usual 0.02 the scores of so narrow a frozen model hardly differ, whatever LoRA learns.
SHAPE |= {"initializer_range": 0.2}
LORA = {"lora": {"rank": 4, "alpha": 8, "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]}}
LATENT = {"autoencoder": {"widths": [8, 8, 16], "strides": [4, 4, 4], "linear": True}}
LATENT |= {"method": "rvq", "quantiser": {"codebooks": 2, "codewords": 8}, "batch": 8, "steps": 6}
LATENT |= {"commitment": 0.25, "revive_every": 5, "learning_rate": 1e-3}
LEADWISE = {"channels": 8, "strides": [4, 4, 4], "widths": [16, 16, 16], "levels": 6, "dims": 4}
LEADWISE = {"model": LEADWISE, "batch": 8, "learning_rate": 1e-3, "steps": 6}
TOK = {"prefix": 3, "adapter_hidden": 16, "adapter_heads": 2, "warm_batch": 24, "warm_rate": 3e-3}
TOK |= {"wording_steps": 12, "warm_steps": 24, "steps": 16, "batch": 8, "parts": 2}
TOK |= LORA | {"lora_rate": 2e-2, "ear_rate": 1e-2, "ear": "ecg"}
PRE = {"rows": "grid", "warm_steps": 8, "warm_batch": 16, "warm_rate": 2e-3}
PRE |= {"steps": 16, "batch": 8, "parts": 2, "lora_rate": 1e-2, "rows_rate": 3e-2}
ASK = {"per_row": 3, "steps": 16, "batch": 6, "parts": 2, "lora_rate": 2e-2, "rows_rate": 1e-2}
ASK |= {"constant": 3, "ear": "ecg"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs a step into a folder of its name, once; `made(name, fn, config, inputs)`."""
    out = tmp_path_factory.mktemp("made")

    def step(name, fn, config, inputs: dict[str, str]) -> Path:
        folder = out / name
        if not folder.exists():
            folder.mkdir()
            places = {label: out / of for label, of in inputs.items()}
            fn(folder, places, config, 0, MACHINE)
        return folder

    cohort = write_cohort(out / "cohort", trainings.records(40, seed=0), seed=0)
    shape = SHAPE | {"vocab_size": 512}
    bases.write_random(out / "base", shape, cohort.records["report"], 0, MACHINE)
    return step


LATENTS = {"cohort": "cohort", "tokenizer": "start", "codes": "codes", "base": "base"}
TOKENS = {"cohort": "cohort", "tokenizer": "leadwise", "codes": "fsq_codes", "base": "base"}
ASKED = TOKENS | {"questions": "questions", "start": "named"}


def fell(folder: Path) -> bool:
    """The last quarter of the loss curve is clearly below the first."""
    loss = pd.read_csv(folder / "history.csv")["loss"].to_numpy()
    quarter = len(loss) // 4
    return loss[-quarter:].mean() < 0.97 * loss[:quarter].mean()


def ecg_tok_steps(made) -> None:
    made("start", train.train_jointly, LATENT, {"cohort": "cohort"})
    made("codes", encode.encode, {"batch": 32}, {"cohort": "cohort", "tokenizer": "start"})
    made("wording", ecg_tok.wording, TOK, {"cohort": "cohort", "base": "base"})
    made("warm", ecg_tok.warm, TOK, LATENTS)
    made("ecg_tok", ecg_tok.train, TOK, LATENTS | {"wording": "wording", "warm": "warm"})
    made("no_ecg", ecg_tok.train, TOK | {"ear": "none"}, LATENTS | {"wording": "wording"})


def test_ecg_tok_trains_and_writes(made):
    ecg_tok_steps(made)
    for name in ("wording", "warm", "ecg_tok", "no_ecg"):
        assert fell(made(name, None, {}, {})), name
    for name in ("ecg_tok", "no_ecg"):
        folder = made(name, None, {}, {})
        assert (folder / "lora" / "adapter_model.safetensors").exists()
        assert (folder / "ear.safetensors").exists()
    cohort = Cohort.open(made("cohort", None, {}, {}))
    rows = cohort.rows("test").tolist()
    for name in ("ecg_tok", "no_ecg"):
        config = {"rows": rows, "ecgs": rows, "batch": 4, "max_new": 6}
        out = made(f"reports_{name}", reports.write, config, LATENTS | {"system": name})
        table = pd.read_parquet(out / "reports.parquet")
        assert table["row"].tolist() == rows
        assert table["tokens"].between(0, 6).all()
        assert set(table["stop_reason"]) <= {"eos", "length"}


def test_the_batch_size_of_writing_does_not_matter(made):
    ecg_tok_steps(made)
    rows = Cohort.open(made("cohort", None, {}, {})).rows("test").tolist()
    tables = []
    for batch in (3, 5):
        config = {"rows": rows, "ecgs": rows, "batch": batch, "max_new": 8}
        out = made(f"batch_{batch}", reports.write, config, LATENTS | {"system": "ecg_tok"})
        tables.append(pd.read_parquet(out / "reports.parquet"))
    pd.testing.assert_frame_equal(*tables)


def heartllm_steps(made) -> None:
    made("leadwise", train.train_leadwise, LEADWISE, {"cohort": "cohort"})
    of = {"cohort": "cohort", "tokenizer": "leadwise"}
    made("fsq_codes", encode.encode, {"batch": 32}, of)
    made("untrained", heartllm.start, PRE | LORA, TOKENS)
    made("pretrained", heartllm.pretrain, PRE | LORA, TOKENS | {"start": "untrained"})
    made("named", heartllm.warm, PRE | LORA, TOKENS | {"start": "pretrained"})
    rows = Cohort.open(made("cohort", None, {}, {})).rows("test").tolist()
    ask = {"per_ecg": 4, "rows": rows, "min_positives": 1}
    made("questions", balanced_sets.write_questions, ask, {"cohort": "cohort"})
    made("tuned", heartllm.tune, ASK | LORA, ASKED)
    made("tuned_no_ecg", heartllm.tune, ASK | LORA | {"ear": "none"}, ASKED)


def test_heartllm_trains_and_answers(made):
    heartllm_steps(made)
    for name in ("pretrained", "tuned", "tuned_no_ecg"):
        assert fell(made(name, None, {}, {})), name
    table = pd.read_parquet(made("questions", None, {}, {}) / "test.parquet")
    for name in ("tuned", "tuned_no_ecg"):
        config = {"batch": 4, "max_new": 5, "partner": {}}
        out = made(f"answers_{name}", answers.reply, config, ASKED | {"system": name})
        said = pd.read_parquet(out / "answers.parquet")
        asked = said[said["number"] >= 0]
        assert sorted(asked["number"]) == sorted(table["number"])
        assert sorted(said.loc[said["number"] < 0, "row"]) == sorted(table["row"].unique())


def test_alignment_of_the_trained_and_the_untrained(made):
    heartllm_steps(made)
    rows = Cohort.open(made("cohort", None, {}, {})).rows("test").tolist()
    parts = {"cohort": "cohort", "codes": "fsq_codes", "base": "base"}
    clouds = {}
    for name in ("untrained", "tuned"):
        config = {"rows": rows, "batch": 3}
        out = made(f"embed_{name}", alignment.embed, config, parts | {"system": name})
        clouds[name] = alignment.read(out)
    for cloud in clouds.values():
        assert set(cloud) == {"ecg_input", "text_input", "ecg_hidden", "text_hidden"}
        for points in cloud.values():
            assert points.shape == (len(rows), SHAPE["hidden_size"])
            np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-5)
    # the text rows are frozen, the ECG rows are not
    before, after = clouds["untrained"], clouds["tuned"]
    np.testing.assert_array_equal(before["text_input"], after["text_input"])
    assert np.abs(before["ecg_input"] - after["ecg_input"]).max() > 1e-3
    config = {"rows": rows, "prompt": "Is there low voltage?", "layers": 4, "batch": 3}
    out = made("attention", alignment.attend, config, parts | {"system": "tuned"})
    weights = np.load(out / "attention.npy")
    assert weights.shape == (len(rows), 40)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)
