"""One file per data set: its files, the reader of a recording, the labels that it states.

`ecglib.cohorts.build` uses the same four names of each data set:

    OPTIONS                     names of the cohort settings that `records` takes
    records(root, **options)    the ECGs of the data folder, and notes for the manifest
    read(root, file)            float32 (12, n) in mV, leads in the order of `LEADS`, and Hz
    labels(record, root)        label states int8 (77,)

Each ECG is a dict with the columns of the store's table and `file`, which `read` takes (for most
data sets a path under the root). Unusable ECGs are listed like the others. `read` refuses them by a
FileNotFoundError or a ValueError, so that the quarantine names them.
"""
