"""Simulated patients of two hospitals: signals, true labels and reports."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE, parse_labels
from ecglib.simulator import labels_from_heart, recording_device, report_text, sample_heart
from ecglib.simulator.recording_device import Device
from ecglib.simulator.waveform import simulate

# Sizes of the noise by the quantiles of power and wander of PTB-XL's folds 1 to 8.
DEVICES: dict[str, tuple[Device, ...]] = {
    "A": (
        Device("Aster 12", 500, 0.001, 50.0, wander=0.020, muscle=0.0035, hum=0.004),
        Device("Aster 12 mobile", 500, 0.001, 50.0, wander=0.035, muscle=0.0050, hum=0.005),
    ),
    "B": (Device("Borealis S", 400, 0.00488, 60.0, wander=0.027, muscle=0.0060, hum=0.008),),
}
SHARE_OF_A = 0.5
SECOND_ECG = 0.25  # share of patients with two recordings


def patient(
    seed: int,
    index: int,
    sites: tuple[str, ...] = ("A", "B"),
    prevalence: str = "enriched",
    conditions: tuple[str, ...] = (),
    reported_labels: tuple[str, ...] = (),
    noise: float = 1.0,
) -> list[dict]:
    """All recordings of one patient, a function of the arguments alone.

    Args:
        seed, index: the cohort's seed and the number of the patient in it.
        sites: the hospitals of this cohort.
        prevalence: "paper", "enriched" or "graded", see conditions.csv.
        conditions: those that may be drawn; all where none is given.
        reported_labels: slugs of the labels that the hospitals report; the others are not
            assessable, as in a source that has no code for them. All where none is given.
        noise: factor of muscle noise and wander; 2 is about what they were before they were fitted
            to real recordings.

    Returns:
        One or two dicts: ecg_id, patient_id, site, age, sex, height, weight, device, rate (Hz),
        signal float32 (12, 10 * rate) mV, labels int8 (77,), report, verified (True).

    Raises ValueError: a hospital, the prevalence, a condition or a label is unknown.
    """
    unknown = [site for site in sites if site not in DEVICES]
    if unknown or not sites:
        raise ValueError(f"expected hospitals of {tuple(DEVICES)}, got {tuple(sites)}")
    hidden = np.full(len(LABELS), bool(reported_labels))
    hidden[list(parse_labels(reported_labels, "reported_labels"))] = False
    rng = np.random.default_rng([seed, index, 0, 1])
    site = sites[0]
    if len(sites) == 2 and rng.random() >= SHARE_OF_A:
        site = sites[1]
    person = sample_heart.draw_person(site, prevalence, rng, conditions)
    count = 2 if rng.random() < SECOND_ECG else 1
    return [_record(person, hidden, seed, index, number, noise) for number in range(count)]


def _record(
    person: sample_heart.Person,
    hidden: np.ndarray,
    seed: int,
    index: int,
    number: int,
    noise: float,
) -> dict:
    rng = np.random.default_rng([seed, index, number + 1, 1])
    has = person.conditions
    if number:
        has = sample_heart.conditions_later(has, rng, person.kind)
    state = sample_heart.draw_state(person, has, rng)
    labels = np.where(hidden, NOT_ASSESSABLE, labels_from_heart.labels_of(state)).astype(np.int8)
    devices = DEVICES[person.site]
    device = devices[int(rng.integers(len(devices)))]
    device = replace(device, wander=noise * device.wander, muscle=noise * device.muscle)
    patient_id = f"{person.site}{index:06d}"
    # Hospital B omits height and weight in every fifth record.
    known = person.site == "A" or rng.random() >= 0.2
    return {
        "ecg_id": f"{patient_id}-{number + 1}",
        "patient_id": patient_id,
        "site": person.site,
        "age": person.age,
        "sex": person.sex,
        "height": person.height if known else float("nan"),
        "weight": person.weight if known else float("nan"),
        "device": device.name,
        "rate": device.rate,
        "signal": recording_device.record(simulate(state, device.rate, rng), device, rng),
        "labels": labels,
        "report": report_text.compose(labels, person.site, rng, normal=state.rate <= 100),
        "verified": True,
    }


def patients(n_patients: int, seed: int, start: int = 0, **cohort: object) -> Iterator[dict]:
    """Records of patients `start` to `start + n_patients - 1`: 1.25 per patient on average.
    A cohort can be simulated in parts; its settings and records are those of `patient`."""
    for index in range(start, start + n_patients):
        yield from patient(seed, index, **cohort)
