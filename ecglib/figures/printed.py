"""Numbers as the papers print them, for a table beside ours. They are not comparable with ours:
other ECGs, other reports, larger language models, other metrics of the same names."""

import pandas as pd

# ECG-Tok, Table 1, on MIMIC-IV-ECG: reports of two systems, each with an instruction (inst.) and
# without. What the paper calls precision, recall and F1 are BERTScores, as its code computes them.
ECG_TOK_TABLE_1 = pd.DataFrame(
    [
        ("ECG-Byte (inst.)", 0.171, 0.160, 0.204, 0.021, 0.807, 0.877, 0.840),
        ("ECG-Byte", 0.216, 0.207, 0.212, 0.038, 0.847, 0.883, 0.864),
        ("ECG-Tok (inst.)", 0.429, 0.427, 0.409, 0.234, 0.771, 0.864, 0.812),
        ("ECG-Tok", 0.548, 0.542, 0.518, 0.293, 0.928, 0.913, 0.920),
    ],
    columns=[
        "system",
        "ROUGE-1",
        "ROUGE-L",
        "METEOR",
        "BLEU-4",
        "BERTScore precision",
        "BERTScore recall",
        "BERTScore F1",
    ],
)
