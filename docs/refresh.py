"""Rewrite the generated parts of README.md and of docs/ from the committed files.

    python docs/refresh.py

A generated part is between `<!-- NAME -->` and `<!-- end of NAME -->`. Run this after a reference
run, a benchmark or a change of a module's docstring, in the environment of the project; a test
fails while a part is not what this script writes. RUN is the run whose results the README gives.
Those of notebooks 01 to 03 come from SIGNALS where that run is committed. Once RUN is made anew by
the notebooks of today, remove SIGNALS and the line of RUN in reports/older_runs.csv.
"""

import ast
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

REPO = Path(__file__).resolve().parents[1]
RUN, SIGNALS = "synthetic-laptop", "synthetic-laptop-signals"
CORE = ("training", "tokenizers", "language", "classify", "evaluate")
ARMS = {
    "ecg_tok": "ECG-Tok, with this ECG",
    "shuffled": "ECG-Tok, with the ECG of another patient",
    "no_ecg": "the control that never sees an ECG",
    "retrieval": "the report of the nearest training ECG",
}


def table(headings: list[str], rows: list[list[str]], align: str = "") -> str:
    """A Markdown table; `align` has an r for every column of numbers."""
    rule = ["--:" if letter == "r" else "---" for letter in align.ljust(len(headings))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rule, *rows])


def run_of(name: str) -> str:
    """The run whose table or figure the README gives; `name` begins with notebook or figNN."""
    of_signals = name.removeprefix("fig")[:2] in ("01", "02", "03")
    return SIGNALS if of_signals and (REPO / "reports" / SIGNALS).is_dir() else RUN


def read(name: str) -> pd.DataFrame:
    """A table by the name of its file, without the suffix."""
    return pd.read_csv(REPO / "reports" / run_of(name) / "tables" / f"{name}.csv")


# ---- README: an example and the results -------------------------------------------------------


def example() -> str:
    """The report of ECG-Tok whose ROUGE-L is the median, beside the reference and the controls.

    With an even number of reports it is the lower of the two in the middle; of equal scores the
    ECG with the lowest number comes first.
    """
    folder = REPO / "reports" / RUN / "predictions"
    rows = pd.read_parquet(folder / "04_reports.parquet")
    rows = rows[rows["method"] == "ecg_tok"]
    scores = rows[rows["item"] == "rouge_l"].sort_values(["score", "ecg"], ignore_index=True)
    median = scores.iloc[(len(scores) - 1) // 2]
    texts = pd.read_parquet(folder / "04_texts.parquet")
    texts = texts[texts["ecg"] == median["ecg"]].set_index("method")
    reports = [["**the reference**", texts.loc["ecg_tok", "target"]]]
    reports += [[name, texts.loc[method, "prediction"]] for method, name in ARMS.items()]
    reports = [[name, text.replace("|", "/").replace("\n", " ")] for name, text in reports]
    findings = rows[rows["item"].str.startswith("finding:") & (rows["ecg"] == median["ecg"])]
    present, stated = (findings[column] == "1" for column in ("target", "prediction"))
    invented = int((stated & ~present).sum()) or "none"
    return (
        table(["written by", "report"], reports)
        + f"\n\nThis is test ECG {median['ecg']}, chosen by a rule: its ROUGE-L of "
        f"{median['score']:.2f} is the median of ECG-Tok's {len(scores)} reports. Of the "
        f"{present.sum()} scored findings in the waveform it states {(present & stated).sum()}, "
        f"and it invents {invented}. All reports: `reports/{RUN}/predictions/04_texts.parquet`."
    )


def measured() -> pd.DataFrame:
    """The claims with a number by id, with `run`; those of SIGNALS come first."""
    files = [REPO / "reports" / run / "claims.csv" for run in (SIGNALS, RUN)]
    frames = [pd.read_csv(path).assign(run=path.parent.name) for path in files if path.is_file()]
    return pd.concat(frames).dropna(subset="value").drop_duplicates("id").set_index("id")


def interval(name: str) -> tuple[float, float, float]:
    """Value, low and high of a claim."""
    return tuple(measured().loc[name, ["value", "low", "high"]].astype(float))


def with_interval(numbers: Iterable[float], digits: int, unit: str = "", scale: float = 1.0) -> str:
    """A value in its unit times `scale`, with its interval; numbers are value, low and high."""
    value, low, high = (f"{scale * number:.{digits}f}" for number in numbers)
    return f"{value}{unit} [{low}, {high}]"


def claim(name: str, digits: int, unit: str = "", scale: float = 1.0) -> str:
    """A claim's value in its unit times `scale`, with its interval."""
    return with_interval(interval(name), digits, unit, scale)


def side(name: str, above: str, below: str, neither: str) -> str:
    """What a claim's interval says: it lies above zero, below zero, or around it."""
    _, low, high = interval(name)
    return above if low > 0 else below if high < 0 else neither


def cells(name: str, metric: str, methods: dict[str, str]) -> str:
    """Values with intervals of some methods in a table that has a line per method."""
    column = read(name).set_index("method")[metric]
    return ", ".join(f"{label} {column[method]}" for method, label in methods.items())


def results() -> str:
    """Questions, what the run answers, and the files that have the numbers."""
    error = read("02_reconstruction").set_index(["method", "metric"])["value"].xs("mae_mv", level=1)
    bits = read("02_rate").set_index("method")["bits_per_ecg"]
    names = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo", "fsq": "FSQ", "bpe": "byte pairs"}
    order = sorted(names, key=error.get)
    kept = ", ".join(f"{names[m]} {1e3 * error[m]:.1f} µV ({bits[m]:,.0f} bits)" for m in order)
    winner = ("QINCo is better", "RVQ is better", "no difference is visible")
    latents, decoded = "codes.error.rvq_minus_qinco", "recon.mae.rvq_minus_qinco"
    auc = "classify.qinco_minus_rvq.micro_auc"
    looks, answers = "report.ecg_minus_shuffled.finding_f1", "qa.ecg_minus_no_ecg.exact_match"
    pretrained = "ablation.pretraining_minus_none.exact_match"
    verdicts = ("Yes", "No, it is worse with it", "Not shown")
    systems = {"ecg_tok": "ECG-Tok", "retrieval": "the nearest neighbour's report"}
    systems |= {"no_ecg": "trained without the ECG", "shuffled": "with another patient's ECG"}
    readers = {"heartllm": "HeartLLM", "no_ecg": "control without the ECG"}
    readers["majority"] = "commonest answer"
    faults = read("09_faithfulness").set_index("method").loc["ecg_tok"]
    good, wrong = (
        int(faults[faults.index.str.contains(word)].iloc[0]) for word in ("ROUGE", "of them")
    )
    rows = [
        (
            "How exactly does each tokenizer give the ECG back?",
            f"Mean absolute error and size per ECG: {kept}.",
            ("02_reconstruction", "02_rate"),
        ),
        (
            "Is QINCo better than RVQ after equal steps?",
            f"In the latents {side(latents, *winner)}: error lower by "
            f"{claim(latents, 2, ' % of their variance', 100)}. In the ECG "
            f"{side(decoded, *winner)}: {claim(decoded, 2, ' µV', 1e3)}.{use_and_gain()}",
            (),
        ),
        (
            "Does a classifier recognise the findings in frozen QINCo tokens?",
            f"Micro-AUC {claim('classify.qinco.micro_auc', 3)}. QINCo minus RVQ {claim(auc, 4)}: "
            f"{side(auc, *winner)}.",
            ("03_auc_by_category",),
        ),
        (
            "Do the reports of ECG-Tok gain from the ECG?",
            f"{side(looks, *verdicts)}. F1 of the findings: {cells('04_table1', 'f1', systems)}.",
            ("04_table1",),
        ),
        (
            "Is a report with much text in common with the reference right?",
            f"{'Not always' if wrong else 'Here yes'}: {wrong} of {good} reports of ECG-Tok with a "
            "ROUGE-L of 0.6 or more invent a finding.",
            ("09_faithfulness",),
        ),
        (
            "Do the answers of HeartLLM gain from the ECG?",
            f"{side(answers, *verdicts)}; the gain in exact match over its control is "
            f"{claim(answers, 3)}: {cells('06_exact_match', 'all', readers)}. Pretraining on ECG "
            f"tokens: {side(pretrained, 'better', 'worse', 'no difference is visible')}, "
            f"{claim(pretrained, 3)}.",
            ("06_exact_match",),
        ),
    ]
    if "auc.macro.raw" in measured().index:
        rows.insert(2, room())
    links = [
        [f"[{name}](reports/{run_of(name)}/tables/{name}.md)" for name in files]
        or [f"[claims](reports/{measured().loc[latents, 'run']}/claims.csv)"]
        for _, _, files in rows
    ]
    lines = [
        [question, answer, ", ".join(link)]
        for (question, answer, _), link in zip(rows, links, strict=True)
    ]
    headings = ["question", "answer of this run [95 % interval]", "numbers"]
    return f"{which_run()}\n\n{table(headings, lines)}"


def which_run() -> str:
    """Which version made the runs."""
    older = pd.read_csv(REPO / "reports" / "older_runs.csv", dtype=str).set_index("run")["commit"]
    text = "All numbers are of this version."
    if RUN in older:
        text = (
            f"**`{RUN}` was made by an earlier version ({older[RUN]}), on an easier cohort with "
            "coarser tokens; the language side will be run again.**"
        )
        if run_of("01") == SIGNALS:
            by = "this version"
            if SIGNALS in older:
                by = f"{older[SIGNALS]}, with an earlier notebook 03"
            text += f" What notebooks 01 to 03 measure comes from `{SIGNALS}`, made by {by}."
    return text


def room() -> tuple[str, str, tuple[str, ...]]:
    """The row on the floors: what is left between simple numbers and the raw signal."""
    names = {"summary": "summary numbers", "median_beat": "with the median beat"}
    names |= {"raw": "a network on the raw signal"}
    values = ", ".join(f"{text} {claim(f'auc.macro.{name}', 3)}" for name, text in names.items())
    gap = claim("auc.macro.raw_minus_summary", 3)
    question = "Does the cohort leave room for a tokenizer to be good or bad?"
    return question, f"Macro-AUC: {values}. The room is {gap}.", ("03_auc_by_group",)


def use_and_gain() -> str:
    """A sentence on the study `utilisation`: the codewords that RVQ uses, and QINCo's gain.

    Empty where the study is not committed."""
    path = REPO / "reports" / f"{RUN}-study-utilisation" / "tables" / "study_gain_of_qinco.csv"
    if not path.is_file():
        return ""
    ways = {"where both are trained as released": ("released", "uniform", "none")}
    ways["in our training"] = ("ours", "kmeans", "revival")
    of_way, parts = pd.read_csv(path).set_index(["training", "init", "revival"]), []
    for text, way in ways.items():
        gain = of_way.loc[way]
        more = with_interval(gain[["value", "low", "high"]], 1, " µV", 1e3)
        used = f"{gain['rvq_used_percent']:.0f} % of its codewords"
        parts.append(f"{used} and errs by {more} more than QINCo {text}")
    where = "In the study `utilisation` (8 codebooks, all parts trained together)"
    return f" {where} RVQ uses {', and '.join(parts)}."


# ---- README: figures and tables of notebooks 01 to 03 ------------------------------------------

ITEMS = {  # notebook: paper items, files and their names
    "01_preprocess": (
        "ECG-Tok 2.1: cleaning, cohort, 77 labels, split",
        "fig01_cleaning_steps cleaning steps, fig01_planted_tone planted tone, fig01_twelve_leads "
        "twelve leads, fig01_severity severity, 01_cohort cohort, 01_labels labels, 01_split split",
    ),
    "02_tokenizers": (
        "ECG-Tok 3: codebook utilisation (38.9 / 88.41 / 99.99 %), reconstructions of QRS and T; "
        "ECG-Byte: token usage and lengths, tokens over a lead; error against bits of all five",
        "fig02_overlay reconstructions, fig02_closeup close-up, fig02_codebook_use codebook use, "
        "02_codebook_use utilisation, "
        "fig02_token_usage usage of byte pairs, fig02_token_overlay tokens over a lead, "
        "fig02_training_cost training cost, fig02_rate_distortion rate and distortion, 02_rate "
        "rates, 02_reconstruction errors, 02_r_amplitude R amplitude, fig02_losses losses",
    ),
    "03_classification": (
        "ECG-Tok Fig. 2, without DeepSL and DeepSSL: AUC by category; floors and the raw signal",
        "fig03_auc_by_category AUC by category, fig03_auc_by_group AUC by condition, "
        "fig03_auc_differences differences, fig03_head_share share of the head, "
        "fig03_auc_by_label AUC by label, fig03_calibration calibration, "
        "fig03_subgroups subgroups, fig03_loss loss",
    ),
}


def items() -> str:
    """The executed pages of 01 to 03 with their figures and tables, as far as they are there."""
    rows = []
    for notebook, (paper, files) in ITEMS.items():
        links = []
        for name, text in (file.split(" ", 1) for file in files.split(", ")):
            place = f"reports/{run_of(name)}/tables/{name}.md"
            if name.startswith("fig"):
                place = f"figures/{run_of(name)}/{name}.png"
            if (REPO / place).is_file():
                links.append(f"[{text}]({place})")
        page = f"[{notebook}](reports/{run_of(notebook)}/{notebook}.md)"
        rows.append([page, paper, ", ".join(links)])
    return table(["executed page", "paper items", "figures and tables"], rows)


# ---- docs/architecture.md: the files of the core ----------------------------------------------


def files() -> str:
    """A sentence per file of the core, in reading order: the first line of its docstring."""
    rows = []
    for room in CORE:
        folder = REPO / "ecglib" / room
        about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        order_of = {}
        for path in folder.glob("*.py"):
            if path.stem != "__init__":
                listed = re.search(rf"(?m)^[-\d. ]*`?{path.stem}`?\b|`{path.stem}`", about)
                order_of[path] = listed.start()
        for path in sorted(order_of, key=order_of.get):
            sentence = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()[0]
            rows.append([f"`{room}/{path.name}`", sentence.replace("|", "\\|")])
    return table(["file", "what it does"], rows)


# ---- docs/benchmarks.md ------------------------------------------------------------------------


def digits3(x: float) -> str:
    """Three significant digits, or a whole number with commas."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def meaning(value: float, reference: float, ratio: float) -> str:
    """How the ratio follows from the two numbers."""
    if math.isclose(ratio, reference / value, rel_tol=0.01):
        return "reference / value"
    return "value / reference" if math.isclose(ratio, value / reference, rel_tol=0.01) else "other"


def benchmarks() -> str:
    """One line per file of reports/benchmarks."""
    rows = []
    for path in sorted((REPO / "reports" / "benchmarks").glob("*.json")):
        result = json.loads(path.read_text("utf-8"))
        value, reference, ratio = result["value"], result["reference"], result["ratio"]
        commit = result["commit"][:7] + ("*" if result["commit"].endswith("-dirty") else "")
        how = meaning(value, reference["value"], ratio)
        script = f"[{path.stem}](../tests/benchmarks/{path.stem}.py)"
        what = re.sub(r"\d+\.\d{4,}", lambda digits: digits3(float(digits[0])), reference["what"])
        cell = f"{what}: {digits3(reference['value'])}"
        rows.append([script, result["unit"], digits3(value), cell, digits3(ratio), how, commit])
    headings = ["name", "unit of the value", "value", "reference", "ratio", "ratio is", "commit"]
    return table(headings, rows, "  r r  ")


PARTS = {
    "README.md": {"example": example, "results": results, "items": items},
    "docs/architecture.md": {"files": files},
    "docs/benchmarks.md": {"benchmarks": benchmarks},
}


def refreshed() -> dict[Path, str]:
    """The text that each page should have.

    Raises:
        ValueError: a page lacks the markers of a part.
    """
    pages = {}
    for name, parts in PARTS.items():
        text = (REPO / name).read_text("utf-8")
        for part, write in parts.items():
            start, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
            if text.count(start) != 1 or text.count(end) != 1:
                raise ValueError(f"expected {start} and {end} once in {name}; put them back")
            before, after = text.split(start)[0], text.split(end)[1]
            text = f"{before}{start}\n{write()}\n{end}{after}"
        pages[REPO / name] = text
    return pages


if __name__ == "__main__":
    for path, text in refreshed().items():
        path.write_text(text, "utf-8")
