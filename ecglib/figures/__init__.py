"""Workshop: to be looked up. Drawing only: tables or arrays in, a matplotlib Figure out. `tables`
writes the table itself, as CSV, Markdown and LaTeX; `latex` makes it fit a page.

`style` holds the style sheet, the widths and the one map from methods to colours. `ecg_page` draws
the clinical 12-lead page, `ecg_leads` a few leads of one or many ECGs and `annotated_beat` one beat
with the names of its waves. `bars`, `category_bars`, `dots`, `forest`, `curves`, `size_curves` and
`cost` draw results by method. `token_use`, `cleaning`, `definition_limits`, `sim_vs_real`, `umap`,
`confusion`, `lost_or_unsaid`, `rate_distortion`, `auc_and_bits`, `use_and_error`, `clinical_error`,
`denoising`, `noise_curves`, `cluster_choice`, `reliability`, `rhythm_change`, `score_scatter`,
`word_bars` and `overview` draw one subject each. `printed` holds numbers of the papers.

No interval is computed here, only what describes a curve or a signal: running means, ends and
differences of losses (`curves`), spectra (`cleaning`), the mean error of a close-up (`ecg_leads`)
and the median of a histogram (`token_use`).
"""
