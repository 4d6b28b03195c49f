"""What goes to the quarantine and what stays: each rule, and their order."""

import hashlib
import re
from collections.abc import Callable

import numpy as np
import pytest
from builds import needs, real

from ecglib.cohorts.quarantine import digest, problem
from ecglib.signals.leads import LEADS, from_limb_and_chest
from ecglib.simulator.heart import HeartState
from ecglib.simulator.recording_device import Device, record
from ecglib.simulator.waveform import simulate
from ecglib.sources import ptbxl

MINI = real("ECGLIB_PTBXL_MINI")
DEVICE = Device("bench", 500, 0.005, 50.0, wander=0.03, muscle=0.008, hum=0.002)
V2, V5 = LEADS.index("V2"), LEADS.index("V5")
SWING = (4 * np.sin(2 * np.pi * 0.4 * np.arange(5000) / 500)).astype(np.float32)
EXCHANGED = [0, 1, 2, 3, 5, 4, *range(6, 12)]
CLEAN = simulate(HeartState(), 500, np.random.default_rng([1, 9]))
ECG = record(CLEAN, DEVICE, np.random.default_rng([2, 9]))  # float32 (12, 5000) mV at 500 Hz
Change = Callable[[np.ndarray], np.ndarray]


def put(lead: int | slice, value: object, start: int = 0, stop: int = 5000) -> Change:
    """A recording whose samples have this value there, or the value of a function of them."""

    def change(ecg: np.ndarray) -> np.ndarray:
        ecg = ecg.copy()
        part = ecg[lead, start:stop]
        ecg[lead, start:stop] = value(part) if callable(value) else value
        return ecg

    return change


def add(lead: int | slice, more: object, start: int = 0, stop: int = 5000) -> Change:
    return put(lead, lambda part: part + more, start, stop)


def both(one: Change, other: Change) -> Change:
    return lambda ecg: other(one(ecg))


def only_noise(ecg: np.ndarray) -> np.ndarray:
    """Noise in all leads that keeps the limb identities."""
    noise = np.random.default_rng(3).normal(0, 1.5, (8, 5000))
    return (ecg + from_limb_and_chest(noise[0], noise[1], noise[2:])).astype(np.float32)


NOISE = np.random.default_rng(3).normal(0, 1.0, 5000)
CASES = {  # name: change, and the reason with its value (a regular expression) or None
    "usable": (lambda ecg: ecg, None),
    "without noise": (lambda ecg: CLEAN, None),
    "transposed": (lambda ecg: ecg.T, r"wrong shape: \(5000, 12\)"),
    "three dimensions": (lambda ecg: ecg[None], "wrong shape: "),
    "eight leads": (lambda ecg: ecg[:8], "wrong shape: "),
    "4.998 s": (lambda ecg: ecg[:, :2499], r"too short: 4\.998 s"),
    "5 s": (lambda ecg: ecg[:, :2500], None),
    "missing lead": (put(V2, np.nan), "missing lead: V2"),
    "missing leads": (put([V2, V5], np.nan), "missing lead: V2, V5"),
    "missing sample": (put(0, np.inf, 7, 8), "missing samples: 1 samples"),
    "five seconds flat": (put(V2, 0.0, 1000, 3800), "flat stretch: V2: 5 s or more"),
    "four seconds flat": (put(V2, 0.0, 1000, 3000), None),  # the rest can be read
    "flat lead": (put(V2, 3.0), r"flat lead: V2: 0\.0000 mV peak to peak"),
    "swing of 4 mV": (add(V5, SWING), None),
    # Over |sin| > 0.62, 57 % of the time, a swing of 4 mV that is cut at 2.5 mV is clipped.
    "clipped swing": (both(add(V5, SWING), put(V5, lambda x: x.clip(-2.5, 2.5))), "clipped: V5: 5"),
    "clipped R waves": (put(V5, lambda x: np.minimum(x, 0.6 * x.max())), None),
    "cut off": (
        put(V2, lambda x: x.clip(*np.quantile(x, [0.3, 0.7]))),
        "cut off below its QRS: V2",
    ),
    "3 s off": (add(V2, 20.0, 2000, 3500), "implausible amplitude"),
    "0.8 s off": (add(V2, 20.0, 2000, 2400), None),
    "microvolts": (lambda ecg: ecg * 1000, "amplitude beyond int16 microvolts"),
    "volts": (lambda ecg: ecg / 1000, "flat lead"),
    "spike of aVR": (add(3, 2.5, 795, 800), None),  # a few samples are no wrong lead
    "shifted aVR for 0.3 s": (add(3, 0.5, 700, 850), "limb identities violated: aVR"),
    "exchanged leads": (lambda ecg: ecg[EXCHANGED], "limb identities violated"),
    "reversed aVR": (put(3, np.negative), "limb identities violated: aVR: "),
    "shifted III": (add(2, 0.15), r"limb identities violated: III: 0\.15"),
    "noise in V2": (add(V2, NOISE), None),
    "noise in the chest leads": (add(slice(6, 12), 0.3 * NOISE), None),
    "only noise": (only_noise, "high-frequency noise"),
    # Certain defects come first: flat is plainer than beyond the range, missing than flat.
    "flat beyond the range": (both(put(V2, 40.0), put(3, np.negative)), "flat lead"),
    "flat and missing": (both(put(V2, 40.0), put(V5, np.nan, 0, 1)), "missing samples"),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_the_plainest_problem_is_named(change, expected):
    reason = problem(change(ECG), 500)
    assert reason is None if expected is None else re.match(expected, ": ".join(reason))


def test_rate_and_shortest_length():
    assert problem(ECG[:, :2000], 500, min_seconds=4) is None
    assert problem(ECG[:, :0], 500, min_seconds=0) == ("too short", "0.000 s")
    for rate in (0.0, -500.0, float("nan"), float("inf"), 500.1, 1e9):
        assert problem(ECG, rate).reason == "unusable rate"


def test_digest_names_the_content_and_nothing_else():
    ecg = np.round(ECG, 3)  # whole microvolts, as the store holds them
    below = ecg + np.float32(0.0001)  # half a microvolt
    same = (ecg.astype(np.float64), below, np.asfortranarray(ecg))
    assert {digest(other) for other in same} == {digest(ecg)}
    changed = add(V2, 0.001, 17, 18)(ecg)
    assert digest(changed) != digest(ecg) != digest(ecg[:, :-1])
    by_hand = hashlib.sha256(b"12x10:" + bytes(240))  # 120 numbers of two bytes, all zero
    assert digest(np.zeros((12, 10))) == by_hand.hexdigest()


@needs("ECGLIB_PTBXL_MINI")
def test_no_real_recording_is_rejected_and_each_exchange_is():
    for name in ptbxl.read_table(MINI)["record"][::7]:
        signal, rate = ptbxl.read(MINI, name)
        assert problem(signal, rate) is None, name
        assert problem(signal[EXCHANGED], rate).reason == "limb identities violated", name
