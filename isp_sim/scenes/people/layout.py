"""A scene laid out: a world, and people placed in it one by one, the nearest first, until the crowd's figures fit.

Lengths in the picture are shares of its height; nothing here knows a resolution. The frame is 16:10, the sensor's.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from isp_sim import streams
from isp_sim.scenes import JOINTS
from isp_sim.scenes.people import crowd
from isp_sim.scenes.people.materials import Materials
from isp_sim.scenes.people.places import backdrop, indoor, night, outdoor
from isp_sim.scenes.people.places.backdrop import Backdrop
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.placing import ASPECT, UNIT, Placer, Someone, UnplaceableError
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.shapes import Shapes, gather

INDOOR_REACH_M, HALL_REACH_M = 15.0, 40.0
"""How far away somebody in a room, in a hall can be. ExLPose's indoor sessions show people down to 0.06 of the
picture's height: 30 m and more."""
INDOOR_SHARE = 0.8
"""Of the scenes that would fit into a room, where nobody says how light it is. Assumed."""
PHONES = 2  # so many shine at night
DARK_ROOMS = 0.25
"""Of the scenes at night that would fit into a room. Assumed."""
INDOOR_BELOW = 1 / 40
"""Of the light in the sun. ExLPose's bases leave a gap between 1/26 and 1/52; all but one beyond it have the ratio
lists of its indoor sessions."""


@dataclass(frozen=True)
class Layout:
    """A scene without pixels.

    Attributes:
        name: kind of world.
        things: solids that are nobody.
        people: nearest first.
        materials: table.
        lights: rows; `sky` row.
        shades: balls (x, y, z, radius) that stand for large things in the light from all sides.
        focal: focal length over picture height.
        camera: height m and pitch.
        redrawn: how often a draw was thrown away before this one.
        behind: a picture that stands behind the people instead of a world.
        white_lx: see `World`.
    """

    name: str
    things: Shapes
    people: tuple[Someone, ...]
    materials: Float64[np.ndarray, "rows columns"]
    lights: Float64[np.ndarray, "lights 16"]
    sky: Float64[np.ndarray, " 26"]
    shades: tuple[tuple[float, float, float, float], ...]
    camera: tuple[float, float, float]
    redrawn: int = 0
    behind: Backdrop | None = None
    white_lx: float = 0.0

    def later(self, time_s: float) -> "Layout":
        """The scene so long after: everybody has moved on."""
        return replace(self, people=tuple(one.later(time_s) for one in self.people))

    def view(self, height: int, width: int) -> Camera:
        """The camera for a picture; the 16:10 frame fits into it."""
        stand, pitch, focal = self.camera
        return Camera(0.0, stand, 0.0, pitch, focal * min(height, width / ASPECT), height, width)


def lay_out(
    seed: int, scene: int, daylight: float | None = None, most: int = 40, behind: Backdrop | None = None
) -> Layout:
    """Scene n of a seed. A draw that cannot be placed is drawn again, and counted.

    Args:
        seed: of the source.
        scene: number.
        daylight: light on the scene over a sunlit one's; decides between sun, cloud and a room; 0 is night. Without it
            all but night occur.
        most: draws; the last one takes an open square and as many people as find a place.
        behind: a picture to stand in front of, in its light.
    """
    shift = streams.generator(seed, "people", "number").random()
    count = crowd.people_in(scene, shift)
    for attempt in range(most):
        try:
            stream = streams.generator(seed, scene, "people", attempt)
            last = attempt == most - 1
            return replace(_draw(count, stream, daylight, last, behind), redrawn=attempt)
        except UnplaceableError:
            continue
    raise AssertionError("an open square takes anybody")


def _draw(
    count: int, stream: np.random.Generator, daylight: float | None, last: bool, behind: Backdrop | None
) -> Layout:
    heights = crowd.box_heights(count, stream)
    focal, stand = float(stream.uniform(1.15, 1.75)), float(stream.uniform(1.15, 1.65))
    share = stand / 1.66  # of a person below the horizon
    horizon = min(float(stream.uniform(0.30, 0.46)), 0.98 - share * heights[0])
    horizon = max(horizon, (1 - share) * heights[0], 0.12)
    view = Camera(0, stand, 0, float(np.arctan((0.5 - horizon) / focal)), focal * UNIT, UNIT, round(UNIT * ASPECT))
    reach = 1.66 * focal / heights[-1]
    table = Materials()
    inside = behind is None and _inside(reach, daylight, stream) and not last
    if behind is not None:
        world, behind = backdrop.place(behind, table)
    else:
        dark = daylight == 0
        world = _room(table, reach, focal, dark, stream) if inside else _place(table, reach, daylight, stream, last)
    placer = Placer(world, table, view, inside)
    for height in heights:
        someone = placer.find(float(height), stream)
        if someone is None and not last:
            raise UnplaceableError("somebody finds no place")
    if not last:
        placer.check()
    if world.white_lx:
        for one in [one for one in placer.people if one.pose.name == "looking at a telephone"][:PHONES]:
            joints = dict(zip(JOINTS, one.skeleton(), strict=True))
            hand = max(joints["left_wrist"], joints["right_wrist"], key=lambda wrist: float(wrist[1]))
            world.lights.append(night.telephone(hand, joints["head"], world.white_lx))
    return Layout(
        name=world.name,
        things=gather(placer.things),
        people=tuple(placer.people),
        materials=table.table(),
        lights=world.light_rows(),
        sky=world.sky.row(),
        shades=tuple(world.shades),
        camera=(stand, view.pitch, focal),
        behind=behind,
        white_lx=world.white_lx,
    )


def _inside(reach: float, daylight: float | None, stream: np.random.Generator) -> bool:
    """A room, where the light or, if that is not known, the draw says so; never one deeper than a hall."""
    drawn = reach < INDOOR_REACH_M and float(stream.random()) < (DARK_ROOMS if daylight == 0 else INDOOR_SHARE)
    return drawn if not daylight else daylight < INDOOR_BELOW and reach < HALL_REACH_M


def _room(table: Materials, reach: float, focal: float, dark: bool, stream: np.random.Generator) -> World:
    depth = max(reach + float(stream.uniform(1.0, 3.0)), 4.5)
    kind = "living room" if depth < 7.5 and stream.random() < 0.6 else str(stream.choice(indoor.KINDS[1:]))
    kind = kind if depth < INDOOR_REACH_M + 3 else "hall"
    half = max(0.5 * ASPECT / focal * depth * float(stream.uniform(0.55, 1.0)), 2.4)
    return indoor.room(kind, table, depth, half, dark, stream)


def _place(table: Materials, reach: float, daylight: float | None, stream: np.random.Generator, last: bool) -> World:
    kind = "square" if last else str(stream.choice(outdoor.KINDS, p=[0.45, 0.3, 0.25]))
    return outdoor.place(kind, table, max(reach, 10.0), daylight, stream)
