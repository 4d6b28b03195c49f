"""The twelve leads: their order, how a reader arranges them, and the identities they obey.

Only two of the six limb leads are independent. With electrode potentials RA, LA, LL:

    I = LA - RA        II = LL - RA        III = II - I             (Einthoven)
    aVR = -(I + II)/2  aVL = I - II/2      aVF = II - I/2           (Goldberger)
    Vk = phi_k - (RA + LA + LL)/3                                   (Wilson)
"""

import numpy as np

_CHEST: tuple[str, ...] = ("V1", "V2", "V3", "V4", "V5", "V6")
LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", *_CHEST)
ELECTRODES: tuple[str, ...] = ("RA", "LA", "LL", *_CHEST)
RATE = 250  # Hz, the working rate of every system
SAMPLES = 2500  # 10 s at RATE


def arrange(signal: np.ndarray, names: list[str] | tuple[str, ...]) -> np.ndarray:
    """Put the leads of a recording into the order of `LEADS`, by name and never by position.

    Args:
        signal: (k, n), one row per channel, any unit; further channels are dropped.
        names: k channel names; upper and lower case are the same.

    Returns (12, n), a copy with the dtype of `signal`. Raises ValueError: a lead is missing or
    named twice, or names and channels differ in number.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or len(signal) != len(names):
        got = f"{len(names)} names for shape {signal.shape}"
        raise ValueError(f"expected one name for each lead of a (leads, samples) array, got {got}")
    keys = [str(name).strip().lower() for name in names]
    if missing := [lead for lead in LEADS if lead.lower() not in keys]:
        given = f"the channels {list(names)} without {', '.join(missing)}"
        raise ValueError(f"expected a 12-lead recording, got {given}")
    if twice := [lead for lead in LEADS if keys.count(lead.lower()) > 1]:
        given = f"{', '.join(twice)} more than once in {list(names)}"
        raise ValueError(f"expected each lead once, got {given}")
    return signal[[keys.index(lead.lower()) for lead in LEADS]]


def from_limb_and_chest(lead_i: np.ndarray, lead_ii: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """Complete twelve leads from the eight independent ones.

    Args:
        lead_i, lead_ii: (n,) mV.
        chest: (6, n) mV, V1 to V6.

    Returns float32 (12, n) mV; the identities above hold to float32 rounding.
    """
    one, two = lead_i.astype(np.float32), lead_ii.astype(np.float32)
    out = np.empty((12, one.shape[-1]), dtype=np.float32)
    out[0], out[1], out[2] = one, two, two - one
    out[3], out[4], out[5] = -(one + two) / 2, one - two / 2, two - one / 2
    out[6:] = chest
    return out


def from_electrodes(potential: np.ndarray) -> np.ndarray:
    """Twelve leads from the potentials of the nine electrodes. `potential`: (9, n) mV in the order
    of `ELECTRODES`, against any common reference. Returns float32 (12, n) mV."""
    right, left, foot = potential[:3]
    wilson = (right + left + foot) / 3
    return from_limb_and_chest(left - right, foot - right, potential[3:] - wilson)


def limb_identities(signal: np.ndarray) -> dict[str, float]:
    """Largest absolute violation of each limb-lead identity.

    `signal`: (12, n) mV in the order of `LEADS`. Returns {"III", "aVR", "aVL", "aVF"}: mV by which
    that lead differs from its value computed from I and II.
    """
    one, two, three, avr, avl, avf = np.asarray(signal, dtype=np.float64)[:6]
    gaps = {
        "III": three - (two - one),
        "aVR": avr + (one + two) / 2,
        "aVL": avl - (one - two / 2),
        "aVF": avf - (two - one / 2),
    }
    return {name: float(np.abs(gap).max()) for name, gap in gaps.items()}
