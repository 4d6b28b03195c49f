"""A language model of more layers: the same function at first, whose new layers can learn."""

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from ecglib.language import grown_model
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
IDS = torch.arange(12).reshape(2, 6)


@pytest.fixture
def small() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 24}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 2, "tie_word_embeddings": True}
    return LlamaForCausalLM(LlamaConfig(**sizes, initializer_range=0.3)).eval()


def test_more_layers_are_the_same_function_until_they_learn(small):
    large = grown_model.grown(small, 3)
    assert large.config.num_hidden_layers == 6 and small.config.num_hidden_layers == 2
    torch.testing.assert_close(large(IDS).logits, small(IDS).logits, rtol=0, atol=0)
    large(IDS, labels=IDS).loss.backward()
    copies = [layer for number, layer in enumerate(large.model.layers) if number % 3]
    for layer in copies:  # what a copy adds can change at once
        assert layer.self_attn.o_proj.weight.grad.abs().max() > 0
        assert layer.mlp.down_proj.weight.grad.abs().max() > 0
    with torch.no_grad():
        large.model.layers[1].mlp.down_proj.weight.add_(0.1)
    assert not torch.allclose(large(IDS).logits, small(IDS).logits)


def test_once_as_many_layers_is_the_model_itself_and_fewer_are_refused(small):
    same = grown_model.grown(small, 1).state_dict()
    assert all(torch.equal(same[name], of) for name, of in small.state_dict().items())
    with pytest.raises(ValueError, match="expected times of 1 or more, got 0"):
        grown_model.grown(small, 0)


def test_the_step_writes_a_plain_model_folder_and_refuses_what_is_no_llama(small, tmp_path):
    words = Tokenizer(models.WordLevel({str(i): i for i in range(20)}, unk_token="0"))
    words = PreTrainedTokenizerFast(tokenizer_object=words)
    small.half().save_pretrained(tmp_path / "small")
    words.save_pretrained(tmp_path / "small")
    out = tmp_path / "large"
    grown_model.grow(out, {"base": tmp_path / "small"}, {"times": 2}, 0, MACHINE)
    large = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
    assert large.dtype == torch.float16 and large.config.num_hidden_layers == 4
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype="auto")
    torch.testing.assert_close(large.float()(IDS).logits, saved.float()(IDS).logits)
    assert AutoTokenizer.from_pretrained(out).get_vocab() == words.get_vocab()
    other = GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=20)
    GPT2LMHeadModel(other).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="other: expected a model of the type llama, got 'gpt2'"):
        grown_model.grow(out, {"base": tmp_path / "other"}, {"times": 2}, 0, MACHINE)
