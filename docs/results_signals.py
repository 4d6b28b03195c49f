"""The README's table on ECGs and tokens."""

import pandas as pd
from committed import (
    METHODS,
    SIGNALS,
    STUDY,
    Row,
    benchmark,
    claim,
    hold,
    interval,
    lines,
    predictions,
    table,
)


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
    """The error of each tokenizer."""
    error = table("02_reconstruction").set_index(["metric", "method"])["value"]["mae_mv"] * 1e3
    bits = table("02_rate").set_index("method")["bits_per_ecg"]
    order = error.sort_values().index
    each = ", ".join(f"{METHODS[m]} {error[m]:.1f} µV ({bits[m]:,.0f} bits)" for m in order)
    return (
        "How exactly does each tokenizer give the ECG back?",
        f"Mean absolute error and size per ECG: {each}.",
        [f"{SIGNALS}/tables/02_reconstruction.md"],
    )


def without_training() -> Row:
    """The floor below the tokenizers: PCA and k-means."""
    rvq = benchmark("pca_floor")["run"]["rvq"]
    less = [-rvq["pca_minus_uv"][key] for key in ("value", "high", "low")]
    return (
        "Does training by gradient make the error smaller?",
        f"{hold('No.', less[1] > 0)} At RVQ's bits, PCA of windows with residual k-means errs by "
        f"{rvq['pca_uv']:.1f} µV. That is {interval(less, 2, ' µV')} less than RVQ, and less in "
        f"{100 * rvq['pca_better_share']:.0f} % of the ECGs. One training seed.",
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
    value, low, high = claim(SIGNALS, "recon.mae.rvq_minus_qinco")
    more = [-value, -high, -low]
    return (
        "Is QINCo better than RVQ after equal steps?",
        f"{hold('No.', high < 0)} QINCo's error in the ECG is "
        f"{interval(more, 2, ' µV', 1e3)} larger. In the latents its sum of squared errors is "
        f"{100 * gain.sum() / error['rvq'].sum():.0f} % smaller, but {few} of "
        f"{len(patients):,} patients carry {patients[:few].sum() / patients.sum():.1f} times this "
        f"gain. In {100 * (gain < 0).mean():.0f} % of the ECGs RVQ is better. One training seed.",
        [f"{SIGNALS}/claims.csv", f"{SIGNALS}/predictions/02_latents.parquet"],
    )


def utilisation() -> Row:
    """The study of codebook use: RVQ's error above QINCo's, as released and as trained here."""
    run = f"{STUDY}-utilisation"
    ways = table("study_gain_of_qinco", run).set_index(["training", "init", "revival"])
    released, plain = ways.loc["released", "uniform", "none"], ways.loc["ours", "uniform", "none"]
    ours = ways.loc["ours", "kmeans", "revival"]

    def more(gain: pd.Series, sign: int = 1) -> str:
        ends = ["value", "low", "high"] if sign > 0 else ["value", "high", "low"]
        numbers = interval(sign * gain[ends], 1, " µV", 1e3)
        return f"uses {gain['rvq_used_percent']:.0f} % of its codewords and errs by {numbers}"

    return (
        "Is QINCo better where RVQ leaves codewords unused?",
        f"{hold('As released, yes:', released['low'] > 0)} RVQ {more(released)} more. "
        f"{hold('In our training, no:', plain['high'] < 0, ours['low'] > 0)} without k-means and "
        f"revival RVQ {more(plain, -1)} less than QINCo, with both it {more(ours)} more. As "
        "released, RVQ learns by running means and QINCo by gradient. One training seed.",
        [f"{run}/tables/study_gain_of_qinco.md"],
    )


def lost() -> Row:
    """What reconstructions lose of what a cardiologist looks for."""
    waves = table("02_small_waves").set_index(["wave", "method"])
    kept, (cases, percent) = (
        waves["value"]["spike"],
        waves.loc["spike", ["cases", "original"]].iloc[0],
    )
    none = hold("VQ, RVQ, QINCo and FSQ keep none of these", not kept.drop("bpe").any())
    every = hold("byte pairs all", kept["bpe"] == 100)
    changed = table("02_faithful").set_index(["quantity", "method"])["value"]
    qrs, pr = changed["qrs_duration"], changed["pr"]
    fail = hold(
        "fail the margin of 10 ms", min(qrs["rvq"], qrs["qinco"], pr["rvq"], pr["qinco"]) > 10
    )
    keep = hold("byte pairs keep it", max(qrs["bpe"], pr["bpe"]) <= 10)
    return (
        "What do the tokens lose?",
        f"Pacing spikes are seen in {round(cases * percent / 100)} of {cases:.0f} paced ECGs; "
        f"{none}, {every}. RVQ and QINCo change QRS by {qrs['rvq']:.0f} and {qrs['qinco']:.0f} ms "
        f"and PR by {pr['rvq']:.0f} and {pr['qinco']:.0f} ms. Both {fail}; {keep} "
        f"({qrs['bpe']:.0f} and {pr['bpe']:.0f} ms).",
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
    score = auc["value"]
    two = hold(
        "QINCo and RVQ are above the summary numbers, FSQ and VQ below them",
        min(score["qinco"], score["rvq"]) > score["summary"] > max(score["fsq"], score["vq"]),
    )
    every = hold("all are below the median beat", score[list(names)].max() < score["median_beat"])
    return (
        "Does a small probe recognise the findings in the tokens?",
        f"In part. Macro-AUC: {values}. {two}; {every}. Either the tokens or the probe lose the "
        "rest. One training seed.",
        [f"{SIGNALS}/tables/03_auc_by_category.md"],
    )


def reality() -> Row:
    """Simulated ECGs beside real ones."""
    apart, price = benchmark("sim_vs_real"), benchmark("sim_to_real")
    ratio = interval([price[key] for key in ("ratio", "low", "high")], 2)
    return (
        "Are simulated ECGs like real ones?",
        f"{hold('No.', apart['value'] > 0.9)} A classifier separates them with an AUC of "
        f"{apart['value']:.3f}. On real ECGs, the "
        f"PRD of a tokenizer trained on simulated ones is {ratio} times that of one trained on "
        f"real ones ({METHODS[price['worst']]}, the worst).",
        ["benchmarks/sim_vs_real.json", "benchmarks/sim_to_real.json"],
    )
