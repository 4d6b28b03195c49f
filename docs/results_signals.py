"""The README's table on ECGs and tokens."""

import pandas as pd
from committed import (
    MAIN,
    METHODS,
    STUDY,
    Row,
    benchmark,
    claim,
    hold,
    interval,
    lines,
    predictions,
    side,
    table,
)

from ecglib.evaluate import bootstrap
from ecglib.evaluate.bootstrap import Estimate


def signals() -> str:
    """Questions about ECGs and tokens, and what the committed files answer."""
    rows = [
        errors(),
        without_training(),
        qinco(),
        utilisation(),
        lost(),
        held(),
        easy_to_read(),
        worth_of_training(),
        room(),
        reality(),
    ]
    return lines(rows)


RATES, FAITHFUL, PLACEBO = f"{STUDY}-rates", f"{STUDY}-faithfulness", f"{STUDY}-placebo"
SHORT = METHODS | {"pca_rvq": "PCA with k-means"}
CLAIMS = f"{MAIN}/claims.csv"


def errors() -> Row:
    """The error of each tokenizer, and its size."""
    error = table("02_reconstruction").set_index(["metric", "method"])["value"]["mae_uv"]
    bits = table("02_rate").set_index("method")["bits_per_ecg"]
    each = ", ".join(
        f"{SHORT[name]} {error[name]:.1f} µV ({bits[name]:,.0f} bits)"
        for name in error[list(SHORT)].sort_values().index
    )
    return (
        "How exactly does each tokenizer give the ECG back?",
        f"Mean absolute error and size per ECG: {each}.",
        [f"{MAIN}/tables/02_reconstruction.md"],
    )


def strided_and_floor() -> tuple[float, float]:
    """Errors in µV at 16 codebooks: RVQ with a strided encoder trained from nothing, and PCA."""
    curves = table("study_rates", RATES).set_index(["method", "setting", "quantity"])["value"]
    strided, floor = (
        1000 * curves[method, "codebooks: 16", "mae_mv"] for method in ("rvq_strided", "pca_rvq")
    )
    return strided, floor


def without_training() -> Row:
    """The floor below the tokenizers, PCA and k-means, at several rates and with three seeds."""
    sizes = (1, 2, 4, 8, 16)
    less = [claim(RATES, f"rates.mae.pca_minus_rvq.{size}_codebooks") for size in sizes]
    of_run = claim(MAIN, "recon.mae.pca_minus_rvq")
    placebo = claim(PLACEBO, "placebo.mae.rvq_one_minus_vq")
    yes = hold("Yes, at every rate.", min(low for _, low, _ in less) > 0)
    each = ", ".join(f"{1000 * value:.1f}" for value, _, _ in less[:-1])
    strided, floor = strided_and_floor()
    far = hold("errs by more than that PCA", strided > floor)
    return (
        "Does training by gradient make the error smaller?",
        f"{yes} After three times the run's updates RVQ errs by {each} µV less than PCA of windows "
        "with residual k-means at 1, 2, 4 and 8 codebooks, and by "
        f"{interval(less[-1], 1, ' µV', 1e3)} less at 16. In the run it errs by "
        f"{interval(of_run, 1, ' µV', 1e3)} less at 16. Its encoder starts at that "
        "PCA. A strided encoder in the manner of the paper's, with strides, norm, decoder and "
        f"loss of our own, trained from nothing, {far}: {strided:.1f} against "
        f"{floor:.1f} µV (one seed). Three training seeds. A placebo, RVQ with one codebook minus "
        f"VQ, which are the same: {interval(placebo, 2, ' µV', 1e3)}, "
        f"{hold('within the 0.5 µV that was asked', max(map(abs, placebo)) < 5e-4)} (five seeds).",
        [f"{RATES}/claims.csv", f"{RATES}/tables/study_pca.md", f"{PLACEBO}/claims.csv"],
    )


def qinco() -> Row:
    """RVQ against QINCo, in the latents and in the ECG, with three seeds."""
    ratio = claim(RATES, "codes.error_ratio.qinco_over_rvq")
    share = claim(RATES, "codes.error_ratio.share_below_one")[0]
    whole = claim(RATES, "rates.mae_16.rvq_minus_qinco")
    seconds = claim(RATES, "recon.mae.rvq_minus_qinco.same_seconds")
    equal = side(seconds, "It stays ahead", "It falls behind", "It is not shown to stay ahead")
    return (
        "Is QINCo better than RVQ after equal updates?",
        f"{hold('Yes.', ratio[2] < 1, whole[1] > 0)} After three times "
        "the updates of the run, its error in the latents is at 8 codebooks "
        f"{interval(ratio, 3)} times that of RVQ, and smaller in {100 * share:.0f} % of the ECGs. "
        f"In the ECG it errs by {interval(whole, 2, ' µV', 1e3)} less at 16 codebooks. {equal} of "
        "an RVQ that was trained for as many seconds, by "
        f"{interval(seconds, 2, ' µV', 1e3)} at 8 codebooks (one seed). Three training seeds.",
        [f"{RATES}/claims.csv", f"{RATES}/tables/study_qinco.md"],
    )


def utilisation() -> Row:
    """The study of codebook use: RVQ's error above QINCo's, with released updates and with ours."""
    run = f"{STUDY}-utilisation"
    ways = table("study_gain_of_qinco", run).set_index(["training", "init", "revival"])
    released, plain = ways.loc["released", "uniform", "none"], ways.loc["ours", "uniform", "none"]
    ours = ways.loc["ours", "kmeans", "revival"]

    def more(gain: pd.Series, sign: int = 1) -> str:
        ends = ["value", "low", "high"] if sign > 0 else ["value", "high", "low"]
        numbers = interval(sign * gain[ends], 1, " µV", 1e3)
        return f"uses {gain['rvq_used_percent']:.0f} % of its codewords and errs by {numbers}"

    neither = ours["low"] < 0 < ours["high"]
    return (
        "Is QINCo better where RVQ leaves codewords unused?",
        f"{hold('With released updates and start, no:', released['high'] < 0)} RVQ "
        f"{more(released, -1)} less than QINCo, which uses {released['qinco_used_percent']:.0f} %. "
        f"{hold('In our training, yes', plain['low'] > 0)}, without k-means and revival: RVQ "
        f"{more(plain)} more. {hold('With both no difference is shown', neither)}: RVQ "
        f"{more(ours)} more. With released updates RVQ learns by running means and QINCo by "
        "gradient. Each tokenizer has a strided encoder of its own here, unlike in the row above. "
        "QINCo's network, the loss, the learning rate, the axis and the sizes are ours "
        "everywhere. Three training seeds with released updates and with both, one without them; "
        "three of eight ways of training, not registered.",
        [f"{run}/tables/study_gain_of_qinco.md"],
    )


def more_spikes() -> Estimate:
    """Share of the ECGs with visible pacing spikes that still show one, RVQ minus QINCo."""
    rows = predictions("study_small_waves", FAITHFUL)
    rows = rows[rows["item"].str.startswith("spike") & (rows["target"] == "1")]
    both = (rows[rows["method"] == name] for name in ("rvq", "qinco"))
    return bootstrap.paired_difference(*both)


def lost() -> Row:
    """What reconstructions lose of what a cardiologist looks for."""
    spikes = table("study_small_waves", FAITHFUL).set_index(["wave", "method"]).loc["spike"]
    paced = round((spikes["cases"] * spikes["original"]).iloc[0] / 100)
    kept = ", ".join(f"{SHORT[m]} {spikes['value'][m]:.0f} %" for m in ("bpe", "rvq", "qinco"))
    none = hold("VQ and FSQ none", spikes["value"]["vq"] == spikes["value"]["fsq"] == 0)
    changed = table("study_faithful", FAITHFUL).set_index(["quantity", "method"])
    ends = changed[["error with lost ones", "low", "high"]]
    within = changed["high"] < changed["margin"]
    single = table("study_beyond_margin", FAITHFUL).set_index("method").loc["qinco"]
    of_both = [within[wave, m] for m in ("qinco", "rvq") for wave in ("qrs_duration", "pr")]
    every = hold("On average QINCo and RVQ stay within it", all(of_both))
    misses = [within[wave, m] for m in ("bpe", "pca_rvq") for wave in ("qrs_duration", "pr")]
    others = hold("Byte pairs and PCA are not shown to keep QRS or PR within it", not any(misses))

    def both(method: str) -> str:
        qrs, pr = (interval(ends.loc[wave, method], 1, " ms") for wave in ("qrs_duration", "pr"))
        return f"QRS {qrs} and PR {pr}"

    return (
        "What do the tokens lose?",
        f"Of {paced} ECGs with visible pacing spikes, these still show one: {kept}, {none}; RVQ "
        f"minus QINCo {more_spikes().text(1, 100)} points. The "
        f"margin for QRS and PR is 10 ms, and a lost measurement counts as 20 ms. {every} "
        f"(QINCo: {both('qinco')}; RVQ: {both('rvq')}). In single ECGs QINCo is beyond it, or "
        f"loses it: QRS in {single['qrs_duration']:.0f} % of the ECGs, PR in {single['pr']:.0f} %. "
        f"{others}. One training seed.",
        [
            f"{FAITHFUL}/tables/study_small_waves.md",
            f"{FAITHFUL}/tables/study_faithful.md",
            f"{FAITHFUL}/tables/study_beyond_margin.md",
        ],
    )


def macro_auc() -> pd.DataFrame:
    """Macro-AUC over the scored labels: value, low and high of each method."""
    rows = table("03_auc_overall").set_index(["average", "method"])
    return rows.loc["macro", ["value", "low", "high"]]


def macro(names: dict[str, str]) -> str:
    """The macro-AUC of some methods, with intervals."""
    rows = macro_auc()
    return ", ".join(f"{text} {interval(rows.loc[name], 3)}" for name, text in names.items())


def held() -> Row:
    """What the tokens hold: decoded, under the network on the raw signal."""
    less = claim(MAIN, "auc.macro.raw_minus_qinco_decoded")
    more = claim(MAIN, "auc.macro.qinco_decoded_minus_median_beat")
    methods = {"raw_further": "the raw signal", "median_beat": "the median beat, a floor"}
    tokens = {f"{name}_decoded": METHODS[name] for name in ("qinco", "rvq", "bpe", "fsq", "vq")}
    value = macro_auc()["value"]
    lost = {name: value["raw_further"] - value[key] for key, name in tokens.items()}
    kept = [name for name, loss in lost.items() if loss < 0.005]
    worse = ", ".join(f"{name} {loss:.3f}" for name, loss in lost.items() if loss >= 0.005)
    floor = [tokens[key] for key in tokens if value[key] < value["median_beat"]]
    above = side(more, "above", "below", "not shown to be above")
    return (
        "Do the findings survive in the tokens?",
        f"In {', '.join(kept)} nearly all; the others lose some ({worse}). Macro-AUC of a network "
        f"on decoded ECGs: {macro(tokens)}; {macro(methods)}. QINCo loses {interval(less, 4)} "
        f"against the raw signal, and is {above} the floor; below it: {', '.join(floor) or '-'}.",
        [f"{MAIN}/tables/03_auc_overall.md", CLAIMS],
    )


def easy_to_read() -> Row:
    """The paper's reader of the frozen vectors, beside the other methods of its Fig. 2."""
    unread = claim(MAIN, "auc.macro.decoded_minus_vectors.qinco")
    methods = {name: METHODS[name] for name in ("qinco", "rvq", "vq")}
    value = macro_auc()["value"]
    own = value["raw_further"] - value["deepsl"]
    run = f"{STUDY}-longer_readers"
    behind, ahead = (
        claim(run, f"longer_readers.qinco_minus_{other}.shifted") for other in ("deepsl", "deepssl")
    )
    return (
        "Are they easy to read in the vectors, as ECG-Tok reads them (Fig. 2)?",
        f"{side(unread, 'No', 'Yes', 'Not shown')}. Macro-AUC of an EfficientNetV2: "
        f"{macro(methods)}. In QINCo's decoded ECGs the first network finds "
        f"{interval(unread, 3)} more than this one in its vectors. Of this, {own:.3f} is lost by "
        "the EfficientNetV2 on the raw signal too "
        f"({macro({'deepsl': 'DeepSL'})}); it has 8 epochs here, the first network 11. "
        f"{macro({'deepssl': 'DeepSSL'})}. After four times the updates on shifted ECGs, QINCo's "
        f"vectors minus DeepSL {interval(behind, 3)}, minus DeepSSL {interval(ahead, 3)} "
        "(one seed).",
        [
            f"{MAIN}/tables/03_fig2.md",
            f"{MAIN}/tables/03_auc_differences.md",
            f"{run}/longer_readers.md",
        ],
    )


def worth_of_training() -> Row:
    """What the tokens hold, against PCA at equal bits, and VQ against RVQ at equal bits."""
    run = f"{STUDY}-readers"
    more, equal = claim(run, "auc.macro.qinco_minus_pca_rvq"), claim(run, "auc.macro.rvq_minus_vq")
    return (
        "Do trained tokens hold more of the findings than PCA with k-means?",
        f"{side(more, 'Yes', 'No, less', 'Not shown')}: QINCo minus PCA at equal bits "
        f"{interval(more, 4)} of macro-AUC. {hold('RVQ holds less than VQ', equal[2] < 0)} at "
        f"equal bits (948 per ECG) behind one encoder: {interval(equal, 3)}.",
        [f"{run}/claims.csv", f"{run}/tables/study_auc.md"],
    )


def room() -> Row:
    """What is left between simple numbers and the raw signal."""
    value = macro_auc()["value"]
    names = {"summary": "151 summary numbers", "median_beat": "these and the median beat"}
    gaps = [f"{value['raw_further'] - value[name]:.3f}" for name in names]
    files = [f"{MAIN}/tables/03_auc_overall.md", f"{STUDY}-noise/tables/study_noise.md"]
    files += [f"{STUDY}-reliability/tables/study_auc_by_group.md"]
    groups = table("study_auc_by_group", f"{STUDY}-reliability").query("group == 'All groups'")
    groups = groups.set_index("method")["value"]
    order = {"raw_further": "the raw signal", "qinco_decoded": "decoded QINCo"}
    order |= {"median_beat": "the median beat", "summary": "summary numbers"}
    order |= {"qinco": "QINCo's vectors"}
    each = ", ".join(f"{name} {groups[method]:.3f}" for method, name in order.items())
    return (
        "Does the cohort leave room for a tokenizer to be good or bad?",
        f"Macro-AUC: {macro(names | {'raw_further': 'a network on the raw signal'})}. The room "
        f"above the two floors is {' and '.join(gaps)}. Where the labels of one condition count "
        f"once: {each} (training seed 0).",
        files,
    )


def reality() -> Row:
    """Simulated ECGs beside real ones."""
    apart, price = benchmark("sim_vs_real"), benchmark("sim_to_real")
    ratio = interval([price[key] for key in ("ratio", "low", "high")], 2)
    return (
        "Are simulated ECGs like real ones?",
        f"{hold('No.', apart['value'] > 0.9)} A classifier separates them with an AUC of "
        f"{apart['value']:.3f}. With tokenizers of an earlier version ({price['commit'][:7]}), the "
        f"PRD on real ECGs was {ratio} times as high after training on simulated ECGs as after "
        f"training on real ones ({METHODS[price['worst']]}, the worst).",
        ["benchmarks/sim_vs_real.json", "benchmarks/sim_to_real.json"],
    )
