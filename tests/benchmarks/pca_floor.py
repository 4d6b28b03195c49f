"""What error has a tokenizer without any training by gradient?

    bash run_all.sh bench pca_floor

One side has no gradient. Principal component analysis (PCA) turns each window of 32 samples and
12 leads, 384 numbers, into 128 numbers. Windows do not overlap, and zeros fill the last one, as in
the trained tokenizers. The quantiser is the library's RVQ with 16 codebooks of 512 codewords. The
function that also starts its training fills it: each codebook holds the k-means centres of the
residuals of the codebooks before it. All is fitted on training patients. Lower rates use the first
codebooks.

The other side is committed and not trained again here. VQ, RVQ and QINCo of `RUN` were scored on
all test ECGs. `STUDY` trains quantiser and decoder for each rate, with three seeds and 60 % of the
steps, and scores the first test ECGs. So `by_codebooks` has the error of PCA on all test ECGs
(`pca_uv`) and on those of the study (`pca_study_uv`, beside `rvq_uv` and the others). RVQ with one
codebook is VQ with 512 codewords, so these two differ by their training alone.

Both sides code the same signals: the default cohort is opened where a run has left it, or is built.
The benchmark fails unless its test ECGs have the committed numbers and, one by one, the committed
error of a flat line. Bits are equal: 79 positions, 9 bits per codebook. PCA decodes from its codes
alone. The function that measured the committed errors measures those of PCA.

Differences are PCA minus the committed tokenizer, paired by ECG, with a 95 % interval over patients
(for the study also over its seeds). `cpu_seconds` are processor time of one thread.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from _common import REPO, write
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from ecglib.cohorts import build
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, reconstruction
from ecglib.fidelity.round_trip import originals
from ecglib.run.paths import Paths
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.training.device import choose_machine

SEED, HOP, DIM, CODEBOOKS, CODEWORDS = 0, 32, 128, 16, 512
FIT_ECGS, PER_ECG = 3000, 20  # training ECGs, and windows drawn of each
COUNTS = (1, 2, 4, 8, 16)  # codebooks that are decoded
POSITIONS, SIZE = -(-SAMPLES // HOP), len(LEADS) * HOP
RUN, STUDY = "synthetic-laptop-signals", "synthetic-laptop-study-rates"
PLAN = REPO / "notebooks" / "data" / "synthetic.yaml"
PROFILE = REPO / "notebooks" / "profiles" / "laptop.yaml"
KEY = ["unit", "ecg"]


def default_cohort(scratch: Path) -> Cohort:
    """The cohort that the default run has left behind; without one it is built in `scratch`."""
    left = Paths.here().step("synthetic-laptop", "01", "cohort")
    if (left / "cohort.json").is_file():
        return Cohort.open(left)
    sizes = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    (settings,) = yaml.safe_load(PLAN.read_text(encoding="utf-8"))["cohorts"].values()
    machine = choose_machine(sizes["hardware"] | {"device": "cpu", "dtype": "float32"})
    build.build(scratch, {}, settings | sizes["cohort"], SEED, machine)
    return Cohort.open(scratch)


def committed(run: str, name: str) -> pd.DataFrame:
    """Predictions of a committed run or study."""
    return pd.read_parquet(REPO / "reports" / run / "predictions" / f"{name}.parquet")


def windows(signals: np.ndarray) -> np.ndarray:
    """(n, 12, 2500) mV -> (n, 79, 384) mV; the last window is padded with zeros."""
    padded = np.pad(signals, ((0, 0), (0, 0), (0, POSITIONS * HOP - SAMPLES)))
    cut = padded.reshape(len(signals), len(LEADS), POSITIONS, HOP)
    return cut.transpose(0, 2, 1, 3).reshape(len(signals), POSITIONS, SIZE)


def joined(parts: np.ndarray) -> np.ndarray:
    """The inverse of `windows`: (n, 79, 384) mV -> (n, 12, 2500) mV."""
    cut = parts.reshape(len(parts), POSITIONS, len(LEADS), HOP)
    return cut.transpose(0, 2, 1, 3).reshape(len(parts), len(LEADS), -1)[..., :SAMPLES]


def errors(cohort: Cohort, back: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Mean absolute errors (n,) in microvolts of the test ECGs; `back` gives reconstructions."""
    rows = cohort.rows("test")
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    lost = reconstruction.streamed(originals(cohort, rows), back, n_valid)
    return 1000 * lost["mae_mv"].to_numpy()


def same_ecgs(cohort: Cohort) -> pd.DataFrame:
    """Public numbers (`KEY`) and error of a flat line (microvolts) of the test ECGs.

    Raises SystemExit: they differ from the committed ones.
    """
    known = committed(RUN, "02_test_ecgs")
    table = cohort.records.iloc[cohort.rows("test")][KEY].reset_index(drop=True)
    table["flat"] = errors(cohort, lambda part: np.zeros((len(table[part]), len(LEADS), SAMPLES)))
    alike = np.allclose(table["flat"], 1000 * known["flat_line_mae_mv"], atol=1e-6)
    if not (alike and table[KEY].equals(known[KEY])):
        sys.exit(f"expected the test ECGs of {RUN}, got others in {cohort.folder}; run it again")
    return table


@torch.no_grad()
def measure(cohort: Cohort, table: pd.DataFrame) -> dict:
    """Fit on training ECGs, and add the errors on test ECGs to `table`; returns facts of the fit.

    The new columns are numbers of codebooks; 0 is PCA without a quantiser.
    """
    rng, rows = np.random.default_rng(SEED), cohort.rows("test")
    fit = rng.permutation(cohort.rows("train"))[:FIT_ECGS]
    drawn = rng.permuted(np.tile(np.arange(POSITIONS), (len(fit), 1)), axis=1)[:, :PER_ECG]
    x = windows(cohort.signals(fit))[np.arange(len(fit))[:, None], drawn].reshape(-1, SIZE)
    clock = [time.process_time()]
    pca = PCA(DIM, svd_solver="covariance_eigh").fit(x)
    clock.append(time.process_time())
    rvq = ResidualVQ(DIM, CODEBOOKS, CODEWORDS)
    z = torch.from_numpy(pca.transform(x))
    initialise_kmeans(rvq, z, torch.Generator().manual_seed(SEED))
    clock.append(time.process_time())
    z = torch.from_numpy(pca.transform(windows(cohort.signals(rows)).reshape(-1, SIZE)))
    codes = rvq.encode(z)
    clock.append(time.process_time())

    def back(part: slice, count: int) -> np.ndarray:
        """Test ECGs (n, 12, 2500) in mV, from their codes alone where count > 0."""
        i = slice(part.start * POSITIONS, part.stop * POSITIONS)
        vectors = rvq.partial_sums(codes[i])[count - 1] if count else z[i]
        return joined(pca.inverse_transform(vectors.numpy()).reshape(-1, POSITIONS, SIZE))

    for count in (0, *COUNTS):
        table[count] = errors(cohort, partial(back, count=count))
    patients = cohort.records["unit"].to_numpy()[fit]
    return {
        "fit": {"ecgs": len(fit), "patients": len(np.unique(patients)), "vectors": len(x)},
        "test": {"ecgs": len(table), "patients": table["unit"].nunique()},
        "variance_kept": float(pca.explained_variance_ratio_.sum()),
        "cpu_seconds": dict(zip(("pca", "kmeans", "encoding"), np.diff(clock), strict=True)),
    }


def against(table: pd.DataFrame, count: int, scored: pd.DataFrame) -> dict:
    """PCA with `count` codebooks beside committed errors (unit, ecg, seed, score in mV), by ECG."""
    theirs = scored.assign(score=1000 * scored["score"])
    ours = theirs[KEY].merge(table, on=KEY, validate="many_to_one")[count].to_numpy()
    gap = bootstrap.difference_across_seeds(theirs.assign(score=ours), theirs, SEED)
    return {
        "value_uv": float(theirs["score"].mean()),
        "pca_uv": float(ours.mean()),
        "pca_minus_uv": {"value": gap.value, "low": gap.low, "high": gap.high},
        "pca_better_share": float((ours < theirs["score"]).mean()),
    }


def by_codebooks(table: pd.DataFrame, study: dict[tuple[str, str], pd.DataFrame]) -> list[dict]:
    """One row per number of codebooks, beside the study's errors by method and item."""
    rows = []
    for count in COUNTS:
        items = dict.fromkeys(("rvq", "qinco"), f"mae_mv:codebooks: {count}")
        items |= {"vq": f"mae_mv:{CODEWORDS} codewords"} if count == 1 else {}
        beside = {name: against(table, count, study[name, item]) for name, item in items.items()}
        bits, rvq = round(count * POSITIONS * np.log2(CODEWORDS)), beside["rvq"]
        row = {"codebooks": count, "bits_per_ecg": bits, "pca_uv": float(table[count].mean())}
        row |= {"pca_study_uv": rvq["pca_uv"]}
        row |= {f"{name}_uv": values["value_uv"] for name, values in beside.items()}
        row |= {"pca_minus_rvq_uv": rvq["pca_minus_uv"]}
        rows.append(row | {"pca_better_share": rvq["pca_better_share"]})
    return rows


def main() -> None:
    """Measure, print and write reports/benchmarks/pca_floor.json."""
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        cohort = default_cohort(Path(scratch))
        table = same_ecgs(cohort)
        torch.set_num_threads(1)
        facts = measure(cohort, table)
    both = committed(RUN, "02_reconstruction"), committed(STUDY, "study_errors")
    run, study = (dict(list(frame.groupby(["method", "item"]))) for frame in both)
    counts = {"vq": 1, "rvq": CODEBOOKS, "qinco": CODEBOOKS}
    beside = {name: against(table, n, run[name, "mae_mv"]) for name, n in counts.items()}
    alone = study["unquantised", "mae_mv:latents"]
    value, rvq = float(table[CODEBOOKS].mean()), beside["rvq"]["value_uv"]
    result = {
        "value": value,
        "unit": f"mean absolute error in µV at {CODEBOOKS} x {CODEWORDS}, no gradient",
        "reference": {"what": f"RVQ of {RUN}, trained, at the same bits", "value": rvq},
        "ratio": rvq / value,
        "by_codebooks": by_codebooks(table, study),
        "run": {name: {"codebooks": n} | beside[name] for name, n in counts.items()},
        "not_quantised_uv": float(table[0].mean()),
        "study_not_quantised": against(table, 0, alone),
        "study": {"ecgs": alone["ecg"].nunique(), "patients": alone["unit"].nunique()},
        "flat_line_uv": float(table["flat"].mean()),
    }
    write("pca_floor", result | facts, ("torch", "scikit-learn"))


if __name__ == "__main__":
    main()
