"""What a simulated heart is doing: every number that the waveform is made from.

A finding is a property of this state (a PR interval of 240 ms, a T wave of -0.2 mV in aVF), never
a flag beside it, so whatever is labelled from the state can be measured in the waveform.
"""

from dataclasses import dataclass, field

import numpy as np

RHYTHMS = ("sinus", "afib")
QRS_TYPES = ("narrow", "lbbb", "rbbb")
TERRITORIES = ("inferior", "lateral", "anterior")


@dataclass(frozen=True)
class Anatomy:
    """What stays the same in all ECGs of one person.

    Attributes:
        direction: (5, 3) random part of each QRS vector, relative to its length.
        width: (5,) factor on the width of each QRS bump.
        rotation: degrees by which the QRS is turned about the long axis (+ = transition further
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
    """One ECG's heart.

    Attributes:
        rate: mean ventricular rate, per minute.
        rhythm: "sinus" or "afib".
        variability: standard deviation of RR as a share of RR.
        pr: PR interval, s (ignored in atrial fibrillation).
        p_size: factor on the P wave.
        f_size: size of fibrillatory waves in V1, mV.
        qrs_type: "narrow", "lbbb" or "rbbb".
        qrs: QRS duration, s.
        axis: frontal QRS axis, degrees (in right bundle branch block that of the unblocked part).
        fascicular: left anterior fascicular block pattern (qR in I and aVL, rS in the inferior
            leads); the caller gives the axis that belongs to it.
        voltage: largest spatial QRS vector, mV.
        sokolow: S in V1 + R in V5 or V6, mV; given, it sets the size of the QRS (ventricular
            hypertrophy), otherwise `voltage` does.
        low_voltage: largest peak-to-peak QRS of any limb lead, mV; given, it sets the size.
        qtc: QT interval at 60 beats per minute by Bazett, s.
        t_limb: size of the T wave in I and in aVF, mV, where it is not inverted.
        t_chest: size of the T wave in V2, mV.
        t_inverted: depth of inversion in mV by territory ("inferior": II, III, aVF; "lateral":
            I, aVL, V5, V6; "anterior": V3, V4).
        st: elevation in mV by territory ("inferior": aVF; "anterior": V3).
        q_inferior: depth of the Q wave in aVF, mV; 0 = none.
        premature: number of premature ventricular complexes within the ten seconds.
        anatomy: what belongs to the person.
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
    st: dict[str, float] = field(default_factory=dict)
    q_inferior: float = 0.0
    premature: int = 0
    anatomy: Anatomy = field(default_factory=Anatomy)

    def __post_init__(self) -> None:
        """Refuse a state that no rule of the simulator covers."""
        for name, value, allowed in (
            ("rhythm", self.rhythm, RHYTHMS),
            ("qrs_type", self.qrs_type, QRS_TYPES),
        ):
            if value not in allowed:
                raise ValueError(f"HeartState.{name} is {value!r}; choose one of {allowed}.")
        for territory in (*self.t_inverted, *self.st):
            if territory not in TERRITORIES:
                raise ValueError(f"Territory {territory!r} is unknown; choose from {TERRITORIES}.")
        if not 20 <= self.rate <= 220:
            raise ValueError(f"HeartState.rate is {self.rate}; give beats per minute, 20 to 220.")
        if self.qrs_type == "lbbb" and (self.t_inverted or self.st or self.q_inferior):
            raise ValueError(
                "Left bundle branch block hides T inversion, ST elevation and Q waves; "
                "leave t_inverted, st and q_inferior empty."
            )

    @property
    def rr(self) -> float:
        """Mean RR interval, s."""
        return 60.0 / self.rate

    @property
    def qt(self) -> float:
        """QT interval at this rate, s: Bazett's formula turned round."""
        return self.qtc * float(np.sqrt(self.rr))
