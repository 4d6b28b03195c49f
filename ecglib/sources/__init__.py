"""One file per data set: its files, the reader of a recording, the labels that it states.

`ecglib.cohorts.build` uses the same four names of each data set:

    OPTIONS                     names of the cohort settings that `records` takes
    records(root, **options)    a dict per ECG without its signal, and notes for the manifest
    read(root, file)            float32 (12, n) in mV and the rate in Hz
    labels(record, root)        label states int8 (77,)
"""
