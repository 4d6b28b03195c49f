"""Floors of classification: logistic regression on numbers that know nothing of the waves' order.

One model for each label, all fitted at once on the known cells of the training patients. The
inputs are standardised and clipped. The strength of the ridge is chosen on the validation
patients, the same for all labels. The floors are those of `summary_numbers`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

from ecglib.classify.summary_numbers import beat_numbers, summary_numbers
from ecglib.classify.targets import HELD_OUT, binary_targets, open_training, score_table
from ecglib.classify.validation import macro_auc
from ecglib.cohorts.workers import map_signals
from ecglib.training.device import Machine

INPUTS = {"summary": summary_numbers, "median_beat": beat_numbers}
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the ridge, from the strongest
CLIP = 6.0  # standard deviations
MOST_STEPS = 300  # of L-BFGS


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: fit a floor on the training rows, score those of validation, test and transfer.

    Writes scores.parquet (row, label as an index of the 77, score = probability) and choice.csv
    (macro-AUC on the validation patients for each strength of the ridge).

    Inputs: cohort, targets (optional).

    Config:
        numbers: "summary" or "median_beat" (the summary numbers and the usual beat).
        label_share (optional): share of the training patients with labels; 1 where absent.
        min_positives: training ECGs in which a scored label is present (and absent).

    Raises ValueError: the numbers are unknown.
    """
    if config["numbers"] not in INPUTS:
        raise ValueError(f"expected numbers of {tuple(INPUTS)}, got {config['numbers']!r}")
    cohort, states, labels, train_rows = open_training(inputs, config, seed)
    rows = {"train": train_rows} | {name: cohort.rows(name) for name in HELD_OUT}
    rows = {name: of for name, of in rows.items() if len(of)}
    scored_roles = [name for name in HELD_OUT if name in rows]
    x, numbers = {}, INPUTS[config["numbers"]]
    for name, of in rows.items():
        x[name] = np.array(list(map_signals(inputs["cohort"], of, numbers, machine)), np.float32)
    middle, spread = x["train"].mean(axis=0), x["train"].std(axis=0) + 1e-6
    x = {name: np.clip((part - middle) / spread, -CLIP, CLIP) for name, part in x.items()}
    targets = {name: binary_targets(states[of][:, labels]) for name, of in rows.items()}
    weights, tried = None, []
    for strength in STRENGTHS:
        weights = fit_ridge(x["train"], *targets["train"], strength, weights)
        value = macro_auc(*targets["validation"], scores(x["validation"], weights))
        tried.append((value, strength, weights))
    best = max(tried, key=lambda one: one[0])[2]
    choice = pd.DataFrame([one[:2] for one in tried], columns=["macro_auc_validation", "strength"])
    choice.to_csv(out / "choice.csv", index=False)
    held_out = np.concatenate([rows[name] for name in scored_roles])
    scored = scores(np.concatenate([x[name] for name in scored_roles]), best)
    order = np.argsort(held_out)
    table = score_table(held_out[order], labels, scored[order])
    table.to_parquet(out / "scores.parquet", index=False)


def scores(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probabilities (n, labels) of inputs (n, d); the last row of the weights is the offset."""
    return expit(x @ weights[:-1] + weights[-1])


# Threads gain nothing in products this small, and cost minutes beside other processes.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_ridge(
    x: np.ndarray,
    target: np.ndarray,
    known: np.ndarray,
    strength: float,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Weights (d + 1, labels) of logistic regressions on the known cells, one for each label.

    They minimise  sum over known cells of the cross-entropy + |w|^2 / (2 C)  with C = `strength`;
    the offset is not penalised. x is (n, d), target and known (n, labels).
    """
    x, mask = np.asarray(x, np.float32), np.asarray(known, np.float32)
    target = np.asarray(target, np.float32)
    shape = (x.shape[1] + 1, target.shape[1])
    count = max(1.0, float(mask.sum()))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32)
        logits = x @ weights[:-1] + weights[-1]
        cell = np.logaddexp(0.0, logits) - target * logits
        gap = (expit(logits) - target) * mask
        gradient = np.vstack([x.T @ gap + weights[:-1] / strength, gap.sum(axis=0)])
        value = float((cell * mask).sum(dtype=np.float64))
        value += float((weights[:-1].astype(np.float64) ** 2).sum()) / (2 * strength)
        return value / count, gradient.ravel().astype(np.float64) / count

    first = np.zeros(shape) if start is None else start
    options = {"maxiter": MOST_STEPS, "ftol": 1e-9, "gtol": 1e-7}
    fitted = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    return fitted.x.reshape(shape)
