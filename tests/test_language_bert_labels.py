"""The adapter of the authors' report classifier, on a tiny random model written by the test."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from ecglib.labels.label_set import BERT_THRESHOLD, LABELS
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


def test_what_is_no_such_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing; give the classifier"):
        label_with_bert(REPORTS, tmp_path)
    write(tmp_path / "two", 2)
    with pytest.raises(ValueError, match="got 2 outputs"):
        label_with_bert(REPORTS, tmp_path / "two")
    (tmp_path / "two" / "model.safetensors").rename(tmp_path / "two" / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        label_with_bert(REPORTS, tmp_path / "two")
