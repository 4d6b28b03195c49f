"""When atria and ventricles fire, by rhythm, and that it can be seen in the leads."""

import numpy as np
import pytest

from ecglib.signals.leads import LEADS, limb_identities
from ecglib.simulator import rhythms
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import beat_times, exchange, simulate

II, V1 = LEADS.index("II"), LEADS.index("V1")
RATE = 500


def fired(state: HeartState, seed: int = 1) -> rhythms.Events:
    return rhythms.events(state, np.random.default_rng(seed))


def p_before(events: rhythms.Events, onsets: np.ndarray) -> np.ndarray:
    """Interval from each QRS back to the last separate P wave."""
    p_waves = events.of("p")
    return np.array([t - p_waves[p_waves < t].max() for t in onsets if (p_waves < t).any()])


def test_events_are_ordered_and_the_same_for_a_seed():
    state = HeartState(av="mobitz1", atrial_rate=80, drop=4)
    one, two = fired(state), fired(state)
    assert (one.time == two.time).all() and one.names == two.names
    assert (np.diff(one.time) >= 0).all() and fired(state, 2).time[0] != one.time[0]


def test_beat_times_are_those_of_the_waveform():
    state = HeartState(rate=70, premature_atrial=2)
    times, premature = beat_times(state, np.random.default_rng(3))
    assert not premature.any()
    lead = simulate(state, RATE, np.random.default_rng(3))[II]
    for onset in times[(times > 0.1) & (times < 9.8)]:
        start = round(onset * RATE)
        assert lead[start : start + 50].max() > 0.5


def test_wenckebach_grows_and_drops():
    state = HeartState(av="mobitz1", atrial_rate=80, drop=4, pr=0.18, variability=0.0)
    events = fired(state)
    pr = p_before(events, events.of("qrs"))
    steps = np.diff(pr)
    grew = steps > 0
    assert sorted(set(np.round(pr - 0.18, 3))) == [0.0, 0.075, 0.115]
    assert grew.mean() == pytest.approx(2 / 3, abs=0.12)
    assert len(events.of("p")) / len(events.of("qrs")) == pytest.approx(4 / 3, abs=0.12)
    # Each increment is smaller than the last, so RR shortens before the pause.
    rr = np.diff(events.of("qrs"))
    assert rr.max() > 1.5 * rr.min() and rr.max() < 2 * 60 / 80


def test_mobitz_two_drops_without_warning():
    state = HeartState(av="mobitz2", atrial_rate=80, drop=3, pr=0.16, variability=0.0)
    events = fired(state)
    rr = np.diff(events.of("beat"))
    assert set(np.round(rr / 0.75)) == {1, 2} and state.follows
    assert len(events.of("p")) == pytest.approx(len(events.of("beat")) / 2, abs=1)


def test_complete_block_has_two_clocks():
    state = HeartState(av="complete", atrial_rate=90, rate=38, variability=0.0)
    events = fired(state)
    assert np.diff(events.of("p")) == pytest.approx(60 / 90)
    assert np.diff(events.of("qrs")) == pytest.approx(60 / 38)
    assert np.ptp(p_before(events, events.of("qrs")[2:])) > 0.2


def test_flutter_waves_are_a_saw_tooth_and_lead_every_fourth():
    state = HeartState(rhythm="flutter", atrial_rate=300, ratios=(4,), rate=75, f_size=0.15)
    events = fired(state)
    assert np.diff(events.of("qrs")) == pytest.approx(0.8)
    leads = simulate(state, RATE, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(leads[II]))[10:]
    assert (10 + power.argmax()) / 10 == pytest.approx(5.0, abs=0.11)  # 300 a minute
    mixed = HeartState(rhythm="flutter", atrial_rate=300, ratios=(2, 3, 4), rate=100)
    assert set(np.round(np.diff(fired(mixed).of("qrs")) / 0.2)) == {2, 3, 4}


def test_premature_atrial_beat_resets_the_sinus_node():
    state = HeartState(rate=70, premature_atrial=1, variability=0.0)
    events = fired(state)
    early = events.of("qrs")
    assert len(early) == 1 and len(events.of("early p")) == 1
    times = np.sort(np.r_[events.of("beat"), early])
    i = int(np.searchsorted(times, early[0]))
    before, after = times[i] - times[i - 1], times[i + 1] - times[i]
    assert before < 0.85 * state.rr and after < 1.2 * state.rr  # no full compensation


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("kind", ["premature", "premature_atrial"])
def test_group_beating(every, kind):
    state = HeartState(rate=70, every=every, variability=0.0, **{kind: 1})
    events = fired(state)
    names = [name for name in events.names if name in rhythms.QRS_EVENTS]
    other = "premature" if kind == "premature" else "qrs"
    assert [name for name in names if name not in ("beat", other)] == []
    places = [i for i, name in enumerate(names) if name == other]
    assert set(np.diff(places)) == {every}


def test_ventricular_beats_of_several_shapes():
    events = fired(HeartState(rate=70, premature=3, shapes=2))
    assert len(events.of("premature")) == 2 and len(events.of("premature 2")) == 1


@pytest.mark.parametrize("paced, spikes", [("atrial", 1), ("ventricular", 1), ("dual", 2)])
def test_pacing_spikes_come_before_their_chamber(paced, spikes):
    state = HeartState(paced=paced, qrs_type="narrow" if paced == "atrial" else "paced", qrs=0.15)
    events = fired(state)
    spike, beat = events.of("spike"), events.of("beat")
    assert len(spike) == spikes * len(beat)
    gaps = np.array([beat[beat > s].min() - s for s in spike if (beat > s).any()])
    assert set(np.round(gaps, 3)) <= {0.005, round(state.pr + 0.008, 3)}


def test_without_atria_or_ventricles():
    silent = fired(HeartState(rhythm="standstill", atrial_rate=70))
    assert set(silent.names) == {"p"}
    node = fired(HeartState(rhythm="junctional", rate=45, retrograde=-0.11))
    assert set(node.names) == {"qrs", "retrograde p"}
    chamber = HeartState(rhythm="ventricular", qrs_type="ventricular", rate=150, atrial_rate=80)
    assert set(fired(chamber).names) == {"qrs", "p"}
    leads = simulate(
        HeartState(rhythm="standstill", atrial_rate=70), RATE, np.random.default_rng(0)
    )
    assert np.ptp(leads, axis=1).max() < 0.35


def test_exchanged_cables():
    """RA and LA: lead I upside down, II and III change places, aVF stays, V1 to V6 stay."""
    state = HeartState(rate=70)
    right = simulate(state, RATE, np.random.default_rng(0))
    crossed = HeartState(rate=70, exchanged=("RA", "LA"))
    wrong = simulate(crossed, RATE, np.random.default_rng(0))
    assert np.allclose(wrong[0], -right[0], atol=1e-6)
    assert np.allclose(wrong[[1, 2, 5]], right[[2, 1, 5]], atol=1e-6)
    assert np.allclose(wrong[6:], right[6:], atol=1e-6)
    assert max(limb_identities(wrong).values()) < 1e-6
    assert exchange(np.arange(9.0), ("V1", "V3")).tolist() == [0, 1, 2, 5, 4, 3, 6, 7, 8]
