"""The pose library: angles with spreads for what people do, and how the angles move.

Numbers are degrees: (mean, standard deviation); what is not named rests near 0. They are assumed, set by eye on
rendered figures; joint limits (`skeleton.LIMITS`) hold whatever is drawn. What is done with one hand is written down
for the right one: who reaches leans to that side (`spine_side` below 0), who telephones bends the head to it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from isp_sim.scenes.people.figure.skeleton import ANGLES, LIMITS, PAIRED, SIDES, SIDEWAYS

Spread = tuple[float, float]

REST: dict[str, Spread] = {
    "pelvis_tilt": (1, 1.5), "spine_flex": (2, 3), "spine_side": (0, 2), "spine_twist": (0, 4),
    "neck_flex": (5, 8), "neck_turn": (0, 20), "neck_side": (0, 4),
    "shoulder_flex": (2, 6), "shoulder_abduct": (9, 3), "shoulder_twist": (10, 8), "elbow": (15, 8),
    "hip_flex": (2, 3), "hip_abduct": (4, 2), "knee": (4, 3), "heel": (0, 0), "toe_out": (8, 5),
}  # fmt: skip

LIBRARY: dict[str, dict[str, Spread]] = {
    "standing": {},
    "hands on hips": {
        "shoulder_flex": (-15, 4), "shoulder_abduct": (42, 4), "shoulder_twist": (62, 6), "elbow": (98, 5),
        "hip_abduct": (8, 3),
    },
    "walking": {"neck_turn": (0, 10), "toe_out": (5, 3)},
    "running": {"pelvis_tilt": (8, 2), "spine_flex": (8, 3), "elbow": (92, 8), "neck_turn": (0, 6), "toe_out": (3, 2)},
    "sitting": {
        "pelvis_tilt": (-4, 3), "spine_flex": (8, 6), "hip_flex": (84, 3), "knee": (82, 7), "hip_abduct": (10, 5),
        "shoulder_flex": (28, 8), "shoulder_abduct": (10, 4), "shoulder_twist": (22, 8), "elbow": (58, 10),
    },
    "reaching": {
        "right_shoulder_flex": (125, 25), "right_shoulder_abduct": (12, 8), "right_elbow": (18, 12),
        "right_shoulder_twist": (0, 8), "spine_side": (-5, 4), "neck_flex": (-12, 8), "left_heel": (8, 5),
    },
    "crouching": {
        "pelvis_tilt": (22, 5), "spine_flex": (26, 6), "hip_flex": (92, 6), "knee": (126, 6), "hip_abduct": (16, 5),
        "heel": (34, 5), "shoulder_flex": (55, 15), "elbow": (35, 15), "neck_flex": (-14, 6), "toe_out": (10, 4),
    },
    "talking": {
        "right_shoulder_flex": (28, 10), "right_shoulder_abduct": (14, 5), "right_shoulder_twist": (25, 12),
        "right_elbow": (92, 18), "left_elbow": (40, 30), "neck_turn": (0, 25), "neck_side": (0, 6),
    },
    "telephoning": {
        "right_shoulder_flex": (66, 5), "right_shoulder_abduct": (26, 6), "right_shoulder_twist": (10, 4),
        "right_elbow": (141, 2), "neck_side": (-6, 3), "neck_flex": (8, 6),
    },
    "looking at a telephone": {
        "right_shoulder_flex": (28, 6), "right_shoulder_abduct": (8, 3), "right_shoulder_twist": (34, 6),
        "right_elbow": (100, 8), "neck_flex": (30, 6), "neck_turn": (0, 5),
    },
    "carrying": {
        "shoulder_flex": (22, 4), "shoulder_abduct": (4, 2), "shoulder_twist": (10, 3), "elbow": (72, 6),
        "spine_flex": (-4, 2), "neck_turn": (0, 8),
    },
    "arms crossed": {
        "shoulder_flex": (34, 3), "shoulder_abduct": (6, 3), "shoulder_twist": (66, 4), "elbow": (96, 4),
        "hip_abduct": (6, 2),
    },
    "leaning forward": {"pelvis_tilt": (22, 6), "spine_flex": (26, 8), "hip_flex": (24, 6), "shoulder_flex": (62, 10),
                        "elbow": (25, 10), "neck_flex": (-12, 8)},
}  # fmt: skip

HANDS = {
    "hands on hips": ("hold", "hold"), "running": ("fist", "fist"), "telephoning": ("hold", "hang"),
    "looking at a telephone": ("hold", "hang"), "carrying": ("carry", "carry"), "arms crossed": ("flat", "flat"),
    "reaching": ("flat", "hang"),
}  # fmt: skip
"""What the right and the left hand do, where they do not just hang."""

SHARES = {
    "standing": 0.15, "hands on hips": 0.03, "walking": 0.35, "running": 0.04, "sitting": 0.08, "reaching": 0.04,
    "crouching": 0.02, "talking": 0.10, "telephoning": 0.04, "looking at a telephone": 0.05, "carrying": 0.05,
    "arms crossed": 0.02, "leaning forward": 0.03,
}  # fmt: skip
"""How often a pose is drawn; assumed, streets more than rooms."""

PACE_M_PER_S = {"walking": (1.3, 0.2), "running": (2.8, 0.4)}
"""Speed; walking within the comfortable 1.27 to 1.46 m/s of Bohannon, Age and Ageing 26 (1997), spread and running
assumed."""
SWING = 2 * math.pi * 0.9
"""Radians a second of a limb's swing: a stride of walking takes 1.1 s. Assumed for every pose."""
STRIDE_M = {"walking": 1.45, "running": 2.3}
"""Two steps. Assumed, as the angles of `gait`."""


@dataclass(frozen=True)
class Pose:
    """What somebody does.

    Attributes:
        name: of the library.
        angles: degrees.
        rates: degrees a second, how the angles move.
        hands: side → what the hand does (`bodies.hands`).
        pace_m_per_s: forward.
        phase: of the gait, 0 … 2π; 0 where nobody walks.
    """

    name: str
    angles: dict[str, float]
    rates: dict[str, float]
    hands: dict[str, str]
    pace_m_per_s: float = 0.0
    phase: float = 0.0

    def at(self, time_s: float) -> dict[str, float]:
        """Angles before or after, within the limits: `a + rate/ω·sin(ω·t)`, so that limbs swing about the pose."""
        swing_s = math.sin(SWING * time_s) / SWING
        return {name: _limited(name, value + swing_s * self.rates[name]) for name, value in self.angles.items()}

    def later(self, time_s: float) -> "Pose":
        """The pose so long after: limbs go on with their swing, those of who walks or runs with their gait."""
        angles, rates = self.at(time_s), {name: math.cos(SWING * time_s) * rate for name, rate in self.rates.items()}
        phase = 0.0
        if self.name in STRIDE_M:
            phase = self.phase + 2 * math.pi * self.pace_m_per_s / STRIDE_M[self.name] * time_s
            strides, gait_rates = _stride(self.name, phase, self.pace_m_per_s)
            angles |= {name: _limited(name, value) for name, value in strides.items()}
            rates |= gait_rates
        return replace(self, angles=angles, rates=rates, phase=phase)


def draw_pose(name: str, stream: np.random.Generator) -> Pose:
    """A variation of a pose of the library; one-sided poses are mirrored half the time, leaning included."""
    entry = REST | LIBRARY[name]
    mirrored = stream.random() >= 0.5
    drawn = {}
    for angle in ANGLES:
        side, _, base = angle.partition("_")
        if side in SIDES and mirrored:
            side = "left" if side == "right" else "right"
            mean, spread = entry.get(f"{side}_{base}", entry[base])
        else:
            mean, spread = entry.get(angle) or entry[base if side in SIDES and base in PAIRED else angle]
            mean = -mean if mirrored and angle in SIDEWAYS else mean
        drawn[angle] = float(mean + spread * np.clip(stream.normal(), -2.2, 2.2))
    rates = {angle: float(stream.normal(0, 12)) for angle in ANGLES}
    pace = phase = 0.0
    if name in PACE_M_PER_S:
        mean, spread = PACE_M_PER_S[name]
        pace = float(max(stream.normal(mean, spread), 0.6))
        phase = float(stream.uniform(0, 2 * np.pi))
        strides, gait_rates = _stride(name, phase, pace)
        drawn, rates = drawn | strides, rates | gait_rates
    if name == "standing" and stream.random() < 0.5:  # weight on one leg
        free = "right" if stream.random() < 0.5 else "left"
        over = 3.0 if free == "right" else -3.0  # the trunk leans over the leg that stands
        drawn |= {f"{free}_hip_flex": 12.0, f"{free}_knee": 22.0, "spine_side": over}
    limited = {angle: _limited(angle, value) for angle, value in drawn.items()}
    one, other = HANDS.get(name, ("hang", "hang"))
    if name == "reaching" and stream.random() < 0.4:
        one = "point"
    hands = {"left": one, "right": other} if mirrored else {"left": other, "right": one}
    return Pose(name, limited, rates, hands, pace, phase)


def _stride(name: str, phase: float, pace_m_per_s: float) -> tuple[dict[str, float], dict[str, float]]:
    """Angles of the gait, and how fast they move."""
    before, after = gait(name, phase), gait(name, phase + 2 * np.pi * pace_m_per_s / STRIDE_M[name] * 1e-3)
    return before, {angle: (value - before[angle]) / 1e-3 for angle, value in after.items()}


def gait(name: str, phase: float) -> dict[str, float]:
    """Legs and arms of a stride at a phase, 0 … 2π: hips swing as a sine, the knee bends while its leg comes
    forward, arms swing against the legs.
    """
    running = name == "running"
    swing, middle, lift, arm = (42, 12, 85, 34) if running else (24, 5, 48, 20)
    angles = {}
    for side, sign in SIDES.items():
        own = phase + (0 if sign > 0 else np.pi)
        forward = np.sin(own)
        bending = max(0.0, np.cos(own - 0.35)) ** 1.5
        angles[f"{side}_hip_flex"] = middle + swing * forward + 10 * bending
        angles[f"{side}_knee"] = 6 + lift * bending + (12 if running else 0)
        behind = max(0.0, -forward)
        angles[f"{side}_heel"] = (30 * behind**2 if not running else 45 * behind) - 12 * max(0.0, forward) ** 4
        angles[f"{side}_shoulder_flex"] = -arm * forward + 2
    return {angle: float(value) for angle, value in angles.items()}


def _limited(angle: str, value: float) -> float:
    side, _, base = angle.partition("_")
    low, high = LIMITS[base if side in SIDES else angle]
    return float(min(max(value, low), high))
