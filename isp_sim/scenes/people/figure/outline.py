"""A body in two dozen solids, as people are placed by: what of whom is hidden is tried far more often than drawn."""

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.figure.clothes import Outfit
from isp_sim.scenes.people.figure.poses import Pose
from isp_sim.scenes.people.figure.skeleton import SIDES, Build, Figure
from isp_sim.scenes.people.shapes import OPEN_END, Builder, Shapes

LIMB = {"shoulder": 0.036, "elbow": 0.026, "wrist": 0.018, "thigh": 0.052, "knee": 0.035, "ankle": 0.023}
"""Radii at the joints, clothes included, over stature. Assumed, set by eye on rendered figures, as the others below."""

TRUNK = {"jacket": (0.135, 0.122), "suit jacket": (0.120, 0.114)}
"""Half its width at hips and waist over stature and girth, in what is not `PLAIN`; means of 100 meshes."""
PLAIN, DEEP = (0.118, 0.107), 0.80  # the same in a shirt or sweater; half its depth over that
SKIRTS = ("skirt", "pencil skirt")


def outline(build: Build, figure: Figure, outfit: Outfit, pose: Pose) -> Shapes:
    """The solids of one person, in their own frame; their material means nothing."""
    add = Builder(semantics.PERSON)
    s, j, f, g = build.stature_m, figure.joints, figure.frames, build.girth
    low, wide = (half * g * s for half in next((TRUNK[w.piece] for w in outfit.worn if w.piece in TRUNK), PLAIN))
    add.cone(j["pelvis"] - f["pelvis"][:, 1] * 0.02 * s, j["waist"], (low, wide), 0, f["pelvis"][:, 0], DEEP)
    add.cone(j["waist"], j["neck"] - f["chest"][:, 1] * 0.10 * s, (wide, wide), 0, f["chest"][:, 0], DEEP)
    add.cone(j["left_shoulder"], j["right_shoulder"], (LIMB["shoulder"] * s,) * 2, 0)
    skull = build.lengths["head"]
    middle = j["head"] + f["head"] @ np.array([0, -0.45, 0.05]) * skull
    add.ball(middle, f["head"], (0.30 * skull, 0.46 * skull, 0.37 * skull), 0)
    add.cone(j["neck"], middle, (0.036 * s,) * 2, 0)
    for side in SIDES:
        for ends in (("shoulder", "elbow"), ("elbow", "wrist"), ("knee", "ankle")):
            start, end = (j[f"{side}_{name}"] for name in ends)
            add.cone(start, end, (LIMB[ends[0]] * s * g**0.7, LIMB[ends[1]] * s * g**0.7), 0)
        add.cone(j[f"{side}_wrist"], j[f"{side}_hand"], (LIMB["wrist"] * s, 0.020 * s), 0)
        add.cone(j[f"{side}_hip"], j[f"{side}_knee"], (LIMB["thigh"] * s * g, LIMB["knee"] * s * g), 0)
        up = f[f"{side}_foot"][:, 1] * s
        add.cone(j[f"{side}_heel"] + up * 0.025, j[f"{side}_toe"] + up * 0.015, (0.025 * s, 0.015 * s), 0)
    for worn in (worn for worn in outfit.worn if worn.piece in SKIRTS):
        knees = (j["left_knee"] + j["right_knee"]) / 2
        hem = j["pelvis"] + (knees - j["pelvis"]) * min(worn.reach, 1.15)
        apart = float(np.linalg.norm(j["left_knee"] - j["right_knee"])) / 2
        add.cone(j["waist"], hem, (wide, apart + LIMB["knee"] * s * g), 0, f["pelvis"][:, 0], 0.80, OPEN_END)
    _carried(add, build, figure, outfit, pose)
    return add.shapes()


def _carried(add: Builder, build: Build, figure: Figure, outfit: Outfit, pose: Pose) -> None:
    """A rucksack, a box between the hands, a bag that hangs (`bodies.carried`)."""
    s, j, f = build.stature_m, figure.joints, figure.frames
    if outfit.bag == "backpack":
        behind = j["chest"] - f["chest"] @ np.array([0, 0.01, 0.11]) * s
        add.box(behind, f["chest"], (0.083 * s, 0.125 * s, 0.045 * s), 0)
    if pose.name == "carrying":
        left, right = j["left_hand"], j["right_hand"]
        half = max(float(np.linalg.norm(left - right)) / 2 - 0.02 * s, 0.05 * s)
        add.box((left + right) / 2, f["chest"], (half, 0.075 * s, 0.085 * s), 0)
    elif outfit.bag == "tote" and pose.hands["right"] == "hang":
        add.box(j["right_hand"] - (0, 0.135 * s, 0), f["pelvis"], (0.025 * s, 0.08 * s, 0.09 * s), 0)
