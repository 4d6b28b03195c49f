"""An ECG of the user's own: a file is read, the committed models look at it, a page shows all.

- `file_formats`: what a WFDB record, a CSV, a NumPy array or a DICOM waveform says of itself.
- `read_file`: a recording of twelve leads from it, and what was understood.
- `apply_models`: quality, measurements, tokens, findings, reports and answers.
- `load_models`: the published models by their names, `ecglib.load`.
- `html_page`: one HTML page of it.
"""
