"""The base model: prepared from its asset, and with its pretrained weights really in use."""

import json
import logging

import pytest
import torch

from ecglib.language import base as base_model
from ecglib.run import assets, base_shapes
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths, from_environment
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SENTENCE = "The patient came to the hospital because of chest pain and shortness of breath."
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TINY = {"kind": "config", "layers": 2, "hidden": 64, "heads": 4}


@pytest.fixture(scope="module")
def asset():
    """The folder with the GGUF file; given by ECGLIB_ASSETS, fetched before, or fetched now."""
    local = assets.parse_local(from_environment("ECGLIB_ASSETS"))
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
    ids = base.encode(SENTENCE)
    pretrained = base_model.perplexity(base.model, ids)
    random = base_model.perplexity(base_model.random_like(prepared, 0), ids)
    assert pretrained < 50
    assert random > 10_000


def test_the_prepared_model_is_plain_and_frozen(prepared):
    config = json.loads((prepared / "config.json").read_text())
    assert "quantization_config" not in config
    for name, value in base_shapes.SHAPES["smollm2"].items():
        assert config[name] == value, name
    base = base_model.load(prepared, MACHINE)
    assert base.width == 576
    assert not any(p.requires_grad for p in base.model.parameters())
    assert base.tokenizer.decode(base.encode(SENTENCE)) == SENTENCE


def test_the_small_model_has_the_same_tokenizer(asset, tmp_path):
    base_model.prepare(tmp_path, {"asset": asset}, {**TINY, "file": FILE}, 0, MACHINE)
    base = base_model.load(tmp_path, MACHINE)
    assert base.model.config.num_hidden_layers == 2
    assert base.model.config.vocab_size == len(base.tokenizer)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "onnx"}, "base.kind gguf, folder, config, got 'onnx'"),
        ({"kind": "config", "quantisation": "int8"}, "quantisation none, nf4, got 'int8'"),
        ({"kind": "config", "quantisation": "nf4"}, "expected device cuda .* got cpu; set"),
    ],
)
def test_a_base_that_cannot_be_prepared_is_refused(tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        base_model.prepare(tmp_path, {"asset": tmp_path}, config, 0, MACHINE)
    assert list(tmp_path.iterdir()) == []


def test_a_base_in_four_bits(tmp_path, monkeypatch):
    """It needs CUDA; bitsandbytes' slow CPU kernels show here that QLoRA trains."""
    shape = base_shapes.shape({"asset": "smollm2", "base": TINY}) | {"vocab_size": 400}
    base_shapes.write_random(tmp_path, shape, ["Sinus rhythm."], 0, MACHINE)
    plain = base_model.load(tmp_path, MACHINE)
    (tmp_path / base_model.QUANTISATION_FILE).write_text('{"quantisation": "nf4"}')
    with pytest.raises(ValueError, match="expected device cuda"):
        base_model.load(tmp_path, MACHINE)
    monkeypatch.setattr(base_model, "_require_cuda", lambda machine: None)
    quantised = base_model.load(tmp_path, MACHINE)
    quantised.model.train()  # else a CPU packs the weights for inference, without gradients
    assert quantised.model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    tokens = torch.tensor([plain.encode("Sinus rhythm. Normal ECG.")])
    with torch.no_grad():
        exact, rounded = plain.model(tokens).logits, quantised.model(tokens).logits
    assert 0 < float((exact - rounded).abs().mean()) < 0.1 * float(exact.abs().mean())
    lora = {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}
    model = base_model.add_lora(quantised, lora, seed=0)
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 2
    assert all(p.grad is not None for p in trained)


def test_a_missing_kernel_is_no_warning(caplog):
    """bitsandbytes, which peft imports, misses a package that nothing here needs."""
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s", "no module")
    logger.warning("another message")
    assert caplog.messages == ["another message"]


def test_a_random_base_of_a_shape_loads_like_a_real_one(tmp_path):
    shape = base_shapes.shape({"asset": "smollm2", "base": TINY})
    base_shapes.write_random(tmp_path, shape, ["Sinus rhythm. Normal ECG."] * 9, 0, MACHINE)
    base = base_model.load(tmp_path, MACHINE)
    text = " Sinus rhythm. Übung."
    assert base.tokenizer.decode(base.encode(text)) == text
    assert len(base.encode(" Sinus rhythm.")) < len(" Sinus rhythm.")
    assert base.eos == base.tokenizer.convert_tokens_to_ids(base_shapes.END)
    with torch.no_grad():
        logits = base.model(torch.tensor([base.encode(text)])).logits
    assert logits.shape[-1] == 49152
