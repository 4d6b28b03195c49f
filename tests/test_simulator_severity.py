"""Graded hearts: cases on both sides of each definition, conditions that overlap, true labels."""

import numpy as np
import pytest
from simulated import hearts

from ecglib.labels import label_groups
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, Label, by_territory
from ecglib.simulator import morphology, rhythms, sample_heart, severity
from ecglib.simulator.beats import electrode_matrix
from ecglib.simulator.conditions import ACUTE, CONDITIONS, clashes
from ecglib.simulator.heart import WIDE, HeartState
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.sample_heart import Anatomy, Person, draw_state
from ecglib.simulator.waveform import simulate

# Condition -> the label that its full effect brings.
BROUGHT = {
    "left bundle branch block": Label.LBBB,
    "right bundle branch block": Label.RBBB,
    "intraventricular conduction delay": Label.IVCD,
    "pre-excitation": Label.DELTA_WAVE,
    "first degree AV block": Label.AV_BLOCK_1,
    "left anterior fascicular block": Label.LAFB,
    "left posterior fascicular block": Label.LPFB,
    "left axis deviation": Label.LEFT_AXIS,
    "right axis deviation": Label.RIGHT_AXIS,
    "right ventricular hypertrophy": Label.RVH,
    "left ventricular hypertrophy": Label.LVH,
    "left atrial enlargement": Label.LEFT_ATRIAL_ENLARGEMENT,
    "right atrial enlargement": Label.RIGHT_ATRIAL_ENLARGEMENT,
    "low voltage": Label.LOW_VOLTAGE,
    "acute pericarditis": Label.PERICARDITIS,
    "Brugada pattern": Label.BRUGADA,
    "early repolarization": Label.EARLY_REPOLARIZATION,
    "prolonged QT": Label.LONG_QT,
    "U wave": Label.U_WAVE,
    "sinus bradycardia": Label.BRADYCARDIA,
    "sinus arrhythmia": Label.REGULARLY_IRREGULAR,
}
for _finding, _named in (
    ("st_elevation", "acute {} infarction"),
    ("q_wave", "{} Q waves"),
    ("st_depression", "{} ST depression"),
    ("t_inversion", "{} T inversion"),
):
    BROUGHT |= {_named.format(name): label for name, label in by_territory(_finding).items()}
V1, V5, AVL = 6, 10, 4


def graded(index: int, *has: str) -> HeartState:
    """A heart of somebody who has these conditions, at a severity that is drawn."""
    rng = np.random.default_rng([4, index])
    person = sample_heart.draw_person("AB"[index % 2], "graded", rng)
    return draw_state(person, frozenset(has), rng)


@pytest.mark.parametrize("condition", BROUGHT)
def test_each_condition_has_cases_on_both_sides_of_its_definition(condition):
    states = [labels_of(graded(i, condition))[BROUGHT[condition]] for i in range(60)]
    known = [state for state in states if state in (ABSENT, PRESENT)]
    assert len(known) > 30
    assert 0.15 < np.mean(np.array(known) == PRESENT) < 0.95


def test_no_label_is_the_copy_of_another_one_and_all_labels_occur():
    labels = np.stack([labels for *_, labels in hearts("graded")])
    is_known = (labels == PRESENT) | (labels == ABSENT)
    assert (labels == PRESENT).sum(axis=0).min() >= 3
    for one in Label:
        for other in range(one + 1, len(Label)):
            both = is_known[:, one] & is_known[:, other]
            a, b = (labels[both, i] == PRESENT for i in (one, other))
            if min(a.sum(), b.sum()) >= 15:
                assert (a & b).sum() < 0.95 * (a | b).sum(), (one, other)


def test_conditions_overlap_wherever_one_heart_can_have_both():
    graded_table, full = clashes("graded"), clashes()
    assert graded_table.sum() < 0.65 * full.sum() and (graded_table == graded_table.T).all()
    counts = [(labels == PRESENT).sum() for *_, labels in hearts("graded")]
    assert np.mean(counts) > 1 + np.mean([(x == PRESENT).sum() for *_, x in hearts("enriched")])
    hidden = graded(3, "left bundle branch block", "septal T inversion", "acute septal infarction")
    assert hidden.qrs_type in WIDE and not (hidden.t_inverted or hidden.injury)
    both = graded(3, "acute inferior infarction", "lateral Q waves", "septal T inversion")
    assert set(both.injury) == {"inferior"} and "lateral" in both.q and "septal" in both.t_inverted


def test_severity_is_a_share_of_the_full_effect_and_chronic_in_chronic_conditions():
    assert set(severity.SEVERITY) == set(CONDITIONS)
    rng = np.random.default_rng(0)
    drawn = [severity.graded_effect("prolonged QT", {"qtc": 0.44}, rng)["qtc"] for _ in range(200)]
    low, high = severity.SEVERITY["prolonged QT"]
    assert 0.44 + low * 0.07 <= min(drawn) < 0.48 < 0.54 < max(drawn) <= 0.44 + high * 0.15
    person = Person("A", 60.0, "M", 176, 79, frozenset(), Anatomy(), 5, "graded")
    for condition, field in (("prolonged QT", "qtc"), ("lateral ST depression", "injury")):
        one, two = (
            getattr(draw_state(person, frozenset({condition}), np.random.default_rng(i)), field)
            for i in (1, 2)
        )
        assert (one == two) == (condition not in ACUTE)


def test_voltage_labels_are_true_in_the_recording():
    """R and S of the leads against the limits; breathing changes them by 4 per cent."""
    compared = 0
    for index, (_, state, labels) in enumerate(hearts("graded")[:360]):
        if state.rhythm != "sinus" or state.premature or state.premature_atrial or state.exchanged:
            continue
        if state.av != "conducted" or state.paced or state.qrs_type != "narrow":
            continue
        signal = simulate(state, 500, np.random.default_rng(index))
        times, _ = rhythms.beat_times(state, np.random.default_rng(index))
        onsets = [round(500 * t) for t in times if 0.2 < t < 9.5]
        level = np.median([signal[:, k - 4] for k in onsets], axis=0)[:, None]
        inside = [signal[:, k : k + round(500 * state.qrs)] - level for k in onsets]
        high, low = (np.median([f(x, axis=1) for x in inside], axis=0) for f in (np.max, np.min))
        sizes = {
            Label.TALL_R_AVL: high[AVL] / 1.1,
            Label.SOKOLOW: (high[V5 : V5 + 2].max() - low[V1]) / 3.5,
            Label.LOW_VOLTAGE: 0.5 / (high - low)[:6].max(),
        }
        for label, size in sizes.items():
            if not 0.9 < size < 1.1:
                compared += 1
                assert (labels[label] == PRESENT) == (size > 1), (index, label, size)
    assert compared > 80


@pytest.mark.parametrize(
    "fields",
    [
        {"rhythm": "flutter", "atrial_rate": 280.0, "ratios": (4,), "rate": 70.0},
        {"paced": "ventricular", "qrs_type": "paced", "qrs": 0.15},
        {"rhythm": "junctional", "rate": 55.0, "retrograde": 0.08},
        {"av": "complete", "atrial_rate": 80.0, "rate": 45.0},
        {"av": "mobitz2", "atrial_rate": 80.0, "drop": 4, "rate": 60.0},
    ],
    ids=lambda fields: str(fields.get("rhythm", fields.get("av", fields.get("paced")))),
)
def test_premature_ventricular_beats_replace_beats_of_any_rhythm(fields):
    events = rhythms.events(HeartState(premature=2, **fields), np.random.default_rng(2))
    plain = rhythms.events(HeartState(**fields), np.random.default_rng(2))
    early = events.of("premature")
    assert 1 <= len(early) <= 2
    onsets = np.sort(np.r_[events.of("beat", "qrs"), early])
    assert len(onsets) == len(plain.of("beat", "qrs"))
    for time in early:
        i = int(np.searchsorted(onsets, time))
        assert time - onsets[i - 1] < onsets[i + 1] - time
    spikes = events.of("spike")
    assert not len(spikes) or np.abs(spikes[:, None] - early).min() > 0.1


def test_groups_hold_each_label_once(tmp_path):
    of = {label: name for name, labels in label_groups.GROUPS.items() for label in labels}
    assert sorted(of) == list(Label) and of[Label.LVH] == of[Label.SOKOLOW]
    text = label_groups.PATH.read_text(encoding="utf-8").replace("sinus_rhythm,\n", "lbbb,\n")
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="expected sinus_rhythm in one group"):
        label_groups.load(tmp_path / "groups.csv")


def test_labels_of_extra_beats_and_of_a_slow_rate_are_true_in_the_events():
    fast = HeartState(
        rhythm="flutter", atrial_rate=308, rate=154, ratios=(2,), premature=2, shapes=2
    )
    both = {"premature": 4, "shapes": 2, "premature_atrial": 4}
    for seed in range(60):
        for state in (fast, HeartState(rate=46, **both), HeartState(rate=70, **both)):
            times, names = rhythms.events(state, np.random.default_rng(seed))
            seen = {n for t, n in zip(times, names, strict=True) if 0 < t < rhythms.SECONDS}
            assert {"premature", "premature 2"} <= seen  # two shapes, as MONOMORPHIC denies
            assert "early p" in seen or not state.premature_atrial
    for i in range(20):  # with dropped beats, no other condition sets the rate
        state = graded(i, "Mobitz I", "U wave")
        assert state.rate == pytest.approx(state.atrial_rate * (state.drop - 1) / state.drop)


def test_a_slow_node_behind_grouped_atrial_beats_is_no_certain_bradycardia():
    """At 58 per minute with every second beat early, the ventricles have more than 60."""
    state = HeartState(rate=58, every=2, premature_atrial=4)
    times, _ = rhythms.beat_times(state, np.random.default_rng(0))
    assert 60 / np.diff(times).mean() > 63
    assert labels_of(state)[Label.BRADYCARDIA] == NOT_ASSESSABLE
    assert labels_of(HeartState(rate=58, premature_atrial=1))[Label.BRADYCARDIA] == PRESENT


@pytest.mark.parametrize("size", [{"avl": 1.2}, {"sokolow": 4.4}], ids=str)
def test_a_graded_hypertrophy_that_its_lead_does_not_see_keeps_a_size_of_hearts(size):
    """At an axis of 100 degrees aVL sees no R, and the QRS would have no limit."""
    for axis in (40.0, 60.0, 100.0):
        state = HeartState(axis=axis, free_voltage=True, **size)
        matrix = electrode_matrix(state.anatomy.placement)
        source = morphology.qrs_complex(state, matrix).at(np.arange(0.0, 0.24, 0.002))
        assert 0.5 < np.linalg.norm(source[:3], axis=0).max() < morphology.LARGEST + 1e-6
        assert labels_of(state)[Label.LVH] in (ABSENT, PRESENT)
