"""What the committed models of a run say about one recording.

The recording becomes a cohort of one ECG, so that it is cleaned, encoded and read by the same code
as the ECGs of the run. The quarantine's tests come first: what no method could use is refused.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from ecglib.classify import reads, train_classifier
from ecglib.cohorts.build import process
from ecglib.cohorts.quarantine import clip_spikes, digest, problem
from ecglib.cohorts.records import write_records
from ecglib.cohorts.shards import write_shard
from ecglib.cohorts.store import Cohort
from ecglib.evaluate.predictions import read_table
from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.language import write_texts
from ecglib.own_ecg.load_models import BASE, LONGEST, READERS, open_classifier
from ecglib.own_ecg.read_file import LEAST_SECONDS, Recording
from ecglib.questions.question_book import GROUPS
from ecglib.signals import quality
from ecglib.signals.clean import Cleaned
from ecglib.signals.leads import LEADS, RATE
from ecglib.signals.measure import measure
from ecglib.tokenizers import encode
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

SECONDS = 10.0  # that are read
CLASSIFIER, ITS_PREDICTIONS = "decoded_qinco", "qinco_decoded"
HINTS = {"limb identities violated": "; check the names and the gains of the limb leads"}
MEASURED = ("heart_rate", "pr", "qrs", "qt", "qtc_fridericia", "qrs_axis")
SMALLEST = 1e-4  # probabilities are kept from 0 and 1 by as much


@dataclass(frozen=True)
class Reading:
    """One recording and what was made of it.

    signal: (12, n) mV at 250 Hz, cleaned, n at most 2,500; decoded: the same, decoded from the
    tokens of each tokenizer. quality: of the record and its leads, before cleaning, 1 is best.
    cleaning: what it changed. tokens: how many, and bits, of each tokenizer for ten seconds.
    findings: label and probability, calibrated among simulated patients.
    texts: method, question ("" for the report) and text.
    """

    signal: np.ndarray
    decoded: dict[str, np.ndarray]
    quality: quality.Scores
    cleaning: tuple[str, ...]
    measured: dict[str, float]
    tokens: pd.DataFrame
    findings: pd.DataFrame
    texts: pd.DataFrame


def read_with_models(
    recording: Recording, reports: Path, folder: Path, start: float = 0.0, site: str = "A"
) -> Reading:
    """Apply the committed models of a run.

    Args:
        reports: `reports/<run>`, with models and predictions.
        folder: a new or empty folder for what is made on the way.
        start: seconds into the recording; ten seconds from there are read.
        site: the hospital whose wording the reports have.

    Raises ValueError: too little is left behind `start`, or the quarantine refuses the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cohort, n_valid, scores, cleaning = as_cohort(recording, folder / "cohort", start, site)
    dtype = json.loads((reports / "run.json").read_text(encoding="utf-8"))["dtype"]
    machine, models = Machine("cpu", dtype, torch.get_num_threads(), "one ECG"), reports / "models"
    signal = cohort.signals([0])[0][:, :n_valid]
    inputs, decoded, lines = {}, {}, []
    for name in dict.fromkeys(READERS.values()):
        inputs[name] = encoded(cohort, models / name, folder / name, machine)
        tokenizer = load(models / name)
        codes = encode.read_codes(folder / name, np.array([0]))
        with torch.no_grad():
            decoded[name] = tokenizer.decode(codes)[0, :, :n_valid].numpy()
        error = 1000 * float(np.abs(decoded[name] - signal).mean())
        line = {"tokenizer": name, "tokens": codes[0].numel()}  # padding counts
        lines.append(line | {"bits": round(tokenizer.rate().bits_per_ecg), "error_uv": error})
    measured = measure(signal, RATE)
    return Reading(
        signal,
        decoded,
        scores,
        cleaning,
        {name: measured[name] for name in MEASURED},
        pd.DataFrame(lines),
        findings(cohort, inputs["qinco"], models / CLASSIFIER, reports, machine),
        written_texts(inputs, models, folder, machine),
    )


def as_cohort(
    recording: Recording, folder: Path, start: float, site: str
) -> tuple[Cohort, int, quality.Scores, tuple[str, ...]]:
    """The ten seconds behind `start` as a cohort of one ECG, its valid samples, and its quality.
    Raises ValueError: they cannot be used."""
    latest = recording.seconds - LEAST_SECONDS
    if not 0 <= start <= latest:
        text = f"expected a start of 0 to {latest:g} s, got {start:g}"
        raise ValueError(f"{text}: the recording has {recording.seconds:g} s; correct --start")
    if folder.exists():
        raise ValueError(f"{folder} exists; give a new folder")
    first = round(start * recording.rate)
    signal = recording.signal[:, first : first + round(SECONDS * recording.rate)]
    if fault := problem(signal, recording.rate, LEAST_SECONDS):
        hint = HINTS.get(fault.reason, "")
        if recording.seconds > SECONDS and not hint:
            hint = "; read another part of it with --start SECONDS"
        raise ValueError(f"the recording cannot be used: {fault.reason} ({fault.value}){hint}")
    scores = quality.score(signal, recording.rate)
    processed, n_valid, cleaned = process(clip_spikes(signal)[0], recording.rate)
    folder.mkdir(parents=True)
    shard = write_shard(folder, 0, [processed])
    record = {"ecg_id": "own", "patient_id": "own", "site": site, "age": recording.age}
    record |= {"sex": recording.sex, "n_valid": n_valid, "digest": digest(processed)}
    record |= {"labels": np.full(len(LABELS), NOT_ASSESSABLE, np.int8), "report": ""}
    write_records(folder, [record], [], [shard], 0, "own")
    return Cohort.open(folder), n_valid, scores, changes(cleaned)


def changes(cleaned: Cleaned) -> tuple[str, ...]:
    """What the cleaning did, in sentences."""
    pairs = zip(LEADS, cleaned.filtered, strict=True)
    filtered, lines = [lead for lead, used in pairs if used], cleaned.lines
    notes = [f"Wander was filtered out (1 Hz) in {', '.join(filtered)}."] if filtered else []
    hertz = ", ".join(f"{line.hertz:g} Hz" for line in lines)
    return (*notes, *([f"Mains hum was removed at {hertz}."] if lines else []))


def encoded(cohort: Cohort, tokenizer: Path, out: Path, machine: Machine) -> dict[str, Path]:
    """The folders that a reader of codes opens: cohort, tokenizer, and the codes, made in `out`."""
    folders = {"cohort": cohort.folder, "tokenizer": tokenizer}
    out.mkdir()
    encode.encode(out, folders, {"batch": 32}, 0, machine)
    return folders | {"codes": out}


def label_logits(
    cohort: Cohort, inputs: dict[str, Path], model: Path, machine: Machine
) -> tuple[list[int], torch.Tensor]:
    """Labels of a committed classifier, and its logits (N, labels) for all ECGs of a cohort.
    `inputs`: of `encoded`."""
    network, labels, config = open_classifier(model)
    rows = cohort.rows()
    read = reads.reader(config["reads"], inputs, cohort, rows, machine.device)
    return labels, train_classifier.predict(network, read, rows, machine.device)


def findings(
    cohort: Cohort, inputs: dict[str, Path], model: Path, reports: Path, machine: Machine
) -> pd.DataFrame:
    """Label and probability, highest first, of the classifier of decoded ECGs.

    It is calibrated on the run's validation patients: one slope and one intercept for the logits of
    all labels (Platt 1999)."""
    labels, logits = label_logits(cohort, inputs, model, machine)
    past = read_table(reports / "predictions" / "03_validation.parquet")
    past = past[(past["method"] == ITS_PREDICTIONS) & past["target"].isin(["0", "1"])]
    before = logit(past["score"].clip(SMALLEST, 1 - SMALLEST).to_numpy())[:, None]
    platt = LogisticRegression(C=np.inf).fit(before, past["target"] == "1")
    chance = platt.predict_proba(logits[0].double().numpy()[:, None])[:, 1]
    table = pd.DataFrame({"label": [LABELS[i] for i in labels], "probability": chance})
    return table.sort_values("probability", ascending=False, ignore_index=True)


def asked_questions() -> pd.DataFrame:
    """Of each group of labels whether anything of it is there, and of each measurement that is
    asked of either sex its range, in the first wording: number, row and question."""
    texts = [
        (group.wordings["any"] or group.wordings["query"])[0]
        for group in GROUPS.values()
        if group.kind in ("labels", "range") and "sex" not in group.rule
    ]
    return pd.DataFrame({"number": range(len(texts)), "row": 0, "question": texts})


def written_texts(
    inputs: dict[str, dict], models: Path, folder: Path, machine: Machine
) -> pd.DataFrame:
    """The report and the answers of each system."""
    (folder / "questions").mkdir()
    questions = asked_questions()
    questions.to_parquet(folder / "questions" / "test.parquet", index=False)
    about, parts = {"rows": [0], "batch": 1, "max_new": LONGEST}, []
    for name, tokenizer in READERS.items():
        reads_of = inputs[tokenizer] | {"base": models / BASE, "system": models / name}
        reads_of |= {"questions": folder / "questions"}
        (folder / name).mkdir()
        write_texts.write(folder / name, reads_of, about, 0, machine)
        parts.append(pd.read_parquet(folder / name / "texts.parquet").assign(method=name))
    texts = pd.concat(parts, ignore_index=True)
    texts["question"] = texts["number"].map(questions.set_index("number")["question"]).fillna("")
    return texts[["method", "question", "text"]]
