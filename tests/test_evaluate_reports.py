"""Scores of generated reports: degrees of statements, conditions, faults, BLEU and METEOR."""

from types import SimpleNamespace

import nltk
import numpy as np
import pandas as pd
import pytest
from builds import refused
from nltk.translate.bleu_score import corpus_bleu
from simulated import hearts

from ecglib.cohorts.scored_sample import scorable_findings
from ecglib.evaluate import (
    bootstrap,
    exact_match,
    finding_agreement,
    meteor,
    predictions,
    report_faults,
    text_overlap,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.evaluate.statements import DENIED, HEDGED, STATED, UNMENTIONED, read_degrees
from ecglib.labels import finding_conditions
from ecglib.labels.finding_conditions import CONDITIONS
from ecglib.labels.findings import SCORED
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, Label

HALLUCINATION = "*** CONSIDER ACUTE ST ELEVATION MI ***"  # ECG-Tok, of a normal ECG


def table(*states: dict[Label, int], rest: int = ABSENT) -> np.ndarray:
    """States int8 (n, 77) of n ECGs; labels that are not named are `rest`."""
    labels = np.full((len(states), 77), rest, dtype=np.int8)
    for row, named in zip(labels, states, strict=True):
        for label, state in named.items():
            row[label] = state
    return labels


def read(labels: np.ndarray, reports: list[str], method="m", seed=0, scored=SCORED, units=None):
    """Finding rows of reports, each of a patient of its own where `units` does not say."""
    numbers = np.arange(len(reports))
    records = pd.DataFrame({"unit": numbers if units is None else units, "ecg": numbers})
    records = records.assign(site="A", sex="F", age=50.0, report="r")
    written = pd.DataFrame({"text": reports, "tokens": 1, "stop_reason": "eos"})
    return finding_agreement.read_reports(records, labels, method, seed, written, scored)[1]


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("LVH", STATED),
        ("Possible LVH", HEDGED),
        ("LVH cannot be ruled out", HEDGED),
        ("LVH, age undetermined", HEDGED),
        ("No LVH", DENIED),
        ("Sinus rhythm", UNMENTIONED),
        ("No LVH. LVH.", STATED),  # a reader may act on either sentence
        ("LVH. No LVH.", STATED),
        ("Possible LVH. No evidence of LVH.", HEDGED),
        ("Possible LVH. LVH.", STATED),
        ("Old LVH. No LVH.", HEDGED),
    ],
)
def test_a_text_states_a_finding_to_a_degree(text, degree):
    assert read_degrees(text).get(Label.LVH, UNMENTIONED) == degree
    for truth in (ABSENT, PRESENT):
        row = read(table({Label.LVH: truth}), [text], scored=[Label.LVH]).iloc[0]
        assert (row["target"], row["score"]) == (str(truth), degree)
        assert row["prediction"] == str(int(degree > 0))


def test_a_hedge_on_a_normal_ecg_is_an_invention():
    """The hallucination that ECG-Tok's paper shows, on a normal ECG and on an acute infarction."""
    frame = read(table({}, {Label.ACUTE_MI: PRESENT}), [HALLUCINATION] * 2)
    counts = report_faults.by_report(frame).set_index("ecg")[report_faults.FAULTS]
    assert counts.to_numpy().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert finding_agreement.micro(frame, "precision").value == 0.5
    assert finding_agreement.micro(frame, "recall").value == 1.0


def test_faults_per_100_reports_by_hand():
    """Two reports: an invention, a hedged one, an omission, a contradiction; in three others what
    is denied or hedged is no fault."""
    labels = table(
        {Label.LVH: PRESENT, Label.AFIB: PRESENT},
        {Label.BRUGADA: PRESENT},
        {Label.LVH: PRESENT, Label.SOKOLOW: PRESENT},  # one condition, which is stated
        {},
        {Label.PVC: PRESENT},
    )
    reports = ["No LVH. Left bundle branch block.", "Possible pericarditis. Brugada pattern."]
    reports += ["No LVH. Sokolow-Lyon criterion met.", "No LVH.", "Probable PVC."]
    frame = read(labels, reports)
    counts = report_faults.by_report(frame)[report_faults.FAULTS].to_numpy().tolist()
    assert counts == [[1, 0, 2, 1], [1, 1, 0, 0], *[[0, 0, 0, 0]] * 3]
    per_100 = report_faults.per_100_reports(frame).set_index("fault")
    assert per_100["value"].to_dict() == dict(
        zip(report_faults.FAULTS, [40, 20, 40, 20], strict=True)
    )
    assert (per_100["n"] == 5).all()
    old = report_faults.per_100_reports(frame.assign(score=np.nan)).set_index("fault")["value"]
    assert old[["invention", "omission"]].tolist() == [40, 40]
    assert old[["hedged_invention", "contradiction"]].isna().all()


def test_a_condition_counts_once():
    """It is true, or stated, where one of its assessable findings is; unknown where none is."""
    block, axis = Label.LAFB, Label.LEFT_AXIS
    labels = table(
        {block: PRESENT, axis: PRESENT},  # stated by one of its two names
        {block: NOT_ASSESSABLE, axis: PRESENT},  # missed
        {block: ABSENT, axis: NOT_ASSESSABLE},  # invented
        {block: NOT_ASSESSABLE, axis: NOT_ASSESSABLE},
        {Label.BIATRIAL_ENLARGEMENT: PRESENT},  # both atria: two conditions
        {Label.LEFT_ATRIAL_ENLARGEMENT: PRESENT},
    )
    words = ["Left anterior fascicular block.", "", "LAFB.", "LAFB.", *["Biatrial enlargement"] * 2]
    cells = finding_agreement.select_conditions(read(labels, words))
    of_item = {name: part.set_index("ecg") for name, part in cells.groupby("item")}
    axes = of_item["left axis"]
    assert axes.loc[[0, 1, 2], finding_agreement.COUNTS].to_numpy().tolist() == [
        *([1, 0, 0], [0, 0, 1], [0, 1, 0])
    ]
    assert 3 not in axes.index and set(of_item) == set(CONDITIONS)
    assert of_item["left atrial enlargement"].loc[[4, 5], "tp"].tolist() == [1, 1]
    assert of_item["right atrial enlargement"].loc[[4, 5], ["tp", "fp"]].to_numpy().tolist() == [
        *([1, 0], [0, 1])
    ]
    by_finding = finding_agreement.select(read(labels[:1], words[:1]))
    assert by_finding[finding_agreement.COUNTS].sum().tolist() == [1, 0, 1]


def test_macro_f1_is_the_mean_of_conditions_and_a_rare_invention_counts_in_micro_only():
    """AF: F1 1. LVH: tp 1, fn 1: F1 2/3. LBBB, true nowhere, is invented once."""
    labels = table({Label.AFIB: PRESENT, Label.LVH: PRESENT}, {Label.LVH: PRESENT})
    frame = read(labels, ["Atrial fibrillation. LVH.", "Left bundle branch block"])
    assert finding_agreement.macro_f1(frame).value == pytest.approx(5 / 6)
    assert finding_agreement.micro(frame).value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert finding_agreement.summary(frame)["metric"].iloc[0] == "macro_f1"
    nothing = read(table({}), ["LVH"])
    refused("no finding has a true case", finding_agreement.macro_f1, nothing)
    refused("unknown grain 'label'", finding_agreement.micro, frame, grain="label")


def test_intervals_are_those_of_copied_patients():
    """Macro-F1 of a resample equals that of the rows of the drawn patients."""
    draw, n = np.random.default_rng(0), 24
    truth = draw.integers(0, 2, (n, 2))
    labels = table(*({Label.AFIB: a, Label.LVH: b} for a, b in truth))
    reports = list(draw.choice(["LVH", "Atrial fibrillation", "LVH. Atrial fibrillation"], n))
    frame = read(labels, reports, units=np.arange(n) // 2, scored=[Label.AFIB, Label.LVH])
    cells = finding_agreement.select_conditions(frame)
    sums = finding_agreement.totals(cells)[:, :, :-1].reshape(n // 2, -1)
    (resamples,) = bootstrap.patient_weights(n // 2, 20, 0, 20)
    for weights, value in zip(resamples, finding_agreement.macro(resamples @ sums), strict=True):
        copies = [
            frame[frame["unit"] == u] for u in np.repeat(np.arange(n // 2), weights.astype(int))
        ]
        again = finding_agreement.by_finding(pd.concat(copies))
        assert value == pytest.approx(again["f1"].mean())  # which skips what has none


def test_shares_between_the_better_floor_and_the_reference():
    labels = table(*[{Label.AFIB: PRESENT}, {Label.LVH: PRESENT}] * 4)
    right = ["Atrial fibrillation", "LVH"] * 4
    half, none = [*right[:6], "", ""], [""] * 8
    a, floor, worse = (
        read(labels, reports, name)
        for reports, name in ((right, "a"), (half, "retrieval"), (none, "majority"))
    )
    floors = {"majority": worse, "retrieval": floor}
    assert finding_agreement.better_floor(floors) == "retrieval"
    for name in ("f1", "macro_f1"):
        share = finding_agreement.share_of_reference(a, floors, a, name)
        assert share.value == 1.0
        assert finding_agreement.share_of_reference(floor, floors, a, name).value == 0.0
    records = pd.DataFrame({"unit": range(8), "ecg": range(8), "report": half})
    records = records.assign(site="A", sex="", age=1.0)
    back = finding_agreement.read_reference(records, labels, 0, list(SCORED))[1]
    assert set(back["method"]) == {"reference"}
    assert finding_agreement.micro(back) == finding_agreement.micro(floor)


def test_training_seeds_widen_the_interval():
    labels = table(*[{Label.AFIB: PRESENT}] * 40)
    seeds = [read(labels, ["AF"] * n + [""] * (40 - n), seed=i) for i, n in enumerate((40, 20))]
    both, floor = pd.concat(seeds), read(labels, [""] * 40, "floor", seed=7)
    value = finding_agreement.micro(both, "recall")
    assert (value.value, value.low, value.high) == (0.75, 0, 1)  # a share is cut at 0 and 1
    gap = finding_agreement.difference(both, floor, "recall")
    assert gap.value == 0.75 and gap.high - gap.low > 1.0  # t with one degree of freedom
    other = both.assign(seed=both["seed"] + 1)
    refused("same seeds", finding_agreement.difference, both, other)


def test_conditions_are_scored_by_their_test_ecgs():
    block, axis = {Label.LAFB: PRESENT}, {Label.LEFT_AXIS: PRESENT}  # in three ECGs, once in both
    labels = table(block | axis, block, axis, {Label.PVC: PRESENT})
    cohort, rows = SimpleNamespace(labels=labels), np.arange(4)
    assert scorable_findings(cohort, rows, 3) == [Label.LEFT_AXIS, Label.LAFB]
    refused("a condition in 4 of 4 test ECGs, got none", scorable_findings, cohort, rows, 4)
    labels[:, Label.LEFT_ATRIAL_ENLARGEMENT] = PRESENT
    atria = {*CONDITIONS["left atrial enlargement"], *CONDITIONS["right atrial enlargement"]}
    assert set(scorable_findings(cohort, rows, 4)) == atria


def test_each_finding_has_a_condition_and_no_two_conditions_are_one(tmp_path):
    """In hearts of all severities no two of 15 cases or more are nearly the same."""
    states = np.stack([labels for _, _, labels in hearts("graded") + hearts("enriched")])
    present = {n: (states[:, list(c)] == PRESENT).any(1) for n, c in CONDITIONS.items()}
    known = {
        n: np.isin(states[:, list(c)], (ABSENT, PRESENT)).any(1) for n, c in CONDITIONS.items()
    }
    names = [name for name in CONDITIONS if present[name].sum() >= 15]
    assert len(names) > 50
    for i, one in enumerate(names):
        for two in names[:i]:
            both = known[one] & known[two]
            a, b = present[one][both], present[two][both]
            if a.any() and b.any():
                assert np.corrcoef(a, b)[0, 1] < 0.9, (one, two)
    text = finding_conditions.PATH.read_text(encoding="utf-8")
    for old, new, message in (
        ("afib,", "afibb,", "do you mean afib"),
        ("\nlbbb,left bundle branch block,", "", "check lbbb"),
        ("\nlbbb,", "\nsinus_rhythm,sinus,\nlbbb,", "check sinus_rhythm"),
        ("\nlbbb,", "\nrbbb,right bundle branch block,\nlbbb,", "rbbb is listed twice"),
    ):
        (tmp_path / "c.csv").write_text(text.replace(old, new))
        refused(message, finding_conditions.load, tmp_path / "c.csv")


def test_texts_are_scored_with_their_own_question_and_ecg():
    """A system writes in any order; a text beside another's truth would move every score."""
    records = pd.DataFrame({"unit": [5, 6, 7], "ecg": [5, 6, 7], "report": ["no", "LVH", "AF"]})
    records = records.assign(site="A", sex="F", age=50.0)
    states = table({}, {Label.LVH: PRESENT}, {Label.AFIB: PRESENT})
    asked = {"number": [0, 1], "row": [2, 1], "item": "verify:ectopy.19", "answer": ["yes", "no"]}
    lines = [(1, 1, "no"), (-1, 2, "Atrial fibrillation."), (0, 2, "yes"), (-1, 1, "LVH.")]
    written = pd.DataFrame(lines, columns=["number", "row", "text"])
    written = {"m": written.assign(tokens=1, stop_reason="eos")}
    rows = np.array([1, 2])
    reports, rest = score_texts(written, pd.DataFrame(asked), records, states, rows, SCORED, 0)
    expected = [[6, "LVH."], [7, "Atrial fibrillation."]]
    assert reports[["ecg", "prediction"]].to_numpy().tolist() == expected
    assert exact_match.accuracy(rest).value == finding_agreement.micro(rest).value == 1
    assert rest.loc[exact_match.is_question(rest), "ecg"].tolist() == [7, 6]


def texts(references: list[str], outputs: list[str], units=None) -> pd.DataFrame:
    numbers = np.arange(len(outputs))
    records = pd.DataFrame({"unit": numbers if units is None else units, "ecg": numbers})
    records = records.assign(site="A", sex="", age=50.0)
    return predictions.build(records, "m", 0, "report", references, outputs)


def test_corpus_bleu_is_that_of_nltk_and_knows_empty_outputs():
    words = ["sinus", "rhythm", "with", "premature", "beats", "and", "long", "qt"]
    draw = np.random.default_rng(1)
    references, outputs = ([" ".join(draw.choice(words, 9)) for _ in range(40)] for _ in range(2))
    outputs = [r[: len(r) // 2] + o for r, o in zip(references, outputs, strict=True)]
    frame = text_overlap.scores(texts(references, outputs))
    table = text_overlap.summary(frame, 0).set_index("metric")
    split = [[[r.split()] for r in references], [o.split() for o in outputs]]
    assert table.loc["bleu_4_corpus", "value"] == pytest.approx(corpus_bleu(*split))
    assert table.loc["bleu_4_corpus", "low"] < table.loc["bleu_4_corpus", "value"]
    right = "sinus rhythm long qt"
    value = {}
    for given in ([right, right], [right, ""], ["", ""]):
        one = text_overlap.corpus_bleu(text_overlap.scores(texts([right] * 2, given)))
        value[given.count("")] = one.value
    assert value == pytest.approx({0: 1.0, 1: np.exp(-1), 2: 0.0})  # half as long: exp(1 - 8 / 4)


WORDNET = {  # in WordNet's format: two adjectives and two nouns
    "data.adj": "  1 WordNet 3.0 Copyright 2006\n{} 00 a 02 fast(p) 0 quick 0 000 | x\n",
    "index.adj": "fast a 1 0 1 0 {0}\nquick a 1 0 1 0 {0}\n",
    "data.noun": "  1 WordNet 3.0 Copyright 2006\n{} 00 n 02 beat 0 throb 0 000 | x\n",
    "index.noun": "beat n 1 0 1 0 {0}\nthrob n 1 0 1 0 {0}\n",
    "data.verb": "",
    "index.verb": "",
    "data.adv": "",
    "index.adv": "",
    "noun.exc": "beaten beat\n",
    "verb.exc": "",
    "adj.exc": "",
    "adv.exc": "",
}


@pytest.fixture
def wordnet(tmp_path):
    folder = tmp_path / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    place = f"{WORDNET['data.adj'].index('{'):08d}"
    for name, text in WORDNET.items():
        (folder / name).write_text(text.format(place))
    return folder


def test_meteor_with_and_without_synonyms(wordnet, monkeypatch):
    """Two words in order, one chunk: F 1, penalty 0.5 x (1 / 2) ** 3."""
    words = meteor.WordNet(wordnet)
    for form in ("beats", "beaten"):  # by rule, by exception
        assert [lemma.name() for lemma in words.synsets(form)[0].lemmas()] == ["beat", "throb"]
    assert words.synsets("qrs") == ()
    for output, with_synonyms, without in (
        (["quick", "beats"], 0.9375, 0.9375),
        (["quick", "beat"], 0.9375, 0.9375),  # the stem
        (["fast", "throbs"], 0.9375, 0.0),
        (["fast", "beats"], 0.9375, 0.25),
        ([], 0.0, 0.0),
    ):
        given = [meteor.meteor(["quick", "beats"], output, w) for w in (words, None)]
        assert given == pytest.approx([with_synonyms, without]), output
    frame = texts(["quick beats"], ["fast throbs"])
    assert "meteor" in set(text_overlap.scores(frame, words)["item"])
    assert "meteor_no_synonyms" in set(text_overlap.scores(frame)["item"])
    monkeypatch.setattr(meteor, "SYSTEM", wordnet.parent / "none")
    monkeypatch.setattr(nltk.data, "path", [])
    assert meteor.open_wordnet() is None
    monkeypatch.setattr(nltk.data, "path", [str(wordnet.parents[1])])
    assert meteor.open_wordnet().synsets("fast") == words.synsets("fast")
    (wordnet / "data.adj").write_text("  1 WordNet 3.1 Copyright 2011\n")
    refused("expected the files of WordNet 3.0, got another version", meteor.WordNet, wordnet)
    (wordnet / "index.adv").unlink()
    refused("got no index.adv", meteor.WordNet, wordnet)
