"""After dark: street lamps, shop windows, cars, the moon, screens, corner lamps, as bright as they are designed to be.

A night scene is absolute: radiance 1 is a white wall under `World.white_lx`. Strengths of lights are candela over it,
radiances of what glows π·cd/m² over it.
"""

import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.materials import Materials, Rgb
from isp_sim.scenes.people.places import furniture
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.raycast import light as li
from isp_sim.scenes.people.shapes import Vector

PATH_LX = (15.0, 10.0, 7.5, 5.0, 3.0, 2.0)
"""Mean on roads for people on foot: classes P1 to P6 of EN 13201-2:2015, drawn evenly; in parks P4 to P6."""
MOON_LX, MOONLIT = (0.02, 0.25), 0.12
"""On the ground, from a thin to a full moon high in the sky (the greatest is 0.3 lx); share of parks with nothing else
on. The latter is assumed."""
SKY_CD_M2 = (0.004, 0.024)
"""Over towns; 0.018 to 0.024 was measured over London, 0.0002 is a dark place's."""
FLAT_CD_M2, HEAD_CD, SHOP_CD_M2, LAMP_CD_M2 = 8.0, 5000.0, 20.0, 8000.0
"""A room seen through its window (100 lx on walls of reflectance 0.4 behind panes and curtains), a dipped beam a little
beside its brightest spot, a shop's window, a street lamp's glass. Assumed."""
LAMPS, FRONTS, CARS = 8, 3, 2  # so many of each shine on things; the others only glow
CAR_ON = 0.4
ROOM_LX = {"screen": (1.0, 8.0), "corner": (5.0, 30.0), "door": (2.0, 15.0)}
"""On things in a room whose ceiling lamps are off: by a large screen, a corner's lamp, a door ajar. Assumed."""
SODIUM: Rgb = (1.55, 0.90, 0.22)
SCREEN: Rgb = (0.80, 1.0, 1.45)


def sky(white_lx: float, moon_lx: float, stream: np.random.Generator) -> tuple[li.Sky, list[tuple[float, ...]]]:
    """A town's sky, with the moon in it or not: what lights the ground is what is seen of it."""
    level = np.pi * float(stream.uniform(*SKY_CD_M2)) / white_lx
    tone: Rgb = (1.15, 0.98, 0.82)
    low: Rgb = (1.6 * level * tone[0], 1.6 * level * tone[1], 1.6 * level * tone[2])
    up: Rgb = (0.7 * level, 0.7 * level, 0.75 * level)
    # What lamps light sends light on: about a sixth of theirs, weaker than out of a bright sky because it is patchy.
    above, below = level + 0.012, 0.03
    high, round_ = np.radians(stream.uniform(15, 60)), np.radians(stream.uniform(-180, 180))
    way = (float(np.cos(high) * np.sin(round_)), float(np.sin(high)), float(np.cos(high) * np.cos(round_)))
    glow = 0.02 * moon_lx / white_lx
    night = li.Sky(
        True, up, low, float(stream.uniform(0, 0.7)), way, glow, (above,) * 3, (below * 1.1, below, below * 0.8),
        float(stream.uniform(0, 99)),
    )  # fmt: skip
    aside = np.cross(way, (0, 1.0, 0)) / np.cos(high) * li.SUN_RADIUS
    moon = li.area(li.SUN, way, (0, 0, 0), np.full(3, moon_lx / white_lx), aside, np.cross(aside, way))
    return night, [moon] if moon_lx / white_lx > li.LIT else []


def light_up(world: World, table: Materials, far_m: float, lit: bool, stream: np.random.Generator) -> None:
    """Lamps, shop windows and cars of a place out of doors shine.

    Args:
        world: with what was built; its lamps' mean on the ground becomes 1.
        table: gets the materials.
        far_m: how far away the last person stands.
        lit: whether the street lamps are on.
        stream: random numbers.
    """
    if lit:
        _lanterns(world, table, min(far_m, 40.0), stream)
    near = sorted(world.fronts, key=lambda front: float(np.hypot(*front[0][[0, 2]])))[:FRONTS]
    for at, way, half in near:
        colour = np.array(li.WARM_WHITE if stream.random() < 0.6 else li.COOL_WHITE)
        power = SHOP_CD_M2 * 2 * half * 1.6 / world.white_lx * colour
        across = np.cross(way, (0, 1.0, 0)) * half
        world.lights.append(li.area(li.WINDOW, at, way, power, across, (0, 0.8, 0)))
    _cars(world, table, stream)


def _lanterns(world: World, table: Materials, far_m: float, stream: np.random.Generator) -> None:
    """Street lamps glow, the nearest of them shine; their mean on the ground before the camera is 1."""
    colour = np.array(SODIUM if stream.random() < 0.25 else li.WARM_WHITE if stream.random() < 0.7 else li.COOL_WHITE)
    red, green, blue = colour.tolist()
    glass = table.add((red, green, blue), glow=np.pi * LAMP_CD_M2 / world.white_lx)
    world.add.semantic = semantics.LIGHT
    heads = [at + furniture.HEAD for at in world.lanterns]
    for head in heads:
        world.add.box(head - np.array([0, 0.045, 0]), np.eye(3), (0.24, 0.01, 0.07), glass)
    middle = np.array([0, 0, 0.4 * far_m])
    near = sorted(heads, key=lambda head: float(np.linalg.norm(head - middle)))[:LAMPS]
    x, z = np.meshgrid(np.linspace(-4, 4, 5), np.linspace(3, far_m, 16))
    falls = np.zeros(x.shape)
    for head in near:
        square = (x - head[0]) ** 2 + (z - head[2]) ** 2 + head[1] ** 2
        cosine = head[1] / np.sqrt(square)
        falls += np.minimum(4 * cosine, 1) * cosine / square
    for head in near:
        at = head - np.array([0, 0.06, 0])
        row = li.area(li.LANTERN, at, (0, -1, 0), colour / falls.mean(), (0.24, 0, 0), (0, 0, 0.07))
        world.lights.append(row)


def _cars(world: World, table: Materials, stream: np.random.Generator) -> None:
    """Some cars have their lights on; those of the nearest shine on the road."""
    white = table.add((1.0, 0.97, 0.9), glow=np.pi * 4000 / world.white_lx)
    red = table.add((1.0, 0.03, 0.02), glow=np.pi * 60 / world.white_lx)
    on = sorted((car for car in world.cars if stream.random() < CAR_ON), key=lambda car: float(car[0][2]))
    world.add.semantic = semantics.LIGHT
    for number, (at, turn, model) in enumerate(on):
        for x in (-1, 1):
            lamp = np.array([x * (model.wide - 0.24), model.belt - 0.24, model.half + 0.01])
            tail = np.array([x * (model.wide - 0.17), model.belt - 0.20, -model.half - 0.03])
            world.add.ball(at + turn @ lamp, turn, (0.09, 0.06, 0.03), white)
            world.add.box(at + turn @ tail, turn, (0.09, 0.07, 0.01), red)
        if number < CARS:
            nose = at + turn @ np.array([0, model.belt - 0.24, model.half + 0.1])
            way = turn @ np.array([0, -0.03, 1.0])
            power = 2 * HEAD_CD / world.white_lx * np.array((1.0, 0.98, 0.93))
            world.lights.append(li.area(li.BEAM, nose, way, power, turn[:, 0] * 0.6, (0, 0.05, 0)))


def room(world: World, table: Materials, what: str, stream: np.random.Generator) -> None:
    """A dark room's one light: of `ROOM_LX`, 1 where people stand."""
    side = float(stream.choice([-1.0, 1.0]))
    half, reach = world.right, min(world.far, 8.0)
    z = float(stream.uniform(0.3, 0.7)) * min(world.far, 9.0)
    world.add.semantic = semantics.LIGHT
    away = np.array([-side, 0, 0])
    strength = float(min(half, 0.6 * reach) ** 2)
    if what == "corner":
        paint = table.add(li.TUNGSTEN, glow=np.pi * 1500 / world.white_lx)
        at = np.array([side * (half - 0.5), 1.5, z])
        world.add.cone(at, at + np.array([0, 0.26, 0]), (0.20, 0.13), paint)
        rim = (0.17, 0, 0), (0, 0, 0.17)
        row = li.area(li.LAMP, at + away * 0.25, 0.4 * away, 1.6 * strength * np.array(li.TUNGSTEN), *rim)
        world.occupy(float(at[0]), z, 0.4, 0.4)
    else:
        tall, wide, colour = (0.35, 0.6, SCREEN) if what == "screen" else (1.0, 0.45, li.WARM_WHITE)
        paint = table.add(colour, glow=strength * np.pi / (4 * tall * wide))  # as bright as the light it gives
        at = np.array([side * (half - 0.03), 1.3 if what == "screen" else tall, z])
        world.add.box(at, np.eye(3), (0.02, tall, wide), paint)
        row = li.area(li.WINDOW, at + away * 0.1, away, strength * np.array(colour), (0, 0, wide), (0, tall, 0))
    world.lights.append(row)


def telephone(hand: Vector, head: Vector, white_lx: float) -> tuple[float, ...]:
    """A screen held before a face: 150 cd/m² of 7 × 15 cm, assumed."""
    way = (head - hand) / np.linalg.norm(head - hand)
    aside = np.cross(way, (0, 1.0, 0)) * 0.035
    return li.area(li.WINDOW, hand + 0.12 * way, way, 1.6 / white_lx * np.array(SCREEN), aside, (0, 0.07, 0))


def illuminance(kind: str, stream: np.random.Generator) -> tuple[float, float, bool]:
    """White's lux, the moon's, and whether street lamps are on, out of doors."""
    moon = float(np.exp(stream.uniform(*np.log(MOON_LX)))) if stream.random() < 0.4 else 0.0
    if kind == "park" and stream.random() < MOONLIT:
        full = MOON_LX[1]
        return full, full, False
    return float(stream.choice(PATH_LX[3:] if kind == "park" else PATH_LX)), moon, True


def posts(world: World, far_m: float, stream: np.random.Generator) -> Float64[np.ndarray, "posts 2"]:
    """Where lamp posts stand so that there is light: (x, z), spaced as four to five heights along both sides."""
    step = float(stream.uniform(16, 24))
    aside = (world.left + 2.2, world.right - 2.2) if world.right < 100 else (-0.28 * far_m - 2, 0.28 * far_m + 2)
    z = np.arange(float(stream.uniform(-2, 6)), min(far_m, 60) + step, step / 2)
    return np.array([(aside[n % 2], z[n]) for n in range(len(z))])
