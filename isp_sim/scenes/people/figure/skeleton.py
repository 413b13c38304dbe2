"""The skeleton: bone lengths and their spread, joint limits, and where joints are for given angles.

A person stands at the origin of their own frame, y up, facing +z, their right at +x (the frame is left-handed, see the
package's docstring). Angles are degrees, 0 is standing with hanging arms; positive flexion lifts a limb forward,
positive abduction away from the middle, positive twist of a limb turns its front to the middle. Trunk and neck: `_flex`
bends forward, `_side` to the person's left, `_twist` and `_turn` to the person's right.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people.shapes import Matrix, Vector, turn_x, turn_y, turn_z

SIDES = {"right": 1.0, "left": -1.0}
"""Sign of x on each side of a body that faces +z. Angles and solids are drawn in this order."""

SEGMENTS = {
    "upper_arm": 0.162, "forearm": 0.1545, "hand": 0.108, "thigh": 0.245, "shin": 0.246, "foot": 0.152,
    "ankle_height": 0.039, "shoulder_half": 0.103, "hip_half": 0.057, "hip_to_neck": 0.315, "shoulder_drop": 0.040,
    "head": 0.155,
}  # fmt: skip
"""Lengths over stature. Hand, leg and foot: Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control of
Human Movement (2009), fig. 4.1. `upper_arm` and `forearm`, between the joints' centres: 281.7 mm and 268.9 mm of
1741 mm, de Leva, J. Biomech. 29 (1996), table 4, men. The rest is assumed: `hip_half` and `shoulder_half` (to the
joints' centres), the trunk, and `head`, which is from the neck joint, where ExLPose's annotators put it (an eighth of
the box below the crown), to the crown. `UPRIGHT` makes up the stature."""
UPRIGHT = ("ankle_height", "shin", "thigh", "hip_to_neck", "head")

STATURE_M = {"man": (1.74, 0.07), "woman": (1.61, 0.065), "child": (1.25, 0.14)}
"""Mean and standard deviation. Assumed."""
KINDS = (("man", 0.42), ("woman", 0.42), ("child", 0.16))
"""Kinds and their shares. Assumed."""
GIRTH_LOG_SD = 0.11
"""Spread of the thickness of bodies, ln. Assumed."""
ADULT_YEARS = (16.0, 30.0, 88.0)
"""Ages of men and women, a triangular distribution. Assumed."""
GROWTH = (0.77, 0.061)
"""A child's stature, m: at birth by extrapolation, and a year; WHO's medians from 3 to 10 years within 2 cm."""
ANCESTRIES = ("african", "asian", "caucasian")

LIMITS = {
    "pelvis_tilt": (-20, 60), "spine_flex": (-25, 75), "spine_side": (-30, 30), "spine_twist": (-40, 40),
    "neck_flex": (-45, 45), "neck_turn": (-65, 65), "neck_side": (-30, 30),
    "shoulder_flex": (-50, 175), "shoulder_abduct": (-25, 150), "shoulder_twist": (-60, 90), "elbow": (0, 145),
    "hip_flex": (-25, 125), "hip_abduct": (-15, 45), "knee": (0, 145), "heel": (-15, 60), "toe_out": (-5, 25),
}  # fmt: skip
"""Degrees, low and high. Assumed: inside the usual clinical ranges of motion, trunk and neck by eye."""
GIRDLE = 0.25
"""How far the shoulder girdle turns up for each degree the arm is raised above 30: about half of the scapula's third
(Inman, J. Bone Joint Surg. 26 (1944)), for it turns about a point nearer to the joint. Assumed."""
PAIRED = (
    "shoulder_flex",
    "shoulder_abduct",
    "shoulder_twist",
    "elbow",
    "hip_flex",
    "hip_abduct",
    "knee",
    "heel",
    "toe_out",
)
SIDEWAYS = ("spine_side", "spine_twist", "neck_side", "neck_turn")
"""Angles of the middle whose sign is a side."""
ANGLES = tuple(name for base in LIMITS for name in ([f"{side}_{base}" for side in SIDES] if base in PAIRED else [base]))

BONES = (
    ("left_shoulder", "left_elbow", "upper_arm"), ("right_shoulder", "right_elbow", "upper_arm"),
    ("left_elbow", "left_wrist", "forearm"), ("right_elbow", "right_wrist", "forearm"),
    ("left_hip", "left_knee", "thigh"), ("right_hip", "right_knee", "thigh"),
    ("left_knee", "left_ankle", "shin"), ("right_knee", "right_ankle", "shin"), ("neck", "head", "head"),
)  # fmt: skip
"""Which joints a segment joins: that far apart in every pose."""


@dataclass(frozen=True)
class Build:
    """How somebody is built.

    Attributes:
        kind: man, woman or child.
        sex: male or female.
        stature_m: crown to sole.
        girth: 1 is average.
        age_years, muscle: the latter 0 … 1.
        ancestry: shares of `ANCESTRIES`.
        lengths: of the segments, m; those of `UPRIGHT` add up to the stature.
    """

    kind: str
    sex: str
    stature_m: float
    girth: float
    age_years: float
    muscle: float
    ancestry: tuple[float, float, float]
    lengths: dict[str, float]


def draw_build(stream: np.random.Generator) -> Build:
    """A person's build; a child's head is larger and its legs shorter than an adult's in proportion (assumed)."""
    kind = str(stream.choice([name for name, _ in KINDS], p=[share for _, share in KINDS]))
    mean, spread = STATURE_M[kind]
    stature = float(np.clip(stream.normal(mean, spread), mean - 2.5 * spread, mean + 2.5 * spread))
    girth = float(np.exp(np.clip(stream.normal(0, GIRTH_LOG_SD), -0.25, 0.35)))
    lengths = {name: share * stature * float(np.exp(stream.normal(0, 0.02))) for name, share in SEGMENTS.items()}
    if kind == "child":
        young = (1.55 - min(stature, 1.55)) / 0.55
        lengths["head"] *= 1 + 0.28 * young
        for name in ("thigh", "shin"):
            lengths[name] *= 1 - 0.10 * young
        for name in ("shoulder_half", "hip_half"):
            lengths[name] *= 0.95
    elif kind == "woman":
        lengths["shoulder_half"] *= 0.93
        lengths["hip_half"] *= 1.05
    scale = stature / sum(lengths[name] for name in UPRIGHT)
    lengths |= {name: lengths[name] * scale for name in UPRIGHT}
    sex = {"man": "male", "woman": "female"}.get(kind) or str(stream.choice(["male", "female"]))
    years = (stature - GROWTH[0]) / GROWTH[1] if kind == "child" else float(stream.triangular(*ADULT_YEARS))
    muscle = float(np.clip(stream.normal(0.55 if sex == "male" else 0.45, 0.15), 0, 1))
    mix = stream.dirichlet((0.5, 0.5, 0.8)).tolist()
    return Build(kind, sex, stature, girth, years, muscle, (mix[0], mix[1], mix[2]), lengths)


@dataclass(frozen=True)
class Figure:
    """A skeleton in a pose.

    Attributes:
        joints: name → place, m: the 14 of `JOINTS`, and pelvis, chest, `*_toe`, `*_heel`, `*_hand`.
        frames: name → axes as columns (x right, y up along the bone's rest, z forward).
    """

    joints: dict[str, Vector]
    frames: dict[str, Matrix]


def pose_figure(build: Build, angles: dict[str, float]) -> Figure:
    """Forward kinematics, from the pelvis outwards; then the whole figure is set on the floor, y = 0.

    A child frame is the parent's times the joint's rotation: ball joints `Rx(−flexion)·Rz(±abduction)·Ry(∓twist)`,
    elbow `Rx(−elbow)`, knee `Rx(+knee)`. Feet keep the body's heading and have a pitch of their own.
    """
    size = build.lengths
    pelvis = turn_x(angles["pelvis_tilt"])
    spine = turn_y(angles["spine_twist"]) @ turn_z(angles["spine_side"]) @ turn_x(angles["spine_flex"])
    half = turn_y(angles["spine_twist"] / 2) @ turn_z(angles["spine_side"] / 2) @ turn_x(angles["spine_flex"] / 2)
    middle, chest = pelvis @ half, pelvis @ spine
    neck = turn_y(angles["neck_turn"]) @ turn_z(angles["neck_side"]) @ turn_x(angles["neck_flex"])
    head = chest @ neck
    joints: dict[str, Vector] = {"pelvis": np.zeros(3)}
    frames = {"pelvis": pelvis, "middle": middle, "chest": chest, "head": head}
    trunk = size["hip_to_neck"]
    joints["waist"] = pelvis @ np.array([0, 0.30 * trunk, 0])
    joints["chest"] = joints["waist"] + middle @ np.array([0, 0.35 * trunk, 0])
    joints["neck"] = joints["chest"] + chest @ np.array([0, 0.35 * trunk, 0])
    joints["head"] = joints["neck"] + head @ np.array([0, size["head"], 0])
    for side, sign in SIDES.items():
        _arm(size, angles, side, sign, joints, frames)
        _leg(size, angles, side, sign, joints, frames)
    floor = min(joints[f"{side}_{part}"][1] for side in SIDES for part in ("toe", "heel"))
    return Figure({name: place - np.array([0, floor, 0]) for name, place in joints.items()}, frames)


def _arm(
    size: dict[str, float],
    angles: dict[str, float],
    side: str,
    sign: float,
    joints: dict[str, Vector],
    frames: dict[str, Matrix],
) -> None:
    chest = frames["chest"]
    upper = (
        chest
        @ turn_x(-angles[f"{side}_shoulder_flex"])
        @ turn_z(sign * angles[f"{side}_shoulder_abduct"])
        @ turn_y(-sign * angles[f"{side}_shoulder_twist"])
    )
    raised = float(np.degrees(np.arccos(np.clip(upper[:, 1] @ chest[:, 1], -1, 1))))
    girdle = chest @ turn_z(sign * GIRDLE * max(raised - 30, 0))
    shoulder = joints["neck"] - chest[:, 1] * size["shoulder_drop"] + girdle[:, 0] * sign * size["shoulder_half"]
    fore = upper @ turn_x(-angles[f"{side}_elbow"])
    elbow = shoulder - upper[:, 1] * size["upper_arm"]
    wrist = elbow - fore[:, 1] * size["forearm"]
    joints |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
    joints[f"{side}_hand"] = wrist - fore[:, 1] * size["hand"] * 0.85
    frames |= {f"{side}_upper_arm": upper, f"{side}_forearm": fore}


def _leg(
    size: dict[str, float],
    angles: dict[str, float],
    side: str,
    sign: float,
    joints: dict[str, Vector],
    frames: dict[str, Matrix],
) -> None:
    pelvis = frames["pelvis"]
    hip = joints["pelvis"] + pelvis @ np.array([sign * size["hip_half"], 0, 0])
    thigh = (
        pelvis
        @ turn_x(-angles[f"{side}_hip_flex"])
        @ turn_z(sign * angles[f"{side}_hip_abduct"])
        @ turn_y(sign * angles[f"{side}_toe_out"])
    )
    shin = thigh @ turn_x(angles[f"{side}_knee"])
    knee = hip - thigh[:, 1] * size["thigh"]
    ankle = knee - shin[:, 1] * size["shin"]
    outward = sign * (angles[f"{side}_toe_out"] + 0.4 * angles[f"{side}_hip_abduct"])
    foot = turn_y(outward) @ turn_x(angles[f"{side}_heel"])
    joints |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
    down = -size["ankle_height"]
    joints[f"{side}_heel"] = ankle + foot @ np.array([0, down, -0.28 * size["foot"]])
    joints[f"{side}_toe"] = ankle + foot @ np.array([0, down, 0.72 * size["foot"]])
    frames |= {f"{side}_thigh": thigh, f"{side}_shin": shin, f"{side}_foot": foot}


def joint_array(figure: Figure, names: tuple[str, ...]) -> Float64[np.ndarray, "n 3"]:
    """The named joints' places, m."""
    return np.array([figure.joints[name] for name in names])
