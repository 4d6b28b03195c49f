"""Simulated patients: heart state, waveform, true labels and reports.

In reading order: `heart` is the state of a heart; `conditions` draws what people have, by
conditions.csv and exclusions.yaml; `condition_effects` turns conditions into numbers of the state; `sample_heart` draws
people and their hearts; `rhythms` gives the times of the beats; `beats` defines the source and the
leads; `atria`, `conduction`, `ischaemia` and `morphology` shape the waves; `waveform` makes the
ECG; `recording_device` adds noise; `criteria` measures the usual beat; `labels_from_heart` derives
the labels; `truth` holds the true measures; `report_style` and `report_text` word the reports;
`patients` puts records together.
"""
