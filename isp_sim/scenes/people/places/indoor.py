"""Rooms: walls, floor, windows, lamps in view and furniture along the walls and between the people."""

import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.materials import Materials, Rgb
from isp_sim.scenes.people.places import furniture, night
from isp_sim.scenes.people.places.paints import RoomPaints, room_paints
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.raycast import light as li
from isp_sim.scenes.people.shapes import OPEN_END, OPEN_START, Builder, turn_y

LAMP_LIGHTS, WINDOW_WALLS = 3, 2
"""A ceiling's panels shine as so many lights, a wall's windows as one: each costs a shadow ray a pixel."""
MOODS = {"lamps": 0.40, "behind": 0.20, "windows": 0.20, "both": 0.20}
"""What lights a room: lamps, windows behind the camera, windows in view, or these and lamps. Assumed; photographers
keep windows out of the picture (in 110 photographs 1.4 % of the area is clipped, `benchmarks/tones.py`)."""
GLAZED = {"windows": {"left": 0.75, "right": 0.75, "far": 0.2}, "both": {"left": 0.5, "right": 0.5, "far": 0.15}}
KINDS = ("living room", "office", "classroom", "hall")
BACK_M = -2.5  # the wall behind the camera
DAYLIT_M = 10.0  # deeper rooms have their lamps on


def room(kind: str, table: Materials, depth_m: float, half_m: float, dark: bool, stream: np.random.Generator) -> World:
    """A room seen from near its back wall.

    Args:
        kind: of `KINDS`.
        table: gets the materials.
        depth_m: from the camera to the far wall.
        half_m: from the axis to the side walls.
        dark: at night, its ceiling lamps off.
        stream: random numbers.
    """
    high = float(stream.uniform(2.5, 2.9) if kind == "living room" else stream.uniform(2.8, 3.4))
    high = high if kind != "hall" else float(stream.uniform(3.6, 6.0))
    paints = room_paints(table, kind, stream)
    add = Builder(semantics.FLOOR)
    add.box(np.array([0, -0.05, depth_m / 2]), np.eye(3), (half_m + 1, 0.05, depth_m / 2 + 4), paints.floor)
    add.semantic = semantics.CEILING
    add.box(np.array([0, high + 0.05, depth_m / 2]), np.eye(3), (half_m + 1, 0.05, depth_m / 2 + 4), paints.ceiling)
    mood = str(stream.choice(list(MOODS), p=list(MOODS.values())))
    mood = str(stream.choice(list(night.ROOM_LX))) if dark else mood
    strength = 0.35 if mood in ("windows", "behind") and depth_m < DAYLIT_M else float(stream.uniform(0.5, 1.0))
    ambient = float(stream.uniform(0.03, 0.08) if dark else stream.uniform(0.10, 0.24))
    tone = li.SKYLIGHT if mood in ("windows", "behind") else (1.0, 0.97, 0.92)
    above: Rgb = (ambient * tone[0], ambient * tone[1], ambient * tone[2])
    below: Rgb = (ambient * 0.62 * tone[0], ambient * 0.58 * tone[1], ambient * 0.52 * tone[2])
    black: Rgb = (0, 0, 0)
    walls = (-half_m, half_m, BACK_M, depth_m, high)
    sky = li.Sky(False, black, black, 0, (0, 1, 0), 0, above, below, 0, walls)
    world = World(kind, add, [], sky, left=-half_m, right=half_m, far=depth_m)
    glazed = 0
    for side in stream.permutation(["far", "left", "right"]).tolist():
        window = glazed < WINDOW_WALLS and stream.random() < GLAZED.get(mood, {}).get(side, 0.0)
        _wall(world, side, table, paints, high, (depth_m, half_m), window, stream)
        glazed += window
    if dark:
        world.white_lx = float(np.exp(stream.uniform(*np.log(night.ROOM_LX[mood]))))
        night.room(world, table, mood, stream)
    elif mood == "behind":
        world.lights.append(
            li.area(
                li.WINDOW,
                (0.4 * half_m * float(stream.uniform(-1, 1)), 1.7, BACK_M + 0.1),
                (0, 0, 1),
                0.7 * (depth_m / 2 - BACK_M) ** 2 * np.array(li.SKYLIGHT),
                (0.5 * half_m, 0, 0),
                (0, 0.7, 0),
            )
        )
    if not dark and (mood in ("lamps", "both") or depth_m > DAYLIT_M or stream.random() < 0.3):
        _lamps(world, kind, table, paints, high, (depth_m, half_m), strength, stream)
    if not world.lights:
        bulb = (0.15, 0, 0), (0, 0, 0.15)
        world.lights.append(li.area(li.LAMP, (0, high - 0.1, depth_m * 0.4), (0, -1, 0), np.array((3, 3, 2.9)), *bulb))
    _furnish(world, kind, paints, high, stream)
    return world


def _wall(
    world: World, side: str, table: Materials, paints: RoomPaints, high: float, size: tuple[float, float], window: bool,
    stream: np.random.Generator,
) -> None:  # fmt: skip
    """A wall, with windows, a door or pictures in it. Its own frame: x along the wall, z into the room."""
    depth, half = size
    length = half * 2 if side == "far" else depth + 4
    turn = turn_y({"far": 180.0, "left": 90.0, "right": -90.0}[side])
    at = {
        "far": np.array([0, high / 2, depth]), "left": np.array([-half, high / 2, depth / 2 - 2]),
        "right": np.array([half, high / 2, depth / 2 - 2]),
    }[side]  # fmt: skip
    add = world.add
    add.semantic = semantics.WALL
    add.box(at - turn[:, 2] * 0.1, turn, (length / 2, high / 2, 0.1), paints.wall)
    add.box(at + turn @ np.array([0, -high / 2 + 0.05, 0.008]), turn, (length / 2, 0.05, 0.008), paints.white)
    if window:
        _windows(world, table, paints, at, turn, length, high, half if side != "far" else depth / 2, stream)
        return
    places = stream.permutation(np.linspace(-0.36, 0.36, 3))
    if stream.random() < 0.8:
        door = at + turn @ np.array([places[0] * length, 1.02 - high / 2, 0.02])
        add.box(door, turn, (0.50, 1.04, 0.018), paints.white)
        add.box(door + turn[:, 2] * 0.012, turn, (0.44, 1.00, 0.020), paints.wood)
        add.ball(door + turn @ np.array([0.36, -0.02, 0.05]), turn, (0.055, 0.015, 0.02), paints.metal)
    for place in places[1:]:
        if stream.random() < 0.75:
            half_size = (float(stream.uniform(0.3, 0.8)), float(stream.uniform(0.25, 0.5)))
            picture = at + turn @ np.array([place * length, 1.6 - high / 2, 0.012])
            add.box(picture, turn, (half_size[0] + 0.03, half_size[1] + 0.03, 0.012), paints.dark)
            add.box(picture + turn[:, 2] * 0.006, turn, (*half_size, 0.010), paints.picture)


def _windows(
    world: World, table: Materials, paints: RoomPaints, at: np.ndarray, turn: np.ndarray, length: float, high: float,
    reach: float, stream: np.random.Generator,
) -> None:  # fmt: skip
    """A row of windows on a wall: bright panes with frames, together a light that shines `reach` m into the room."""
    add = world.add
    wide = float(stream.uniform(0.65, 1.2))
    number = int(np.clip(length // (2 * wide + 0.7), 1, 5))
    tall = float(stream.uniform(0.62, 0.95)) if high < 3.5 else high * 0.34
    middle = 0.95 + tall - high / 2
    power = float(stream.uniform(0.25, 0.9)) * reach**2
    glow = np.pi * power / (number * 4 * wide * tall)  # a pane is as bright as the light it gives
    pane = table.add(li.SKYLIGHT, m.PANE, glow=glow, seed=float(stream.uniform(0, 50)))
    for n in range(number):
        x = (n - (number - 1) / 2) * length / number
        place = at + turn @ np.array([x, middle, 0.012])
        add.semantic = semantics.WINDOW
        add.box(place, turn, (wide, tall, 0.010), pane)
        for dx, dy, hx, hy in (
            (0, tall, wide + 0.05, 0.05), (0, -tall, wide + 0.08, 0.05), (wide, 0, 0.05, tall), (-wide, 0, 0.05, tall),
            (0, 0, 0.03, tall), (0, 0.3 * tall, wide, 0.02),
        ):  # fmt: skip
            add.box(place + turn @ np.array([dx, dy, 0.01]), turn, (hx, hy, 0.035), paints.white)
    across = turn[:, 0] * ((number - 1) / 2 * length / number + wide)
    spot = at + turn @ np.array([0, middle, 0.12])
    world.lights.append(li.area(li.WINDOW, spot, turn[:, 2], power * np.array(li.SKYLIGHT), across, (0, tall, 0)))


def _lamps(
    world: World, kind: str, table: Materials, paints: RoomPaints, high: float, size: tuple[float, float],
    strength: float, stream: np.random.Generator,
) -> None:  # fmt: skip
    """Panels in the ceiling of offices, classrooms and halls; a floor lamp and a pendant in living rooms."""
    depth, half = size
    colour = np.array(li.TUNGSTEN if kind == "living room" and stream.random() < 0.5 else li.WARM_WHITE)
    if kind in ("office", "classroom", "hall"):
        colour = np.array([li.WARM_WHITE, li.COOL_WHITE][int(stream.random() < 0.6)])
    red, green, blue = colour.tolist()
    add = world.add
    if kind == "living room":
        shade = table.add((red, green, blue), glow=float(stream.uniform(6, 18)))
        corner = np.array([stream.choice([-1, 1]) * (half - 0.5), 0, depth * stream.uniform(0.6, 0.9)])
        add.semantic = semantics.LIGHT
        top = corner + np.array([0, 1.55, 0])
        add.cone(top, top + np.array([0, 0.26, 0]), (0.20, 0.13), shade, cut=OPEN_END | OPEN_START)
        add.semantic = semantics.OBJECT
        add.cone(corner + np.array([0, 0.02, 0]), top, (0.015, 0.015), paints.metal)
        world.occupy(corner[0], corner[2], 0.4, 0.4)
        bulb = (0.17, 0, 0), (0, 0, 0.17)
        at = top + np.array([0, 0.2, 0])
        world.lights.append(li.area(li.LAMP, at, (0, -0.3, 0), 1.1 * strength * colour, *bulb))
        hang = np.array([stream.normal(0, 0.4), high - 0.45, depth * 0.45])
        add.semantic = semantics.LIGHT
        add.ball(hang, np.eye(3), (0.17, 0.15, 0.17), shade)
        add.cone(hang, np.array([hang[0], high, hang[2]]), (0.008, 0.008), paints.dark)
        at = hang - np.array([0, 0.25, 0])
        world.lights.append(li.area(li.LAMP, at, (0, -0.5, 0), 2.4 * strength * colour, *bulb))
        return
    panel = table.add((red, green, blue), glow=float(stream.uniform(8, 25)))
    across = 2 if half < 5 else 3
    along = int(np.clip(depth // 3.2, 2, 9))
    power = 1.6 * strength * (high - 0.6) ** 2 * colour
    add.semantic = semantics.LIGHT
    for i in range(across):
        for k in range(along):
            x, z = (i - (across - 1) / 2) * 2 * half / across, (k + 0.6) * depth / along
            add.box(np.array([x, high - 0.015, z]), np.eye(3), (0.60, 0.02, 0.15), panel)
    for n in range(LAMP_LIGHTS):
        x, z = ((-0.45, 0.45, -0.1)[n]) * half, depth * (n + 0.6) / LAMP_LIGHTS
        half_panels = (0.3 * half, 0, 0), (0, 0, 0.3 * depth / LAMP_LIGHTS)
        world.lights.append(li.area(li.LAMP, (x, high - 0.10, z), (0, -1, 0), power, *half_panels))


def _furnish(world: World, kind: str, paints: RoomPaints, high: float, stream: np.random.Generator) -> None:
    """Furniture along the walls and in the room; where it stands nobody else does."""
    add, half, depth = world.add, world.right, world.far
    for sign in (-1, 1):
        z = 2.2 + float(stream.uniform(0, 1))
        while z < depth - 1.2:
            turn, x = turn_y(-sign * 90), sign * (half - 0.25)
            item = stream.choice(["shelf", "cupboard", "plant", "table", "", ""])
            if item in ("shelf", "cupboard"):
                tall = float(stream.uniform(0.8, 2.0))
                front = paints.books if item == "shelf" else paints.wood
                furniture.shelf(add, np.array([x, 0, z]), turn, (1.1, tall, 0.36), paints.wood, front)
                world.occupy(x, z, 0.5, 1.2)
            elif item == "plant":
                furniture.plant(add, np.array([x - sign * 0.15, 0, z]), 1.3, paints.white, paints.leaves, stream)
                world.occupy(x - sign * 0.15, z, 1.5, 1.5)  # its leaves reach so far
            elif item == "table":
                furniture.table(
                    add, np.array([x - sign * 0.2, 0, z]), turn, (0.6, 0.35), 0.74, paints.wood, paints.metal
                )
                world.occupy(x - sign * 0.2, z, 0.8, 1.3)
            z += float(stream.uniform(1.4, 2.4))
    if kind == "living room":
        x = float(stream.uniform(-0.4, 0.4)) * half
        furniture.sofa(add, np.array([x, 0, depth - 0.65]), turn_y(180), 0.95, paints.cloth)
        world.occupy(x, depth - 0.6, 2.3, 1.0)
    else:
        _desks(world, kind, paints, stream)


def _desks(world: World, kind: str, paints: RoomPaints, stream: np.random.Generator) -> None:
    """Rows of tables with chairs, and screens in offices; columns in halls."""
    add, half, depth = world.add, world.right, world.far
    if kind == "hall":
        for z in np.arange(6.0, depth - 1, 5.0):
            for sign in (-1, 1):
                at = np.array([sign * half * 0.62, 0, float(z)])
                add.semantic = semantics.BUILDING
                add.cone(at, at + np.array([0, 8.0, 0]), (0.24, 0.24), paints.white)
                world.occupy(at[0], at[2], 0.6, 0.6)
        return
    for z in np.arange(4.2 + float(stream.uniform(0, 1)), depth - 1.2, 2.6):
        for x in np.arange(-half + 2.0, half - 1.6, 2.4):
            if stream.random() < 0.45:
                continue
            at = np.array([x + stream.normal(0, 0.08), 0, z])
            furniture.table(add, at, np.eye(3), (0.68, 0.36), 0.74, paints.wood, paints.metal)
            facing = 180.0 if stream.random() < 0.5 else 0.0
            behind = np.array([0, 0, 0.62 if facing == 180.0 else -0.62])
            furniture.chair(add, at + behind, turn_y(facing + stream.normal(0, 15)), 0.45, paints.cloth, paints.metal)
            if kind == "office":
                furniture.monitor(add, at + np.array([0, 0.74, 0.05]), turn_y(facing + 180), paints.screen, paints.dark)
            world.occupy(at[0], at[2] + behind[2] / 2, 1.4, 1.5)
