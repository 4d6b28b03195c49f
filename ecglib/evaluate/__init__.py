"""Every number the compendium reports, computed from prediction files by code that knows no model.

Reading order: `predictions` (the one schema), `bootstrap` (intervals over patients), then one file
a kind of metric: `auc`, `text`, `findings`, `questions`, `signal`, `codes`, `modality`; last
`tables` (value [low, high]) and `claims` (what was registered beforehand, and whether it holds).
"""
