"""A head: skull, jaw, nose, ears, hair, hat and mask. The face itself is a pattern (`textures.face`)."""

import numpy as np

from isp_sim.scenes.people.clothes import Outfit
from isp_sim.scenes.people.shapes import OPEN_START, Builder, Matrix, Vector, turn_x
from isp_sim.scenes.people.skeleton import SIDES, Build, Figure


def add_head(add: Builder, build: Build, figure: Figure, outfit: Outfit) -> None:
    """Everything above the neck. `unit` is the length neck … crown; the head is 0.80 of it high."""
    unit, turn = build.lengths["head"], figure.frames["head"]
    crown = figure.joints["head"]
    skull = crown + turn @ np.array([0, -0.36, 0.02]) * unit
    radii = (0.282 * unit, 0.375 * unit, 0.345 * unit)
    add.ball(skull, turn, radii, outfit.face)
    jaw_top = crown + turn @ np.array([0, -0.52, 0.075]) * unit
    chin = crown + turn @ np.array([0, -0.745, 0.170]) * unit
    wide = 0.225 if build.kind == "man" else 0.205
    add.cone(jaw_top, chin, (wide * unit, 0.095 * unit), outfit.skin, turn[:, 0], 0.9)
    bridge = crown + turn @ np.array([0, -0.385, 0.340]) * unit
    tip = crown + turn @ np.array([0, -0.520, 0.400]) * unit
    add.cone(bridge, tip, (0.022 * unit, 0.042 * unit), outfit.skin)
    for sign in SIDES.values():
        ear = crown + turn @ np.array([sign * 0.280, -0.43, -0.01]) * unit
        add.ball(ear, turn, (0.028 * unit, 0.085 * unit, 0.052 * unit), outfit.skin)
    _hair(add, outfit, crown, turn, unit, figure)
    _hat(add, outfit, crown, turn, unit)
    if outfit.mask:
        at = crown + turn @ np.array([0, -0.585, 0.165]) * unit
        add.ball(at, turn, (0.215 * unit, 0.150 * unit, 0.240 * unit), outfit.extra)


def _hair(add: Builder, outfit: Outfit, crown: Vector, turn: Matrix, unit: float, figure: Figure) -> None:
    """A shell over the skull, open at the face (`textures.hairless`); long hair falls on the back."""
    if outfit.hair_style == "bald":
        return
    lift = 0.0 if outfit.hat in ("cap", "beanie") else 0.02
    at = crown + turn @ np.array([0, -0.345 + lift / 2, -0.005]) * unit
    add.ball(at, turn, ((0.302 + lift) * unit, (0.390 + lift) * unit, (0.365 + lift) * unit), outfit.hair)
    if outfit.hair_style == "long":
        chest = figure.frames["chest"]
        top = crown + turn @ np.array([0, -0.36, -0.10]) * unit
        end = figure.joints["neck"] + chest @ np.array([0, -0.22, -0.20]) * unit
        add.cone(top, end, (0.295 * unit, 0.21 * unit), outfit.hair, turn[:, 0], 0.72)
        for sign in SIDES.values():
            side = crown + turn @ np.array([sign * 0.235, -0.34, 0.02]) * unit
            fall = figure.joints["neck"] + chest @ np.array([sign * 0.235, -0.08, 0.02]) * unit
            add.cone(side, fall, (0.075 * unit, 0.06 * unit), outfit.hair)
    if outfit.hair_style == "bun" and not outfit.hat:
        knot = crown + turn @ np.array([0, -0.17, -0.36]) * unit
        add.ball(knot, turn, (0.13 * unit, 0.13 * unit, 0.11 * unit), outfit.hair)


def _hat(add: Builder, outfit: Outfit, crown: Vector, turn: Matrix, unit: float) -> None:
    if not outfit.hat:
        return
    low = crown + turn @ np.array([0, -0.235, 0.0]) * unit
    high = crown + turn @ np.array([0, -0.190, -0.01]) * unit
    tilt = turn @ turn_x(-8)
    if outfit.hat == "beanie":
        add.ball(high, turn, (0.325 * unit, 0.290 * unit, 0.385 * unit), outfit.extra)
        return
    add.cone(low, high, (0.325 * unit, 0.295 * unit), outfit.extra, turn[:, 0], 1.14, OPEN_START)
    if outfit.hat == "cap":
        peak = crown + tilt @ np.array([0, -0.225, 0.36]) * unit
        add.ball(peak, tilt, (0.23 * unit, 0.022 * unit, 0.23 * unit), outfit.extra)
    else:
        brim = crown + turn @ np.array([0, -0.235, 0.0]) * unit
        add.ball(brim, turn, (0.52 * unit, 0.03 * unit, 0.56 * unit), outfit.extra)
