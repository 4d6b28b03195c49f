"""What systems read in words, and the order in which they see ECGs."""

import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from measure_machine import write_random
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ecglib.language import base as base_model
from ecglib.language.contrast import GROUP, ContrastingOrder
from ecglib.language.no_ecg import LearnedPrefix
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, prompted
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
KNOWN = {"age": 63.4, "sex": "F", "height": 170.0, "weight": 80.0}
NAMELESS = dict.fromkeys(("age", "height", "weight"), float("nan")) | {"sex": ""}


def begin_texts(folder: Path):
    """Let the tokenizer of a base put its end token in front of every text, as Llama's puts
    `<|begin_of_text|>`."""
    file, end = folder / "tokenizer.json", base_model.load(folder, MACHINE).eos
    tokenizer = Tokenizer.from_file(str(file))
    token = tokenizer.id_to_token(end)
    first = {"single": f"{token} $A", "special_tokens": [(token, end)]}
    tokenizer.post_processor = TemplateProcessing(**first)
    tokenizer.save(str(file))


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (KNOWN, "Age 63, female, height 170 cm, weight 80 kg.\n"),
        (KNOWN | {"sex": "M"}, "Age 63, male, height 170 cm, weight 80 kg.\n"),
        (NAMELESS, "Age unknown, sex unknown, height unknown, weight unknown.\n"),
    ],
)
def test_the_patient_in_words_with_what_is_unknown(record, line):
    assert Prompt().line(pd.Series(record)) == line
    assert Prompt(patient=False).line(pd.Series(record)) == ""


def test_instructions_can_be_left_out_and_are_saved(tmp_path):
    plain = Prompt(instruction=False)
    assert plain.report("A") == "A:" and plain.question("Why?") == "Why?"
    assert Prompt().report("A").endswith("A:") and Prompt().question("Why?").endswith(" Why?")
    plain.save(tmp_path)
    assert Prompt.of(tmp_path) == plain


def test_each_prefix_stands_behind_the_line_of_its_patient(tmp_path):
    """Lines differ in length, so valid lengths do, and what follows is padding."""
    sizes = {"pieces": 300, "layers": 1, "width": 16, "feed_forward": 32, "heads": 2}
    write_random(tmp_path, sizes | {"key_value_heads": 2}, ["Age 63, male"], 0, MACHINE)
    base = base_model.load(tmp_path, MACHINE)
    prefix = LearnedPrefix(3, 16, 0.1)
    system = System(base, base.model, prefix, (torch.zeros(3, 1),))
    records = pd.DataFrame([KNOWN, NAMELESS, KNOWN])
    words = [base.encode(Prompt().line(record)) for _, record in records.iterrows()]
    with torch.no_grad():
        bare, _ = system.ecg_prefix([0, 1])
        embeddings, lengths = prompted(system, Prompt(), records).ecg_prefix([1, 0])
        expected = base.model.get_input_embeddings()(torch.tensor(words[0]))
    assert lengths.tolist() == [len(words[1]) + 3, len(words[0]) + 3]
    torch.testing.assert_close(embeddings[1, : len(words[0])], expected)
    torch.testing.assert_close(embeddings[1, len(words[0]) : lengths[1]], bare[0])
    assert prompted(system, Prompt(), records).positions([0, 2]) == 2 * (len(words[0]) + 3)
    assert prompted(system, Prompt(patient=False), records).ecg_prefix([2])[0].shape == (1, 3, 16)


def test_a_text_begins_as_the_tokenizer_of_the_base_begins_it(tmp_path):
    """With a line about the patient, and without."""
    sizes = {"pieces": 300, "layers": 1, "width": 16, "feed_forward": 32, "heads": 2}
    write_random(tmp_path, sizes | {"key_value_heads": 2}, ["Age 63, male"], 0, MACHINE)
    assert base_model.load(tmp_path, MACHINE).begin == []
    begin_texts(tmp_path)
    base = base_model.load(tmp_path, MACHINE)
    assert base.begin == [base.eos] and base.encode("male")[0] != base.eos
    system = System(base, base.model, LearnedPrefix(3, 16, 0.1), (torch.zeros(1, 1),))
    records = pd.DataFrame([KNOWN])
    bare = prompted(system, Prompt(patient=False), records)
    assert bare.lines == ((base.eos,),) and bare.ecg_prefix([0])[1].tolist() == [4]
    line = base.encode(Prompt().line(records.iloc[0]))
    assert prompted(system, Prompt(), records).lines == ((base.eos, *line),)


def test_each_ecg_comes_once_an_epoch_and_neighbours_answer_a_question_differently():
    rows, draw = np.arange(100, 160), np.random.default_rng(0)
    asked = pd.DataFrame({"row": np.repeat(rows, 2), "question": ["rhythm?", "axis?"] * 60})
    asked["answer"] = [*draw.choice(["a", "b", "c"], 118), "a", "b"]
    asked = asked[asked["row"] != 105]  # nothing is asked about this one
    order = ContrastingOrder(rows, asked, seed=0)
    walk = [index for step in range(12) for index in order.rows_of(step, 10)]
    assert sorted(walk[:60]) == sorted(walk[60:]) == list(range(60)) and walk[:60] != walk[60:]
    assert order.rows_of(3, 10) == walk[30:40]  # whatever was asked for before
    of = defaultdict(dict)
    for one in asked.itertuples():
        of[one.row - 100][one.question] = one.answer
    contrasts = [
        any(of[a].get(q) != of[b].get(q) for q in ("rhythm?", "axis?"))
        for a, b in itertools.pairwise(walk)
    ]
    assert np.mean(contrasts) > 0.9 and GROUP == 4
    alone = ContrastingOrder(rows, None, seed=0)
    assert sorted(alone.rows_of(0, 60)) == list(range(60))
