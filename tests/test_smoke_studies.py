"""The studies at their smallest, in the folder of the smoke run, whose steps they share. With them
every file is there that the README names, and nothing that is there names a patient."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file
from test_privacy import identifiers, is_cohort, leaks
from test_smoke import RUN, judged, noise

from ecglib.evaluate import auc, exact_match, finding_agreement

REPO = Path(__file__).resolve().parents[1]
NOTEBOOKS = REPO / "notebooks" / "studies"
INSTRUCT = ("instruct", "instruct_byte")
pytestmark = pytest.mark.slow


def test_their_pages_have_no_noise(studies):
    pages = sorted((studies / "reports").glob(f"{RUN}-study-*/[a-z]*.md"))
    assert len(pages) >= 12 and noise(pages) == []


def test_the_study_of_rates_has_each_method_at_each_rate(studies):
    """Two seeds of each point here, and the differences of its predictions as claims."""
    reports = studies / "reports" / f"{RUN}-study-rates"
    table = judged(reports, "studies/rates_claims.yaml")
    curves = pd.read_csv(reports / "tables" / "study_rates.csv")
    assert {"pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe"} < set(curves["method"])
    often = curves[curves["method"].isin(["pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe"])]
    points = often.groupby(["method", "quantity"])
    assert points["bits_per_second"].nunique().min() >= 2
    assert (often.loc[often["setting"] != "equal seconds", "seeds"] == 2).all()
    few = curves[curves["setting"] == "codebooks: 1"].pivot(index="quantity", columns="method")
    assert (few["value", "rvq"] == few["value", "qinco"]).all(), "one codebook has no network"
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mae = errors[errors["item"] == "mae_mv:codebooks: 2"].groupby("method")["score"].mean()
    value = table.loc["rates.mae.pca_minus_rvq.2_codebooks", "value"]
    assert value == pytest.approx(mae["pca_rvq"] - mae["rvq"], abs=1e-9)
    one = errors[errors["item"].isin(["mae_mv:placebo", "mae_mv:512 codewords"])]
    assert one.groupby("item")["score"].mean().nunique() == 2, "the placebo has other draws"


def test_the_placebo_is_the_same_tokenizer_twice(studies):
    """As many codewords, other draws; a row per training seed, and the claim from all of them."""
    reports = studies / "reports" / f"{RUN}-study-placebo"
    claimed = judged(reports, "studies/placebo_claims.yaml")
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mean = errors.groupby(["seed", "method"])["score"].mean().unstack()
    assert len(mean) == 5 and (mean["rvq_one"] != mean["vq"]).all()
    table = pd.read_csv(reports / "tables" / "study_placebo.csv", index_col="training seed")
    difference = (mean["rvq_one"] - mean["vq"]).rename(index=str)
    pd.testing.assert_series_equal(table["value"][:-1], difference, check_names=False)
    value = claimed.loc["placebo.mae.rvq_one_minus_vq", "value"]
    assert table.loc["all", "value"] == pytest.approx(value) == difference.mean()


def test_the_study_of_codebook_use_has_each_way_of_training(studies):
    """Eight of each method, with the mean of the errors of its predictions; and the codebooks of
    notebook 02."""
    reports = studies / "reports" / f"{RUN}-study-utilisation"
    judged(reports, "studies/utilisation_claims.yaml")
    seeds = pd.read_csv(reports / "tables" / "study_gain_of_qinco.csv")["seeds"]
    assert sorted(seeds) == [1] * 6 + [2] * 2
    table = pd.read_csv(reports / "tables" / "study_utilisation.csv")
    assert (table.groupby("method").size() == 8).all() and len(table) == 24
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mean = errors[(errors["method"] == "vq") & (errors["item"] == "mae_mv:ours:kmeans:revival")]
    row = (
        table.set_index(["method", "training", "init", "revival"])
        .sort_index()
        .loc["vq", "ours", "kmeans"]
    )
    assert row.loc["revival", "value"] == pytest.approx(mean["score"].mean(), abs=1e-9)


def test_the_study_of_faithfulness_counts_what_is_lost(studies):
    """A lost measurement counts as twice the margin, in the table and in the claim."""
    reports = studies / "reports" / f"{RUN}-study-faithfulness"
    claimed = judged(reports, "studies/faithfulness_claims.yaml")
    table = pd.read_csv(reports / "tables" / "study_faithful.csv").set_index(["quantity", "method"])
    for method, row in table.loc["pr"].iterrows():
        lost, kept = row["lost (%)"] / 100, row["error of those kept"]
        value = 2 * row["margin"] * lost + (1 - lost) * (kept if lost < 1 else 0)
        assert row["error with lost ones"] == pytest.approx(value)
        assert claimed.loc[f"faithful.pr.mae.{method}", "value"] == pytest.approx(value)
    methods = set(pd.read_csv(reports / "tables" / "study_small_waves.csv")["method"])
    assert methods == set(table.loc["pr"].index)


def test_the_study_of_the_prefix_compares_with_the_floors_of_notebook_04(studies):
    """Its differences are those of the two prediction files, and its trainings have equal updates
    but for the warm-up."""
    reports = studies / "reports" / f"{RUN}-study-prefix"
    table = judged(reports, "studies/prefix_claims.yaml")
    main = studies / "reports" / RUN / "predictions" / "04_reports.parquet"
    names = [main, reports / "predictions" / "study_reports.parquet"]
    f1 = {
        method: finding_agreement.micro(part).value
        for method, part in pd.concat(map(pd.read_parquet, names)).groupby("method")
    }
    for claim, (one, other) in {
        "report.paper_form_minus_retrieval.finding_f1": ("ecg_tok_paper", "retrieval"),
        "prefix.warm_up_minus_none.finding_f1": ("ecg_tok_12", "ecg_tok_12_cold"),
        "prefix.twelve_minus_one.finding_f1": ("ecg_tok_12", "ecg_tok_1"),
    }.items():
        assert table.loc[claim, "value"] == pytest.approx(f1[one] - f1[other], abs=1e-9)
    budget = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")["updates"]
    assert budget[["ecg_tok_1", "ecg_tok_12"]].nunique() == 1
    assert budget["ecg_tok_paper"] == budget["ecg_tok_12_cold"] < budget["ecg_tok_12"]


def test_the_study_of_ecg_byte_shows_that_its_released_form_sees_no_order(studies):
    """Its corrected form is that of notebook 06, with the same answers."""
    main = studies / "reports" / RUN
    reports = studies / "reports" / f"{RUN}-study-ecg_byte_released"
    judged(reports, "studies/ecg_byte_released_claims.yaml")
    orders = pd.read_parquet(reports / "predictions" / "study_orders.parquet")
    orders = orders.set_index("method")["difference"]
    assert orders["ecg_byte_released"] == 0 < orders["ecg_byte_corrected"]
    given = []
    saved = {"ecg_byte": main / "predictions" / "06_answers.parquet"}
    saved["ecg_byte_corrected"] = reports / "predictions" / "study_answers.parquet"
    for method, file in saved.items():
        answers = pd.read_parquet(file)
        answers = exact_match.select(answers[answers["method"] == method])
        given.append(answers.sort_values(["ecg", "item", "target"])["prediction"].tolist())
    assert given[0] == given[1] and given[0]
    budget = pd.read_csv(reports / "tables" / "study_budgets.csv")
    assert budget["updates"].nunique() == budget["ECG views"].nunique() == 1


def test_the_study_of_table_1_has_three_kinds_of_prompts(studies):
    """At equal updates; without questions fewer tokens are supervised, the same ones by a prompt or
    without. Its rows of the third kind are those of notebooks 04 and 06."""
    reports, main = studies / "reports" / f"{RUN}-study-table_1", studies / "reports" / RUN
    claimed = judged(reports, "studies/table_1_claims.yaml")
    budget = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")
    tokens = budget["supervised tokens"].replace(",", "", regex=True).astype(int)
    for name in ("ecg_tok", "ecg_byte"):
        assert tokens[f"{name}_none"] == tokens[f"{name}_fixed"] < tokens[name]
    assert budget["updates"].groupby(budget.index.str[:7]).nunique().max() == 1
    files = [reports / "predictions" / "study_reports.parquet"]
    files.append(main / "predictions" / "04_reports.parquet")
    scores = pd.concat(map(pd.read_parquet, files))
    scores = scores[scores["item"] == "rouge_l"].groupby("method")["score"].mean()
    value = claimed.loc["table_1.ecg_tok_minus_ecg_byte.directed.rouge_l", "value"]
    assert value == pytest.approx(scores["ecg_tok"] - scores["ecg_byte"], abs=1e-9)


def test_the_study_of_four_times_the_updates_changes_the_updates_alone(studies):
    """Four times as many as the run's; the order is a difference of its predictions, and each model
    states as many findings from another patient's ECG."""
    reports = studies / "reports" / f"{RUN}-study-four_times"
    claimed = judged(reports, "studies/four_times_claims.yaml")
    files = (f"study_{name}history.parquet" for name in ("", "beside_06_"))
    history = pd.concat(pd.read_parquet(reports / "predictions" / file) for file in files)
    steps = history[history["part"] == "train"].groupby("method")["step"].nunique()
    for name in ("ecg_tok", "heartllm", "ecg_byte"):
        assert steps[f"{name}_4x"] == 4 * steps[name] > 0
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    right = exact_match.score(answers).groupby("method")["score"].mean()
    value = claimed.loc["four_times.ecg_tok_minus_heartllm.exact_match", "value"]
    assert value == pytest.approx(right["ecg_tok_4x"] - right["heartllm_4x"], abs=1e-9)
    written = answers[answers["item"].str.startswith("finding:")].groupby("method").size()
    assert written["ecg_byte_4x"] == written["ecg_byte_4x_shuffled"] > 0


def test_the_study_of_longer_readers_gives_each_training_as_many_ecgs(studies):
    """With copies or without; its differences are those of its macro-AUCs, about the same cells."""
    reports = studies / "reports" / f"{RUN}-study-longer_readers"
    claimed = judged(reports, "studies/longer_readers_claims.yaml")
    training = pd.read_csv(reports / "tables" / "study_training.csv").set_index("method")
    assert training["ECG views"].nunique() == 1 and len(training) == 6
    epochs = training["epochs"]
    assert (epochs["qinco_4x"], epochs["qinco_4x_shifted"]) == (8, 2)
    results = pd.read_csv(reports / "tables" / "study_auc.csv")
    macro = results[results["average"] == "macro"].set_index("method")["value"]
    value = claimed.loc["longer_readers.shifted_minus_unshifted.deepsl", "value"]
    assert value == pytest.approx(macro["deepsl_4x_shifted"] - macro["deepsl_4x"], abs=1e-9)
    cells = pd.read_parquet(reports / "predictions" / "study_labels.parquet")
    assert cells.groupby(["ecg", "item"]).size().unique().tolist() == [6]


def test_the_study_of_few_labels_has_each_share_at_equal_updates(studies):
    """Its differences are those of the saved predictions, and all trainings show as many ECGs."""
    reports = studies / "reports" / f"{RUN}-study-few_labels"
    table = judged(reports, "studies/few_labels_claims.yaml")
    results = pd.read_csv(reports / "tables" / "study_auc.csv")
    macro = results[results["average"] == "macro"].pivot(index="method", columns="share")["value"]
    assert macro.shape == (4, 3) and macro.notna().all().all()
    for other in ("deepsl", "deepssl", "summary"):
        value = table.loc[f"few_labels.qinco_minus_{other}.5_percent", "value"]
        assert value == pytest.approx(macro.loc["qinco", 0.05] - macro.loc[other, 0.05], abs=1e-9)
    budget = pd.read_csv(reports / "tables" / "study_budget.csv")
    assert budget["ecg_views"].max() < 3 * budget["ecg_views"].min()  # few patients: coarse shares
    labelled = pd.read_csv(reports / "tables" / "study_labelled.csv")
    assert (labelled["labelled_ecgs"].diff().dropna() > 0).all()


def test_the_study_of_readers_has_what_notebook_03_has_not(studies):
    """Its differences are those of the predictions of both, about the same cells."""
    reports = studies / "reports" / f"{RUN}-study-readers"
    table = judged(reports, "studies/readers_claims.yaml")
    results = pd.read_csv(reports / "tables" / "study_auc.csv").set_index("method")["value"]
    assert results.notna().all() and {"latents", "untrained", "pca_rvq_decoded"} <= set(
        results.index
    )
    for name, (one, other) in {
        "further_minus_scratch.qinco": ("qinco_decoded", "qinco_scratch"),
        "rvq_minus_vq": ("rvq_equal_decoded", "vq_equal_decoded"),
    }.items():
        value = table.loc[f"auc.macro.{name}", "value"]
        assert value == pytest.approx(results[one] - results[other], abs=1e-9)
    saved = pd.read_parquet(reports / "predictions" / "study_labels.parquet")
    main = pd.read_parquet(reports / "predictions" / "03_labels.parquet")
    assert not set(saved["method"]) & set(main["method"])


def test_the_study_of_reliability_needs_predictions_alone(studies):
    reports = studies / "reports" / f"{RUN}-study-reliability"
    own = {path.stem for path in (reports / "predictions").glob("study_*")}
    assert own == {"study_beside_03_labels", "study_beside_03_validation"}
    errors = pd.read_csv(reports / "tables" / "study_calibration.csv")
    assert {"qinco_decoded", "deepsl"} <= set(errors["method"])
    f1 = pd.read_csv(reports / "tables" / "study_f1.csv")
    assert f1["value"].between(0, 1).all()


def test_the_study_of_transfer_compares_hospitals_on_the_same_test_ecgs(studies):
    reports = studies / "reports" / f"{RUN}-study-transfer"
    table = judged(reports, "studies/transfer_claims.yaml")
    sites = pd.read_csv(reports / "tables" / "study_sites.csv")
    value = sites.set_index(["method", "category"])["value"]
    moved, own = (value["qinco", f"Trained at {site}, tested at B"] for site in "AB")
    cost = moved - own
    assert table.loc["transfer.site.qinco", "value"] == pytest.approx(cost, abs=1e-9)
    assert sites.groupby("category")["ecgs"].nunique().eq(1).all()
    assert not (reports / "predictions" / "study_role_transfer.parquet").exists()


def test_the_study_of_the_tasks_of_ptb_xl_says_what_its_numbers_are_worth(studies):
    page = (studies / "reports" / f"{RUN}-study-ptbxl_tasks" / "ptbxl_tasks.md").read_text()
    assert "This run has no ECG of PTB-XL" in page


def test_the_study_of_noise_has_the_same_patients_with_both_noises(studies):
    """Its differences are those of the saved predictions, which have the same cells."""
    reports = studies / "reports" / f"{RUN}-study-noise"
    cells = [
        pd.read_parquet(reports / "predictions" / f"study_{n}.parquet")
        for n in ("fitted", "earlier")
    ]
    values = pd.read_csv(reports.parents[1] / "figures" / reports.name / "figstudy_noise.csv")
    values = values.set_index(["method", "category"])["value"]
    for method in ("summary", "median_beat", "raw"):
        pair = [cell[cell["method"] == method] for cell in cells]
        change = auc.difference(*pair, average="macro", resamples=20).value
        of = values[method]
        assert list(of.index) == ["Noise fitted to PTB-XL", "2 times that noise"]
        assert change == pytest.approx(of.iloc[0] - of.iloc[1], abs=1e-9)
    table = pd.read_csv(reports / "tables" / "study_noise.csv")
    assert len(table) == 5 and table.columns[-1] == "share that was extra noise"


def test_the_opponents_answer_what_heartllm_answered(studies):
    """The same questions and findings; the main run's notebooks would show them."""
    reports = studies / "reports" / f"{RUN}-study-systems"
    claimed = judged(reports, "studies/systems_claims.yaml")
    saved = {
        name: pd.read_parquet(reports / "predictions" / f"study_{name}.parquet")
        for name in ("answers", "alignment", "umap", "joint")
    }
    answers = saved["answers"]
    assert set(answers["method"]) == {"test", "time_llm", "clip"}
    by = {name: part for name, part in answers.groupby("method")}
    own = pd.read_parquet(studies / "reports" / RUN / "predictions" / "06_answers.parquet")
    own = own[own["method"] == "heartllm"]
    cells = ["ecg", "item", "target"]
    for part in by.values():
        pd.testing.assert_frame_equal(
            *(frame[cells].sort_values(cells, ignore_index=True) for frame in (own, part))
        )
    gain = exact_match.difference(own, by["clip"]).value
    assert claimed.loc["systems.heartllm_minus_clip.exact_match", "value"] == pytest.approx(gain)
    assert set(saved["umap"]["level"]) == {"input", "hidden"} and len(saved["joint"]) > 0
    assert set(saved["alignment"]["method"]) == set(saved["umap"]["method"]) == set(by)
    mixing = pd.read_parquet(reports / "predictions" / "study_mixing.parquet")
    assert set(mixing["method"]) == {*by, "heartllm", "untrained"}
    mean = mixing[mixing["item"] == "mixing:hidden"].groupby("method")["score"].mean()
    value = claimed.loc["systems.one_space.heartllm_minus_untrained", "value"]
    assert value == pytest.approx(mean["heartllm"] - mean["untrained"], abs=1e-9)


def test_the_study_of_word_scores_reads_the_reports_of_all_others(studies):
    """A BERTScore per report and system; of a system whose reports share no word with any
    reference no correlation can be computed."""
    reports = studies / "reports" / f"{RUN}-study-word_scores"
    judged(reports, "studies/word_scores_claims.yaml")
    sources = pd.read_parquet(reports / "predictions" / "study_sources.parquet")["source"]
    assert {"04", "06"} < set(sources)  # at this size many systems write the same
    scores = pd.read_parquet(reports / "predictions" / "study_scores.parquet")
    bert = pd.read_parquet(reports / "predictions" / "study_bert_score.parquet")
    assert (bert.groupby("method").size() == scores["ecg"].nunique()).all()
    merged = scores.merge(bert[["method", "ecg", "score"]], on=["method", "ecg"])
    assert len(merged) == len(scores)
    assert np.abs(merged["score"] - merged["bert_score_small"]).max() < 1e-6


def test_two_stages_are_counted_together(studies):
    """What an opponent needs includes stage one; the ratios are those of the table."""
    reports = studies / "reports" / f"{RUN}-study-two_stage"
    claimed = judged(reports, "studies/two_stage_claims.yaml")
    speed = pd.read_csv(reports / "tables" / "study_speed.csv").set_index("method")
    opponents = ["merl", "vit", "clip_two_stage", "clip_vit"]
    assert set(speed.index) == {*opponents, "ecg_byte"} and (speed["tflops"] > 0).all()
    ratio = speed.loc["ecg_byte", "ecg_views"] / speed.loc[opponents, "ecg_views"].min()
    assert claimed.loc["two_stage.views_ratio", "value"] == pytest.approx(ratio, rel=0.01)
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    assert set(answers["method"]) == set(opponents)


def test_byte_pairs_of_three_lengths_are_read_by_a_system_each(studies):
    """Fewer merges make longer texts, and the short arm has about as many symbols as the run's; the
    bits of a second are those of the saved ECGs."""
    reports = studies / "reports" / f"{RUN}-study-merges"
    claimed = judged(reports, "studies/merges_claims.yaml")
    arms = pd.read_parquet(reports / "predictions" / "study_arms.parquet").set_index("method")
    few, run, many = arms.loc[["ecg_byte_few", "ecg_byte", "ecg_byte_many"], "symbols"]
    assert few > run > many
    assert arms.loc["ecg_byte_few_short", "symbols"] == pytest.approx(run, rel=0.1)
    saved = pd.read_parquet(reports / "predictions" / "study_predicted.parquet")
    sums = saved.groupby("merges")[["bigram", "seconds"]].sum()
    per_second = sums["bigram"] / sums["seconds"]
    value = claimed.loc["merges.few_minus_run.bits_per_second", "value"]
    assert value == pytest.approx(per_second[12] - per_second[120])
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    assert set(answers["method"]) == {"ecg_byte_few", "ecg_byte_few_short", "ecg_byte_many"}


def test_encoders_without_tokens_are_trained_with_three_seeds(studies):
    """ECG-Tok, which has one seed here, stands beside each of them."""
    reports = studies / "reports" / f"{RUN}-study-without_tokens"
    claimed = judged(reports, "studies/without_tokens_claims.yaml")
    saved = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    assert set(saved["method"]) == {"merl", "clip"} and set(saved["seed"]) == {0, 1, 2}
    own = pd.read_parquet(studies / "reports" / RUN / "predictions" / "06_answers.parquet")
    own, other = own[own["method"] == "ecg_tok"], saved[saved["method"] == "merl"]
    each = [exact_match.difference(own, part).value for _, part in other.groupby("seed")]
    row = claimed.loc["without_tokens.ecg_tok_minus_merl.exact_match"]
    assert row["value"] == pytest.approx(np.mean(each)) and row["seeds"] == 3
    written = saved.groupby(["method", "seed"])["prediction"].apply(tuple)
    assert written.nunique() == 6, "each seed draws another training"


@pytest.mark.parametrize(
    ("study", "arms", "pair"),
    [
        ("ablations", {"no_patient", "untuned", "continuous"}, "full_minus_continuous"),
        ("encoders", {"twelve", "joint", "few_codes", "many_codes"}, "shared_minus_joint"),
    ],
)
def test_variants_of_heartllm_answer_what_it_answered(studies, study, arms, pair):
    """The same questions, and claims from the differences of the two prediction files."""
    reports = studies / "reports" / f"{RUN}-study-{study}"
    claimed = judged(reports, f"studies/{study}_claims.yaml")
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    assert set(answers["method"]) == {f"heartllm_{arm}" for arm in arms}
    asked = answers[answers["item"].str.split(":").str[0].isin(exact_match.TYPES)]
    assert asked.groupby("method").size().nunique() == 1
    own = pd.read_parquet(studies / "reports" / RUN / "predictions" / "06_answers.parquet")
    own, other = own[own["method"] == "heartllm"], f"heartllm_{pair.rpartition('_')[2]}"
    gain = exact_match.difference(own, asked[asked["method"] == other]).value
    assert claimed.loc[f"{study}.{pair}.exact_match", "value"] == pytest.approx(gain)
    if study == "encoders":
        bits = pd.read_csv(reports / "tables" / "study_tokens.csv").set_index("method")["bits"]
        assert bits["heartllm_few_codes"] < bits["heartllm"] < bits["heartllm_many_codes"]


def test_ecg_tok_differs_in_its_tokens_alone(studies):
    """Same updates, ECGs and words for each tokenizer; claims from the difference to QINCo's."""
    reports, main = studies / "reports" / f"{RUN}-study-ecg_tok_by_tokenizer", studies / "reports"
    claimed = judged(reports, "studies/ecg_tok_by_tokenizer_claims.yaml")
    spent = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")
    arms = {f"ecg_tok_{name}" for name in ("pca", "vq", "rvq", "fsq")}
    assert set(spent.index) == {*arms, "ecg_tok"}
    assert (spent[["updates", "ECG views", "supervised tokens"]].nunique() == 1).all()
    tokens = pd.read_csv(reports / "tables" / "study_tokens.csv").set_index("method")
    assert tokens.loc["ecg_tok_pca", "bits"] == tokens.loc["ecg_tok_rvq", "bits"]
    own = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    qinco = pd.read_parquet(main / RUN / "predictions" / "04_reports.parquet")
    qinco = qinco[qinco["method"] == "ecg_tok"]
    stated = [of[of["item"].str.startswith("finding:")] for of in (qinco, own)]
    stated[1] = stated[1][stated[1]["method"] == "ecg_tok_pca"]
    gain = finding_agreement.difference(*stated, "macro_f1").value
    value = claimed.loc["ecg_tok_by_tokenizer.qinco_minus_pca.macro_f1", "value"]
    assert value == pytest.approx(gain)


def test_more_patients_are_not_more_updates(studies):
    """The floor has a row per share, and a share is about the test ECGs of all others."""
    reports = studies / "reports" / f"{RUN}-study-data_scaling"
    judged(reports, "studies/data_scaling_claims.yaml")
    spent = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")
    assert set(spent.index) == {"ecg_tok_10", "ecg_tok_30", "ecg_tok"}
    assert spent["updates"].nunique() == 1
    sizes = pd.read_csv(reports / "tables" / "study_sizes.csv")
    assert sizes["patients"].is_monotonic_increasing and sizes["ECGs"].is_monotonic_increasing
    drawn = pd.read_csv(reports.parents[1] / "figures" / reports.name / "figstudy_by_share.csv")
    for method in ("ecg_tok", "retrieval"):
        assert list(drawn.loc[drawn["method"] == method, "percent"]) == [10, 30, 100]


def test_the_study_of_dilution_crosses_vectors_and_prompts(studies):
    """Nine systems; the interaction is that of the saved scores."""
    reports = studies / "reports" / f"{RUN}-study-dilution"
    claimed = judged(reports, "studies/dilution_claims.yaml")
    scores = pd.read_parquet(reports / "predictions" / "study_reports.parquet")
    mean = scores[scores["item"] == "rouge_l"].groupby("method")["score"].mean()
    assert len(mean) == 9
    cost = {n: mean[f"ecg_tok_{n}_none"] - mean[f"ecg_tok_{n}_long"] for n in (1, 4, 16)}
    for vectors, value in cost.items():
        assert claimed.loc[f"dilution.none_minus_long.{vectors}.rouge_l", "value"] == pytest.approx(
            value, abs=1e-9
        )
    value = claimed.loc["dilution.one_minus_sixteen.rouge_l", "value"]
    assert value == pytest.approx(cost[1] - cost[16], abs=1e-9)


def test_the_final_model_is_crossed_with_hospitals(studies):
    """Five systems, and the difference at the first hospital is that of its test ECGs."""
    reports = studies / "reports" / f"{RUN}-study-final_model"
    claimed = judged(reports, "studies/final_model_claims.yaml")
    scores = pd.read_parquet(reports / "predictions" / "study_reports.parquet")
    words = scores[(scores["item"] == "rouge_l") & (scores["site"] == scores["site"].min())]
    mean = words.groupby("method")["score"].mean()
    assert len(mean) == 5
    value = claimed.loc["final_model.both_minus_one.own.rouge_l", "value"]
    assert value == pytest.approx(mean["ecg_tok_full"] - mean["ecg_tok_full_one"], abs=1e-9)


def test_larger_language_models_have_the_same_updates(studies):
    """Layers grow as they are set, and the largest has a control without the ECG."""
    reports = studies / "reports" / f"{RUN}-study-decoder_size"
    judged(reports, "studies/decoder_size_claims.yaml")
    sizes = pd.read_csv(reports / "tables" / "study_sizes.csv")
    assert (sizes["layers"] / sizes["layers"].min()).tolist() == [1, 2, 4]
    spent = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")
    assert {"ecg_tok", "ecg_tok_twice", "ecg_tok_four", "no_ecg_four"} <= set(spent.index)
    assert spent["updates"].groupby(spent.index.str[:6]).nunique().max() == 1


def test_zero_shot_is_compared_with_a_model_of_the_place(studies):
    """Both learned at one hospital each, and answer the same questions at both."""
    reports = studies / "reports" / f"{RUN}-study-zero_shot"
    claimed = judged(reports, "studies/zero_shot_claims.yaml")
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    kept = answers["item"].str.split(":").str[0].isin(exact_match.TYPES)
    answers = answers[kept & (answers["site"] == answers["site"].max())]
    by = {name: part for name, part in answers.groupby("method")}
    cost = exact_match.difference(by["heartllm_1"], by["heartllm_2"]).value
    assert claimed.loc["zero_shot.cost.exact_match", "value"] == pytest.approx(cost)
    swapped = pd.read_parquet(reports / "predictions" / "study_swapped.parquet")
    assert set(swapped["method"]) == {"heartllm_swapped"}


def test_answers_under_noise_are_to_the_same_questions(studies):
    """All but those about noise; the claims are means over the kinds of noise."""
    reports = studies / "reports" / f"{RUN}-study-noisy_answers"
    claimed = judged(reports, "studies/noisy_answers_claims.yaml")
    noisy = pd.read_parquet(reports / "predictions" / "study_muscle_0.parquet")
    clean = pd.read_parquet(reports / "predictions" / "study_none.parquet")
    pair = []
    for of in (noisy, clean):
        asks = exact_match.is_question(of) & ~of["item"].str.contains(":noise")
        pair.append(of[asks & (of["method"] == "heartllm")])
    lost = exact_match.difference(*pair).value
    assert claimed.loc["noisy_answers.costs.0.exact_match", "value"] == pytest.approx(lost)
    tokens = pd.read_csv(reports / "tables" / "study_tokens.csv")
    changed = tokens.filter(like="change").set_index(tokens["added noise and its SNR (dB)"])
    assert len(changed.columns) == 2 and (changed.drop("none") > 0).all().all()
    assert (changed.loc["none"] == 0).all()


def test_other_draws_of_ecgs_have_the_letters_and_the_claims_of_their_predictions(studies):
    reports = studies / "reports" / f"{RUN}-study-bpe_sample"
    claimed = judged(reports, "studies/bpe_sample_claims.yaml")
    mean = pd.read_parquet(reports / "predictions" / "study_unseen.parquet")
    mean = mean.groupby("method")["score"].mean()
    for by in ("again", "few", "many"):
        value = claimed.loc[f"bpe_sample.{by}_minus_chance.symbols", "value"]
        assert value == pytest.approx(mean[f"bpe_{by}"] - mean["bpe_chance"], abs=1e-6)
    shares = pd.read_parquet(reports / "predictions" / "study_shares.parquet")
    drawn = shares.filter(like="bpe_")
    assert drawn.sum().to_numpy() == pytest.approx(1, abs=1e-3)
    assert drawn["bpe_many"].std() < shares["share"].std(), "as many of each cluster"


def test_the_same_seconds_twice_are_as_long_as_twice_the_seconds(studies):
    """At equal updates; the claims are differences of saved answers."""
    reports = studies / "reports" / f"{RUN}-study-seconds"
    claimed = judged(reports, "studies/seconds_claims.yaml")
    arms = pd.read_csv(reports / "tables" / "study_arms.csv").set_index("method")["symbols"]
    assert arms["ecg_byte_half"] < arms["ecg_byte"] < arms["ecg_byte_double"]
    assert arms["ecg_byte_double_same"] == pytest.approx(arms["ecg_byte_double"], rel=0.1)
    budget = pd.read_csv(reports / "tables" / "study_budgets.csv")
    assert budget["updates"].nunique() == 1
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    right = exact_match.score(answers).groupby("method")["score"].mean()
    value = claimed.loc["seconds.double_minus_same.exact_match", "value"]
    gain = right["ecg_byte_double"] - right["ecg_byte_double_same"]
    assert value == pytest.approx(gain, abs=1e-9)


def test_both_axes_have_equal_bits_and_the_claims_of_their_predictions(studies):
    reports = studies / "reports" / f"{RUN}-study-token_axis"
    claimed = judged(reports, "studies/token_axis_claims.yaml")
    table = pd.read_csv(reports / "tables" / "study_axes.csv").set_index("method")
    bits = table["bits"]
    assert bits["rvq_channel"] == pytest.approx(bits["rvq_time"], rel=0.05)
    assert bits["qinco_channel"] == bits["rvq_channel"] > bits["rvq_channel_same"]
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mean = errors.groupby("method")["score"].mean()
    value = claimed.loc["token_axis.mae.channel_minus_time.same_bits", "value"]
    assert value == pytest.approx(mean["rvq_channel"] - mean["rvq_time"], abs=1e-9)
    probe = pd.read_parquet(reports / "predictions" / "study_over_time.parquet")
    pair = [probe[probe["method"] == name] for name in ("rvq_time", "rvq_channel")]
    gain = auc.difference(*pair, "macro", resamples=50).value
    assert claimed.loc["token_axis.probe.time_minus_channel", "value"] == pytest.approx(gain)


def test_attention_is_tested_for_tokens_of_all_leads_and_of_one(studies):
    """The claims are those of the predictions of both systems."""
    reports = studies / "reports" / f"{RUN}-study-attention"
    claimed = judged(reports, "studies/attention_claims.yaml")
    for system, name in {"heartllm": "", "ecg_byte": "ecg_byte."}.items():
        scores = pd.read_parquet(reports / "predictions" / f"study_{system}.parquet")
        mean = scores[scores["item"].str.endswith(":16")].groupby("method")["score"].mean()
        value = claimed.loc[f"attention.{name}deletion.above_mean_minus_random", "value"]
        assert value == pytest.approx(mean["above_mean"] - mean["random"], abs=1e-9)
        everything = scores[scores["item"].str.startswith("changed:")]
        assert len(everything) and everything["score"].isin([0, 1]).all()
        places = studies / "artifacts" / f"{RUN}-study-attention" / "study"
        files = list(places.glob(f"{system}_*/relevance.safetensors"))
        assert files and all(np.nanmax(abs(load_file(file)["occlusion"])) > 0 for file in files)
    spread = pd.read_parquet(reports / "predictions" / "study_spread.parquet")
    question = spread["item"].str.rpartition(":")[0].rename("question")
    sums = spread.groupby(["method", question, "ecg"])["score"].sum()
    assert len(sums) and np.allclose(sums, 1, atol=1e-3)


def test_a_chat_has_the_updates_and_the_ecgs_of_the_direct_form(studies):
    """Unseen wordings and shuffled ECGs are asked about the same ECGs; claims are differences of
    saved reports."""
    reports = studies / "reports" / f"{RUN}-study-instruct"
    claimed = judged(reports, "studies/instruct_claims.yaml")
    spent = pd.read_csv(reports / "tables" / "study_budgets.csv")
    assert len(spent) == 2 and spent["updates"].nunique() == 1
    scores = pd.read_parquet(reports / "predictions" / "study_reports.parquet")
    words = scores[scores["item"] == "rouge_l"].set_index("ecg").groupby("method")["score"]
    of = {name: part for name, part in words}
    gain = (of["ecg_tok_smollm2"] - of["ecg_tok_chat"]).mean()
    assert claimed.loc["instruct.direct_minus_chat.rouge_l", "value"] == pytest.approx(gain)
    ecgs = {frozenset(of[f"ecg_tok_chat_{arm}"].index) for arm in ("unseen", "shuffled", "again")}
    assert len(ecgs) == 1 and ecgs.pop() <= set(of["ecg_tok_chat"].index)


def test_both_systems_read_the_same_chat(studies):
    """The chats of two studies have the same words, ECGs and updates of the language model."""
    settings = [yaml.safe_load((NOTEBOOKS / f"{name}.yaml").read_text()) for name in INSTRUCT]
    one, other = (of["settings"] for of in settings)
    assert all(one[key] == other[key] for key in ("share", "system", "wordings"))
    reports = studies / "reports" / f"{RUN}-study-instruct_byte"
    claimed = judged(reports, "studies/instruct_byte_claims.yaml")
    scores = {
        name: pd.read_parquet(
            studies / "reports" / f"{RUN}-study-{name}" / "predictions/study_reports.parquet"
        )
        for name in INSTRUCT
    }
    tok, byte = (
        of[(of["item"] == "rouge_l") & of["method"].str.endswith("_chat")].set_index("ecg")["score"]
        for of in scores.values()
    )
    value = claimed.loc["instruct_byte.ecg_tok_minus_ecg_byte_chat.rouge_l", "value"]
    assert value == pytest.approx((tok - byte).mean(), abs=1e-9)
    table = pd.read_csv(reports / "tables" / "study_reports.csv")
    assert {"ecg_byte_chat", "no_ecg_smollm2", "ecg_tok_chat"} <= set(table["method"])


def test_words_are_those_that_the_systems_wrote(studies):
    """Shares sum to 1, and the claims are those of the saved words."""
    reports = studies / "reports" / f"{RUN}-study-written_words"
    claimed = judged(reports, "studies/written_words_claims.yaml")
    words = pd.read_parquet(reports / "predictions" / "study_words.parquet")
    written = words[words["block"] != "prompt"]
    assert np.allclose(written.filter(regex="^to_").sum(axis=1), 1, atol=1e-3)
    assert set(written["kind"]) <= {"first", "later", "mark", "end"}
    assert written["dependence"].abs().max() > 0 and (written["log_p"] <= 0).all()
    texts = pd.read_parquet(reports / "predictions" / "study_words_texts.parquet")
    assert len(texts) == len(words)
    of = written[(written["method"] == "heartllm") & (written["number"] > 0)]
    mean = of.groupby(["ecg", "kind"])["dependence"].mean().unstack()
    mean = mean.reindex(columns=["first", "later"]).dropna()
    value = claimed.loc["written_words.heartllm.dependence.first_minus_later", "value"]
    assert value == pytest.approx((mean["first"] - mean["later"]).mean(), abs=1e-6, nan_ok=True)


def mean_auc(answers: pd.DataFrame, groups: list[str], score: str, least: int) -> float:
    """Right against wrong answers in each group, pair by pair; NaN where no group has enough."""
    wins = []
    for _, same in answers.groupby(groups):
        right, wrong = (same.loc[same["is_right"] == is_right, score] for is_right in (True, False))
        if min(len(right), len(wrong)) >= least:
            apart = np.sign(right.to_numpy()[:, None] - wrong.to_numpy())
            wins.append((apart.mean() + 1) / 2)
    return float(np.mean(wins)) if wins else np.nan


@pytest.mark.parametrize(("run", "least"), [(RUN, 1), ("synthetic-laptop", 2)])
def test_an_answer_is_compared_with_answers_to_the_same_words(studies, run, least):
    """The claims, from the saved words by another way; shares sum to 1. In `smoke` no answer is
    right, so the committed study is looked at, too."""
    home = studies if run == RUN else REPO
    reports = home / "reports" / f"{run}-study-answer_words"
    claimed = judged(reports, "studies/answer_words_claims.yaml")["value"]
    words = pd.read_parquet(reports / "predictions" / "study_words.parquet")
    given = pd.read_parquet(reports / "predictions" / "study_given.parquet")
    assert np.allclose(words.filter(regex="^to_").sum(axis=1), 1, atol=1e-3)
    assert words["dependence"].abs().max() > 0 and (words["log_p"] <= 0).all()
    keys = ["method", "question"]
    sums = words.groupby(keys)[["log_p", "dependence"]].sum()
    assert set(sums.index) == set(given.set_index(keys).index)
    sums["has_end"] = (words["block"] == "end").groupby([words[key] for key in keys]).any()
    given = given.join(sums, on=keys)
    given["said"] = [str(sorted(exact_match.parts(text))) for text in given["prediction"]]
    given = given[given["has_end"] & (given["said"] != "[]")]
    for system in ("heartllm", "ecg_tok", "ecg_byte"):
        of = given[given["method"] == system]
        own = claimed[f"answer_words.{system}.equal.own_probability"]
        equal = mean_auc(of, ["wording", "said"], "log_p", least)
        assert own == pytest.approx(equal, abs=1e-6, nan_ok=True)
        one, other = (mean_auc(of, ["wording"], s, least) for s in ("dependence", "log_p"))
        value = claimed[f"answer_words.{system}.words.dependence_minus_own"]
        assert value == pytest.approx(one - other, abs=1e-6, nan_ok=True)


def test_a_larger_model_has_as_many_updates_and_its_own_control(studies):
    reports = studies / "reports" / f"{RUN}-study-large_model"
    claimed = judged(reports, "studies/large_model_claims.yaml")
    spent = pd.read_csv(reports / "tables" / "study_budgets.csv").set_index("method")
    updates = spent.groupby(spent.index.str[:6])["updates"]  # those of ECG-Tok with its warm-up
    assert updates.size().tolist() == [2, 2] and updates.nunique().max() == 1
    scores = pd.read_parquet(reports / "predictions" / "study_reports.parquet")
    words = scores[scores["item"] == "rouge_l"].groupby("method")["score"].mean()
    value = claimed.loc["large_model.large_minus_small.rouge_l", "value"]
    assert value == pytest.approx(words["ecg_tok_smollm2"] - words["ecg_tok_brief"], abs=1e-9)


def test_one_source_in_the_place_of_two_gives_equal_answers(studies):
    """Without the role `transfer` both places are the test part: the placebo of the study."""
    reports = studies / "reports" / f"{RUN}-study-other_source"
    claimed = judged(reports, "studies/other_source_claims.yaml")
    own, other, shuffled = (
        pd.read_parquet(reports / "predictions" / f"study_{place}.parquet")
        for place in ("own", "other", "shuffled")
    )
    pd.testing.assert_frame_equal(own, other)
    apart = exact_match.difference(*(of[of["method"] == "heartllm"] for of in (other, shuffled)))
    assert claimed.loc["other_source.own_ecg.heartllm.exact_match", "value"] == apart.value
    renamed = pd.read_parquet(reports / "predictions" / "study_renamed_other.parquet")
    known = pd.read_csv(reports / "tables" / "study_places.csv")["known_name"].iloc[0]
    stated = other[other["item"].str.startswith("finding:") & (other["site"] == known)]
    same = renamed[renamed["item"].str.startswith("finding:") & (renamed["site"] == known)]
    keys = ["method", "ecg", "item"]
    pairs = stated.merge(same, on=keys, validate="1:1")
    assert len(pairs) == len(stated) == len(same) > 0
    assert (pairs["score_x"] == pairs["score_y"]).mean() > 0.99  # the name changes nothing here


def test_a_stream_has_the_codes_of_the_whole_and_a_report_per_window(studies):
    reports = studies / "reports" / f"{RUN}-study-stream"
    claimed = judged(reports, "studies/stream_claims.yaml")
    assert claimed.loc["stream.code_agreement", "value"] == 1
    windows = pd.read_parquet(reports / "predictions" / "study_windows.parquet")
    assert windows["condition"].nunique() == 3 and windows["text"].notna().all()
    ahead, change = windows["look_ahead"], windows["from"] + windows["fade"]
    inside = (windows["start"] - ahead >= change) & (windows["end"] + ahead <= windows["to"])
    outside = windows["end"] + ahead <= windows["from"]
    for name, condition in (("vt", "ventricular tachycardia"), ("pacing", "ventricular pacing")):
        own = windows[windows["condition"] == condition]
        during, before = (own[part[own.index]] for part in (inside, outside))
        gain = during.groupby("unit")["stated"].mean() - before.groupby("unit")["stated"].mean()
        value = claimed.loc[f"stream.follows.{name}.share", "value"]
        assert value == pytest.approx(gain.mean(), abs=1e-9)
        lag = claimed.loc[f"stream.lag.{name}.seconds", "value"]
        assert 0 < lag <= 19.92  # the episode's length
    table = pd.read_csv(reports / "tables" / "study_agreement.csv", index_col="what")["share"]
    assert 0.9 < table["stream codes equal to those of a window alone"] < 1


def test_every_file_that_the_readme_names_exists(studies):
    """But for the confirmation, which a smoke run has not."""
    readme = (REPO / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    named = readme + (REPO / "docs" / "items.md").read_text()
    for rest, least in ((r"/[\w./-]+", 9), (r"-study-[\w./-]+\.\w+", 1)):
        names = re.findall(rf"\b((?:figures|reports)/synthetic-laptop{rest})", named)
        names = [name for name in names if not name.endswith("/09_confirmation.md")]
        files = [studies / name.replace("synthetic-laptop", RUN) for name in names]
        assert len(files) >= least
        assert [str(path) for path in files if not path.exists()] == []


def test_run_and_studies_name_nobody(studies):
    """The simulator's patients have names of one pattern, such as A000123 and A000123-1; those of
    the fake release, and their ECGs, numbers of eight digits."""
    planted = identifiers(studies)
    released = {name for name in planted if re.fullmatch(r"[14]0{4}\d{3}", name)}
    assert len(planted) > 300 and len(released) > 200
    assert all(re.fullmatch(r"[A-Z]\d{6}(-\d)?", name) for name in planted - released)
    for kind in (".parquet", ".png", ".pdf", ".csv", ".md", ".ipynb", ".json"):
        assert any(not is_cohort(path) for path in studies.rglob(f"*{kind}")), kind
    assert leaks(studies, planted) == []


def test_a_tokenizer_from_a_file_of_ones_own_has_its_rows(studies):
    """In the tables of 02, 03 and Table 1, and its file is part of the keys."""
    reports = studies / "reports" / f"{RUN}-study-plugin"
    tables = {
        name: pd.read_csv(reports / "tables" / f"study_{name}.csv").set_index("method")
        for name in ("signal", "classifier", "table1")
    }
    assert set(tables["signal"].index) == {"pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe", "plugin"}
    assert tables["signal"].loc["plugin", "bits"] == 250 * 12 * 5
    assert {"plugin", "qinco", "deepsl"} <= set(tables["classifier"].index)
    assert {"ecg_tok_plugin", "ecg_tok", "no_ecg", "retrieval"} <= set(tables["table1"].index)
    step = studies / "artifacts" / f"{RUN}-study-plugin" / "study" / "plugin" / "manifest.json"
    modules = json.loads(step.read_text())["parts"]["modules"]
    assert "ecglib_plugin" in modules and "ecglib.tokenizers.contract" in modules
    assert "study plugin --profile smoke --plugin FILE" in (reports / "RUN.md").read_text()


def test_a_system_from_a_file_of_ones_own_has_its_rows(studies):
    """As many updates as ECG-Byte, which has neither warm-up nor pretraining; its file is part of
    the keys."""
    reports = studies / "reports" / f"{RUN}-study-own_system"
    tables = {
        name: pd.read_csv(reports / "tables" / f"study_{name}.csv").set_index("method")
        for name in ("exact_match", "reports", "budgets")
    }
    for name in ("exact_match", "reports"):
        assert {"own_system", "no_ecg", "ecg_tok", "heartllm"} <= set(tables[name].index)
    assert tables["budgets"].loc[["own_system", "ecg_byte"], "updates"].nunique() == 1
    place = studies / "artifacts" / f"{RUN}-study-own_system" / "study"
    initial = json.loads((place / "own_system_initial" / "manifest.json").read_text())
    assert "ecglib_plugin" in initial["parts"]["modules"]


def test_the_published_questions_are_asked_about_their_ecgs(studies):
    """Each type of ECG-QA, with the answers of its files, by the systems and all floors."""
    reports = studies / "reports" / "mimic-smoke-study-ecg_qa"
    claimed = judged(reports, "studies/ecg_qa_claims.yaml")
    assert set(
        claimed.loc[["ecg_qa.exact_match.ptbxl", "ecg_qa.exact_match.mimic"], "verdict"]
    ) == {"not comparable"}
    answers = pd.read_parquet(reports / "predictions" / "study_answers.parquet")
    assert set(answers["item"].str.split(":").str[0]) == set(exact_match.TYPES)
    asked = answers.groupby("method").size()
    assert asked.nunique() == 1 and {"heartllm", "no_ecg", "shuffled", "memoriser"} < set(
        asked.index
    )
    verified = answers[answers["item"].str.startswith("verify:")]
    assert set(verified["target"]) == {"yes", "no"}
    right = (
        answers.assign(score=exact_match.score(answers)["score"]).groupby("method")["score"].mean()
    )
    value = claimed.loc["ecg_qa.heartllm_minus_majority.exact_match", "value"]
    assert value == pytest.approx(right["heartllm"] - right["majority"], abs=1e-9)
