"""Floors and labels that are read from reports: majority, nearest neighbour, the truth in
templates, and the authors' classifier on a tiny random model."""

import numpy as np
import pandas as pd
import torch
from builds import missing, read_findings, refused
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import BERT_THRESHOLD, LABELS, PRESENT
from ecglib.language import floors
from ecglib.language.bert_labels import label_with_bert

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sinus", "rhythm", "block", "left", "."]
REPORTS = ["sinus rhythm.", "left block", "", "sinus rhythm. left block. " * 300]


def write(folder, outputs: int) -> BertForSequenceClassification:
    """A random BERT with `outputs` labels and a vocabulary of ten words."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 16}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, **layers, num_labels=outputs)
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.linspace(-2.0, 2.0, outputs))
    model.save_pretrained(folder)
    return model


def test_labels_are_probabilities_above_each_labels_threshold(tmp_path):
    """Batches change nothing, and a report longer than the model is cut."""
    model = write(tmp_path / "model", 77)
    states = label_with_bert(REPORTS, tmp_path / "model", batch=3)
    assert (states.shape, states.dtype) == ((4, 77), np.int8)
    tokenizer = BertTokenizer.from_pretrained(tmp_path / "model")
    for report, row in zip(REPORTS, states, strict=True):
        words = tokenizer(report, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            probability = torch.sigmoid(model(**words).logits[0]).numpy()
        assert (row == (probability >= BERT_THRESHOLD)).all()
    assert 0 < states.mean() < 1
    assert label_with_bert([], tmp_path / "model").shape == (0, 77)
    assert len(BERT_THRESHOLD) == len(LABELS) == 77
    assert (BERT_THRESHOLD[0], BERT_THRESHOLD[6], BERT_THRESHOLD[74]) == (0.43, 0.31, 0.22)
    # what is no such model is refused
    missing(r"config\.json is missing; give the classifier", label_with_bert, REPORTS, tmp_path)
    write(tmp_path / "two", 2)
    refused("got 2 outputs", label_with_bert, REPORTS, tmp_path / "two")
    (tmp_path / "two" / "model.safetensors").rename(tmp_path / "two" / "pytorch_model.bin")
    missing(r"model\.safetensors is missing", label_with_bert, REPORTS, tmp_path / "two")


def test_majority_report_of_the_site_and_answer_of_the_template():
    reports = ["x", "y", "y", "z", "w", "", "", " "]  # an ECG may have none
    train = pd.DataFrame({"site": list("AAABBAAA"), "report": reports})
    asked = pd.DataFrame({"site": ["A", "B", "C"]})
    # B is tied and takes the first of the alphabet; C has no training record: y leads overall.
    assert floors.majority_reports(train, asked) == ["y", "w", "y"]
    # the majority answer is that of the template, else of the type, else of all
    verify, query, choose = "verify", "query", "choose"
    train = pd.DataFrame({"type": [verify, verify, verify, query, verify]})
    train["template"] = ["verify/0", "verify/0", "verify/1", "query_axis/0", "verify/1"]
    train["answer"] = ["yes", "yes", "no", "none", "no"]
    asked = pd.DataFrame({"type": [verify, verify, query, choose]})
    asked["template"] = ["verify/1", "verify/0", "query_axis/1", "choose/0"]
    assert floors.majority_answers(train, asked) == ["no", "yes", "none", "no"]


def test_nearest_neighbour_by_cosine_within_the_site():
    """Mean of the four is 0, so similarities are plain cosines: (2, 1) is nearest to (1, 0)."""
    train = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    sites = np.array(["A", "A", "B", "B"])
    asked = np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [-9.0, 1.0]])
    nearest = floors.nearest(train, asked, sites, np.array(["A", "B", "elsewhere", "elsewhere"]))
    assert nearest.tolist() == [0, 2, 0, 1]
    sites = sites, np.array(["A", "B", "elsewhere", "elsewhere"])
    lifted = floors.nearest(train + 9, asked + 9, *sites)  # what all ECGs share decides nothing
    assert lifted.tolist() == nearest.tolist()
    z = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])  # the last position is padding
    np.testing.assert_allclose(floors.mean_pool(z, torch.tensor([2])), [[2.0, 3.0]])
    many, ends = torch.rand(2100, 3, 2), torch.arange(2100) % 3 + 1  # in three parts
    expected = [z[:end].double().mean(0).numpy() for z, end in zip(many, ends, strict=True)]
    np.testing.assert_allclose(floors.mean_pool(many, ends), expected, rtol=1e-5)
    refused("training", floors.most_common, [])
    refused("width", floors.nearest, np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(2), np.zeros(2))


def test_templates_of_the_truth_state_every_present_finding():
    rng = np.random.default_rng(0)
    for site in ["A", "B", "a real hospital"] * 50:
        labels = np.zeros(len(LABELS), np.int8)
        chosen = rng.choice(list(FINDINGS), rng.integers(0, 5), replace=False)
        labels[chosen] = PRESENT
        report = floors.template_reports(labels[None], [site])[0]
        read = {label for label, state in read_findings(report).items() if state == PRESENT}
        assert read >= {int(label) for label in chosen}, report
        assert report == floors.template_reports(labels[None], [site])[0]
