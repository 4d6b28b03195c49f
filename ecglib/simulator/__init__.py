"""Simulated patients: everything that makes an ECG and its truth.

In reading order:
heart: the state of a heart, from which the waveform is computed.
conditions: which conditions people have, by conditions.csv and exclusions.yaml.
condition_effects: the effect of each condition on the state.
severity: how much of a condition a graded heart has.
sample_heart: draws people, their conditions and the state of their hearts.
rhythms: the times at which atria and ventricles fire.
beats: the source of a beat and its projection to the leads.
atria, conduction, ischaemia: the shapes of their waves.
morphology: all waves of a beat.
waveform: the ECG of a heart state.
recording_device: the noise of a recording.
added_noise: ECGs without noise, and noise of one kind at a stated size.
criteria: voltages, Q waves, ST and T of the usual beat.
labels_from_heart: the 77 labels of a state.
truth: the true intervals, axes and amplitudes of a state.
report_text: the hospitals' reports, worded by report_style.yaml.
patients: the records of simulated patients.
"""
