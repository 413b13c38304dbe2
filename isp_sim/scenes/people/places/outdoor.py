"""Daylight: a street, a square or a park under a clear, broken or overcast sky."""

import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.materials import Materials, Rgb, lch
from isp_sim.scenes.people.places import cars, furniture, kerbside, night
from isp_sim.scenes.people.places.paints import StreetPaints, street_paints
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.raycast import light as li
from isp_sim.scenes.people.raycast.textures import is_shop, shop_lit
from isp_sim.scenes.people.shapes import Builder, turn_y

KINDS = ("street", "square", "park")


SKIES = ((1 / 4, (0.6, 0.4, 0.0)), (1 / 20, (0.2, 0.15, 0.65)), (0.0, (0.0, 0.0, 1.0)))
"""Shares of clear, broken and closed skies by the light they let through (from the first number up): a closed one
passes a fifth to a twentieth of the sun's light; the rest of the scenes that dim lie in the shade. Assumed."""
OVERCAST: tuple[Rgb, Rgb, float] = (0.96, 1.0, 1.05), (0.32, 0.333, 0.347), 1.0
"""Zenith, horizon and the power of the height's sine between them: the zenith is three times as bright (Moon and
Spencer 1942, the CIE standard overcast sky)."""
CLEAR: tuple[Rgb, Rgb, float] = (0.13, 0.24, 0.52), (0.50, 0.62, 0.80), 0.45
"""Of a clear sky, brighter and whiter at the horizon. Assumed."""
ANY_SKY = (0.45, 0.3, 0.25)


def _sky(daylight: float | None, stream: np.random.Generator) -> tuple[li.Sky, list[tuple[float, ...]]]:
    """Sun and sky: their irradiances make about 1, the sun's share falls with the clouds."""
    shares = ANY_SKY if daylight is None else next(shares for least, shares in SKIES if daylight >= least)
    clouds = float(stream.choice([stream.uniform(0, 0.35), stream.uniform(0.35, 0.62), 1.0], p=shares))
    high, round_ = np.radians(stream.uniform(14, 62)), np.radians(stream.uniform(-180, 180))
    sun = (float(np.cos(high) * np.sin(round_)), float(np.sin(high)), float(np.cos(high) * np.cos(round_)))
    share = 0.0 if clouds == 1.0 else float(stream.uniform(0.72, 0.86))
    warm = float(np.clip((np.degrees(high) - 10) / 40, 0, 1))
    light = np.array([1.0, 0.90 + 0.08 * warm, 0.74 + 0.21 * warm]) * share * 1.15
    level = 0.85 * (1 - share) if share else 0.9
    tone: Rgb = (0.95, 1.0, 1.06) if clouds == 1.0 else li.SKYLIGHT
    above: Rgb = (level * tone[0], level * tone[1], level * tone[2])
    bounce = 0.17 * (share * float(np.sin(high)) + level)
    below: Rgb = (bounce * 1.02, bounce, bounce * 0.93)
    seed, glow = float(stream.uniform(0, 99)), 0.0 if clouds == 1.0 else 0.5
    zenith, horizon, rise = OVERCAST if clouds == 1.0 else CLEAR
    mean = np.mean(horizon) + 2 / (2 + rise) * (np.mean(zenith) - np.mean(horizon))  # ∫ 2u·L(u) du
    bright = level / float(mean)  # what is seen of the sky is what lights the ground
    up, low = ((c[0] * bright, c[1] * bright, c[2] * bright) for c in (zenith, horizon))
    cover, cloud = (clouds, 0.55) if clouds < 1 else (0.75, 0.0)
    sky = li.Sky(True, up, low, cover, sun, glow, above, below, seed, rise=rise, cloud=cloud)
    aside = np.cross(sun, (0, 1.0, 0)) / np.cos(high) * li.SUN_RADIUS
    disc = aside, np.cross(aside, sun)
    return sky, [li.area(li.SUN, sun, (0, 0, 0), light, *disc)] if share else []


def place(kind: str, table: Materials, far_m: float, daylight: float | None, stream: np.random.Generator) -> World:
    """A place out of doors.

    Args:
        kind: of `KINDS`.
        table: gets the materials.
        far_m: how far away the last person stands.
        daylight: light over a sunlit scene's; 0 is night; without it any sky.
        stream: random numbers.
    """
    paints = street_paints(table, stream)
    dark, lit, white_lx = daylight == 0, True, 0.0
    if dark:
        white_lx, moon_lx, lit = night.illuminance(kind, stream)
        sky, lights = night.sky(white_lx, moon_lx, stream)
    else:
        sky, lights = _sky(daylight, stream)
    add = Builder(semantics.GROUND)
    ground = {"street": paints.asphalt, "square": paints.paving, "park": paints.grass}[kind]
    add.box(np.array([0, -0.5, 400.0]), np.eye(3), (600.0, 0.5, 480.0), ground)
    world = World(kind, add, lights, sky)
    if dark:
        world.white_lx, world.window_glow = white_lx, np.pi * night.FLAT_CD_M2 / white_lx
    {"street": _street, "square": _square, "park": _park}[kind](world, table, paints, far_m, stream)
    if dark:
        for x, z in night.posts(world, far_m, stream):
            if world.free(x, z, 0.2):
                _post(world, paints, x, z)
        night.light_up(world, table, far_m, lit, stream)
    return world


def _post(world: World, paints: StreetPaints, x: float, z: float) -> None:
    """A lamp post."""
    at = np.array([x, 0, z])
    furniture.lamp_post(world.add, at, paints.metal, paints.kerb)
    world.lanterns.append(at)
    world.occupy(x, z, 0.3, 0.3)


def _house(
    world: World,
    table: Materials,
    corner: tuple[float, float],
    size: tuple[float, float, float],
    stream: np.random.Generator,
    face: tuple[float, float] = (0.0, -1.0),
) -> None:
    """A façade block: middle (x, z), width, height, depth; a socle, a cornice and sometimes shop windows, which look
    along `face` (x, z).
    """
    wide, tall, deep = size
    brick = stream.random() < 0.3
    colour = (
        lch(float(stream.uniform(38, 50)), 30, 45)
        if brick
        else lch(float(stream.uniform(55, 88)), float(stream.uniform(0, 18)), float(stream.uniform(40, 100)))
    )
    frame = lch(float(stream.choice([25, 90])), 4, 80)
    wall = table.add(
        colour, m.FACADE, frame, scale=float(stream.uniform(2.9, 3.6)), ratio=float(stream.uniform(0.6, 1.1)),
        variation=0.10, grain=0.6, seed=(seed := float(stream.integers(0, 1000))), glow=world.window_glow,
    )  # fmt: skip
    if world.window_glow and is_shop(seed) and shop_lit(seed):
        way = np.array([face[0], 0, face[1]])
        at = np.array([corner[0], 1.35, corner[1]]) + way * (np.array([wide, 0, deep]) / 2 + 0.15)
        world.fronts.append((at, way, 0.45 * (deep if face[0] else wide)))
    socle = table.add((colour[0] * 0.5, colour[1] * 0.5, colour[2] * 0.5), variation=0.12, grain=0.3)
    add = world.add
    add.semantic = semantics.BUILDING
    at = np.array([corner[0], tall / 2, corner[1]])
    add.box(at, np.eye(3), (wide / 2, tall / 2, deep / 2), wall)
    add.box(np.array([at[0], 0.3, at[2]]), np.eye(3), (wide / 2 + 0.04, 0.3, deep / 2 + 0.04), socle)
    add.box(np.array([at[0], tall, at[2]]), np.eye(3), (wide / 2 + 0.25, 0.18, deep / 2 + 0.25), socle)


def _car(
    world: World, table: Materials, paints: StreetPaints, x: float, z: float, turn: float, stream: np.random.Generator
) -> None:
    colour = lch(
        float(stream.choice([12, 30, 60, 85])), float(stream.choice([2, 2, 45])), float(stream.uniform(0, 360))
    )
    paint = table.add(colour, gloss=1.5, sharpness=220, mirror=0.05)
    model = cars.MODELS[str(stream.choice(list(cars.MODELS), p=cars.SHARES))]
    look = cars.CarPaints(paint, paints.glass, paints.tyre, paints.chrome, paints.tail, paints.white)
    way = turn_y(turn)
    cars.car(world.add, np.array([x, 0, z]), way, model, look)
    world.cars.append((np.array([x, 0, z]), way, model))
    for n in (-0.5, 0.5):  # it hides the sky from the ground under it
        under = way @ np.array([0, 0, n * model.half])
        world.shades.append((x + under[0], 0.40, z + under[2], 1.05))
    along = abs(np.cos(np.radians(turn))) > 0.7
    sides = (2 * model.wide + 0.3, 2 * model.half + 0.2)
    world.occupy(x, z, *(sides if along else sides[::-1]))


def _street(world: World, table: Materials, paints: StreetPaints, far_m: float, stream: np.random.Generator) -> None:
    """A street that runs away from the camera: pavements, rows of houses, parked cars, trees, lamps."""
    add, half = world.add, float(stream.uniform(6.0, 10.0))
    middle = float(stream.uniform(-0.35, 0.35)) * half
    end = far_m + float(stream.uniform(20, 60))
    for sign in (-1, 1):
        front = middle + sign * half
        add.semantic = semantics.GROUND
        add.box(np.array([front - sign * 1.0, 0.01, end / 2]), np.eye(3), (1.6, 0.012, end / 2 + 20), paints.paving)
        add.box(np.array([front - sign * 2.65, 0.015, end / 2]), np.eye(3), (0.08, 0.018, end / 2 + 20), paints.kerb)
        z = -6.0
        while z < end:
            deep, tall = float(stream.uniform(7, 16)), float(stream.uniform(6, 19))
            _house(world, table, (front + sign * 5, z + deep / 2), (10, tall, deep - 0.02), stream, (-sign, 0.0))
            z += deep + (float(stream.uniform(3, 8)) if stream.random() < 0.2 else 0)
        _kerb(world, table, paints, front, sign, min(end, 70), stream)
    zebra = float(stream.uniform(6, 30)) if stream.random() < 0.35 else -1.0
    kerbside.lane(world, paints, middle, half - 2.7, end, zebra)
    if stream.random() < 0.6:
        _house(world, table, (middle, end + 6), (2 * half + 24, float(stream.uniform(9, 20)), 12), stream)
    world.left, world.right, world.far = middle - half + 0.1, middle + half - 0.1, end


def _kerb(
    world: World, table: Materials, paints: StreetPaints, front: float, sign: int, end: float,
    stream: np.random.Generator,
) -> None:  # fmt: skip
    """One side of a street: cars at the kerb, trees and lamps on it, things along the houses.

    Traffic keeps right (assumed): cars on the picture's right drive away from the camera.
    """
    add = world.add
    for z in np.arange(float(stream.uniform(6, 12)), end, 7.0):
        draw = stream.random()
        if draw < 0.5:
            _car(world, table, paints, front - sign * 3.8, float(z), 0 if sign > 0 else 180, stream)
        elif draw < 0.72:
            leaf = paints.leaves[int(stream.integers(3))]
            at = np.array([front - sign * 2.2, 0, z])
            furniture.tree(add, at, float(stream.uniform(4.5, 8)), 1.7, paints.bark, leaf, stream)
            world.occupy(front - sign * 2.2, float(z), 0.5, 0.5)
        elif draw < 0.85:
            _post(world, paints, front - sign * 2.3, float(z))
    for z in np.arange(float(stream.uniform(4, 7)), min(end, 40), 4.5):
        if stream.random() < 0.6:
            kerbside.put(world, paints, front - sign * 0.6, float(z), -sign * 90, stream)


def _square(world: World, table: Materials, paints: StreetPaints, far_m: float, stream: np.random.Generator) -> None:
    """A paved square before a row of houses, with trees, benches and a few parked cars."""
    add, back = world.add, far_m + float(stream.uniform(5, 18))
    x = -back * 1.1
    while x < back * 1.1:
        wide = float(stream.uniform(8, 20))
        _house(world, table, (x + wide / 2, back + 8), (wide - 0.02, float(stream.uniform(7, 20)), 12), stream)
        x += wide + (3.0 if stream.random() < 0.12 else 0)
    for _ in range(int(stream.integers(2, 7))):
        z = float(stream.uniform(0.5, 0.95)) * back
        x = float(stream.uniform(-0.7, 0.7)) * z
        leaf = paints.leaves[int(stream.integers(3))]
        furniture.tree(
            add,
            np.array([x, 0, z]),
            float(stream.uniform(4.5, 9)),
            float(stream.uniform(1.5, 2.6)),
            paints.bark,
            leaf,
            stream,
        )
        world.occupy(x, z, 0.6, 0.6)
    for _ in range(int(stream.integers(0, 4))):
        _car(
            world,
            table,
            paints,
            float(stream.uniform(-0.5, 0.5)) * back,
            back - 1.5,
            90 if stream.random() < 0.5 else -90,
            stream,
        )
    for _ in range(int(stream.integers(2, 8))):
        z = float(stream.uniform(0.35, 0.95)) * back
        x = float(stream.uniform(-0.55, 0.55)) * z
        if world.free(x, z, 1.0):
            kerbside.put(world, paints, x, z, 180 + float(stream.uniform(-60, 60)), stream)
    for side in (-1, 1):
        if stream.random() < 0.5:
            _post(world, paints, side * 0.4 * back, 0.7 * back)
    world.far = back


def _park(world: World, table: Materials, paints: StreetPaints, far_m: float, stream: np.random.Generator) -> None:
    """Grass with a path, trees and bushes, houses behind them."""
    add, back = world.add, far_m + float(stream.uniform(12, 35))
    add.semantic = semantics.GROUND
    lean = float(stream.uniform(-25, 25))
    turn = turn_y(lean)
    add.box(
        turn @ np.array([0, 0.006, back / 2]), turn, (float(stream.uniform(1.2, 2.4)), 0.008, back * 0.9), paints.paving
    )
    for _ in range(int(stream.integers(10, 20))):
        z = float(stream.uniform(0.35, 1.25)) * back
        x = float(stream.uniform(-0.95, 0.95)) * z
        if abs(x - np.tan(np.radians(lean)) * z) < 3 and z < back:
            continue
        leaf = paints.leaves[int(stream.integers(3))]
        if stream.random() < 0.7:
            furniture.tree(
                add,
                np.array([x, 0, z]),
                float(stream.uniform(5, 12)),
                float(stream.uniform(1.8, 3.4)),
                paints.bark,
                leaf,
                stream,
            )
            world.occupy(x, z, 0.7, 0.7)
        else:
            furniture.bush(add, np.array([x, 0, z]), float(stream.uniform(0.6, 1.2)), leaf, stream)
            world.occupy(x, z, 2.0, 1.2)
    x = -back * 1.4
    while x < back * 1.4:
        wide = float(stream.uniform(12, 30))
        if stream.random() < 0.7:
            _house(
                world, table, (x + wide / 2, back * 1.35 + 10), (wide - 0.5, float(stream.uniform(6, 24)), 12), stream
            )
        x += wide
    world.far = back * 1.3
