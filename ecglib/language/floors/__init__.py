"""Floors and ceiling without a language model: majority, retrieval, text_only and template.

`majority` gives the commonest report or answer, `retrieval` the report of the nearest training ECG,
`text_only` guesses answers from the question's words, `template` words the true findings.
"""
