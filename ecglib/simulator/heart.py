"""The state of a simulated heart: every number from which the waveform is computed.

A finding is a property of this state (a PR interval of 240 ms, a T wave of -0.2 mV in aVF), never a
separate flag. So every label of the state can be measured in the waveform.
"""

from dataclasses import dataclass, field

import numpy as np

from ecglib.labels.label_set import TERRITORIES
from ecglib.signals.leads import ELECTRODES

FROM_ONE_PLACE = ("paced", "lv_paced", "ventricular")  # of the ventricles
# In `WIDE` both bundles do not activate the ventricles from the start. Repolarisation then opposes
# the QRS and hides the effects of ischaemia.
WIDE = ("lbbb", "preexcited", *FROM_ONE_PLACE)
_ALLOWED = {
    "rhythm": (
        *("sinus", "afib", "flutter", "atrial", "junctional", "svt"),
        *("ventricular", "standstill"),
    ),
    "qrs_type": ("narrow", "rbbb", "irbbb", "ivcd", *WIDE),
    "av": ("conducted", "mobitz1", "mobitz2", "complete"),
    "paced": ("", "atrial", "ventricular", "dual"),
    "pathway": ("left", "right", "septal"),
}


@dataclass(frozen=True)
class Anatomy:
    """Geometry that is the same in all ECGs of one person."""

    # (5, 3) random part of each QRS vector, relative to its length
    direction: np.ndarray = field(default_factory=lambda: np.zeros((5, 3)))
    # (5,) factor on the width of each QRS bump
    width: np.ndarray = field(default_factory=lambda: np.ones(5))
    # degrees by which the QRS is rotated about the long axis (+ = earlier R progression)
    rotation: float = 0.0
    # (6,) gain of each chest electrode
    placement: np.ndarray = field(default_factory=lambda: np.ones(6))
    # (2, 3) random part of the two P vectors, relative to their length
    p_wave: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    # (3,) unit vector of the main QRS force of premature ventricular beats
    ectopic: np.ndarray = field(default_factory=lambda: np.array([-0.5, 0.75, 0.43]))


@dataclass(frozen=True)
class HeartState:
    """The heart at one ECG; a field that is 0, None or empty has no effect."""

    rate: float = 72.0  # mean ventricular rate, per minute
    # "sinus", "afib", "flutter" or an "atrial" focus, which reach the ventricles through the atria;
    # "junctional", "svt" (re-entry in the AV node) or "ventricular", which do not; or "standstill"
    rhythm: str = "sinus"
    variability: float = 0.03  # standard deviation of RR as a share of RR
    pr: float = 0.16  # PR interval, s (ignored in atrial fibrillation)
    p_size: float = 1.0  # factor on the P wave
    f_size: float = 0.08  # size of fibrillatory waves in V1, mV
    # "narrow", bundle branch blocks ("irbbb" is incomplete), "ivcd" (a delay that is neither),
    # "preexcited", or starting in one ventricle
    qrs_type: str = "narrow"
    qrs: float = 0.092  # QRS duration, s
    axis: float = 45.0  # frontal QRS axis, degrees (of the unblocked part in right bundle block)
    # left anterior fascicular block (qR in I and aVL, rS inferior); the caller gives the axis
    fascicular: bool = False
    voltage: float = 1.25  # largest spatial QRS vector, mV
    # Whether `voltage` may reach low voltage or hypertrophy; else the QRS stays between the two.
    free_voltage: bool = False
    # The first given one of three sets the size of the QRS instead of `voltage`, in mV: the largest
    # peak-to-peak QRS of any limb lead; S in V1 + R in V5 or V6; R in aVL (`avl` below).
    low_voltage: float | None = None
    sokolow: float | None = None
    qtc: float = 0.44  # QT interval at 60 beats per minute by Bazett, s
    t_limb: tuple[float, float] = (0.22, 0.16)  # T wave in I and in aVF, mV, unless inverted
    t_chest: float = 0.35  # T wave in V2, mV
    t_inverted: dict[str, float] = field(default_factory=dict)  # territory -> depth, mV
    premature: int = 0  # premature ventricular complexes within the ten seconds
    anatomy: Anatomy = field(default_factory=Anatomy)
    # Rhythm, see `rhythms`.
    # rate of P or flutter waves, per minute, if the ventricles do not follow each of them
    atrial_rate: float = 0.0
    av: str = "conducted"  # conduction from atria to ventricles
    drop: int = 4  # in "mobitz1" and "mobitz2" every drop-th P wave is not conducted
    ratios: tuple[int, ...] = (2,)  # flutter waves per QRS; of several, one is drawn for each beat
    # s from QRS onset to the onset of a visible retrograde P wave; negative: before the QRS
    retrograde: float | None = None
    paced: str = ""  # the chamber that a pacemaker stimulates
    premature_atrial: int = 0  # number of premature atrial complexes
    every: int = 0  # 2 = every second beat is premature (bigeminy), 3 = every third; 0 = at random
    shapes: int = 1  # different shapes of the premature ventricular complexes
    # Shape, see `atria`, `conduction` and `ischaemia`.
    left_atrium: float = 1.0  # factor on the second half of the P wave; a larger one is also later
    right_atrium: float = 1.0  # factor on the first half
    pathway: str = "left"  # position of the accessory pathway of a "preexcited" heart
    # left posterior fascicular block (rS in I and aVL, qR inferior); the caller gives the axis
    posterior_fascicular: bool = False
    avl: float | None = None  # R in aVL of left ventricular hypertrophy, mV
    right_force: float = 0.0  # R in V1 + S in V6 of right ventricular hypertrophy, mV
    q: dict[str, float] = field(default_factory=dict)  # territory -> depth of Q waves, mV
    # territory -> ST shift, mV: > 0 is transmural injury with its reciprocal changes, < 0
    # subendocardial
    injury: dict[str, float] = field(default_factory=dict)
    st_slope: float = 0.0  # relative difference of the end of ST from its middle; > 0 rises
    pericarditis: float = 0.0  # diffuse ST elevation, mV in lead II; the PR segment is depressed
    early_repolarisation: float = 0.0  # elevation of the J point in V4, mV
    brugada: float = 0.0  # elevation of the coved ST segment in V2, mV
    u_wave: float = 0.0  # mV in V3
    exchanged: tuple[str, ...] = ()  # two of `leads.ELECTRODES` whose cables were exchanged

    def __post_init__(self) -> None:
        """Refuse a state that the simulator does not cover."""
        for name, allowed in _ALLOWED.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"HeartState.{name}: expected one of {allowed}, got {value!r}")
        for territory in (*self.t_inverted, *self.q, *self.injury):
            if territory not in TERRITORIES:
                raise ValueError(f"expected a territory of {TERRITORIES}, got {territory!r}")
        if not 20 <= self.rate <= 220:
            raise ValueError(f"HeartState.rate: expected 20 to 220 per minute, got {self.rate}")
        if self.qrs_type in WIDE and (self.t_inverted or self.q or self.injury):
            text = f"a QRS of type {self.qrs_type} hides T inversion, ST elevation and Q waves"
            raise ValueError(f"{text}; leave t_inverted, q and injury empty")
        if set(self.exchanged) - set(ELECTRODES) or len(self.exchanged) not in (0, 2):
            wanted = f"two of {ELECTRODES} or none"
            raise ValueError(f"exchanged: expected {wanted}, got {self.exchanged}")

    @property
    def rr(self) -> float:
        """Mean RR interval, s."""
        return 60.0 / self.rate

    @property
    def pp(self) -> float:
        """Interval of P (or flutter) waves, s; that of the ventricles if they follow each P."""
        return 60.0 / self.atrial_rate if self.atrial_rate else self.rr

    @property
    def follows(self) -> bool:
        """Whether each QRS follows a P wave at the interval `pr` (not each P need have a QRS)."""
        if self.rhythm not in ("sinus", "atrial") or self.av not in ("conducted", "mobitz2"):
            return False
        return self.paced != "ventricular" or not self.atrial_rate

    @property
    def qt(self) -> float:
        """QT interval at this rate, s: Bazett's formula solved for QT."""
        return self.qtc * float(np.sqrt(self.rr))
