"""Published models by their names: `ecglib.load("qinco")`.

In a clone they are those of the reference run, `reports/synthetic-laptop/models`. A wheel carries
the tokenizers, the classifier and ECG-Tok as package data, `ecglib/published`. All of them learned
from simulated ECGs. They are not for clinical use.
"""

import json
import math
from dataclasses import replace
from numbers import Real
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from ecglib.classify import train_classifier
from ecglib.labels.label_set import LABELS
from ecglib.language import base as base_model
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, load_prefix, prompted
from ecglib.language.write_texts import generate
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.tokenizers import load as tokenizers
from ecglib.tokenizers.contract import check_signals
from ecglib.tokenizers.load import Tokenizer
from ecglib.training.device import Machine

TOKENIZERS = ("vq", "rvq", "qinco", "fsq", "bpe")
READERS = {"ecg_tok": "qinco", "heartllm": "fsq", "ecg_byte": "bpe"}  # and what each reads
NETWORKS = {"raw": "", "decoded_qinco": "qinco"}  # and the tokenizer whose decoded ECGs each reads
NAMES = (*TOKENIZERS, *READERS, *NETWORKS)
PACKAGED = Path(__file__).parents[1] / "published"
COMMITTED = Path(__file__).parents[2] / "reports" / "synthetic-laptop" / "models"
BASE, LONGEST = "base_small", 64  # language model; tokens of a text
SITES = ("A", "B")  # simulated hospitals, in whose words the systems report
MOST = {"age": 120, "height": 300, "weight": 700}  # years, cm, kg
LARGEST = 20.0  # mV from the lowest to the highest sample, the median of the leads
PATIENT = {"age": math.nan, "sex": "", "height": math.nan, "weight": math.nan}  # where unknown


class Reader:
    """A language system that reads ECGs, with its tokenizer.

    Attributes:
        tokenizer: makes the codes of an ECG.
        system: base, adapted model and prefix (`language.system`).
        prompt: which words it reads.
    """

    def __init__(self, name: str):
        """Raises FileNotFoundError: its models, or those that it reads, are not here."""
        folder = folder_of(name)
        self.tokenizer = tokenizers.load(folder_of(READERS[name]))
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        self.machine = Machine("cpu", card["machine"]["dtype"], torch.get_num_threads(), "load")
        self.prompt, self.prefix = Prompt.of(folder), load_prefix(folder)
        whole = (folder / "model").is_dir()
        base = base_model.load(folder / "model" if whole else folder_of(BASE), self.machine)
        model = base.model if whole else base_model.load_lora(base, folder, trainable=False)
        self.system = System(base, model, self.prefix, ())

    def report(self, ecg: torch.Tensor, site: str = "A", **patient: object) -> str:
        """The report of one ECG.

        Args:
            ecg: (12, n) or (1, 12, n) in mV at 250 Hz, n at most 2,500, cleaned as in notebook 01.
            site: the hospital whose wording the report has.
            patient: age (years), sex (F or M), height (cm) and weight (kg), as far as they are
                known; the system reads them.

        Raises ValueError: an argument is not as described here.
        """
        if site not in SITES:
            raise ValueError(f"expected a site of {', '.join(SITES)}, got {site!r}")
        return self._write(ecg, self.prompt.report(site), patient)

    def answer(self, ecg: torch.Tensor, question: str, **patient: object) -> str:
        """The answer to a question about one ECG; other arguments as of `report`."""
        return self._write(ecg, self.prompt.question(question), patient)

    @torch.no_grad()
    def _write(self, ecg: torch.Tensor, words: str, patient: dict) -> str:
        check_patient(patient)
        ecg = ecg[None] if isinstance(ecg, torch.Tensor) and ecg.ndim == 2 else ecg
        check_ecgs(ecg)
        if len(ecg) != 1:
            raise ValueError(f"expected one ECG, got {len(ecg)}; give them one by one")
        system = replace(self.system, ecgs=self._tokens(ecg))
        system = prompted(system, self.prompt, pd.DataFrame([PATIENT | patient]))
        with self.machine.autocast():
            asked, base = [[system.base.encode(words)]], system.base
            prefix = system.ecg_prefix([0])
            ((ids, _),) = generate(system.model, *prefix, asked, base.eos, LONGEST)[0]
        return base.decode(ids)

    def _tokens(self, ecg: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the prefix reads of an ECG (1, 12, n)."""
        kind, tokenizer = self.prefix.kind, self.tokenizer
        if kind == "ecg_byte":
            ecg = ecg[..., : round(self.prefix.config["seconds"] * RATE)]
        codes, n_valid = tokenizer.encode(ecg), torch.tensor([ecg.shape[-1]])
        return tokenizer.features(codes, n_valid) if kind == "adapter" else (codes[..., 0],)


class Classifier:
    """A network that finds labels in ECGs, or in what a tokenizer decodes of them.

    Attributes: network; labels, those that it scores; tokenizer, or None.
    """

    def __init__(self, name: str):
        """Raises FileNotFoundError: its folder is not here."""
        reads = NETWORKS[name]
        self.tokenizer = tokenizers.load(folder_of(reads)) if reads else None
        self.network, numbers, _ = open_classifier(folder_of(name))
        self.labels = [LABELS[number] for number in numbers]

    @torch.no_grad()
    def probabilities(self, ecg: torch.Tensor) -> pd.DataFrame:
        """One row per ECG, one column per label, not calibrated; ecg (B, 12, n) in mV at 250 Hz."""
        check_ecgs(ecg)
        if self.tokenizer:
            ecg = self.tokenizer.decode(self.tokenizer.encode(ecg))[..., : ecg.shape[-1]]
        logits = self.network(ecg, torch.full((len(ecg),), ecg.shape[-1]))
        return pd.DataFrame(torch.sigmoid(logits).numpy(), columns=self.labels)


def check_ecgs(ecg: torch.Tensor) -> None:
    """Raises ValueError: no (B, 12, n) in mV at 250 Hz, as far as numbers show it."""
    if not isinstance(ecg, torch.Tensor) or ecg.dtype != torch.float32:
        got = f"one of {ecg.dtype}" if isinstance(ecg, torch.Tensor) else f"a {type(ecg).__name__}"
        raise ValueError(f"expected a tensor of float32, got {got}; convert it by .float()")
    check_signals(ecg, SAMPLES)
    if not ecg.numel():
        raise ValueError(f"expected an ECG, got no sample, shape {tuple(ecg.shape)}")
    span = float((ecg.amax(2) - ecg.amin(2)).median())
    if span > LARGEST:
        text = f"the leads span {span:.3g}, where a heart gives {LARGEST:g} mV at most"
        raise ValueError(f"{text}; give millivolts, cleaned as in notebook 01")


def check_patient(patient: dict) -> None:
    """Raises ValueError: something else than the words of `Reader.report`."""
    if unknown := sorted(set(patient) - set(PATIENT)):
        raise ValueError(f"expected {', '.join(PATIENT)} of the patient, got {unknown[0]!r}")
    remedy = "leave it out where it is not known"
    if not isinstance(sex := patient.get("sex", ""), str) or sex not in ("", "F", "M"):
        raise ValueError(f"expected the sex F or M, got {sex!r}; {remedy}")
    for name, most in MOST.items():
        value = patient.get(name, math.nan)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not (math.isnan(value) or 0 <= value <= most):
            text = f"expected a number from 0 to {most} as the {name}, got {value!r}"
            raise ValueError(f"{text}; {remedy}")


def open_classifier(folder: Path) -> tuple[nn.Module, list[int], dict]:
    """The network of a committed classifier, in evaluation mode, the numbers of the labels that it
    scores, and the configuration of its training."""
    config = json.loads((folder / "card.json").read_text(encoding="utf-8"))["config"]
    labels = pd.read_csv(folder / "labels.csv")["label"].tolist()
    network = train_classifier.build(config, len(labels)).eval()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network, labels, config


def load(name: str) -> Tokenizer | Reader | Classifier:
    """A published model: a tokenizer (vq, rvq, qinco, fsq, bpe), a system that reads and writes
    (ecg_tok, heartllm, ecg_byte), or a classifier: of ECGs (raw), or of what QINCo decodes
    (decoded_qinco).

    Raises:
        ValueError: another name.
        FileNotFoundError: the model is not among those that are here.
    """
    if name not in NAMES:
        raise ValueError(f"expected a model of {', '.join(NAMES)}, got {name!r}")
    if name in TOKENIZERS:
        return tokenizers.load(folder_of(name))
    return Reader(name) if name in READERS else Classifier(name)


def folder_of(name: str) -> Path:
    """The folder of a published model. Raises FileNotFoundError: it is not here."""
    places = [PACKAGED / name, COMMITTED / name]
    if here := [place for place in places if (place / "card.json").is_file()]:
        return here[0]
    known = sorted({card.parent.name for at in places for card in at.parent.glob("*/card.json")})
    raise FileNotFoundError(
        f"the model {name} is not published here ({', '.join(known) or 'none'} are); make it in a "
        "clone with `bash run_all.sh`, or take a clone instead of the installed package"
    )
