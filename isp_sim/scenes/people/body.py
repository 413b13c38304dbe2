"""A figure dressed: skeleton and outfit → solids. Lengths below are shares of stature unless they say m."""

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.clothes import Outfit
from isp_sim.scenes.people.head import add_head
from isp_sim.scenes.people.shapes import OPEN_END, Builder, Matrix, Shapes, Vector, turn_x, turn_y
from isp_sim.scenes.people.skeleton import SIDES, Build, Figure

LIMB = {
    "shoulder": 0.0330, "elbow": 0.0240, "wrist": 0.0165, "thigh": 0.0500, "knee": 0.0330, "ankle": 0.0215,
    "neck": 0.0320,
}  # fmt: skip
"""Radii at the joints, over stature. Assumed, set by eye on rendered figures, as every other measure below."""

JOINT_RADIUS = {
    "shoulder": 0.060, "elbow": 0.046, "wrist": 0.036, "hip": 0.105, "knee": 0.056, "ankle": 0.052, "head": 0.065,
    "neck": 0.072,
}  # fmt: skip
"""How deep a joint may lie under its own surface, cloth included; a surface nearer than that hides it. Over stature;
read off rendered figures."""


def dress(build: Build, figure: Figure, outfit: Outfit, pose: str) -> Shapes:
    """The solids of one person, in their own frame."""
    add = Builder(semantics.PERSON)
    _trunk(add, build, figure, outfit)
    add_head(add, build, figure, outfit)
    for side, sign in SIDES.items():
        _arm(add, build, figure, outfit, side, sign)
        _leg(add, build, figure, outfit, side)
    if outfit.skirt:
        _hanging(add, build, figure, outfit)
    _bag(add, build, figure, outfit)
    if pose == "carrying":
        _load(add, build, figure, outfit)
    return add.shapes()


def joint_radii(build: Build, names: tuple[str, ...]) -> np.ndarray:
    """`JOINT_RADIUS` of the named joints, m."""
    thick = build.stature_m * max(build.girth, 1.0)
    return np.array([JOINT_RADIUS[name.split("_")[-1]] * thick for name in names])


def _trunk(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    """Pelvis, waist and chest as flattened round cones; shoulders, neck, and what tells women and bellies."""
    s, j, f = build.stature_m, figure.joints, figure.frames
    g = build.girth
    woman, child = build.kind == "woman", build.kind == "child"
    hips, waist, ribs = (0.099, 0.075, 0.084) if woman else (0.090, 0.082, 0.092)
    if child:
        hips, waist, ribs = 0.085, 0.082, 0.086
    loose = outfit.loose
    pelvis, middle, chest = f["pelvis"], f["middle"], f["chest"]
    top, bottom = outfit.top, outfit.bottom
    trunk = build.lengths["hip_to_neck"]
    low = j["pelvis"] - pelvis[:, 1] * 0.012 * s
    high = j["waist"] + pelvis[:, 1] * 0.02 * s
    add.cone(low, high, (hips * g * s * 1.0, waist * g * s * 1.02), bottom, pelvis[:, 0], 0.74)
    for sign in SIDES.values():  # buttocks
        at = j["pelvis"] + pelvis @ np.array([sign * 0.042 * s, -0.022 * s, -0.030 * s * g])
        add.ball(at, pelvis, (0.052 * g * s, 0.056 * g * s, 0.050 * g * s), bottom)
    belly = j["waist"] - middle[:, 1] * 0.055 * s
    breast = j["chest"] + chest[:, 1] * 0.10 * trunk
    add.cone(belly, breast, (waist * g * s * loose * 1.05, ribs * g * s * loose), top, chest[:, 0], 0.70)
    collar = j["neck"] - chest[:, 1] * 0.062 * s
    add.cone(breast, collar, (ribs * g * s * loose, 0.078 * g * s * loose), top, chest[:, 0], 0.66)
    if outfit.top != outfit.bottom:  # the top hangs over the waistband
        hem = j["pelvis"] + pelvis[:, 1] * 0.028 * s
        add.cone(
            j["waist"] + pelvis[:, 1] * 0.01 * s, hem, (waist * g * s * loose * 1.06, hips * g * s * loose * 0.98),
            top, pelvis[:, 0], 0.75, OPEN_END,
        )  # fmt: skip
    _shoulders(add, build, figure, outfit)
    if woman:
        for sign in SIDES.values():
            at = breast + chest @ np.array([sign * 0.038 * s, 0.020 * s, 0.032 * g * s * loose])
            add.ball(at, chest, (0.038 * g * s, 0.046 * g * s, 0.030 * g * s), top)


def _shoulders(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    s, j, chest = build.stature_m, figure.joints, figure.frames["chest"]
    base = j["neck"] - chest[:, 1] * 0.020 * s
    for side in SIDES:
        shoulder = j[f"{side}_shoulder"]
        near = base + (shoulder - base) * 0.12
        radii = (0.040 * s, LIMB["shoulder"] * s * outfit.loose * build.girth**0.5)
        add.cone(near - chest[:, 1] * 0.012 * s, shoulder, radii, outfit.top)
        blade = base + (shoulder - base) * 0.55 - chest[:, 1] * 0.075 * s
        add.ball(blade, chest, (0.047 * s, 0.072 * s, 0.055 * s * build.girth * outfit.loose), outfit.top)
    nape = j["neck"] - chest[:, 1] * 0.025 * s
    into = j["neck"] + figure.frames["head"] @ np.array([0, 0.050, 0.008]) * s
    thick = LIMB["neck"] * s * (0.90 if build.kind != "man" else 1.04) * build.girth**0.5
    add.cone(nape, into, (thick * 1.12, thick), outfit.skin)
    if outfit.sleeve == 2.0:
        add.cone(nape - chest[:, 1] * 0.004 * s, j["neck"] + chest[:, 1] * 0.004 * s, (thick * 1.32,) * 2, outfit.top)


def _arm(add: Builder, build: Build, figure: Figure, outfit: Outfit, side: str, sign: float) -> None:
    s, j, f = build.stature_m, figure.joints, figure.frames
    g = build.girth**0.7 * (0.92 if build.kind == "woman" else 1.0)
    shoulder, elbow, wrist = (j[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    r_shoulder, r_elbow, r_wrist = (LIMB[name] * s * g for name in ("shoulder", "elbow", "wrist"))
    cloth = outfit.loose
    _covered(add, (shoulder, elbow), (r_shoulder, r_elbow), outfit.sleeve, cloth * 1.04, outfit.top, outfit.skin)
    middle = elbow + (wrist - elbow) * 0.25
    _covered(add, (elbow, wrist), (r_elbow * 1.02, r_wrist), outfit.sleeve - 1, cloth * 1.06, outfit.top, outfit.skin)
    if outfit.sleeve < 1.5:
        add.ball(middle, f[f"{side}_forearm"], (r_elbow * 1.04, 0.05 * s, r_elbow * 1.04), outfit.skin)
    _hand(add, build, wrist, f[f"{side}_forearm"], outfit.skin, sign)


def _hand(add: Builder, build: Build, wrist: Vector, fore: Matrix, skin: int, sign: float) -> None:
    """Palm, a block of slightly bent fingers, a thumb; the palm looks at the body."""
    length = build.lengths["hand"]
    turn = fore @ turn_y(-sign * 70)
    palm = wrist - turn[:, 1] * 0.42 * length
    add.cone(wrist, wrist - turn[:, 1] * 0.25 * length, (0.16 * length, 0.17 * length), skin, turn[:, 0], 0.8)
    add.ball(palm, turn, (0.22 * length, 0.30 * length, 0.13 * length), skin)
    bent = turn @ turn_x(-22)
    knuckle = wrist - turn[:, 1] * 0.58 * length
    add.cone(knuckle, knuckle - bent[:, 1] * 0.34 * length, (0.17 * length, 0.12 * length), skin, bent[:, 0], 0.5)
    root = palm + turn @ np.array([sign * 0.15, 0.08, 0.04]) * length
    tip = palm + turn @ np.array([sign * 0.30, -0.25, 0.14]) * length
    add.cone(root, tip, (0.075 * length, 0.055 * length), skin)


def _leg(add: Builder, build: Build, figure: Figure, outfit: Outfit, side: str) -> None:
    s, j, f = build.stature_m, figure.joints, figure.frames
    g = build.girth * (1.04 if build.kind == "woman" else 1.0)
    hip, knee, ankle = (j[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
    r_thigh, r_knee, r_ankle = (LIMB[name] * s * g for name in ("thigh", "knee", "ankle"))
    shin = f[f"{side}_shin"]
    cloth = 0.5 + 0.5 * outfit.loose
    _covered(add, (hip, knee), (r_thigh, r_knee), outfit.legs, cloth * 1.06, outfit.bottom, outfit.skin)
    covered = outfit.legs > 1.2
    wide = outfit.loose * 1.32 if covered else 1.0
    _covered(add, (knee, ankle), (r_knee, r_ankle), outfit.legs - 1, 1.04, outfit.bottom, outfit.skin, wide)
    calf = knee + (ankle - knee) * 0.28 - shin[:, 2] * 0.010 * s
    material = outfit.bottom if covered else outfit.skin
    add.ball(calf, shin, (0.031 * s * g, 0.075 * s, 0.034 * s * g), material)
    _foot(add, build, figure, outfit, side)


def _foot(add: Builder, build: Build, figure: Figure, outfit: Outfit, side: str) -> None:
    """A shoe: heel and ball on the sole's plane, an instep up to the ankle."""
    s, j, foot = build.stature_m, figure.joints, figure.frames[f"{side}_foot"]
    length = build.lengths["foot"]
    heel, toe, ankle = j[f"{side}_heel"], j[f"{side}_toe"], j[f"{side}_ankle"]
    up, ahead, across = foot[:, 1], foot[:, 2], foot[:, 0]
    r_heel, r_toe = 0.025 * s, 0.027 * s
    back = heel + up * r_heel * 0.80 + ahead * 0.12 * length
    front = toe + up * r_toe * 0.62 - ahead * 0.17 * length
    add.cone(back, front, (r_heel, r_toe), outfit.shoes, across, 0.62)
    add.cone(back + up * 0.008 * s, ankle, (r_heel * 0.98, LIMB["ankle"] * s * 1.12), outfit.shoes)
    instep = back + (front - back) * 0.62 + up * 0.006 * s
    add.cone(ankle + ahead * 0.006 * s, instep, (0.021 * s, 0.020 * s), outfit.shoes)


def _covered(
    add: Builder,
    ends: tuple[Vector, Vector],
    radii: tuple[float, float],
    share: float,
    loose: float,
    cloth: int,
    skin: int,
    flare: float = 1.0,
) -> None:
    """A limb's segment, its first `share` in cloth (all of it from 1, none from 0), the rest bare."""
    (start, end), (first, last) = ends, radii
    if share < 1:
        add.cone(start, end, (first, last), skin)
    if share > 0:
        share = min(share, 1.0)
        edge = start + (end - start) * share
        wide = first + (last - first) * share
        hem = wide * loose * (1.10 if share < 1 else 1.0) * flare
        add.cone(start, edge, (first * loose, hem), cloth, cut=OPEN_END if share < 1 or flare > 1 else 0)


def _hanging(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    """A skirt, or the lower part of a coat: from the waist to between the legs, wide enough for both."""
    s, g, j = build.stature_m, build.girth, figure.joints
    pelvis = figure.frames["pelvis"]
    knees = (j["left_knee"] + j["right_knee"]) / 2
    hem = j["pelvis"] + (knees - j["pelvis"]) * min(0.35 + outfit.skirt, 1.15)
    apart = float(np.linalg.norm(j["left_knee"] - j["right_knee"])) / 2
    radius = max(0.100 * g * s * outfit.loose, apart * min(outfit.skirt + 0.4, 1) + LIMB["knee"] * s * g * 1.25)
    material = outfit.top if outfit.coat else outfit.bottom
    start = j["waist"] - pelvis[:, 1] * 0.01 * s
    wide = 0.088 * g * s * outfit.loose
    add.cone(start, hem, (wide, radius), material, pelvis[:, 0], 0.80, OPEN_END)


def _bag(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    s, j, chest = build.stature_m, figure.joints, figure.frames["chest"]
    g = build.girth * outfit.loose
    if outfit.bag == "backpack":
        at = j["chest"] + chest @ np.array([0, 0.0, -0.115 * g]) * s
        add.ball(at, chest, (0.085 * s, 0.125 * s, 0.062 * s), outfit.extra)
        for side in SIDES:
            over = j[f"{side}_shoulder"] * 0.55 + j["neck"] * 0.45 + chest @ np.array([0, 0.022, 0.028]) * s
            front = j["chest"] + (j[f"{side}_shoulder"] - j["neck"]) * 0.62 + chest @ np.array([0, 0.02, 0.083 * g]) * s
            add.cone(over, front, (0.013 * s, 0.011 * s), outfit.extra)
    elif outfit.bag == "shoulder":  # at the right hip, its strap over the left shoulder
        hip = j["pelvis"] + figure.frames["pelvis"] @ np.array([0.118 * g, 0.01, 0.0]) * s
        add.box(hip, figure.frames["pelvis"], (0.024 * s, 0.055 * s, 0.075 * s), outfit.extra)
        over = j["left_shoulder"] * 0.6 + j["neck"] * 0.4 + chest[:, 2] * 0.03 * s
        front = j["chest"] + chest @ np.array([0.0, -0.01, 0.070 * g]) * s
        add.cone(over, front, (0.010 * s, 0.010 * s), outfit.extra)
        add.cone(front, hip + figure.frames["pelvis"][:, 1] * 0.05 * s, (0.010 * s, 0.010 * s), outfit.extra)
    elif outfit.bag == "tote":
        at = j["right_hand"] - np.array([0, 0.115 * s, 0])
        add.cone(j["right_hand"], at + np.array([0, 0.05 * s, 0]), (0.006 * s, 0.006 * s), outfit.extra)
        heading = figure.frames["pelvis"]
        upright = np.column_stack((heading[:, 0], np.array([0, 1.0, 0]), np.cross(heading[:, 0], [0, 1.0, 0])))
        add.box(at, upright, (0.022 * s, 0.075 * s, 0.085 * s), outfit.extra)


def _load(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    """A box carried before the belly."""
    s, j = build.stature_m, figure.joints
    at = (j["left_hand"] + j["right_hand"]) / 2 + np.array([0, 0.02 * s, 0.01 * s])
    across = max(abs(float(j["left_hand"][0] - j["right_hand"][0])) / 2 - 0.02 * s, 0.06 * s)
    add.box(at, np.eye(3), (across, 0.075 * s, 0.085 * s), outfit.extra)
