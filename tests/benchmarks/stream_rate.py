"""An hour of ECG as a stream: are its codes those of the whole, how fast, and with what memory?

    bash run_all.sh bench stream_rate

QINCo, RVQ and FSQ of `synthetic-laptop` read an hour that arrives in pieces of a second, each in a
process of its own. The hour is simulated ECGs, one after the other. `value` is the processor time
of QINCo's stream per second of signal; the reference encodes the same minutes as wholes. `piece_ms`
is the median and the longest time for one piece. `delay_ms` is how long after a position its code
comes at the latest, apart from that time. `grown_mb` is how much the largest memory of the process
grew after the first five minutes (MB, 1e6 bytes); the place for all codes was taken before. `equal`
is the share of codes that are those of the whole hour.
"""

import json
import subprocess
import sys
import time

import numpy as np
import torch
from _common import REPO, peak_bytes, write
from tokenizer_rates import ecgs

from ecglib.signals.leads import RATE
from ecglib.tokenizers.load import load
from ecglib.tokenizers.stream import CodeStream, of_length

MODELS = REPO / "reports" / "synthetic-laptop" / "models"
NAMES, HOUR, EARLY, MINUTE = ("qinco", "rvq", "fsq"), 3600, 300, 60


def measure(name: str, signal: torch.Tensor) -> dict:
    """One tokenizer on the hour (12, n) mV."""
    tokenizer = load(MODELS / name)
    stream, times, early, filled = CodeStream(tokenizer), [], 0, 0
    positions = -(-signal.shape[1] // stream.hop)
    codes = torch.zeros(positions, tokenizer.encode(signal[None, :, :RATE]).shape[2]).long()
    begun = time.process_time()
    for number, piece in enumerate(signal.split(RATE, dim=1)):
        at = time.perf_counter()
        given = stream.feed(piece)
        times.append(1000 * (time.perf_counter() - at))
        codes[filled : filled + len(given)] = given
        filled += len(given)
        if number == EARLY:
            early = peak_bytes()
    codes[filled:] = stream.close()
    spent, late = time.process_time() - begun, peak_bytes()  # before the whole is encoded
    begun = time.process_time()
    for part in signal.split(MINUTE * RATE, dim=1):
        of_length(tokenizer, part.shape[1]).encode(part[None])
    wholes = time.process_time() - begun
    whole = of_length(tokenizer, signal.shape[1]).encode(signal[None])[0]
    return {
        "ms_per_second": 1000 * spent / HOUR,
        "ms_per_second_of_wholes": 1000 * wholes / HOUR,
        "piece_ms": {"median": float(np.median(times)), "longest": max(times)},
        "delay_ms": 1000 * stream.delay / RATE,
        "grown_mb": (late - early) / 1e6,
        "equal": float((codes == whole).double().mean()),
        "codes": codes.numel(),
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/stream_rate.json."""
    if sys.argv[1:]:
        ten = ecgs(64)
        hour = torch.cat([ten[number % len(ten)] for number in range(HOUR // 10)], dim=1)
        print(json.dumps(measure(sys.argv[1], hour)))
        return
    result = {}
    for name in NAMES:
        command = [sys.executable, __file__, name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result[name] = json.loads(done.stdout.splitlines()[-1])
    qinco = result["qinco"]
    result |= {
        "value": qinco["ms_per_second"],
        "unit": "ms of processor time of QINCo's stream per second of signal",
        "reference": {
            "what": "the same in wholes of a minute",
            "value": qinco["ms_per_second_of_wholes"],
        },
        "ratio": qinco["ms_per_second"] / qinco["ms_per_second_of_wholes"],
    }
    write("stream_rate", result, ("torch", "numpy"))


if __name__ == "__main__":
    sys.exit(main())
