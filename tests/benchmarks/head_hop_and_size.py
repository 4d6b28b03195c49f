"""Do shorter windows, or a larger network, make the findings easier to read in frozen vectors?

    bash run_all.sh bench head_hop_and_size

Reads the cohort and QINCo's tokens of the finished run `RUN`; looks at validation patients alone.
First the windows: PCA with residual k-means, 32 samples and 16 codebooks, or 16 samples and 8: as
many bits. `value` is the macro-AUC of the EfficientNetV2 on the vectors of the short windows, the
reference that on the long ones. Then the size, on QINCo's vectors: the profile's network and one
with twice the channels, which has four times the weights; the smaller one is large enough
where it is within `MARGIN` of the other. All trainings have one seed.
"""

import tempfile
from pathlib import Path

import pandas as pd
from _common import skip, write

from ecglib.classify.train_classifier import train
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.tokenizers.encode import encode
from ecglib.tokenizers.pca_rvq import fit_pca_rvq
from ecglib.training.device import Machine

RUN, SEED, MARGIN = "synthetic-laptop", 0, 0.003
INPUTS = {"cohort": ("01", "cohort"), "tokenizer": ("02", "qinco"), "codes": ("02", "qinco_codes")}
WINDOWS = {"32 samples": {"hop": 32, "codebooks": 16}, "16 samples": {"hop": 16, "codebooks": 8}}


def head(out: Path, inputs: dict[str, Path], settings: dict, machine: Machine) -> dict:
    """Validation macro-AUC and size of a network on vectors; the epoch with the lowest loss."""
    out.mkdir()
    settings = settings | {"network": "efficientnet", "reads": "vectors", "keep_best": True}
    train(out, inputs, settings, SEED, machine)
    validation = pd.read_csv(out / "validation.csv")
    best = validation.loc[validation["loss"].idxmin()]
    parameters = int(pd.read_csv(out / "budget.csv")["parameters"][0])
    return {"macro_auc": float(best["macro_auc"]), "parameters": parameters}


def of_windows(out: Path, cohort: Path, window: dict, profile: dict, machine: Machine) -> dict:
    """The network on the vectors of PCA and k-means with such windows."""
    inputs = {"cohort": cohort, "tokenizer": out / "tokenizer", "codes": out / "codes"}
    for name in ("tokenizer", "codes"):
        inputs[name].mkdir(parents=True)
    fitting = profile["tokenizer"]["fit_pca_rvq"] | window
    fitting["codewords"] = profile["tokenizer"]["quantisers"]["rvq"]["codewords"]
    fit_pca_rvq(inputs["tokenizer"], {"cohort": cohort}, fitting, SEED, machine)
    encode(inputs["codes"], inputs, profile["tokenizer"]["encode"], SEED, machine)
    return head(out / "head", inputs, profile["classify"]["head"], machine)


def main() -> None:
    """Train, print and write reports/benchmarks/head_hop_and_size.json."""
    paths = Paths.here()
    inputs = {label: paths.step(RUN, *of) for label, of in INPUTS.items()}
    if not all(step.is_dir() for step in inputs.values()):
        skip(f"head_hop_and_size: run {RUN} first (bash run_all.sh --only 01,02).")
    profile, machine = load_profile(paths, "laptop"), Machine("cpu", "float32", 2, "of a benchmark")
    settings = profile["classify"]["head"]
    double = settings | {"widths": [2 * width for width in settings["widths"]]}
    sizes = {"profile": settings, "twice the channels": double}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        windows = {
            name: of_windows(scratch / name, inputs["cohort"], window, profile, machine)
            for name, window in WINDOWS.items()
        }
        sizes = {name: head(scratch / name, inputs, of, machine) for name, of in sizes.items()}
    short, long = windows["16 samples"]["macro_auc"], windows["32 samples"]["macro_auc"]
    gain = sizes["twice the channels"]["macro_auc"] - sizes["profile"]["macro_auc"]
    result = {
        "value": short,
        "unit": "macro-AUC of validation patients, EfficientNetV2 on vectors of 16 samples",
        "reference": {"what": "vectors of 32 samples, as many bits", "value": long},
        "ratio": short / long,
        "windows": windows,
        "sizes": sizes,
        "gain_of_four_times_the_size": gain,
        "within_margin": gain <= MARGIN,
        "margin": MARGIN,
    }
    write("head_hop_and_size", result, ("torch",))


if __name__ == "__main__":
    main()
