"""An ECG of the user's own: a file is read, the committed models look at it, a page shows all.

- `read_file`: a recording from a WFDB record, a CSV, a NumPy array or a DICOM waveform.
- `apply_models`: quality, measurements, tokens, findings, reports and answers.
- `html_page`: one HTML page of it.
"""
