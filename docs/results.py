"""The README's example and its tables of results, from committed files alone.

Signals (notebooks 01 to 03) come from the run SIGNALS, language (04 to 09) from LANGUAGE. Both are
listed in reports/older_runs.csv while the notebooks of today differ from those that made them.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecglib.evaluate import exact_match

REPO = Path(__file__).resolve().parents[1]
SIGNALS, LANGUAGE = "synthetic-laptop-signals", "synthetic-laptop"
STUDY = "synthetic-laptop-study"
METHODS = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo", "fsq": "FSQ", "bpe": "byte pairs"}
ARMS = {
    "ecg_tok": "ECG-Tok, with this ECG",
    "shuffled": "ECG-Tok, with the ECG of another patient",
    "no_ecg": "the control that never sees an ECG",
    "retrieval": "the report of the nearest training ECG",
}
HEADINGS = ["question", "answer [95 % interval]", "numbers"]
Row = tuple[str, str, list[str]]  # question, answer, files below reports/


def markdown(headings: list[str], rows: list[list[str]], align: str = "") -> str:
    """A Markdown table; `align` has an r for every column of numbers."""
    rule = ["--:" if letter == "r" else "---" for letter in align.ljust(len(headings))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rule, *rows])


def run_of(name: str) -> str:
    """The run that has a page, table or figure; `name` begins with the notebook's number."""
    return SIGNALS if name.removeprefix("fig")[:2] in ("01", "02", "03") else LANGUAGE


def table(name: str, run: str = "") -> pd.DataFrame:
    """A committed table by the name of its file, without the suffix."""
    return pd.read_csv(REPO / "reports" / (run or run_of(name)) / "tables" / f"{name}.csv")


def predictions(name: str) -> pd.DataFrame:
    """Committed predictions by the name of their file, without the suffix."""
    return pd.read_parquet(REPO / "reports" / run_of(name) / "predictions" / f"{name}.parquet")


def benchmark(name: str) -> dict:
    """The result of a benchmark."""
    return json.loads((REPO / "reports" / "benchmarks" / f"{name}.json").read_text("utf-8"))


def interval(numbers: Iterable[float], digits: int, unit: str = "", scale: float = 1.0) -> str:
    """A value in its unit times `scale`, with its interval; numbers are value, low and high."""
    value, *ends = (f"{scale * number:.{digits}f}" for number in numbers)
    return f"{value}{unit} [{ends[0]}, {ends[1]}]"


def claim(run: str, name: str) -> list[float]:
    """Value, low and high of a claim of a run."""
    claims = pd.read_csv(REPO / "reports" / run / "claims.csv").set_index("id")
    return claims.loc[name, ["value", "low", "high"]].astype(float).tolist()


def side(numbers: list[float], above: str, below: str, neither: str) -> str:
    """What an interval says: it lies above zero, below zero, or around it."""
    return above if numbers[1] > 0 else below if numbers[2] < 0 else neither


def commit_of(run: str) -> str:
    """The earlier version that made a run."""
    older = pd.read_csv(REPO / "reports" / "older_runs.csv", dtype=str).set_index("run")
    return older.loc[run, "commit"]


def lines(rows: list[Row]) -> str:
    """The rows as a table, with links to their files."""
    cells = []
    for question, answer, files in rows:
        links = [f"[{Path(file).stem}](reports/{file})" for file in files]
        cells.append([question, answer, ", ".join(links)])
    return markdown(HEADINGS, cells)


# ---- an example ---------------------------------------------------------------------------------


def example() -> str:
    """The report of ECG-Tok whose ROUGE-L is the median, beside the reference and the controls.

    With an even number of reports it is the lower of the two in the middle; of equal scores the
    ECG with the lowest number comes first.
    """
    rows = predictions("04_reports")
    rows = rows[rows["method"] == "ecg_tok"]
    scores = rows[rows["item"] == "rouge_l"].sort_values(["score", "ecg"], ignore_index=True)
    median = scores.iloc[(len(scores) - 1) // 2]
    texts = predictions("04_texts")
    texts = texts[texts["ecg"] == median["ecg"]].set_index("method")
    reports = [["**the reference**", texts.loc["ecg_tok", "target"]]]
    reports += [[name, texts.loc[method, "prediction"]] for method, name in ARMS.items()]
    reports = [[name, text.replace("|", "/").replace("\n", " ")] for name, text in reports]
    findings = rows[rows["item"].str.startswith("finding:") & (rows["ecg"] == median["ecg"])]
    present, stated = (findings[column] == "1" for column in ("target", "prediction"))
    invented = int((stated & ~present).sum()) or "none"
    return (
        f"These texts are from the run of an earlier version ({commit_of(LANGUAGE)}).\n\n"
        + markdown(["written by", "report"], reports)
        + f"\n\nThis is test ECG {median['ecg']}, chosen by a rule: its ROUGE-L of "
        f"{median['score']:.2f} is the median of ECG-Tok's {len(scores)} reports. ECG-Tok states "
        f"{(present & stated).sum()} of the {present.sum()} scored findings in the waveform, and "
        f"invents {invented}. All reports: `reports/{LANGUAGE}/predictions/04_texts.parquet`."
    )


# ---- signals ------------------------------------------------------------------------------------


def signals() -> str:
    """Questions about ECGs and tokens, and what the committed files answer."""
    rows = [
        errors(),
        without_training(),
        qinco(),
        utilisation(),
        lost(),
        room(),
        recognised(),
        reality(),
    ]
    return lines(rows)


def errors() -> Row:
    """The error of each tokenizer, and the part of the linear path in it."""
    error = table("02_reconstruction").set_index(["metric", "method"])["value"]["mae_mv"] * 1e3
    bits = table("02_rate").set_index("method")["bits_per_ecg"]
    order = error.sort_values().index
    each = ", ".join(f"{METHODS[m]} {error[m]:.1f} µV ({bits[m]:,.0f} bits)" for m in order)
    run = f"{STUDY}-tokenizers"
    paths = table("study_decoders", run).set_index("method")
    columns = {"without it": "error, paper (µV)", "with it": "error, common (µV)"}
    values = [
        ", ".join(f"{METHODS[m]} {paths.loc[m, column].split()[0]}" for m in ("rvq", "qinco", "vq"))
        + f" µV {text}"
        for text, column in columns.items()
    ]
    return (
        "How exactly does each tokenizer give the ECG back?",
        f"Mean absolute error and size per ECG: {each}. VQ, RVQ and QINCo have a linear path "
        "beside the convolutions, which is ours. In a study with 60 % of the steps: "
        f"{'; '.join(values)}.",
        [f"{SIGNALS}/tables/02_reconstruction.md", f"{run}/tables/study_decoders.md"],
    )


def without_training() -> Row:
    """The floor below the tokenizers: PCA and k-means."""
    floor = benchmark("pca_floor")
    rvq = floor["run"]["rvq"]
    less = [-rvq["pca_minus_uv"][key] for key in ("value", "high", "low")]
    return (
        "Does it pay to train a tokenizer?",
        f"{side(less, 'No', 'Yes', 'Not visibly')}. At RVQ's bits, PCA of windows with residual "
        f"k-means, without a gradient, errs by {rvq['pca_uv']:.1f} µV. That is "
        f"{interval(less, 2, ' µV')} less than RVQ, and less in "
        f"{100 * rvq['pca_better_share']:.0f} % of the ECGs.",
        ["benchmarks/pca_floor.json"],
    )


def qinco() -> Row:
    """RVQ against QINCo, and which ECGs carry the difference."""
    latents = predictions("02_latents")
    cells = latents[latents["item"] == "latent_error"]
    error = cells.pivot(index=["unit", "ecg"], columns="method", values="score")
    gain = error["rvq"] - error["qinco"]  # squared error, over the latents of an ECG
    patients = gain.groupby("unit").sum().sort_values(ascending=False)
    few = len(patients) // 100
    decoded = [-x for x in claim(SIGNALS, "recon.mae.rvq_minus_qinco")]
    decoded = [decoded[0], decoded[2], decoded[1]]
    return (
        "Is QINCo better than RVQ after equal steps?",
        f"{side(decoded, 'No', 'Yes', 'Not visibly')}. QINCo's error in the ECG is "
        f"{interval(decoded, 2, ' µV', 1e3)} larger. In the latents its sum of squared errors is "
        f"{100 * gain.sum() / error['rvq'].sum():.0f} % smaller, but {few} of "
        f"{len(patients):,} patients carry {patients[:few].sum() / patients.sum():.1f} times this "
        f"gain. In {100 * (gain < 0).mean():.0f} % of the ECGs RVQ is better. One training seed.",
        [f"{SIGNALS}/claims.csv"],
    )


def utilisation() -> Row:
    """The study of codebook use: QINCo's gain, as released and as trained here."""
    run = f"{STUDY}-utilisation"
    ways = table("study_gain_of_qinco", run).set_index(["training", "init", "revival"])
    parts = []
    for text, way in {
        "as released, RVQ": ("released", "uniform", "none"),
        "in our training, it": ("ours", "kmeans", "revival"),
    }.items():
        gain = ways.loc[way]
        more = interval(gain[["value", "low", "high"]], 1, " µV", 1e3)
        used = gain["rvq_used_percent"]
        parts.append(f"{text} uses {used:.0f} % of its codewords and errs by {more} more")
    return (
        "Is QINCo better where RVQ leaves codewords unused?",
        f"Yes: {'; '.join(parts)}. As released, RVQ learns by running means and QINCo by gradient. "
        "8 codebooks, trained with the autoencoder; one training seed.",
        [f"{run}/tables/study_gain_of_qinco.md"],
    )


def lost() -> Row:
    """What reconstructions lose of what a cardiologist looks for."""
    waves = table("02_small_waves").set_index(["wave", "method"])
    kept = waves.loc["spike", "value"]
    none = [METHODS[m] for m in kept.index if kept[m] == 0]
    every = [METHODS[m] for m in kept.index if kept[m] == 100]
    changed = table("02_faithful").set_index(["quantity", "method"])["value"]
    of = {"QRS duration": "qrs_duration", "PR": "pr"}
    values = [
        f"{text} by {changed[key, 'rvq']:.0f} and {changed[key, 'qinco']:.0f} ms"
        for text, key in of.items()
    ]
    cases, percent = waves.loc["spike", ["cases", "original"]].iloc[0]
    return (
        "What do the tokens lose?",
        f"Pacing spikes are seen in {round(cases * percent / 100)} of {cases:.0f} paced ECGs; "
        f"{', '.join(none)} keep none of these, {' and '.join(every)} all. RVQ and QINCo change "
        f"{' and '.join(values)}, and fail the margin of 10 ms; byte pairs keep it "
        f"({changed['qrs_duration', 'bpe']:.0f} and {changed['pr', 'bpe']:.0f} ms).",
        [f"{SIGNALS}/tables/02_small_waves.md", f"{SIGNALS}/tables/02_faithful.md"],
    )


def macro() -> pd.Series:
    """Macro-AUC over all 77 labels by method, with its interval as text."""
    rows = table("03_auc_by_category")
    rows = rows[(rows["category"] == "All") & (rows["average"] == "macro")].set_index("method")
    return rows[["value", "low", "high"]]


def room() -> Row:
    """What is left between simple numbers and the raw signal."""
    auc = macro()
    names = {"summary": "151 summary numbers", "median_beat": "these and the median beat"}
    names |= {"raw": "a network on the raw signal"}
    values = ", ".join(f"{text} {interval(auc.loc[m], 3)}" for m, text in names.items())
    gaps = [f"{auc['value']['raw'] - auc['value'][m]:.3f}" for m in ("summary", "median_beat")]
    return (
        "Does the cohort leave room for a tokenizer to be good or bad?",
        f"Macro-AUC: {values}. The room above the two floors is {' and '.join(gaps)}.",
        [f"{SIGNALS}/tables/03_auc_by_category.md"],
    )


def recognised() -> Row:
    """What a small probe recognises in the tokens, beside the floors, all in macro-AUC."""
    auc = macro()
    names = ("qinco", "rvq", "fsq", "vq")
    values = ", ".join(f"{METHODS[m]} {interval(auc.loc[m], 3)}" for m in names)
    above = [
        " and ".join(METHODS[m] for m in names if auc.loc[m, "value"] > auc.loc[floor, "value"])
        for floor in ("summary", "median_beat")
    ]
    return (
        "Does a small probe recognise the findings in the tokens?",
        f"In part. Macro-AUC: {values}. Above the summary numbers: {above[0] or 'none'}. Above the "
        f"median beat: {above[1] or 'none'}. Either the tokens or the probe lose the rest.",
        [f"{SIGNALS}/tables/03_auc_by_category.md"],
    )


def reality() -> Row:
    """Simulated ECGs beside real ones."""
    apart, price = benchmark("sim_vs_real"), benchmark("sim_to_real")
    ratio = interval([price[key] for key in ("ratio", "low", "high")], 2)
    return (
        "Are simulated ECGs like real ones?",
        f"No. A classifier separates them with an AUC of {apart['value']:.3f}. On real ECGs, the "
        f"PRD of a tokenizer trained on simulated ones is {ratio} times that of one trained on "
        f"real ones ({METHODS[price['worst']]}, the worst).",
        ["benchmarks/sim_vs_real.json", "benchmarks/sim_to_real.json"],
    )


# ---- language -----------------------------------------------------------------------------------


def language() -> str:
    """Questions about reports and answers, and what the earlier run answers."""
    return lines([reports(), overlap(), answers()])


def cells(name: str, metric: str, methods: dict[str, str]) -> str:
    """Values with intervals of some methods in a table that has a line per method."""
    column = table(name).set_index("method")[metric].str.strip("*")
    return ", ".join(f"{label} {column[method]}" for method, label in methods.items())


def reports() -> Row:
    """ECG-Tok beside its controls."""
    looks = claim(LANGUAGE, "report.ecg_minus_shuffled.finding_f1")
    systems = {"ecg_tok": "ECG-Tok", "retrieval": "the nearest neighbour's report"}
    systems |= {"no_ecg": "trained without the ECG", "shuffled": "with another patient's ECG"}
    return (
        "Do the reports of ECG-Tok gain from the ECG?",
        f"{side(looks, 'Yes', 'No', 'Not shown')}. F1 of the findings: "
        f"{cells('04_table1', 'f1', systems)}.",
        [f"{LANGUAGE}/tables/04_table1.md"],
    )


def overlap() -> Row:
    """Reports that share much text with the reference and invent a finding."""
    faults = table("09_faithfulness").set_index("method").loc["ecg_tok"]
    good, wrong = (
        int(faults[faults.index.str.contains(word)].iloc[0]) for word in ("ROUGE", "of them")
    )
    return (
        "Is a report with much text in common with the reference right?",
        f"{'Not always' if wrong else 'Here yes'}. Of {good} reports with a ROUGE-L of 0.6 or "
        f"more, {wrong} invent a finding.",
        [f"{LANGUAGE}/tables/09_faithfulness.md"],
    )


def answers() -> Row:
    """HeartLLM against chance, which is the stricter opponent, and against its control."""
    rows = predictions("06_answers")
    gain = exact_match.gain(rows[rows["method"] == "heartllm"], seed=0)
    gain = [gain.value, gain.low, gain.high]
    over_control = claim(LANGUAGE, "qa.ecg_minus_no_ecg.exact_match")
    pretrained = claim(LANGUAGE, "ablation.pretraining_minus_none.exact_match")
    readers = {"heartllm": "HeartLLM", "no_ecg": "control without the ECG"}
    readers["majority"] = "commonest answer"
    verdict = side(gain, "Yes: above chance", "No: below chance", "Hardly: near chance")
    return (
        "Do the answers of HeartLLM gain from the ECG?",
        f"{verdict}. Exact match: {cells('06_exact_match', 'all', readers)}. HeartLLM minus "
        f"chance: {interval(gain, 3)}; minus its control: {interval(over_control, 3)}; with minus "
        f"without pretraining: {interval(pretrained, 3)}.",
        [f"{LANGUAGE}/tables/06_exact_match.md"],
    )
