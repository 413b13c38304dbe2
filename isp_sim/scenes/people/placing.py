"""Where people stand: places, headings and poses tried one by one until box height and visible joints fit."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from isp_sim.scenes import JOINTS
from isp_sim.scenes.people import crowd, semantics
from isp_sim.scenes.people.bodies.body import body, joint_slack
from isp_sim.scenes.people.figure.clothes import Outfit, draw_outfit
from isp_sim.scenes.people.figure.outline import outline
from isp_sim.scenes.people.figure.poses import SHARES, Pose, draw_pose
from isp_sim.scenes.people.figure.skeleton import Build, Figure, draw_build, joint_array, pose_figure
from isp_sim.scenes.people.materials import Materials
from isp_sim.scenes.people.places import furniture
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.raycast.intersect import Solids, pack
from isp_sim.scenes.people.raycast.mesh import Mesh
from isp_sim.scenes.people.raycast.trace import seen
from isp_sim.scenes.people.shapes import Builder, Matrix, Shapes, Vector, turn_y

ASPECT = 1.6
TRIES, ENOUGH = 120, 40  # places and headings tried for a person; from so many on a joint too many or too few will do
POSE_EVERY, OUTFIT_EVERY = 2, 8  # of them a new pose, new clothes
NEAREST_M = 1.2  # things may fill a third of the view from here on
UNIT = 1000  # rows of the camera a layout is computed with


class UnplaceableError(ValueError):
    """A draw that makes no scene: somebody finds no place, nobody is seen, or a wall is before the camera."""


@dataclass(frozen=True)
class Someone:
    """A person with a place.

    Attributes:
        build, outfit, pose: who, in what, doing what.
        heading_deg: 0 looks away from the camera, 180 at it.
        x, z: on the floor, m.
        visible: joints seen when the place was chosen.
        box: (x, y, width, height) in picture heights, about the middle of the frame, cut to it.
    """

    build: Build
    outfit: Outfit
    pose: Pose
    heading_deg: float
    x: float
    z: float
    visible: int = 0
    box: tuple[float, float, float, float] = (0, 0, 0, 0)

    def later(self, time_s: float) -> "Someone":
        """The person so long after, further on where they walk; what of them is visible is that of the beginning."""
        x, _, z = self._shift(time_s)
        return replace(self, pose=self.pose.later(time_s), x=float(x), z=float(z))

    def body(self, time_s: float = 0.0) -> tuple[Mesh, Float64[np.ndarray, "joints 3"]]:
        """Mesh and joints in the world, m, at a moment of the exposure (0 is its middle)."""
        figure, turn, shift = self._moment(time_s)
        mesh, joints = body(self.build, figure, self.outfit, self.pose)
        return mesh.moved(turn, shift), joints @ turn.T + shift

    def outline(self) -> tuple[Shapes, Float64[np.ndarray, "joints 3"]]:
        """About the same, in solids: quick enough for places to be tried."""
        figure, turn, shift = self._moment(0.0)
        joints = np.asarray(joint_array(figure, JOINTS) @ turn.T + shift)
        return outline(self.build, figure, self.outfit, self.pose).moved(turn, shift), joints

    def skeleton(self, time_s: float = 0.0) -> Float64[np.ndarray, "joints 3"]:
        """Joints of the skeleton that carries the mesh."""
        figure, turn, shift = self._moment(time_s)
        return np.asarray(joint_array(figure, JOINTS) @ turn.T + shift)

    def _moment(self, time_s: float) -> tuple[Figure, Matrix, Vector]:
        return pose_figure(self.build, self.pose.at(time_s)), turn_y(self.heading_deg), self._shift(time_s)

    def _shift(self, time_s: float) -> Vector:
        forward: Vector = turn_y(self.heading_deg)[:, 2]
        return np.array([self.x, 0, self.z]) + forward * self.pose.pace_m_per_s * time_s


class Placer:
    """Finds places for people in a world.

    Attributes:
        things: lots of solids that are nobody.
        people: placed so far.
    """

    def __init__(self, world: World, table: Materials, view: Camera, inside: bool) -> None:
        self.world, self.table, self.view, self.inside = world, table, view, inside
        self.things: list[Shapes] = [world.add.shapes()]
        self.people: list[Someone] = []
        self._paint = (table.add((0.30, 0.20, 0.12)), table.add((0.06, 0.06, 0.06), gloss=0.2, sharpness=40))
        self._lots: list[tuple[Solids, int]] = []
        self._eye = np.array([view.x, view.y, view.z])
        self._see(self.things[0])

    def _see(self, shapes: Shapes) -> None:
        self._lots.append((pack(shapes, self.table.table()), len(shapes)))

    def find(self, height: float, stream: np.random.Generator) -> Someone | None:
        """Try places and poses for a person with such a box; keep the one whose joints are seen as they should be."""
        wanted = crowd.visible_joints(height, stream)
        build = self._build(height, stream)
        best: tuple[float, Someone, Shapes] | None = None
        unlikely = "running" if self.inside else "sitting" if self.world.name == "street" else ""
        names = [n for n in SHARES if n != unlikely]
        shares = np.array([SHARES[n] for n in names])
        fitting = 0
        for trial in range(4 * TRIES):
            if trial % OUTFIT_EVERY == 0:  # a long coat never shows its knees
                outfit = draw_outfit(build, self.table, stream)
            if trial % POSE_EVERY == 0:
                pose = draw_pose(str(stream.choice(names, p=shares / shares.sum())), stream)
                shapes, joints = Someone(build, outfit, pose, 0, 0, 0).outline()
            one = Someone(build, outfit, pose, self._heading(wanted, stream), 0, 0)
            placed = self._somewhere(one, shapes, height, wanted, stream)
            if placed is None:
                continue
            turn, shift = turn_y(placed.heading_deg), np.array([placed.x, 0, placed.z])
            moved = shapes.moved(turn, shift)
            count = int(self._visible(build, moved, joints @ turn.T + shift).sum())
            miss = abs(count - wanted) + 0.5 * (count < wanted)  # what comes later hides more, never less
            if best is None or miss < best[0]:
                best = (miss, replace(placed, visible=count), moved)
            fitting += 1
            if miss == 0 or (fitting >= ENOUGH and best[0] <= 1.5) or fitting == TRIES:
                break
        if best is None:
            return None
        self._settle(best[1], best[2])
        return best[1]

    def _build(self, height: float, stream: np.random.Generator) -> Build:
        """Somebody tall enough: with feet in the frame, `horizon + box · eye height/stature ≤ 1`."""
        horizon = 0.5 - np.tan(self.view.pitch) * self.view.focal_px / UNIT
        for _ in range(12):
            build = draw_build(stream)
            if horizon + height * self.view.y / build.stature_m < 0.99:
                break
        return build

    def _heading(self, wanted: int, stream: np.random.Generator) -> float:
        """Towards the camera, away from it, or across: in profile the far joints are hidden."""
        across = 0.02 if wanted > 12 else 0.25
        shares = (0.68 * (1 - across), 0.32 * (1 - across), across / 2, across / 2)
        return float(stream.choice([180.0, 0.0, 90.0, -90.0], p=shares) + stream.normal(0, 22))

    def _somewhere(
        self, one: Someone, shapes: Shapes, height: float, wanted: int, stream: np.random.Generator
    ) -> Someone | None:
        """A free place where the person is as high in the picture as asked, behind others if few joints are wanted."""
        low, high = shapes.moved(turn_y(one.heading_deg), np.zeros(3)).bounds()
        foot, crown = low.min(axis=0), high.max(axis=0)
        wide = max(crown[0], -foot[0], crown[2], -foot[2])
        across = float(stream.uniform(-0.47, 0.47)) * (ASPECT - (0.45 * height if wanted > 11 else 0))
        if wanted < 12 and self.people and stream.random() < 0.8:
            cover = self.people[int(stream.integers(len(self.people)))]
            across = cover.box[0] + cover.box[2] * float(stream.uniform(-0.1, 1.1))
        elif wanted < 9 and stream.random() < 0.5:
            across = float(stream.choice([-0.5, 0.5])) * ASPECT
        z = (crown[1] - foot[1]) * self.view.focal_px / UNIT / height
        corners = np.array([(x, y, d) for x in (foot[0], crown[0]) for y in (foot[1], crown[1]) for d in (0.0,)])
        for _ in range(4):
            x = across * z / (self.view.focal_px / UNIT)
            spot = self.view.project(corners + np.array([x, 0, z])) / UNIT
            tall = min(spot[:, 1].max(), 1.0) - max(spot[:, 1].min(), 0.0)
            if tall <= 0.001:
                return None
            z *= tall / height
        if wanted > 11 and (spot[:, 1].max() > 1 or spot[:, 1].min() < 0):
            return None
        if z < 1.0 + wide / 2 or not self.world.free(x, z, min(wide, 0.45)):
            return None
        middle = 0.5 * ASPECT
        left, right = max(spot[:, 0].min() - middle, -middle), min(spot[:, 0].max() - middle, middle)
        box = (left, max(spot[:, 1].min(), 0.0), right - left, tall)
        return replace(one, x=float(x), z=float(z), box=box) if right - left > 0.3 * tall * wide / crown[1] else None

    def _visible(
        self, build: Build, shapes: Shapes, joints: Float64[np.ndarray, "joints 3"]
    ) -> Bool[np.ndarray, " joints"]:
        """Joints in the frame with nothing before them, themselves included."""
        spot = self.view.project(joints)
        width, height = self.view.width, self.view.height
        out = (spot[:, 0] > 0) & (spot[:, 0] < width - 1) & (spot[:, 1] > 0) & (spot[:, 1] < height - 1)
        slack = joint_slack(build, JOINTS)
        free = np.empty(len(JOINTS), np.bool_)
        for lot, number in (*self._lots, (pack(shapes, self.table.table()), len(shapes))):
            seen(lot, number, self._eye, joints, slack, free)
            out &= free
        return out

    def _settle(self, one: Someone, shapes: Shapes) -> None:
        """Take the place; who sits gets a chair or a bench."""
        self.people.append(one)
        self._see(shapes)
        self.world.taken.append((one.x, one.z, 0.30 if one.pose.name != "sitting" else 0.5))
        if one.pose.name != "sitting":
            return
        add = Builder(semantics.FURNITURE)
        turn = turn_y(one.heading_deg)
        figure = pose_figure(one.build, one.pose.angles)
        seat = float(figure.joints["pelvis"][1]) - 0.078 * one.build.girth * one.build.stature_m
        at = np.array([one.x, 0, one.z]) + turn @ np.array([0, 0, 0.02])
        if self.inside:
            furniture.chair(add, at, turn, seat, *self._paint)
        else:
            furniture.bench(add, at, turn, seat, *self._paint)
        self.things.append(add.shapes())
        self._see(self.things[-1])

    def check(self) -> None:
        """Refuse a scene in which nobody is well seen, or something fills the view."""
        if not any(one.visible >= 5 for one in self.people):
            raise UnplaceableError("nobody in view")
        c, s, f = np.cos(self.view.pitch), np.sin(self.view.pitch), self.view.focal_px / UNIT
        u, v = (a.ravel() for a in np.meshgrid(np.linspace(-0.7, 0.7, 8), np.linspace(0.4, -0.4, 5)))
        rays = np.column_stack((u, c * v - s * f, s * v + c * f)) / f
        clear = np.empty(len(rays), np.bool_)
        seen(*self._lots[0], self._eye, self._eye + NEAREST_M * rays, np.zeros(len(rays)), clear)
        if clear.mean() < 0.7:
            raise UnplaceableError("something stands before the camera")
