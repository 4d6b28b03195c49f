"""The README's example of a report, and its table on reports and answers."""

from functools import cache

from committed import (
    MAIN,
    STUDY,
    Row,
    claim,
    every_seed,
    interval,
    judged,
    lines,
    low,
    markdown,
    predictions,
    side,
    table,
)

from ecglib.evaluate import exact_match, finding_agreement

ARMS = {
    "ecg_tok": "ECG-Tok, with this ECG",
    "shuffled": "ECG-Tok, with the ECG of another patient",
    "no_ecg": "the control that never sees an ECG",
    "retrieval": "the report of the nearest training ECG",
}


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
        markdown(["written by", "report"], reports)
        + f"\n\nThis is test ECG {median['ecg']}, chosen by a rule: its ROUGE-L of "
        f"{median['score']:.2f} is the median of ECG-Tok's {len(scores)} reports of training seed "
        f"0. Its waveform has {present.sum()} findings that are scored. ECG-Tok states "
        f"{(present & stated).sum()} of them, and {invented} that it does not have. "
        f"All reports: `reports/{MAIN}/predictions/04_texts.parquet`."
    )


def language() -> str:
    """Questions about reports and answers, and what the run answers."""
    rows = [reports(), worth_of_words(), overlap(), scores_of_words()]
    return lines([*rows, answers(), worth_of_codes(), space()])


def cells(name: str, metric: str, methods: dict[str, str]) -> str:
    """Values with intervals of some methods in a table that has a line per method."""
    column = table(name).set_index("method")[metric].str.strip("*")
    return ", ".join(f"{label} {column[method]}" for method, label in methods.items())


@cache  # the README and docs/results.md have it
def minus_memoriser() -> list[str]:
    """Macro-F1 of ECG-Tok minus that of the memoriser, in the run and in its confirmation."""
    ahead = []
    confirm = predictions("04_reports", f"{MAIN}-confirm")
    for rows, seed in ((every_seed("04_reports"), 0), (confirm, 7701)):  # the run's, as its page
        own, copied = (rows[rows["method"] == of] for of in ("ecg_tok", "memoriser"))
        ahead.append(finding_agreement.difference(own, copied, "macro_f1", seed=seed).text())
    return ahead


def reports() -> Row:
    """ECG-Tok beside its controls."""
    looks = claim(MAIN, "report.ecg_minus_shuffled.finding_f1")
    systems = {"ecg_tok": "ECG-Tok", "no_ecg": "trained without the ECG"}
    systems |= {"shuffled": "with another patient's ECG", "retrieval": "the nearest report"}
    systems |= {"memoriser": "the report with the most similar codes (memoriser)"}
    here, there = minus_memoriser()
    return (
        "Do the reports of ECG-Tok gain from the ECG?",
        f"{side(looks, 'Yes', 'No', 'Not shown')}. Macro-F1 of the findings: "
        f"{cells('04_table1', 'macro_f1', systems)}; ECG-Tok minus the memoriser "
        f"{here}, on the cohort of the confirmation {there}. ROUGE-L: "
        f"{cells('04_table1', 'rouge_l', systems)}.",
        [f"{MAIN}/tables/04_table1.md"],
    )


def worth_of_words() -> Row:
    """ECG-Tok beside classifiers whose findings are worded by templates."""
    gain = claim(MAIN, "report.ecg_tok_minus_templates.finding_f1")
    readers = {"decoded": "what its tokens decode to", "probe": "its tokens' vectors"}
    readers |= {"median_beat": "summary numbers and the median beat"}
    return (
        "Is a language model better than a classifier with templates?",
        f"{side(gain, 'Yes', 'No', 'Not shown')}: macro-F1, ECG-Tok minus a classifier of its "
        f"decoded tokens, {interval(gain, 3)}. Classifiers that read "
        f"{cells('04_table1', 'macro_f1', readers)}. The classifiers learn the labels of the "
        "waveform, the language model only reports.",
        [f"{MAIN}/tables/04_table1.md", f"{MAIN}/tables/04_gains.md"],
    )


def overlap() -> Row:
    """Reports that share much text with the reference and invent a finding."""
    faults = table("09_faithfulness").set_index("method").loc["ecg_tok"]
    good, wrong = (
        int(faults[faults.index.str.contains(word)].iloc[0]) for word in ("ROUGE", "of them")
    )
    return (
        "Is a report with much text in common with the reference right?",
        f"{'Not always' if wrong else 'Here yes'}. Of {good} reports of training seed 0 with a "
        f"ROUGE-L of 0.6 or more, {wrong} invent a finding.",
        [f"{MAIN}/tables/09_faithfulness.md"],
    )


def scores_of_words() -> Row:
    """Scores of words beside findings, over systems and within them."""
    run = f"{STUDY}-word_scores"
    verdict = judged(run)["verdict"]
    over, within, bert, bert_within = (
        claim(run, f"word_scores.{where}.{score}")
        for score in ("rouge_l", "bert_score")
        for where in ("systems", "within")
    )
    return (
        "Does a score of words follow the findings of reports?",
        f"Rank correlation with the F1 of findings, over systems: ROUGE-L {interval(over, 3)}, "
        f"BERTScore {interval(bert, 3)}. The claim asks that the whole interval is above 0.8. It "
        f"{verdict['word_scores.systems.rouge_l']} for ROUGE-L and "
        f"{verdict['word_scores.systems.bert_score']} for BERTScore, which misplaces two "
        "systems that were trained on the wording of one hospital. Among the reports of one "
        f"system: {interval(within, 3)} and {interval(bert_within, 3)}.",
        [f"{run}/tables/study_agreement.md"],
    )


def answers() -> Row:
    """The systems against chance, which is the stricter opponent, and against the control."""
    rows = every_seed("06_answers")
    gain = exact_match.gain(rows[rows["method"] == "heartllm"], seed=0)
    gain = [gain.value, gain.low, gain.high]
    over_control = claim(MAIN, "qa.ecg_minus_no_ecg.exact_match")
    over_memory = claim(MAIN, "qa.heartllm_minus_memoriser.exact_match")
    readers = {"heartllm": "HeartLLM", "ecg_byte": "ECG-Byte", "ecg_tok": "ECG-Tok"}
    readers |= {"no_ecg": "control without the ECG", "majority": "commonest answer"}
    readers |= {"retrieval": "nearest neighbour", "memoriser": "memoriser (vote by similar codes)"}
    readers |= {"decoded": "classifier of decoded codes", "summary": "of summary numbers"}
    readers |= {"median_beat": "of these and a median beat"}
    verdict = side(gain, "Yes: above chance", "No: below chance", "Not shown to be above chance")
    return (
        "Do the answers of HeartLLM gain from the ECG?",
        f"{verdict}. Exact match: {cells('06_exact_match', 'all', readers)}. HeartLLM minus "
        f"chance: {interval(gain, 3)}; minus its control: {interval(over_control, 3)}; minus the "
        f"memoriser: {interval(over_memory, 3)}.",
        [f"{MAIN}/tables/06_exact_match.md", f"{MAIN}/06_instruction_tuning.md"],
    )


def worth_of_codes() -> Row:
    """What pretraining on codes learns, and what it brings."""
    bits = claim(MAIN, "pretraining.bits_below_bigram")
    more = claim(MAIN, "ablation.pretraining_minus_none.exact_match")
    reports = table("07_report_difference").set_index("metric").loc["macro_f1"]
    return (
        "Does HeartLLM gain from pretraining on its tokens?",
        f"{side(more, 'Yes', 'No, it loses', 'Not shown')} in answers: exact match, with minus "
        f"without, {interval(more, 3)}. Macro-F1 of findings in reports differs by "
        f"{interval(reports[['value', 'low', 'high']], 3)}, for which no claim was registered. "
        f"The pretrained model's loss is {interval(bits, 2)} bits per token "
        "below that of a table of pairs of tokens.",
        [f"{MAIN}/05_token_pretraining.md", f"{MAIN}/07_ablations.md"],
    )


def space() -> Row:
    """Where ECGs and reports lie in the space of the model."""
    nearer = claim(MAIN, "alignment.trained_minus_untrained.retrieval")
    rows = table("08_alignment").set_index("system")
    probe, better = rows.loc["heartllm, hidden", ["modality probe", "MRR minus shuffled"]]
    return (
        "Do ECG tokens and words share one space?",
        f"{'Partly' if low(better) > 0 else 'Not found'}. In HeartLLM's last layer the reciprocal "
        f"rank of an ECG's own report minus that of another's is {better}; training changes the "
        f"rank of its own report by {interval(nearer, 3)}. A linear probe tells embeddings of "
        f"ECGs from those of reports with accuracy {probe}; 0.5 would be one mixed cloud.",
        [f"{MAIN}/tables/08_alignment.md", f"{MAIN}/08_alignment.md"],
    )
