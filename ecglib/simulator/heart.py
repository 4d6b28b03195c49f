"""The state of a simulated heart: every number from which the waveform is computed.

A finding is a property of this state (a PR interval of 240 ms, a T wave of -0.2 mV in aVF), never a
separate flag. So every label of the state can be measured in the waveform.
"""

from dataclasses import dataclass, field

import numpy as np

from ecglib.labels.label_set import TERRITORIES
from ecglib.signals.leads import ELECTRODES

RHYTHMS = (
    *("sinus", "afib", "flutter", "atrial", "junctional", "svt"),
    *("ventricular", "standstill"),
)
# In `WIDE` both bundles do not activate the ventricles from the start. Repolarisation then opposes
# the QRS and hides the effects of ischaemia.
WIDE = ("lbbb", "preexcited", "paced", "lv_paced", "ventricular")
QRS_TYPES = ("narrow", "rbbb", "irbbb", "ivcd", *WIDE)
AV = ("conducted", "mobitz1", "mobitz2", "complete")
PACED = ("", "atrial", "ventricular", "dual")
PATHWAYS = ("left", "right", "septal")


@dataclass(frozen=True)
class Anatomy:
    """Geometry that is the same in all ECGs of one person.

    Attributes:
        direction: (5, 3) random part of each QRS vector, relative to its length.
        width: (5,) factor on the width of each QRS bump.
        rotation: degrees by which the QRS is rotated about the long axis (+ = transition further
            to the right, that is, earlier R progression).
        placement: (6,) gain of each chest electrode.
        p_wave: (2, 3) random part of the two P vectors, relative to their length.
        ectopic: (3,) unit vector of the main QRS force of premature ventricular beats.
    """

    direction: np.ndarray = field(default_factory=lambda: np.zeros((5, 3)))
    width: np.ndarray = field(default_factory=lambda: np.ones(5))
    rotation: float = 0.0
    placement: np.ndarray = field(default_factory=lambda: np.ones(6))
    p_wave: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    ectopic: np.ndarray = field(default_factory=lambda: np.array([-0.5, 0.75, 0.43]))


@dataclass(frozen=True)
class HeartState:
    """The heart at one ECG.

    Attributes:
        rate: mean ventricular rate, per minute.
        rhythm: "sinus", "afib", "flutter" or an "atrial" focus, which reach the ventricles through
            the atria; "junctional", "svt" (re-entry in the AV node) or "ventricular", which do not;
            or "standstill" of the ventricles.
        variability: standard deviation of RR as a share of RR.
        pr: PR interval, s (ignored in atrial fibrillation).
        p_size: factor on the P wave.
        f_size: size of fibrillatory waves in V1, mV.
        qrs_type: one of `QRS_TYPES`: "narrow", bundle branch blocks ("irbbb" is incomplete),
            "ivcd" (a delay that is neither), "preexcited", or starting in one ventricle.
        qrs: QRS duration, s.
        axis: frontal QRS axis, degrees (in right bundle branch block that of the unblocked part).
        fascicular: left anterior fascicular block pattern (qR in I and aVL, rS in the inferior
            leads); the caller gives the matching axis.
        voltage: largest spatial QRS vector, mV.
        sokolow: S in V1 + R in V5 or V6, mV; if given, it sets the size of the QRS (ventricular
            hypertrophy) instead of `voltage`.
        low_voltage: largest peak-to-peak QRS of any limb lead, mV; if given, it sets the size.
        qtc: QT interval at 60 beats per minute by Bazett, s.
        t_limb: size of the T wave in I and in aVF, mV, unless inverted.
        t_chest: size of the T wave in V2, mV.
        t_inverted: depth of inversion in mV by territory ("inferior": II, III, aVF; "lateral":
            I, aVL, V5, V6; "anterior": V3, V4; "septal": V1, V2).
        premature: number of premature ventricular complexes within the ten seconds.
        anatomy: geometry of the person.

    The fields below have no effect at their defaults.

    Attributes (rhythm, see `rhythms`):
        atrial_rate: rate of P or flutter waves if the ventricles do not follow each of them,
            per minute; 0 = no separate atrial activity.
        av: conduction from atria to ventricles, one of `AV`.
        drop: with "mobitz1" and "mobitz2", every drop-th P wave is not conducted.
        ratios: flutter waves per QRS; of several, one is drawn for each beat.
        retrograde: s from QRS onset to the onset of a retrograde P wave (negative: before the
            QRS); None = not visible.
        paced: the chamber that a pacemaker stimulates, one of `PACED`.
        premature_atrial: number of premature atrial complexes.
        every: 2 = every second beat is premature (bigeminy), 3 = every third; 0 = at random.
        shapes: number of different shapes of the premature ventricular complexes.

    Attributes (shape, see `atria`, `conduction` and `ischaemia`):
        left_atrium, right_atrium: factors on the two halves of the P wave; a larger left half is
            also later.
        pathway: position of the accessory pathway of a "preexcited" heart, one of `PATHWAYS`.
        posterior_fascicular: left posterior fascicular block pattern (rS in I and aVL, qR in the
            inferior leads); the caller gives the axis.
        avl: R in aVL, mV, of left ventricular hypertrophy; if given, it sets the size of the QRS.
        right_force: R in V1 + S in V6, mV, of right ventricular hypertrophy; 0 = none.
        q: depth in mV of Q waves of infarction by territory ("posterior": V7 to V9).
        injury: ST shift in mV by territory: > 0 is transmural injury with its reciprocal changes,
            < 0 subendocardial.
        st_slope: > 0 upsloping, < 0 downsloping; relative difference of the end of ST from its
            middle.
        pericarditis: diffuse ST elevation, mV in lead II; the PR segment is depressed.
        early_repolarisation: elevation of the J point in V4, mV.
        brugada: elevation of the coved ST segment in V2, mV.
        u_wave: mV in V3.
        exchanged: two of `leads.ELECTRODES` whose cables were exchanged, or none.
    """

    rate: float = 72.0
    rhythm: str = "sinus"
    variability: float = 0.03
    pr: float = 0.16
    p_size: float = 1.0
    f_size: float = 0.08
    qrs_type: str = "narrow"
    qrs: float = 0.092
    axis: float = 45.0
    fascicular: bool = False
    voltage: float = 1.25
    sokolow: float | None = None
    low_voltage: float | None = None
    qtc: float = 0.41
    t_limb: tuple[float, float] = (0.22, 0.16)
    t_chest: float = 0.35
    t_inverted: dict[str, float] = field(default_factory=dict)
    premature: int = 0
    anatomy: Anatomy = field(default_factory=Anatomy)
    atrial_rate: float = 0.0
    av: str = "conducted"
    drop: int = 4
    ratios: tuple[int, ...] = (2,)
    retrograde: float | None = None
    paced: str = ""
    premature_atrial: int = 0
    every: int = 0
    shapes: int = 1
    left_atrium: float = 1.0
    right_atrium: float = 1.0
    pathway: str = "left"
    posterior_fascicular: bool = False
    avl: float | None = None
    right_force: float = 0.0
    q: dict[str, float] = field(default_factory=dict)
    injury: dict[str, float] = field(default_factory=dict)
    st_slope: float = 0.0
    pericarditis: float = 0.0
    early_repolarisation: float = 0.0
    brugada: float = 0.0
    u_wave: float = 0.0
    exchanged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a state that the simulator does not cover."""
        for name, value, allowed in (
            ("rhythm", self.rhythm, RHYTHMS),
            ("qrs_type", self.qrs_type, QRS_TYPES),
            ("av", self.av, AV),
            ("paced", self.paced, PACED),
            ("pathway", self.pathway, PATHWAYS),
        ):
            if value not in allowed:
                raise ValueError(f"HeartState.{name}: expected one of {allowed}, got {value!r}")
        for territory in (*self.t_inverted, *self.q, *self.injury):
            if territory not in TERRITORIES:
                raise ValueError(f"expected a territory of {TERRITORIES}, got {territory!r}")
        if not 20 <= self.rate <= 220:
            raise ValueError(f"HeartState.rate: expected 20 to 220 per minute, got {self.rate}")
        ischaemic = self.t_inverted or self.q or self.injury
        if self.qrs_type in WIDE and ischaemic:
            raise ValueError(
                f"a QRS of type {self.qrs_type} hides T inversion, ST elevation and Q waves; "
                "leave t_inverted, q and injury empty"
            )
        if set(self.exchanged) - set(ELECTRODES) or len(self.exchanged) not in (0, 2):
            raise ValueError(
                f"exchanged: expected two of {ELECTRODES} or none, got {self.exchanged}"
            )

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
