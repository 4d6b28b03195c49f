"""Words in front of an adapter, and two leads exchanged: what changes, and what must not."""

import numpy as np
import torch
from builds import refused
from measure_machine import write_random

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language import long_prompt, swapped_leads
from ecglib.language.adapter import Adapter
from ecglib.language.system import load_prefix, save_prefix
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
TINY = {"pieces": 400, "layers": 1, "width": 16, "feed_forward": 32, "heads": 2}


def test_words_stand_in_front_of_the_same_vectors(tmp_path):
    for name in ("base", "adapter", "behind"):
        (tmp_path / name).mkdir()
    write_random(tmp_path / "base", TINY | {"key_value_heads": 2}, ["Sinus rhythm."], 0, MACHINE)
    torch.manual_seed(0)
    adapter = Adapter(6, 7, hidden=8, heads=2, vectors=2, width=16, scale=0.1)
    save_prefix(adapter, tmp_path / "adapter")
    inputs = {"base": tmp_path / "base", "prefix": tmp_path / "adapter"}
    config = {"text": "Sinus rhythm. Sinus."}
    long_prompt.put_in_front(tmp_path / "behind", inputs, config, 0, MACHINE)
    short, behind = load_prefix(tmp_path / "adapter"), load_prefix(tmp_path / "behind")
    z, lengths = torch.randn(3, 7, 6), torch.tensor([7, 4, 1])
    embeddings, valid = behind(z, lengths)
    base = base_model.load(tmp_path / "base", MACHINE)
    pieces = torch.tensor(base.encode(config["text"]))
    assert behind.front == len(pieces) and (valid == len(pieces) + 2).all()
    torch.testing.assert_close(embeddings[:, behind.front :], short(z, lengths)[0])
    words = base.model.get_input_embeddings()(pieces).expand(3, -1, -1)
    torch.testing.assert_close(embeddings[:, : behind.front], words, atol=1e-3, rtol=1e-3)
    learned = {name for name, _ in behind.named_parameters()}
    assert learned == {name for name, _ in adapter.named_parameters()}


def test_two_leads_change_places_in_the_codes_of_some_ecgs(frozen, tmp_path):
    leads = ["aVL", "aVF"]
    cohort, tokenizer = Cohort.open(frozen["cohort"]), load(frozen["tokenizer"])
    inputs = {"cohort": frozen["cohort"], "tokenizer": frozen["tokenizer"], "codes": tmp_path}
    before = encode_rows(tokenizer, cohort, cohort.rows())
    np.save(tmp_path / "codes.npy", before)
    (tmp_path / "out").mkdir()
    rows = cohort.rows("test")[:3]
    config = {"rows": rows.tolist(), "leads": leads}
    swapped_leads.encode(tmp_path / "out", inputs, config, 0, MACHINE)
    after = np.load(tmp_path / "out" / "codes.npy")
    others = np.setdiff1d(cohort.rows(), rows)
    np.testing.assert_array_equal(after[others], before[others])
    order = np.arange(len(LEADS))
    order[[LEADS.index(lead) for lead in leads]] = [LEADS.index(lead) for lead in leads[::-1]]
    signals = torch.from_numpy(cohort.signals(rows)[:, order])
    n_valid = torch.from_numpy(cohort.records["n_valid"].to_numpy()[rows])
    with torch.no_grad():
        assert (after[rows] == tokenizer.encode(signals, n_valid).numpy()).all()
    call = tmp_path / "out", inputs, config | {"leads": ["aVL", "aVX"]}, 0, MACHINE
    refused("aVX", swapped_leads.encode, *call)
