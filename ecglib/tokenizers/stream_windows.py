"""The codes of a stream's windows, cut from the codes of the stream."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import encode
from ecglib.tokenizers.load import load
from ecglib.tokenizers.stream import CodeStream, hop, of_length
from ecglib.training.device import Machine


def encode_windows(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: `codes.npy` (N, T, S) of every window, as `encode` stores them, but from the stream;
    and `agreement.csv`, how many codes are equal.

    Columns: stream, codes, equal_whole (to those of the whole stream at once), codes_in_windows and
    equal_alone (to those of each window encoded by itself, which knows nothing beyond its ends).

    Inputs: cohort (of `cohorts.changing_rhythm`), tokenizer.

    Config:
        piece: samples that arrive at a time.

    Raises ValueError: the windows do not begin at a position of the tokenizer.
    """
    machine.configure_torch()
    tokenizer, cohort = load(inputs["tokenizer"]), Cohort.open(inputs["cohort"])
    streams = torch.from_numpy(np.load(inputs["cohort"] / "streams.npy"))
    windows = pd.read_parquet(inputs["cohort"] / "windows.parquet")
    size = hop(tokenizer)
    if (windows["start"] % size).any():
        raise ValueError(f"expected windows that begin at a multiple of {size} samples")
    alone = encode.encode_rows(tokenizer, cohort, windows["row"].to_numpy())
    codes, lines = np.empty_like(alone), []
    for number, signal in enumerate(streams):
        arrived = stream_codes(tokenizer, signal, config["piece"])
        whole = of_length(tokenizer, signal.shape[1]).encode(signal[None])[0]
        own = windows[windows["stream"] == number]
        for window in own.itertuples():
            first = window.start // size
            codes[window.row] = arrived[first : first + codes.shape[1]].numpy()
        line = {"stream": number, "codes": arrived.numel()}
        line |= {"equal_whole": int((arrived == whole).sum())}
        rows = own["row"].to_numpy()
        line |= {"codes_in_windows": codes[rows].size}
        lines.append(line | {"equal_alone": int((codes[rows] == alone[rows]).sum())})
    np.save(out / "codes.npy", codes)
    pd.DataFrame(lines).to_csv(out / "agreement.csv", index=False)


def stream_codes(
    tokenizer: torch.nn.Module, signal: torch.Tensor, piece: int, block: int = 8
) -> torch.Tensor:
    """The codes (T, S) of a signal (12, n) mV that arrives `piece` samples at a time."""
    stream = CodeStream(tokenizer, block)
    codes = [stream.feed(part) for part in signal.split(piece, dim=1)]
    return torch.cat([*codes, stream.close()])
