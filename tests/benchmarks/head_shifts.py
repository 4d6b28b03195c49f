"""Does it cost the paper's reader that a beat can begin anywhere in a window?

    bash run_all.sh bench head_shifts

A window of QINCo has 32 samples, so the reader must learn each wave at many phases. Here training
ECGs begin 0, 8, 16 or 24 samples later, all four in turn. Reads the cohort of the finished run
`RUN` and its committed tokenizer; looks at validation patients alone. `value` is the macro-AUC of
the EfficientNetV2 after training on shifted ECGs, the reference that after as many updates on the
ECGs as they are: once with the updates of the profile, and once (`longer`) with four times as many.
A gain of less than `MARGIN` says that the phase is not what the reader lacks. One training seed.
"""

import tempfile
from pathlib import Path

from _common import skip, write
from head_hop_and_size import head

from ecglib.cohorts.later_starts import write_later_starts
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.tokenizers.encode import encode
from ecglib.training.device import Machine

RUN, SEED, MARGIN, SHIFTS = "synthetic-laptop", 0, 0.01, (8, 16, 24)


def main() -> None:
    """Train, print and write reports/benchmarks/head_shifts.json."""
    paths = Paths.here()
    plain, tokenizer = paths.step(RUN, "01", "cohort"), paths.reports(RUN) / "models" / "qinco"
    if not plain.is_dir():
        skip(f"head_shifts: run {RUN} first (bash run_all.sh --only 01).")
    profile, machine = load_profile(paths, "laptop"), Machine("cpu", "float32", 2, "of a benchmark")
    settings, results = profile["classify"]["head"], {}
    copies = 1 + len(SHIFTS)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        cohorts = {"as they are": plain, "shifted": scratch / "cohort"}
        cohorts["shifted"].mkdir()
        only, config = {"cohort": plain}, {"shifts": SHIFTS}
        write_later_starts(cohorts["shifted"], only, config, SEED, machine)
        for way, cohort in cohorts.items():
            inputs = {"cohort": cohort, "tokenizer": tokenizer, "codes": scratch / f"codes {way}"}
            inputs["codes"].mkdir()
            encode(inputs["codes"], inputs, profile["tokenizer"]["encode"], SEED, machine)
            for updates, times in {"of the profile": 1, "four times as many": copies}.items():
                # An epoch with the copies has four times the updates, and each label four times
                # the positives.
                many = copies if way == "shifted" else 1
                sizes = {"epochs": times * settings["epochs"] // many}
                sizes |= {"min_positives": many * settings["min_positives"]}
                out = scratch / f"head {way} {times}"
                of_way = head(out, inputs, settings | sizes, machine)
                results[f"{way}, updates {updates}"] = of_way
    of = {name: result["macro_auc"] for name, result in results.items()}
    value, reference = (of[f"{way}, updates of the profile"] for way in ("shifted", "as they are"))
    longer = [of[f"{way}, updates four times as many"] for way in ("shifted", "as they are")]
    result = {
        "value": value,
        "unit": "macro-AUC of validation patients, EfficientNetV2 on QINCo's vectors, shifted ECGs",
        "reference": {"what": "as many updates on the ECGs as they are", "value": reference},
        "ratio": value / reference,
        "gain": value - reference,
        "longer": {"value": longer[0], "reference": longer[1], "gain": longer[0] - longer[1]},
        "margin": MARGIN,
        "shifts_in_samples": [0, *SHIFTS],
        "trainings": results,
    }
    write("head_shifts", result, ("torch",))


if __name__ == "__main__":
    main()
