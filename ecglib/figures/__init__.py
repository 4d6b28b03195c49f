"""Drawing, and only drawing: each function takes a table or arrays and returns a matplotlib Figure.

`style` holds the sheet and the one method-to-colour map, `ecg` the clinical 12-lead plot; then one
file a kind of figure: `bars`, `curves`, `codes`, `umap`, `cost`, `reading_back`. No statistic is
computed here.
"""
