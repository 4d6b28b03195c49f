"""Workshop: to be looked up. Drawing only: tables or arrays in, a matplotlib Figure out. `tables`
writes the table itself, as CSV, Markdown and LaTeX; `latex` makes it fit a page.

`style` holds the style sheet, the widths and the one map from methods to colours. `ecg_page` draws
the clinical 12-lead page, `ecg_leads` a few leads of one or many ECGs and `annotated_beat`
one beat with the names of its waves. `bars`, `dots`, `forest`,
`curves`, `size_curves` and `cost` draw results by method. `token_use`, `cleaning`,
`definition_limits`, `sim_vs_real`, `umap`, `confusion`, `lost_or_unsaid`, `rate_distortion`,
`use_and_error`, `clinical_error`, `denoising`, `reliability`, `rhythm_change`, `score_scatter` and
`overview` draw one subject each.
No statistic is computed here.
"""
