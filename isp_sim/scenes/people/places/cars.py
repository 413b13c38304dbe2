"""Cars as solids: one construction, five models. Sizes in metres, chosen by eye on common cars."""

from dataclasses import dataclass

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.places.furniture import UP
from isp_sim.scenes.people.shapes import Builder, Matrix, Vector

Plane = tuple[float, float, float, float]


@dataclass(frozen=True)
class Model:
    """Measures of a car; z runs from the tail (−) to the nose.

    Attributes:
        half: half the length.
        belt: height of the windows' lower edge.
        roof: height.
        screen, back: where the windscreen and the rear window stand on the belt.
        rake, fall: how far the roof starts behind the one, ends before the other.
        wheel: radius.
        wide: half the width.
    """

    half: float
    belt: float
    roof: float
    screen: float
    back: float
    rake: float
    fall: float
    wheel: float = 0.32
    wide: float = 0.88


MODELS = {
    "saloon": Model(2.25, 0.92, 1.44, 0.95, -1.55, 0.75, 0.65),
    "hatchback": Model(1.95, 0.94, 1.48, 0.95, -1.85, 0.70, 0.35, wheel=0.30, wide=0.85),
    "estate": Model(2.30, 0.93, 1.48, 0.95, -2.15, 0.75, 0.30),
    "off-roader": Model(2.25, 1.08, 1.72, 0.95, -2.10, 0.55, 0.25, wheel=0.37, wide=0.93),
    "van": Model(2.45, 1.20, 2.05, 1.75, -2.40, 0.60, 0.06, wheel=0.34, wide=0.97),
}
SHARES = (0.27, 0.33, 0.14, 0.16, 0.10)


@dataclass(frozen=True)
class CarPaints:
    """Materials of a car: body, windows, tyres and rubber, hubs and head lamps, tail lamps, number plates."""

    body: int
    glass: int
    tyre: int
    chrome: int
    tail: int
    plate: int


def car(add: Builder, at: Vector, turn: Matrix, model: Model, paints: CarPaints) -> None:
    """A car with its nose at +z: a body and a cabin with sloping ends, wheels in dark arches, bumpers, lamps in front
    and behind. Left and right of it are alike.
    """
    add.semantic = semantics.VEHICLE
    _body(add, at, turn, model, paints)
    _cabin(add, at, turn, model, paints)
    for x in (-1, 1):
        for z in (-0.62 * model.half, 0.64 * model.half):
            hub = at + turn @ np.array([x * (model.wide - 0.07), model.wheel, z])
            arch = model.wheel + 0.055
            add.ball(hub + UP * 0.02, turn, (0.080, arch, arch), paints.tyre)
            add.ball(hub, turn, (0.105, model.wheel, model.wheel), paints.tyre)
            add.ball(hub + turn[:, 0] * x * 0.085, turn, (0.03, 0.5 * model.wheel, 0.5 * model.wheel), paints.chrome)
        lamp = turn @ np.array([x * (model.wide - 0.24), model.belt - 0.24, model.half - 0.07])
        add.ball(at + lamp, turn, (0.16, 0.075, 0.09), paints.chrome)
        rear = turn @ np.array([x * (model.wide - 0.17), model.belt - 0.20, -model.half + 0.01])
        add.box(at + rear, turn, (0.10, 0.09, 0.035), paints.tail)


def _body(add: Builder, at: Vector, turn: Matrix, model: Model, paints: CarPaints) -> None:
    """From the sills to the belt; its upper edges and ends lean inwards."""
    low = model.wheel * 0.62
    middle, high = (model.belt + low) / 2, (model.belt - low) / 2
    slopes: list[Plane] = [
        (0, 0.90, 0.44, 1.22), (0, 0.88, -0.48, 1.24), (0.93, 0.36, 0, 1.15), (-0.93, 0.36, 0, 1.15),
        (0, -0.80, 0.60, 1.16), (0, -0.80, -0.60, 1.16), (0.96, 0, 0.28, 1.14), (-0.96, 0, 0.28, 1.14),
    ]  # fmt: skip
    add.hull(at + UP * middle, turn, (model.wide, high, model.half), slopes, paints.body)
    add.box(at + UP * (low + 0.02), turn, (model.wide - 0.10, 0.05, model.half - 0.12), paints.tyre)
    grille = at + turn @ np.array([0, low + 0.19, model.half - 0.012])
    add.box(grille, turn, (0.45 * model.wide, 0.07, 0.02), paints.tyre)
    for z in (model.half + 0.005, -model.half - 0.005):
        add.box(at + turn @ np.array([0, low + 0.27, z]), turn, (0.25, 0.055, 0.015), paints.plate)
    for x in (-1, 1):
        door = at + turn @ np.array([x * (model.wide + 0.003), middle + 0.3 * high, 0.12 * model.half])
        add.box(door, turn, (0.006, 0.014, 0.09), paints.chrome)


def _cabin(add: Builder, at: Vector, turn: Matrix, model: Model, paints: CarPaints) -> None:
    """Windows all round between body-coloured pillars, a roof on them."""
    middle, half = (model.screen + model.back) / 2, (model.screen - model.back) / 2
    rise = model.roof - model.belt
    high = rise / 2 + 0.02
    planes = [_lean(2 * high, model.rake, half, 1), _lean(2 * high, model.fall, half, -1), *_sides(2 * high, 0.17)]
    centre = at + turn @ np.array([0, model.belt + high - 0.04, middle])
    add.hull(centre, turn, (model.wide - 0.06, high, half), planes, paints.glass)
    front, back = model.screen - model.rake, model.back + model.fall
    roof = at + turn @ np.array([0, model.roof - 0.01, (front + back) / 2])
    add.hull(roof, turn, (model.wide - 0.20, 0.035, (front - back) / 2), [(0, 0.7, 0.7, 1.2)], paints.body)
    posts = ((model.screen - 0.04, front), (0.1 * model.half, 0.08 * model.half), (model.back + 0.06, back))
    for x in (-1, 1):
        for foot_z, head_z in posts:
            foot = at + turn @ np.array([x * (model.wide - 0.09), model.belt - 0.05, foot_z])
            head = at + turn @ np.array([x * (model.wide - 0.25), model.roof - 0.02, head_z])
            add.cone(foot, head, (0.040, 0.034), paints.body)
        mirror = at + turn @ np.array([x * (model.wide + 0.06), model.belt + 0.05, model.screen - 0.30])
        add.ball(mirror, turn, (0.09, 0.06, 0.05), paints.body)


def _lean(high: float, run: float, half: float, sign: int) -> Plane:
    """The plane of a window that leans `run` inwards over the cabin's height, through the cabin's foot."""
    up, out = 2 * run / (2 * half), 2.0
    length = float(np.hypot(up, out))
    return (0, up / length, sign * out / length, (out - up) / length)


def _sides(high: float, tuck: float) -> list[Plane]:
    """Both sides lean inwards by `tuck` of the half width."""
    length = float(np.hypot(tuck, 2.0))
    return [(sign * 2.0 / length, tuck / length, 0, (2.0 - tuck) / length) for sign in (1, -1)]
