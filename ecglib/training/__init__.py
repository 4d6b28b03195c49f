"""Core, to be read first: the training loop, its checkpoints, the seeds and the device; no ECGs.

The core is read in this order: `training`, `tokenizers`, `language`, `classify`, `evaluate`.
Within this room:

    seeds        derives a seed from names, so that the order of calls does not matter
    device       chooses CPU or GPU and the language model's number format
    checkpoint   writes and reads the state of a running training
    ranks        adds up the gradients of several processes that train one model
    memory       halves the micro-batches of an update when memory runs out
    loop         trains any model and resumes an interrupted training to the same weights
    part         names one step of the pipeline, its settings and its inputs
"""
