"""The README's table on ECGs and tokens."""

import pandas as pd
from committed import (
    METHODS,
    REPO,
    SIGNALS,
    STUDY,
    Row,
    benchmark,
    claim,
    hold,
    interval,
    lines,
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


RATES, FAITHFUL = f"{STUDY}-rates", f"{STUDY}-faithfulness"
SHORT = METHODS | {"pca_rvq": "PCA with k-means"}


def errors() -> Row:
    """The error of each tokenizer at the size of the run, or near it."""
    curves = table("study_rates", RATES)
    curves = curves[curves["quantity"] == "mae_mv"].set_index(["method", "setting"])
    most = max(curves.loc["bpe"].index, key=lambda text: int(text.split()[-1]))
    size = dict.fromkeys(("qinco", "rvq", "pca_rvq"), "codebooks: 16") | {"bpe": most}
    size |= {"vq": "512 codewords", "fsq": "64 ms, 6 levels"}
    rows = curves.loc[list(size.items())].reset_index().sort_values("value")
    hold("three seeds each", (rows["seeds"] == 3).all())
    each = ", ".join(
        f"{SHORT[row.method]} {1000 * row.value:.1f} µV ({row.bits_per_ecg:,.0f} bits)"
        for row in rows.itertuples()
    )
    return (
        "How exactly does each tokenizer give the ECG back?",
        f"Mean absolute error and size per ECG: {each}. Three training seeds.",
        [f"{RATES}/tables/study_rates.md"],
    )


def without_training() -> Row:
    """The floor below the tokenizers: PCA and k-means."""
    sizes = (1, 2, 4, 8, 16)
    names = [f"rates.mae.pca_minus_rvq.{size}_codebooks" for size in sizes]
    less = [claim(RATES, name) for name in names]
    yes = hold("Yes, at every rate.", min(low for _, low, _ in less) > 0)
    each = ", ".join(f"{1000 * value:.1f}" for value, _, _ in less[:-1])
    strided = table("study_rates", RATES).set_index(["method", "setting", "quantity"])["value"]
    paper = 1000 * strided["rvq_strided", "codebooks: 16", "mae_mv"]
    floor = 1000 * strided["pca_rvq", "codebooks: 16", "mae_mv"]
    far = hold("errs by more than that PCA", paper > floor)
    return (
        "Does training by gradient make the error smaller?",
        f"{yes} RVQ errs by {each} and {interval(less[-1], 1, ' µV', 1e3)} less than PCA of "
        "windows with residual k-means, at 1, 2, 4, 8 and 16 codebooks. Its encoder starts at that "
        f"PCA. The paper's strided encoder, trained from nothing, {far}: {paper:.1f} against "
        f"{floor:.1f} µV (one training seed).",
        [f"{RATES}/claims.csv"],
    )


def qinco() -> Row:
    """RVQ against QINCo, in the latents and in the ECG."""
    ratio = claim(RATES, "codes.error_ratio.qinco_over_rvq")
    share = claim(RATES, "codes.error_ratio.share_below_one")[0]
    whole = claim(RATES, "rates.mae_16.rvq_minus_qinco")
    seconds = claim(RATES, "recon.mae.rvq_minus_qinco.same_seconds")
    yes = hold("Yes.", ratio[2] < 1, whole[1] > 0)
    equal = hold("It stays ahead", seconds[1] > 0)
    return (
        "Is QINCo better than RVQ after equal updates?",
        f"{yes} At 8 codebooks its error in the latents is {interval(ratio, 3)} times that of RVQ, "
        f"and smaller in {100 * share:.0f} % of the ECGs. In the ECG it errs by "
        f"{interval(whole, 2, ' µV', 1e3)} less at 16 codebooks. {equal} of an RVQ that was "
        f"trained for as many seconds: {interval(seconds, 2, ' µV', 1e3)} at 8 codebooks (one "
        "training seed).",
        [f"{RATES}/claims.csv"],
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
    spikes = table("study_small_waves", FAITHFUL).set_index(["wave", "method"]).loc["spike"]
    paced = round((spikes["cases"] * spikes["original"]).iloc[0] / 100)
    kept = ", ".join(f"{SHORT[m]} {spikes['value'][m]:.0f} %" for m in ("bpe", "rvq", "qinco"))
    none = hold("VQ and FSQ none", spikes["value"]["vq"] == spikes["value"]["fsq"] == 0)
    changed = table("study_faithful", FAITHFUL).set_index(["quantity", "method"])
    ends = changed[["error with lost ones", "low", "high"]]
    within = changed["high"] < changed["margin"]
    every = hold("QINCo stays within it", within["qrs_duration", "qinco"] & within["pr", "qinco"])
    misses = [within["qrs_duration", m] for m in ("rvq", "bpe", "pca_rvq")]
    others = hold("RVQ, byte pairs and PCA are not shown to keep QRS within it", not any(misses))

    def both(method: str) -> str:
        qrs, pr = (interval(ends.loc[wave, method], 1, " ms") for wave in ("qrs_duration", "pr"))
        return f"QRS {qrs} and PR {pr}"

    return (
        "What do the tokens lose?",
        f"Of {paced} ECGs with visible pacing spikes, these still show one: {kept}, {none}. The "
        f"margin for QRS and PR is 10 ms, and a lost measurement counts as 20 ms. {every} "
        f"({both('qinco')}). {others} (RVQ: {both('rvq')}). One training seed.",
        [f"{FAITHFUL}/tables/study_small_waves.md", f"{FAITHFUL}/tables/study_faithful.md"],
    )


def macro() -> pd.Series:
    """Macro-AUC over all 77 labels by method, with its interval as text."""
    rows = table("03_auc_by_category")
    rows = rows[(rows["category"] == "All") & (rows["average"] == "macro")].set_index("method")
    return rows[["value", "low", "high"]]


def room() -> Row:
    """What is left between simple numbers and the raw signal."""
    auc = pd.read_csv(REPO / "figures" / f"{STUDY}-noise" / "figstudy_noise.csv")
    auc = auc[auc["category"] == "fitted noise"].set_index("method")[["value", "low", "high"]]
    names = {"summary": "151 summary numbers", "median_beat": "these and the median beat"}
    names |= {"raw": "a network on the raw signal"}
    values = ", ".join(f"{text} {interval(auc.loc[m], 3)}" for m, text in names.items())
    gaps = [f"{auc['value']['raw'] - auc['value'][m]:.3f}" for m in ("summary", "median_beat")]
    return (
        "Does the cohort leave room for a tokenizer to be good or bad?",
        f"Macro-AUC: {values}. The room above the two floors is {' and '.join(gaps)}.",
        [f"{STUDY}-noise/tables/study_noise.md"],
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
