"""The text of a chat, and which words ask for a report."""

from types import SimpleNamespace

import pytest

from ecglib.language import chat_turns

WORDINGS = ["What does the ECG of {site} show?", "Report for {site}, please.", "{site}?"]


class Tokenizer:
    """Renders a template as a tokenizer of transformers does."""

    bos_token = "<s>"

    def __init__(self, template: str | None):
        self.chat_template = template

    def apply_chat_template(self, messages, chat_template, tokenize, add_generation_prompt):
        from jinja2 import Template

        assert tokenize is False and add_generation_prompt
        return Template(chat_template).render(messages=messages, bos_token=self.bos_token)

    def decode(self, ids: list[int]) -> str:
        return "".join({1: self.bos_token}[number] for number in ids)


def test_a_model_without_a_template_gets_chatml():
    base = SimpleNamespace(tokenizer=Tokenizer(None), begin=[])
    text = "<|im_start|>system\nRead.<|im_end|>\n<|im_start|>user\nWhat?<|im_end|>\n"
    assert chat_turns.turns(base, "Read.", "What?") == f"{text}<|im_start|>assistant\n"


def test_what_begins_every_text_is_left_out_of_the_template_and_nothing_else():
    """SmolLM2 begins no text, though its begin token is the one that begins a turn."""
    template = "{{ bos_token }}{% for one in messages %}[{{ one.role }}]{{ one.content }}"
    template += "{% endfor %}"
    for begin, first in (([1], ""), ([], "<s>")):
        base = SimpleNamespace(tokenizer=Tokenizer(template), begin=begin)
        assert chat_turns.turns(base, "Read.", "What?") == f"{first}[system]Read.[user]What?"


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
