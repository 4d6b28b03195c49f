"""Workshop: to be looked up. What the reconstruction of an ECG keeps of the original.

In reading order; the first line of a file says what it does (a table in docs/architecture.md):

signals             `round_trip`, `traces`, `wave_error`
a reader's view     `small_waves`, `faithfulness`, `noise_response`
"""
