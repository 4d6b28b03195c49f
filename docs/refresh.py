"""Rewrite the generated parts of README.md and of docs/.

    python docs/refresh.py

A generated part is between `<!-- NAME -->` and `<!-- end of NAME -->`. Run this after a reference
run, a benchmark or a change of a module's docstring, in the environment of the project; a test
fails while a part is not what this script writes. `verdicts.py` writes the README's table of
results, `results_*.py` the long ones of docs/results.md, `benchmark_tables.py` those of files in
reports/benchmarks. The notebooks headline and one_ecg are made from the scripts of these names.
"""

import ast
import re
import sys
from pathlib import Path

import jupytext
import nbformat

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "docs"))  # PYTHONSAFEPATH leaves a script's folder out
import benchmark_tables  # noqa: E402
import evidence  # noqa: E402
import leaderboard  # noqa: E402
import results_language  # noqa: E402
import results_signals  # noqa: E402
import verdicts  # noqa: E402
from committed import MAIN, markdown  # noqa: E402

CORE = ("training", "tokenizers", "language", "classify", "evaluate")
READ = {  # files to be read; the others are looked up
    "training": "loop",
    "tokenizers": "contract window_pca autoencoder codebooks rvq vq qinco fsq latent leadwise "
    "amplitude_bins bpe bpe_merges pca_rvq train_quantiser",
    "language": "system small_model packing prompt no_ecg adapter train_system phrase_warm_up "
    "heartllm next_tokens ecg_byte clip text_prototypes time_llm two_stage write_texts floors "
    "memoriser",
    "classify": "summary_numbers efficientnet loss train_classifier deep_ssl",
    "evaluate": "predictions bootstrap auc statements finding_agreement exact_match modality "
    "claims",
}

# ---- docs/items.md: figures and tables of the notebooks -----------------------------------------

ITEMS = {  # notebook: paper items, files and their names
    "01_preprocess": (
        "ECG-Tok 2.1: cleaning, cohort, 77 labels, split",
        "fig01_heartbeat heartbeat, fig01_quality quality, "
        "fig01_cleaning_steps cleaning steps, fig01_planted_tone planted tone, fig01_twelve_leads "
        "twelve leads, fig01_severity severity, 01_cohort cohort, 01_labels labels, 01_split split",
    ),
    "02_tokenizers": (
        "ECG-Tok 3: reconstructions of QRS and T; HeartLLM Fig. 4c: FSQ beside its input in the "
        "close-up; error against bits of all six",
        "fig02_closeup close-up, fig02_rate_distortion rate and distortion, 02_rate rates, "
        "02_reconstruction errors, fig02_losses losses",
    ),
    "03_classification": (
        "ECG-Tok Fig. 2: micro-AUC by category; what the tokens hold, floors and the raw signal",
        "fig03_auc_by_category Fig. 2, 03_fig2 its numbers, fig03_auc_and_bits macro-AUC and bits, "
        "fig03_auc_by_label AUC by label, fig03_loss loss, 03_auc_overall AUC, 03_auc_differences "
        "differences, 03_budget budgets",
    ),
    "04_report_generation": (
        "ECG-Tok Table 1, with ECG-Byte's opponents (study `two_stage`), floors and ceilings",
        "fig04_reports scores, fig04_loss loss, 04_table1 Table 1, 04_paper the paper's, "
        "04_gains differences, "
        "04_by_finding recall and precision by finding, 04_budget budgets",
    ),
    "05_token_pretraining": (
        "HeartLLM stage 2: next-token loss, a forecast as a signal",
        "fig05_forecast forecast, fig05_loss loss, fig05_loss_by_position loss by position, "
        "05_losses losses, 05_loss_by_time loss by time, 05_usage use of codes",
    ),
    "06_instruction_tuning": (
        "HeartLLM: questions (verify, choose, query), reports; its opponents TEST, Time-LLM, CLIP "
        "(study `systems`) and ECG-Byte on the same; what a split by question item leaks",
        "fig06_exact_match exact match, fig06_confusion confusion, fig06_loss loss, "
        "06_exact_match exact match by type, 06_gain minus chance, 06_by_attribute by attribute, "
        "06_systems_by_attribute systems by attribute, 06_reports reports, "
        "06_perplexity perplexity, 06_paraphrases paraphrases, 06_leak leak, 06_budget budgets",
    ),
    "07_ablations": (
        "HeartLLM Fig. 3 (with the study `ablations`); token pretraining",
        "fig07_ablations Fig. 3, fig07_pretraining answers, fig07_reports reports, fig07_loss "
        "loss, 07_difference difference, 07_above_chance above chance",
    ),
    "08_alignment": (
        "HeartLLM Fig. 1 (with the study `systems`), with ECG-Byte in the same pictures (ours); "
        "one map of HeartLLM Fig. 4a-b (more in the study `attention`)",
        "fig08_umap UMAP, fig08_umap_input UMAP of the input, fig08_attention "
        "attention, 08_alignment alignment",
    ),
    "09_discussion": (
        "ECG-Tok Fig. 1; section 4: hallucination; claims of the papers and ours, faithfulness, "
        "cost, deviations",
        "fig09_claims claims, fig09_lost_or_unsaid hard to read or left unsaid, "
        "09_claims all claims, 09_confirmation confirmation, "
        "09_faithfulness faithfulness, 09_by_finding by finding, "
        "09_cost cost, 09_systems all systems, "
        "fig09_overview_ecg_tok ECG-Tok Fig. 1 (at a glance), "
        "fig09_overview_heartllm HeartLLM Fig. 2 (at a glance), "
        "fig09_overview_ecg_byte ECG-Byte at a glance",
    ),
}


def items() -> str:
    """The executed pages with their figures and tables, as far as they are there."""
    rows = []
    for notebook, (paper, files) in ITEMS.items():
        links = []
        for name, text in (file.split(" ", 1) for file in files.split(", ")):
            place = f"reports/{MAIN}/tables/{name}.md"
            if name.startswith("fig"):
                place = f"figures/{MAIN}/{name}.png"
            if (REPO / place).is_file():
                links.append(f"[{text}](../{place})")
        page = f"[{notebook}](../reports/{MAIN}/{notebook}.md)"
        rows.append([page, paper, ", ".join(links)])
    return markdown(["executed page", "paper items", "figures and tables"], rows)


# ---- docs/architecture.md: the files of the core ----------------------------------------------


def files() -> str:
    """A sentence per file of the core, in reading order: the first line of its docstring.

    Files of READ are bold.
    """
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
            name, read = f"`{room}/{path.name}`", path.stem in READ[room].split()
            rows.append([f"**{name}**" if read else name, sentence.replace("|", "\\|")])
    return markdown(["file", "what it does"], rows)


NOTEBOOKS = ("headline", "one_ecg")
PARTS = {
    "README.md": {
        "example": results_language.example,
        "verdicts": verdicts.verdicts,
    },
    "docs/results.md": {
        "signals": results_signals.signals,
        "language": results_language.language,
        "released_scores": benchmark_tables.released_scores,
    },
    "docs/items.md": {"items": items},
    "docs/leaderboard.md": {"boards": leaderboard.leaderboard},
    "docs/architecture.md": {"files": files},
    "docs/evidence.md": {
        "seeds": evidence.seeds,
        "confirmation": evidence.confirmation,
        "multiplicity": evidence.multiplicity,
    },
    "docs/gpu.md": {
        "gpu_hours": benchmark_tables.gpu_hours,
        "large_cohort": benchmark_tables.large_cohort,
    },
    "docs/benchmarks.md": {"benchmarks": benchmark_tables.benchmarks},
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
    scripts = [REPO / "docs" / f"{name}.py" for name in NOTEBOOKS]
    return pages | {script.with_suffix(".ipynb"): as_notebook(script) for script in scripts}


def as_notebook(script: Path) -> str:
    """A script of cells as a notebook file, which Jupyter, Colab and Binder open."""
    notebook = jupytext.read(script)
    notebook.metadata.pop("jupytext", None)
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    for path, text in refreshed().items():
        path.write_text(text, "utf-8")
