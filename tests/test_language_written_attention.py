"""What words of reports and answers look at and depend on, with a tiny Llama of random weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ecglib.language import answer_attention, written_attention
from ecglib.language.prompt import Prompt
from ecglib.language.system import System
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
EOS = 19
LINES, ASKED, PIECES = ((3, 4), (11,), (12, 13, 14)), [5, 6, 7], [8, 9, 10, EOS]


@pytest.fixture
def system() -> System:
    """Three ECGs of one, two and three vectors between two brackets, behind lines of their own."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=20, num_hidden_layers=3, **sizes)
    model = LlamaForCausalLM(config).eval()
    model.set_attn_implementation("eager")
    vectors, lengths = torch.randn(3, 5, 16), torch.tensor([3, 4, 5])
    base = SimpleNamespace(model=model, eos=EOS, tokenizer=SimpleNamespace(decode=str))
    ecgs = (torch.arange(3),)
    return System(base, model, lambda of: (vectors[of], lengths[of]), ecgs, LINES)


def entered(system: System, about: int, ecg: int, words: list[int]) -> torch.Tensor:
    """Line of a patient, ECG and words as they enter the model, (1, L, d)."""
    embed = system.model.get_input_embeddings()
    (vectors,), (length,) = system.prefix(torch.tensor([ecg]))
    line, text = embed(torch.tensor(LINES[about])), embed(torch.tensor(words))
    return torch.cat([line, vectors[: int(length)], text])[None]


def probabilities(system: System, ecg: int, pieces: list[int]) -> np.ndarray:
    """Of the pieces about the first patient, behind an ECG, by another way: one piece at a time."""
    result = []
    for count, piece in enumerate(pieces):
        x = entered(system, 0, ecg, [*ASKED, *pieces[:count]])
        scores = system.model(inputs_embeds=x).logits[0, -1].softmax(-1)
        result.append(float(scores[piece]))
    return np.array(result)


@torch.no_grad()
def test_dependence_is_what_other_ecgs_make_less_likely(system):
    table = written_attention.of_report(system, 0, ASKED, PIECES, np.array([1, 2, 2]), 2)
    report = table[table["block"] != "prompt"]
    assert report["block"].tolist() == ["report"] * 3 + ["end"]
    assert report["text"].tolist() == [str([piece]) for piece in PIECES]
    own, one, other = (probabilities(system, ecg, PIECES) for ecg in range(3))
    np.testing.assert_allclose(report["log_p"].astype(float), np.log(own), atol=1e-5)
    gain = np.log(own / (one / 3 + other * 2 / 3))
    np.testing.assert_allclose(report["dependence"].astype(float), gain, atol=1e-5)
    same = written_attention.of_report(system, 0, ASKED, PIECES, np.array([0]), 2)
    np.testing.assert_allclose(same["dependence"].iloc[len(ASKED) :].astype(float), 0, atol=1e-6)


@torch.no_grad()
def test_attention_is_that_of_the_position_that_writes_and_has_four_parts(system):
    table = written_attention.of_report(system, 1, ASKED, PIECES, np.array([2]), 2)
    report = table[table["block"] != "prompt"].reset_index(drop=True)
    x = entered(system, 1, 1, [*ASKED, *PIECES[:-1]])  # 1 + 4 + 3 + 3 positions
    weights = torch.stack(system.model(inputs_embeds=x, output_attentions=True).attentions)
    mean = weights[-2:, 0].mean((0, 1)).numpy()  # of the last two layers
    for number, position in enumerate(range(7, 11)):
        parts = [mean[position, place].sum() for place in np.split(np.arange(11), [1, 5, 8])]
        row = report.loc[number, ["to_patient", "to_ecg", "to_prompt", "to_report"]]
        np.testing.assert_allclose(row.astype(float), parts, atol=1e-6)
        assert report.loc[number, "even"] == pytest.approx(4 / (position + 1))
    released = weights[:, 0].mean((0, 1)).numpy()
    received = table["received"].astype(float)
    np.testing.assert_allclose(received[:3], released[5:8, 5:8].mean(0), atol=1e-6)
    np.testing.assert_allclose(received[3:6], released[8:, 8:].mean(0), atol=1e-6)
    assert np.isnan(received[6]), "the end mark is never read"


@torch.no_grad()
def test_a_report_may_end_at_once_or_be_cut_off(system):
    table = written_attention.of_report(system, 0, ASKED, [EOS], np.array([1]), 1)
    assert table["block"].tolist() == ["prompt"] * 3 + ["end"]
    table = written_attention.of_report(system, 0, ASKED, PIECES[:2], np.array([1]), 1)
    assert table["block"].tolist() == ["prompt"] * 3 + ["report"] * 2
    pieces = written_attention.own_report(system, 0, ASKED, 4)
    assert 1 <= len(pieces) <= 4 and EOS not in pieces[:-1]


@torch.no_grad()
def test_a_system_may_read_no_line_about_the_patient(system):
    table = written_attention.of_report(
        replace(system, lines=()), 0, ASKED, PIECES, np.array([1]), 2
    )
    assert (table["to_patient"].dropna() == 0).all() and (table["to_ecg"].dropna() > 0).all()


def test_other_ecgs_are_of_other_patients_of_the_site():
    records = pd.DataFrame({"unit": [7, 7, 8, 9, 5], "site": [*"AAAAB"]})
    places = written_attention.draw_others(records, 2, 0)
    assert [len(of) for of in places] == [2] * 5
    assert set(places[0]) == set(places[1]) == {2, 3}
    assert set(places[2]) < {0, 1, 3} and set(places[4]) < {0, 1, 2, 3}
    with pytest.raises(ValueError, match="two patients or more"):
        written_attention.draw_others(records[:2], 1, 0)


@torch.no_grad()
def test_answers_are_those_that_the_system_writes_one_by_one(system):
    system.model.set_attn_implementation("sdpa")
    about, asked = [2, 0, 2, 1], [ASKED, [6, 9], [11, 12, 13], [5]]
    alone = [
        written_attention.own_report(system, *one, 5) for one in zip(about, asked, strict=True)
    ]
    assert answer_attention.own_answers(system, about, asked, 5) == alone


@torch.no_grad()
def test_each_question_is_measured_with_its_own_ecg(system, monkeypatch, tmp_path):
    """Records 40 and 50 are the first two ECGs; question 3 about record 60 is not asked."""
    vars(system.base).update(
        encode=lambda text: [len(text.split()), 6], decode=lambda ids: str(ids)
    )
    records = pd.DataFrame({"unit": [1, 2], "site": [*"AA"]}, index=[40, 50])
    cohort = SimpleNamespace(records=records.reindex(range(61)))
    for name, fake in {
        "open_system": lambda *of: system,
        "prompted": lambda of, *_: of,
    }.items():
        monkeypatch.setattr(answer_attention, name, fake)
    monkeypatch.setattr(answer_attention.Cohort, "open", lambda folder: cohort)
    monkeypatch.setattr(answer_attention.Prompt, "of", lambda folder: Prompt(instruction=False))
    questions = {"number": [5, 4, 3], "row": [40, 50, 60], "question": ["a b", "c d e", "f"]}
    pd.DataFrame(questions).to_parquet(tmp_path / "test.parquet")
    inputs = {"cohort": 0, "system": 0, "questions": tmp_path}
    config = {"rows": [40, 50], "others": 1, "layers": 2, "max_new": 4}
    answer_attention.measure(tmp_path, inputs, config, 0, MACHINE)
    table = pd.read_parquet(tmp_path / "words.parquet")
    assert table["question"].unique().tolist() == [4, 5]
    for number, row, words in ((4, 50, [3, 6]), (5, 40, [2, 6])):
        of = table[table["question"] == number].reset_index(drop=True)
        index = [40, 50].index(row)
        pieces = written_attention.own_report(system, index, words, 4)
        alone = written_attention.of_report(system, index, words, pieces, np.array([1 - index]), 2)
        pd.testing.assert_frame_equal(of[alone.columns], alone, check_dtype=False, rtol=1e-4)
        assert (of["row"] == row).all()
        answer = str([piece for piece in pieces if piece != EOS])
        assert of["answer"].tolist() == ["", ""] + [answer] * len(pieces)
    with pytest.raises(ValueError, match="questions about `rows`, got none"):
        pd.DataFrame(questions)[2:].to_parquet(tmp_path / "test.parquet")
        answer_attention.measure(tmp_path, inputs, config, 0, MACHINE)


def test_the_ecgs_of_a_site_have_the_same_others_but_for_their_own_patients():
    records = pd.DataFrame({"unit": [7, 7, 8, 9, 5], "site": [*"AAAAB"]})
    places = answer_attention.common_others(records, 2, 0)
    assert set(places[0]) == set(places[1]) == {2, 3}
    assert set(places[2]) < {0, 1, 3} and set(places[3]) < {0, 1, 2} and len(places[4]) == 2
    many = pd.DataFrame({"unit": range(40), "site": "A"})
    firsts = {tuple(of) for of in answer_attention.common_others(many, 3, 1)}
    assert len(firsts) == 4, "one common draw, and another where one of its patients is asked about"
    with pytest.raises(ValueError, match="two patients or more"):
        answer_attention.common_others(records[:2], 1, 0)
