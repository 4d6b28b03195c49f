"""The base model: prepared from its asset, and with its pretrained weights really in use."""

import json

import pytest
import torch

from ecglib.language import base as base_model
from ecglib.run import assets, bases
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SENTENCE = "The patient came to the hospital because of chest pain and shortness of breath."
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TINY = {"kind": "config", "layers": 2, "hidden": 64, "heads": 4}


@pytest.fixture(scope="module")
def asset():
    """The folder with the GGUF file; given by ECGLIB_ASSETS, fetched before, or fetched now."""
    local = assets.parse_local(assets.local_from_environment())
    try:
        return assets.fetch("smollm2", Paths.here(), local)
    except RunError as error:
        pytest.skip(f"the asset smollm2 cannot be had: {error}")


@pytest.fixture(scope="module")
def prepared(asset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    base_model.prepare(folder, {"asset": asset}, {"kind": "gguf", "file": FILE}, 0, MACHINE)
    return folder


def test_pretrained_weights_are_in_use(prepared):
    """Random weights are as good as a guess among 49,152 tokens; English is far from that."""
    base = base_model.load(prepared, MACHINE)
    ids = base.ids(SENTENCE)
    pretrained = base_model.perplexity(base.model, ids)
    random = base_model.perplexity(base_model.random_like(prepared, 0), ids)
    assert pretrained < 50
    assert random > 10_000


def test_the_prepared_model_is_plain_and_frozen(prepared):
    config = json.loads((prepared / "config.json").read_text())
    assert "quantization_config" not in config
    for name, value in bases.SHAPES["smollm2"].items():
        assert config[name] == value, name
    base = base_model.load(prepared, MACHINE)
    assert base.width == 576
    assert not any(p.requires_grad for p in base.model.parameters())
    assert base.tokenizer.decode(base.ids(SENTENCE)) == SENTENCE


def test_the_small_model_has_the_same_tokenizer(asset, tmp_path):
    base_model.prepare(tmp_path, {"asset": asset}, {**TINY, "file": FILE}, 0, MACHINE)
    base = base_model.load(tmp_path, MACHINE)
    assert base.model.config.num_hidden_layers == 2
    assert base.model.config.vocab_size == len(base.tokenizer)


def test_an_unknown_kind_is_named(tmp_path):
    with pytest.raises(ValueError, match="use gguf, folder or config"):
        base_model.prepare(tmp_path, {"asset": tmp_path}, {"kind": "onnx"}, 0, MACHINE)


def test_a_random_base_of_a_shape_loads_like_a_real_one(tmp_path):
    shape = bases.shape({"asset": "smollm2", **TINY})
    bases.write_random(tmp_path, shape, ["Sinus rhythm. Normal ECG."] * 9, 0, MACHINE)
    base = base_model.load(tmp_path, MACHINE)
    text = " Sinus rhythm. Übung."
    assert base.tokenizer.decode(base.ids(text)) == text
    assert len(base.ids(" Sinus rhythm.")) < len(" Sinus rhythm.")
    assert base.eos == base.tokenizer.convert_tokens_to_ids(bases.END)
    with torch.no_grad():
        logits = base.model(torch.tensor([base.ids(text)])).logits
    assert logits.shape[-1] == 49152
