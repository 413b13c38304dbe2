"""What stands on pavements and squares: bins, bollards, planters, signs, tables under parasols; marks on the road."""

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.places import furniture
from isp_sim.scenes.people.places.furniture import UP
from isp_sim.scenes.people.places.paints import StreetPaints
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.shapes import OPEN_END, OPEN_START, turn_y

THINGS = ("bin", "bollards", "planter", "sign", "parasol", "bench")


def put(world: World, paints: StreetPaints, x: float, z: float, facing: float, stream: np.random.Generator) -> None:
    """One thing, drawn, at a place that was free; it takes its place.

    Args:
        world: gets it.
        paints: materials.
        x: where.
        z: where.
        facing: degrees, where a bench looks.
        stream: random numbers.
    """
    add, at = world.add, np.array([x, 0, z])
    what = str(stream.choice(THINGS, p=(0.22, 0.18, 0.2, 0.18, 0.1, 0.12)))
    add.semantic = semantics.OBJECT
    wide = 0.5
    if what == "bin":
        add.cone(at + UP * 0.02, at + UP * 0.82, (0.21, 0.24), paints.metal, cut=OPEN_END | OPEN_START)
        add.ball(at + UP * 0.82, np.eye(3), (0.25, 0.07, 0.25), paints.kerb)
    elif what == "bollards":
        for n in (-1, 0, 1):
            foot = at + np.array([0, 0, 1.3 * n])
            add.cone(foot, foot + UP * 0.85, (0.06, 0.055), paints.metal)
            world.occupy(float(foot[0]), float(foot[2]), 0.2, 0.2)
        return
    elif what == "planter":
        add.box(at + UP * 0.25, np.eye(3), (0.42, 0.25, 0.42), paints.kerb)
        furniture.bush(add, at + UP * 0.35, 0.42, paints.leaves[int(stream.integers(3))], stream)
        wide = 1.0
    elif what == "sign":
        add.cone(at, at + UP * 2.3, (0.03, 0.03), paints.kerb)
        plate = at + UP * 2.25 + np.array([0, 0, -0.035])
        round_ = paints.signs[int(stream.integers(len(paints.signs)))]
        if stream.random() < 0.5:
            add.ball(plate, np.eye(3), (0.25, 0.25, 0.015), round_)
            add.ball(plate - np.array([0, 0, 0.012]), np.eye(3), (0.18, 0.18, 0.015), paints.white)
        else:
            add.box(plate, np.eye(3), (0.26, 0.26, 0.012), round_)
    elif what == "parasol":
        add.cone(at, at + UP * 2.3, (0.025, 0.025), paints.metal)
        cloth = paints.signs[int(stream.integers(len(paints.signs)))]
        add.cone(at + UP * 2.05, at + UP * 2.5, (1.15, 0.1), cloth, cut=OPEN_START)
        add.semantic = semantics.FURNITURE
        add.cone(at + UP * 0.72, at + UP * 0.74, (0.35, 0.35), paints.wood, np.array([1.0, 0, 0]), 1.0, OPEN_START)
        wide = 0.9
    else:
        furniture.bench(add, at, turn_y(facing), 0.45, paints.wood, paints.metal)
        wide = 1.7
    world.occupy(x, z, wide, wide)


def lane(world: World, paints: StreetPaints, middle: float, half: float, end: float, zebra: float) -> None:
    """Dashes along the middle of a road, and a zebra crossing at z = `zebra` if that is on it."""
    add = world.add
    add.semantic = semantics.GROUND
    for z in np.arange(3.0, min(end, 60.0), 6.0):
        if abs(z - zebra) > 4:
            add.box(np.array([middle, 0.002, z]), np.eye(3), (0.06, 0.004, 1.5), paints.marking)
    if 3 < zebra < end:
        for x in np.arange(-half + 0.4, half - 0.2, 1.0):
            add.box(np.array([middle + x, 0.002, zebra]), np.eye(3), (0.25, 0.004, 1.6), paints.marking)
