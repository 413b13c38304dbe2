"""A body in a dozen solids, as people are placed by: what of whom is hidden is tried far more often than drawn."""

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.figure.clothes import Outfit
from isp_sim.scenes.people.figure.skeleton import SIDES, Build, Figure
from isp_sim.scenes.people.shapes import OPEN_END, Builder, Shapes

LIMB = {"shoulder": 0.036, "elbow": 0.026, "wrist": 0.018, "thigh": 0.052, "knee": 0.035, "ankle": 0.023}
"""Radii at the joints, clothes included, over stature. Assumed, set by eye on rendered figures, as the others below."""

SKIRTS = ("skirt", "pencil skirt")


def outline(build: Build, figure: Figure, outfit: Outfit) -> Shapes:
    """The solids of one person, in their own frame; their material means nothing."""
    add = Builder(semantics.PERSON)
    s, j, f, g = build.stature_m, figure.joints, figure.frames, build.girth
    wide = 0.088 * g * s
    add.cone(j["pelvis"] - f["pelvis"][:, 1] * 0.02 * s, j["waist"], (0.092 * g * s, wide), 0, f["pelvis"][:, 0], 0.74)
    add.cone(j["waist"], j["neck"] - f["chest"][:, 1] * 0.06 * s, (wide, wide), 0, f["chest"][:, 0], 0.70)
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
        up = f[f"{side}_foot"][:, 1] * 0.025 * s
        add.cone(j[f"{side}_heel"] + up, j[f"{side}_toe"] + up, (0.025 * s, 0.022 * s), 0)
    for worn in (worn for worn in outfit.worn if worn.piece in SKIRTS):
        knees = (j["left_knee"] + j["right_knee"]) / 2
        hem = j["pelvis"] + (knees - j["pelvis"]) * min(worn.reach, 1.15)
        apart = float(np.linalg.norm(j["left_knee"] - j["right_knee"])) / 2
        add.cone(j["waist"], hem, (wide, apart + LIMB["knee"] * s * g), 0, f["pelvis"][:, 0], 0.80, OPEN_END)
    return add.shapes()
