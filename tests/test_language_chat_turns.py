"""The text of a chat, and which words ask for a report."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from ecglib.language import chat_turns

WORDINGS = ["What does the ECG of {site} show?", "Report for {site}, please.", "{site}?"]


def base_of(template: str | None, begins: bool = False) -> SimpleNamespace:
    """A base whose tokenizer has a begin token, and puts it in front of texts or not."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>")
    tokenizer.chat_template = template
    return SimpleNamespace(tokenizer=tokenizer, begin=[tokenizer.bos_token_id] * begins)


def test_a_model_without_a_template_gets_chatml():
    text = "<|im_start|>system\nRead.<|im_end|>\n<|im_start|>user\nWhat?<|im_end|>\n"
    text += "<|im_start|>assistant\n"
    assert chat_turns.turns(base_of(None), "Read.", "What?") == text


def test_what_begins_every_text_is_left_out_of_the_template_and_nothing_else():
    """SmolLM2 begins no text, though its begin token is the one that begins a turn."""
    template = "{{ bos_token }}{% for one in messages %}[{{ one.role }}]{{ one.content }}"
    template += "{% endfor %}"
    for begins, first in ((True, ""), (False, "<s>")):
        text = chat_turns.turns(base_of(template, begins), "Read.", "What?")
        assert text == f"{first}[system]Read.[user]What?"


def test_a_request_is_drawn_by_the_seed_and_names_the_hospital():
    drawn = [chat_turns.request(WORDINGS, "A", 0, step) for step in range(60)]
    assert drawn == [chat_turns.request(WORDINGS, "A", 0, step) for step in range(60)]
    counts = {wording.format(site="A"): 0 for wording in WORDINGS}
    for one in drawn:
        counts[one] += 1
    assert min(counts.values()) > 10 and sum(counts.values()) == 60
    assert drawn != [chat_turns.request(WORDINGS, "A", 1, step) for step in range(60)]
    with pytest.raises(KeyError):
        chat_turns.request(["Hospital {place}"], "A", 0)
