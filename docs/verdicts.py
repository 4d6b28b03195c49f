"""The README's table: a question, a plain verdict, and the numbers in one line."""

from committed import (
    MAIN,
    REPO,
    STUDY,
    benchmark,
    claim,
    counted,
    every_seed,
    high,
    interval,
    judged,
    low,
    markdown,
    predictions,
    side,
    table,
)
from results_language import cells, minus_memoriser
from results_signals import RATES, macro, more_spikes, strided_and_floor

from ecglib.evaluate import claims, exact_match, finding_agreement

READERS = {"qinco": "QINCo's vectors", "deepsl": "DeepSL", "deepssl": "DeepSSL"}
READERS |= {"summary": "summary numbers"}
SYSTEMS = ("heartllm", "ecg_tok", "ecg_byte")
REAL = "ptbxl-mini"
ROOM = "auc.macro.raw_minus_summary"
TOKENS_READ = f"{STUDY}-ecg_tok_by_tokenizer"
APART = 0.09  # macro-F1 by which two trainings of ECG-Tok may differ (docs/known_problems.md)
FAILED = {  # claims of the run that fail, in few words
    "report.share_of_reference.finding_f1": "way from a copied report to the true one",
    "qa.gain_over_chance.exact_match": "HeartLLM minus chance",
    "qa.heartllm_minus_memoriser.exact_match": "HeartLLM minus the memoriser",
}
Line = tuple[str, str, str, str]  # question, verdict, numbers, file below reports/


def verdicts() -> str:
    """One line per question."""
    lines = [
        training(),
        qinco(),
        held(),
        vectors(),
        labels(),
        reports(),
        answers(),
        opponents(),
        pretraining(),
        space(),
        attention(),
        confirmed(),
        real(),
        reality(),
    ]
    rows = [
        [question, f"**{verdict}**", numbers, f"[numbers](reports/{file})"]
        for question, verdict, numbers, file in lines
    ]
    return markdown(["question", "verdict", "value [95 % interval]", ""], rows)


def training() -> Line:
    """RVQ against PCA with k-means, where its encoder starts, and an encoder from nothing."""
    less = claim(MAIN, "recon.mae.pca_minus_rvq")
    error = table("02_reconstruction").set_index(["metric", "method"])["value"]["mae_uv"]
    read = claim(TOKENS_READ, "ecg_tok_by_tokenizer.qinco_minus_pca.macro_f1")
    in_reports = side(read, "and in reports", "worse in reports", "not shown in reports")
    in_reports = in_reports if abs(read[0]) > APART else "not shown in reports"
    strided, floor = strided_and_floor()
    yes = "Yes in the signal" + (" with our encoder, not a strided one" if strided > floor else "")
    return (
        "Do trained tokenizers beat a linear transform?",
        side(less, yes, "No, they are worse", "Not shown") + f"; {in_reports}",
        f"error at equal bits: PCA {error['pca_rvq']:.1f} µV, RVQ that starts at it "
        f"{error['rvq']:.1f}, RVQ with a strided one {strided:.1f} (not tuned); macro-F1 "
        f"of reports, QINCo minus PCA {interval(read, 3)} (two trainings may differ by {APART})",
        f"{RATES}/rates.md",
    )


def qinco() -> Line:
    """QINCo against RVQ, in the signal and in what is read of it."""
    less = claim(MAIN, "recon.mae.rvq_minus_qinco")
    read = claim(MAIN, "auc.macro.qinco_minus_rvq")
    in_signal = side(less, "Yes in the signal", "No", "Not shown")
    hardly = max(map(abs, read)) < 0.005
    of_read = "hardly in what is read of it" if hardly else side(read, "and", "not", "not shown")
    of_read += "" if hardly else " in what is read of it"
    gap = more_spikes()
    of_read += "; fewer pacing spikes (one seed)" if gap.low > 0 else ""
    return (
        "Is QINCo better than RVQ?",
        f"{in_signal}, {of_read}",
        f"error {interval(less, 2, ' µV', 1000)} less; macro-AUC of decoded ECGs differs by "
        f"{interval(read, 4)}; ECGs that keep a pacing spike, RVQ minus QINCo: "
        f"{gap.text(1, 100)} points",
        f"{MAIN}/02_tokenizers.md",
    )


def held() -> Line:
    """What the tokens hold."""
    lost = claim(MAIN, "auc.macro.raw_minus_qinco_decoded")[2]  # the upper end
    methods = {"raw_further": "raw signal", "qinco_decoded": "decoded QINCo", "vq_decoded": "VQ"}
    methods |= {"median_beat": "median beat"}
    plain = table("study_auc", f"{STUDY}-readers").set_index("method")["value"]["pca_rvq_decoded"]
    spikes = table("study_small_waves", f"{STUDY}-faithfulness").set_index(["wave", "method"])
    ends = spikes.loc[("spike", "qinco"), ["value", "low", "high"]]
    kept = ends["value"]
    few = ", spikes often not" if kept < 80 else ""
    return (
        "Do the findings survive in the tokens?",
        f"Nearly all in QINCo's{few}" if lost < 0.005 else f"Not all{few}",
        f"macro-AUC: {macro(methods)}, PCA with k-means (one seed) {plain:.3f}; of ECGs with "
        f"pacing spikes {interval(ends, 0)} % show one after QINCo",
        f"{MAIN}/03_classification.md",
    )


def vectors() -> Line:
    """The paper's reader of frozen vectors, at the updates of the run and after four times them."""
    run = f"{STUDY}-longer_readers"
    unread = claim(MAIN, "auc.macro.decoded_minus_vectors.qinco")
    ahead = claim(run, "longer_readers.qinco_minus_deepsl.shifted")
    place = side(ahead, "ahead of DeepSL", "still behind DeepSL", "not shown to differ from DeepSL")
    methods = {"qinco": "QINCo's vectors", "deepsl": "DeepSL", "deepssl": "DeepSSL"}
    longer = table("study_auc", run).query("average == 'macro'").set_index("method")["value"]
    plain, shifted = (
        ", ".join(f"{longer[name + ending]:.3f}" for name in methods)
        for ending in ("_4x", "_4x_shifted")
    )
    return (
        "Are they easy to read in the vectors (ECG-Tok, Fig. 2)?",
        side(unread, f"No; after four times the updates {place}", "Yes", "Not shown"),
        f"macro-AUC: {macro(methods)}; after four times (one seed) "
        f"{plain}; with shifted starts {shifted}",
        f"{run}/longer_readers.md",
    )


def labels() -> Line:
    """Frozen tokens where few ECGs have labels."""
    run = f"{STUDY}-few_labels"
    rows = table("study_auc", run).query("average == 'macro'")
    least = rows[rows["share"] == rows["share"].min()].set_index("method")
    more = claim(run, "few_labels.qinco_minus_deepsl.5_percent")
    numbers = (
        f"{text} {interval(least.loc[method, ['value', 'low', 'high']], 3)}"
        for method, text in READERS.items()
    )
    return (
        "Do frozen tokens save labels?",
        side(more, "Yes", "No, as ECG-Tok reads them", "Not shown"),
        "macro-AUC with labels of 5 % of the training patients (and of all validation patients): "
        f"{', '.join(numbers)}",
        f"{run}/few_labels.md",
    )


def reports() -> Line:
    """ECG-Tok's reports against a control, the best copied report and a classifier."""
    looks = claim(MAIN, "report.ecg_minus_shuffled.finding_f1")
    rows = every_seed("04_reports")
    own, other = (rows[rows["method"] == of] for of in ("ecg_tok", "probe_reports"))
    gain = finding_agreement.difference(own, other, "macro_f1", seed=0)
    gain = [gain.value, gain.low, gain.high]
    used, (here, there) = side(looks, "Yes", "No", "Not shown"), minus_memoriser()
    beats = side(gain, "better than", "worse than", "not shown to differ from")
    methods = {"ecg_tok": "ECG-Tok", "probe_reports": "classifier taught by reports"}
    methods |= {"memoriser": "copied by codes", "no_ecg": "no ECG"}
    return (
        "Do ECG-Tok's reports use the ECG?",
        f"{used}; {beats} a classifier",
        f"macro-F1 (frequent findings): {cells('04_table1', 'macro_f1', methods)}; ECG-Tok minus "
        f"copied {here}, on other patients {there}",
        f"{MAIN}/tables/04_table1.md",
    )


def answers() -> Line:
    """Two systems' answers against chance, and beside a classifier and the control."""
    rows, words = every_seed("06_answers"), set()
    for method in ("heartllm", "ecg_byte"):
        own, other = (rows[rows["method"] == of] for of in (method, "decoded"))
        gain, chance = exact_match.gain(own, seed=0), exact_match.chance(own, seed=0).value
        word = side([gain.value, gain.low, gain.high], "Yes", "No: below chance", "Not shown")
        word = "Hardly: near chance" if gain.low > 0 and gain.value < 0.05 else word
        copied = rows[rows["method"] == "memoriser"]
        behind = [
            name
            for name, floor in {"a classifier": other, "answers copied by codes": copied}.items()
            if exact_match.difference(own, floor, seed=0).high < 0
        ]
        words.add(word + (f"; worse than {' and '.join(behind)}" if behind else ""))
    methods = {"heartllm": "exact match: HeartLLM", "ecg_byte": "ECG-Byte"}
    beside = {"no_ecg": "no ECG", "memoriser": "copied by codes"}
    beside |= {"decoded": "classifier taught by true states"}
    exact = ("06_exact_match", "all")
    return (
        "Do the answers of HeartLLM and ECG-Byte use the ECG?",
        " / ".join(sorted(words)),
        f"{cells(*exact, methods)}, chance {chance:.3f}, {cells(*exact, beside)}",
        f"{MAIN}/tables/06_exact_match.md",
    )


def opponents() -> Line:
    """The three systems beside encoders without tokens, trained on pairs of ECGs and reports."""
    three = table("06_three_trainings").query("opponent == 'CLIP'").set_index("method")
    texts = [three.loc[name, "difference"] for name in ("heartllm", "ecg_byte")]
    words = [side([0, low(text), high(text)], "yes", "no", "not shown") for text in texts]
    both = f"HeartLLM and ECG-Byte: {words[0]}"
    both = both if words[0] == words[1] else f"HeartLLM: {words[0]}; ECG-Byte: {words[1]}"
    tokens = f"{STUDY}-without_tokens"
    gain = [
        claim(tokens, f"without_tokens.ecg_tok_minus_{name}.{measure}")
        for measure in ("exact_match", "rouge_l")
        for name in ("clip", "merl")
    ]
    least = min(gain[:2], key=lambda numbers: numbers[1])
    ahead = side(least, "yes", "no", "not shown") + " in answers, "
    behind = [
        name for name, numbers in zip(("CLIP", "MERL"), gain[2:], strict=True) if numbers[2] < 0
    ]
    ahead += (
        f"reports worse than {' and '.join(behind)}'s"
        if behind
        else "reports not shown to be worse"
    )
    clip, _, clips_words, _ = (interval(numbers, 3) for numbers in gain)
    return (
        "Do tokens beat an encoder without them (CLIP, MERL)?",
        f"{both}; ECG-Tok: {ahead}",
        f"exact match minus CLIP's: HeartLLM {texts[0]}, ECG-Byte "
        f"{texts[1]}, ECG-Tok {clip}; ROUGE-L, ECG-Tok {clips_words}",
        f"{tokens}/without_tokens.md",
    )


def pretraining() -> Line:
    """What pretraining on ECG tokens brings HeartLLM."""
    more = claim(MAIN, "ablation.pretraining_minus_none.exact_match")
    rows = table("07_report_difference").set_index("metric")
    stated = rows.loc["macro_f1", ["value", "low", "high"]].tolist()
    answers = side(more, "Yes in answers", "No in answers", "Not shown over all answers")
    # No claim names the reports: the interval is one of nine, and not corrected for that.
    return (
        "Does HeartLLM gain from pretraining on tokens?",
        f"{answers}, {side(stated, 'perhaps in reports', 'not in reports', 'nor in reports')}",
        f"exact match, with minus without: {interval(more, 3)}; macro-F1 of findings in reports "
        f"{interval(stated, 3)}, no claim, one of nine intervals that are not corrected",
        f"{MAIN}/07_ablations.md",
    )


def space() -> Line:
    """Whether ECGs and words share a space, by pairs and by a probe."""
    rows = table("08_alignment").set_index("system")
    last, name = rows.loc["heartllm, hidden"], "MRR minus shuffled"
    better = last[name]
    clip = table("study_alignment", f"{STUDY}-systems").set_index("system").loc["clip, own space"]
    found, shuffled = (clip[name].split()[0] for name in ("MRR", "MRR, shuffled pairs"))
    return (
        "Do ECG tokens and words share a space (HeartLLM, Fig. 1)?",
        f"{'Partly: pairs match' if low(better) > 0 else 'Not found'} in HeartLLM",
        f"reciprocal rank of an ECG's own report minus another's: {better}; in CLIP's own space, "
        f"trained on pairs, {found} against {shuffled}; a linear probe separates ECGs from reports "
        f"in both ({last['modality probe'].split()[0]}, {clip['modality probe'].split()[0]})",
        f"{MAIN}/08_alignment.md",
    )


def attention() -> Line:
    """What attention to the ECG says of where an answer comes from, and whether it is right."""
    maps, words = f"{STUDY}-attention", f"{STUDY}-answer_words"
    heartllm = claim(maps, "attention.deletion.above_mean_minus_random")
    ecg_byte = claim(maps, "attention.ecg_byte.deletion.above_mean_minus_random")
    looks, own = (
        [claim(words, f"answer_words.{name}.equal.{score}") for name in SYSTEMS]
        for score in ("attention", "own_probability")
    )
    spans = [f"{min(of)[0]:.2f} to {max(of)[0]:.2f}" for of in (looks, own)]
    tells = any(low > 0.5 for _, low, _ in looks)
    return (
        "Does attention show why an answer is given or if it is right?",
        f"{side(heartllm, 'In part', 'No', 'Not shown')} in HeartLLM, "
        f"{side(ecg_byte, 'in part', 'no', 'not shown')} in ECG-Byte; "
        f"if right: {'in part' if tells else 'not shown'}",
        "answers that change without 16 marked tokens, minus random: HeartLLM "
        f"{interval(heartllm, 1, scale=100)} points, ECG-Byte {interval(ecg_byte, 1, scale=100)}; "
        f"right or not, AUC: attention {spans[0]}, probability {spans[1]}",
        f"{words}/answer_words.md",
    )


def confirmed() -> Line:
    """The primary claims on the cohort that was set aside."""
    outcomes = table("09_confirmation")["outcome"]
    alike = outcomes.isin(["confirmed", "fails in both"]).all()
    registry = claims.load(REPO / "notebooks" / "claims.yaml")
    failed = []
    for name, row in judged(MAIN).query("primary and verdict == 'fails'").iterrows():
        wanted = registry[name].get("least", registry[name]["margin"])
        claimed = f"≥ {wanted:g}" if wanted else "> 0"
        failed.append(f"{FAILED.get(name, name)} {row['value']:.3f} (claimed: {claimed})")
    return (
        "Are the primary claims confirmed on the cohort set aside?",
        "Each verdict is the same" if alike else "Not all",
        f"other patients; of {len(outcomes)} claims: {counted(outcomes)}. "
        + (f"Failures: {', '.join(failed)}" if failed else "None fails in the run"),
        f"{MAIN}/tables/09_confirmation.md",
    )


def real() -> Line:
    """The same notebooks on some hundred real ECGs."""
    error = table("02_reconstruction", REAL).query("metric == 'mae_uv'").set_index("method")
    auc = table("03_auc_overall", REAL).query("average == 'macro'").set_index("method")
    numbers = ["value", "low", "high"]
    less, room = claim(REAL, "recon.mae.rvq_minus_qinco"), claim(REAL, ROOM)
    order = side(less, "QINCo ahead of RVQ", "RVQ ahead of QINCo", "QINCo against RVQ not shown")
    # Where no reader is above a floor, it cannot be seen whether the tokens lose findings.
    findings = f"findings {'can' if room[1] > 0 else 'cannot'} be judged"
    readers = {"raw_further": "raw signal", "summary": "summary numbers"}
    readers |= {"qinco_decoded": "decoded QINCo"}
    read = [f"{name} {interval(auc.loc[of, numbers], 3)}" for of, name in readers.items()]
    rows = predictions("03_labels", REAL).query("method == 'raw_further'")
    rarer = rows.groupby("item")["target"].value_counts().groupby("item").min().sort_values()
    return (
        f"On real ECGs ({error['n'].max()} test patients of PTB-XL)?",
        f"{order} in one training; {findings}",
        f"RVQ errs by {interval(less, 2, ' µV', 1000)} more than QINCo; macro-AUC of {len(rarer)} "
        f"labels whose rarer class has {rarer.min()} to {rarer.max()} ECGs: {', '.join(read)}",
        f"{REAL}/tables/03_auc_overall.md",
    )


def reality() -> Line:
    """Simulated ECGs beside real ones."""
    apart, price = benchmark("sim_vs_real"), benchmark("sim_to_real")
    ratio = interval([price[key] for key in ("ratio", "low", "high")], 2)
    moved = benchmark("models_on_ptbxl")
    real = interval([moved[key] for key in ("value", "low", "high")], 3)
    return (
        "Are simulated ECGs like real ones?",
        "No" if apart["value"] > 0.9 else "Nearly",
        f"a classifier tells them apart (AUC {apart['value']:.3f}); the PRD on real ECGs is "
        f"up to {ratio} times as high after training on simulated ones; "
        "[macro-AUC](reports/benchmarks/models_on_ptbxl.json) of decoded QINCo, "
        f"{len(moved['labels'])} labels: {real}, on simulated "
        f"ones {moved['reference']['value']:.3f}",
        "benchmarks/sim_to_real.json",
    )
