"""The quality score against physicians: fit, cross-validation, and the committed coefficients.

    export ECGLIB_CINC2011=<folder>
    bash run_all.sh bench quality_cinc2011
    PYTHONPATH=. python tests/benchmarks/quality_cinc2011.py --write   # also a new model

The folder holds `set-a-half.npz`: half of set-a of the PhysioNet/CinC Challenge 2011 (`ecg` int16
(n, 12, 5000), `acceptable`, `ids`, `fs`, `gain_adu_per_mV`, `leads`). `value` is the AUC of the
record's score in five-fold cross-validation over ids, everything fitted inside the fold; the
reference is one rule without a fit, the share of lead time that is flat or clipped.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from _common import REPO, data, write
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from ecglib.signals import quality
from ecglib.signals.leads import LEADS, arrange, limb_identities

MODEL = REPO / "ecglib" / "signals" / "quality_model.json"
FOLDS, SEED = 5, 0
PENALTY = 2e-4  # on the sum of squares of b, c and w: enough that no fold runs off
MOST = 6.0  # largest a; a and c grow together where few records lie between the classes
RESAMPLES = 2000


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Signals (n, 12, 5000) in mV by name of lead, acceptable (n,), ids (n,) and the rate.

    The file's own lead names are wrong in one place: its rows 4 and 5 are named aVL and aVF but
    obey aVF = II - I/2 and aVL = I - II/2. Whichever naming obeys the identities is taken.
    """
    with np.load(folder / "set-a-half.npz") as data:
        stored = data["ecg"].astype(np.float32) / np.float32(data["gain_adu_per_mV"])
        names, marks = [str(name) for name in data["leads"]], data["acceptable"] == 1
        ids, rate = data["ids"], float(data["fs"])
    if len(set(ids)) < len(ids):
        raise ValueError(f"{folder}/set-a-half.npz names an id twice; folds would share it")
    exchanged = [{"aVL": "aVF", "aVF": "aVL"}.get(name, name) for name in names]
    gaps = [
        np.median([max(limb_identities(arrange(x, given)).values()) for x in stored[:50]])
        for given in (names, exchanged)
    ]
    right = names if gaps[0] <= gaps[1] else exchanged
    signals = np.stack([arrange(x, right) for x in stored])
    return signals, marks, ids, rate


def unpack(parameters: np.ndarray) -> quality.QualityModel:
    """The model of a parameter vector (a, b, c, w)."""
    return quality.QualityModel(*parameters[:3], parameters[3:])


def logits(parameters: np.ndarray, defect: np.ndarray) -> np.ndarray:
    """What the records' sigmoid is taken of: (n,), for defects (n, 12, d)."""
    by = unpack(parameters)
    return by.record - by.count * expit(defect @ by.weights - by.lead).sum(axis=1)


def loss(parameters: np.ndarray, defect: np.ndarray, marks: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood with the penalty, and its gradient."""
    by, sign = unpack(parameters), np.where(marks, 1.0, -1.0)
    unreadable = expit(defect @ by.weights - by.lead)  # 1 - s_lead, (n, 12)
    margin = sign * (by.record - by.count * unreadable.sum(axis=1))
    by_logit = -sign * expit(-margin) / len(marks)
    by_inner = by_logit[:, None] * -by.count * unreadable * (1 - unreadable)
    gradient = np.r_[
        by_logit.sum(),
        -by_inner.sum(),
        -(by_logit * unreadable.sum(axis=1)).sum(),
        np.einsum("nl,nld->d", by_inner, defect),
    ]
    gradient[1:] += 2 * PENALTY * parameters[1:]
    value = np.logaddexp(0.0, -margin).mean() + PENALTY * (parameters[1:] ** 2).sum()
    return float(value), gradient


def fit(defect: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Penalised maximum likelihood of (a, b, c, w), none negative, a at most `MOST`."""
    start = np.r_[3.0, 3.0, 1.5, np.full(defect.shape[2], 2.0)]
    bounds = [(0.0, MOST)] + [(0.0, None)] * (len(start) - 1)
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    fitted = minimize(
        loss, start, (defect, marks), "L-BFGS-B", jac=True, bounds=bounds, options=options
    )
    return fitted.x


def named(parameters: np.ndarray) -> dict:
    """The parameters as `quality_model.json` names them."""
    first = dict(zip(("record", "lead", "count"), parameters[:3].tolist(), strict=True))
    weights = dict(zip(quality.DEFECTS, parameters[3:].tolist(), strict=True))
    return first | {"weights": weights}


def folds(marks: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Fold of each record (n,): both classes are shuffled by id and dealt in turn."""
    fold = np.empty(len(marks), dtype=int)
    by_id = np.argsort(ids)
    for kind in (True, False):
        members = by_id[marks[by_id] == kind]
        order = np.random.default_rng([SEED, int(kind)]).permutation(len(members))
        fold[members[order]] = np.arange(len(members)) % FOLDS
    return fold


def auc(score: np.ndarray, marks: np.ndarray) -> float:
    """Chance that an acceptable record scores above an unacceptable one; ties count one half."""
    ranks, positive = rankdata(score), int(marks.sum())
    area = ranks[marks].sum() - positive * (positive + 1) / 2
    return float(area / (positive * (len(marks) - positive)))


def interval(score: np.ndarray, marks: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap over records."""
    rng, drawn = np.random.default_rng([SEED, 2]), []
    while len(drawn) < RESAMPLES:
        rows = rng.integers(0, len(marks), len(marks))
        if 0 < marks[rows].sum() < len(rows):
            drawn.append(auc(score[rows], marks[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Measure, print and write the result; with --write also the model."""
    folder = data("ECGLIB_CINC2011", "set-a-half.npz of the PhysioNet/CinC Challenge 2011")
    signals, marks, ids, rate = read(folder)
    begun = time.process_time()
    defect = np.stack([quality.defects(signal, rate) for signal in signals])
    speed = len(signals) / (time.process_time() - begun)
    held_out, fold = np.empty(len(marks)), folds(marks, ids)
    spread = []
    for number in range(FOLDS):
        inside = fold == number
        parameters = fit(defect[~inside], marks[~inside])
        held_out[inside] = logits(parameters, defect[inside])
        spread.append(auc(held_out[inside], marks[inside]))
    value, (low, high) = auc(held_out, marks), interval(held_out, marks)
    rule = auc(-defect[:, :, 0].sum(axis=1), marks)
    whole = fit(defect, marks)
    if "--write" in sys.argv:
        facts = {
            "data": "PhysioNet/CinC Challenge 2011, half of set-a",
            "records": len(marks),
            "acceptable": int(marks.sum()),
            "cross_validated_auc": round(value, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "penalty": PENALTY,
        }
        MODEL.write_text(json.dumps(named(whole.round(4)) | {"fit": facts}, indent=1) + "\n")
        quality.load_model.cache_clear()
    committed = np.r_[quality.load_model()[:3], quality.load_model().weights]
    write(
        "quality_cinc2011",
        {
            "value": value,
            "low": low,
            "high": high,
            "unit": "AUC against human marks, five-fold cross-validation over ids",
            "reference": {"what": "share of lead time flat or clipped, no fit", "value": rule},
            "ratio": value / rule,
            "folds": spread,
            "records": len(marks),
            "acceptable": int(marks.sum()),
            "leads": len(LEADS),
            "parameters": named(whole),
            "largest_difference_to_committed": float(np.abs(whole - committed).max()),
            "records_per_second": speed,
        },
    )


if __name__ == "__main__":
    main()
