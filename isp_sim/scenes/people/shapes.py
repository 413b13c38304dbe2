"""Bodies and things as analytic solids: balls, round cones, boxes and hulls, each under an affine map.

A solid stands in its own frame and `frame` (3×4, metres) carries it into the world: `x_world = A·x_own + b`.

| kind | own frame | `size` |
|---|---|---|
| `BALL` | the unit sphere: an ellipsoid under A | semi-axes, m |
| `CONE` | hull of spheres of radius a at 0 and b at (0, h, 0) | h, a, b, cut; A may squeeze x and z |
| `BOX` | the cube −1 … 1 | half sides, m |
| `HULL` | the cube −1 … 1 cut by planes `n·x ≤ d` | half sides; first plane and how many in `planes` |
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64, Int64

BALL, CONE, BOX, HULL = 0, 1, 2, 3
OPEN_END, OPEN_START = 1, 2
"""Bits of a cone's cut: the cap beyond h, the cap before 0 is not there."""

Vector = Float64[np.ndarray, " 3"]
Matrix = Float64[np.ndarray, "3 3"]

SIZES = 6  # length of `size`: kind's own four, then a hull's planes


@dataclass(frozen=True)
class Shapes:
    """Many solids, a row each.

    Attributes:
        kind: `BALL`, `CONE`, `BOX` or `HULL`.
        frame: own frame → world.
        size: see the module's table.
        material: row of the materials' table.
        instance: 0 for things, from 1 for people.
        semantic: class of the semantic map.
        planes: of all hulls, `(n, d)` a row.
    """

    kind: Int64[np.ndarray, " n"]
    frame: Float64[np.ndarray, "n 3 4"]
    size: Float64[np.ndarray, "n 6"]
    material: Int64[np.ndarray, " n"]
    instance: Int64[np.ndarray, " n"]
    semantic: Int64[np.ndarray, " n"]
    planes: Float64[np.ndarray, "m 4"] = field(default_factory=lambda: np.zeros((0, 4)))

    def __len__(self) -> int:
        """How many solids."""
        return len(self.kind)

    def moved(self, turn: Matrix, shift: Vector) -> "Shapes":
        """The same solids turned about the origin, then shifted."""
        frame = np.einsum("ij,njk->nik", turn, self.frame)
        frame[:, :, 3] += shift
        return replace(self, frame=frame)

    def of(self, instance: int) -> "Shapes":
        """The same solids as parts of one person."""
        return replace(self, instance=np.full(len(self), instance))

    def bounds(self) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 3"]]:
        """Corners of the axis-parallel box round each solid."""
        centre, reach = self.frame[:, :, 3], np.linalg.norm(self.frame[:, :, :3], axis=2)
        cornered = (self.kind == BOX) | (self.kind == HULL)
        reach = np.where(cornered[:, None], np.abs(self.frame[:, :, :3]).sum(axis=2), reach)
        cone = (self.kind == CONE)[:, None]
        h, a, b = self.size[:, :1], self.size[:, 1:2], self.size[:, 2:3]
        end = centre + self.frame[:, :, 1] * h
        low = np.where(cone, np.minimum(centre - a * reach, end - b * reach), centre - reach)
        high = np.where(cone, np.maximum(centre + a * reach, end + b * reach), centre + reach)
        return low, high


def gather(parts: list[Shapes]) -> Shapes:
    """Several lots of solids as one."""
    first = np.cumsum([0] + [len(part.planes) for part in parts])
    sizes = []
    for part, start in zip(parts, first, strict=False):
        size = part.size.copy()
        size[part.kind == HULL, 4] += start
        sizes.append(size)
    return Shapes(
        kind=np.concatenate([p.kind for p in parts]),
        frame=np.concatenate([p.frame for p in parts]),
        size=np.concatenate(sizes),
        material=np.concatenate([p.material for p in parts]),
        instance=np.concatenate([p.instance for p in parts]),
        semantic=np.concatenate([p.semantic for p in parts]),
        planes=np.concatenate([p.planes for p in parts]),
    )


class Builder:
    """Collects solids one by one.

    Attributes:
        semantic: class of what is added next.
    """

    def __init__(self, semantic: int) -> None:
        self.semantic = semantic
        self._kind: list[int] = []
        self._axes: list[Matrix] = []
        self._at: list[Vector] = []
        self._size: list[tuple[float, ...]] = []
        self._material: list[int] = []
        self._semantic: list[int] = []
        self._planes: list[tuple[float, ...]] = []

    def ball(self, at: Vector, turn: Matrix, radii: tuple[float, float, float], material: int) -> None:
        """An ellipsoid: centre, axes as the columns of `turn`, semi-axes in metres."""
        self._add(BALL, turn * np.array(radii), at, (*radii, 0, 0, 0), material)

    def cone(
        self,
        start: Vector,
        end: Vector,
        radii: tuple[float, float],
        material: int,
        across: Vector | None = None,
        squeeze: float = 1.0,
        cut: int = 0,
    ) -> None:
        """A round cone from `start` to `end`.

        Args:
            start: centre of the first sphere, m.
            end: centre of the second.
            radii: of both, m.
            material: row.
            across: direction of the section's wide axis; any, if the section is round.
            squeeze: thickness over width of the section.
            cut: `OPEN_END | OPEN_START`.
        """
        y0, y1, y2 = (end - start).tolist()
        length = math.sqrt(y0 * y0 + y1 * y1 + y2 * y2)
        y0, y1, y2 = y0 / length, y1 / length, y2 / length
        x0, x1, x2 = (1.0, 0.0, 0.0) if across is None else across.tolist()
        along = x0 * y0 + x1 * y1 + x2 * y2
        if x0 * x0 + x1 * x1 + x2 * x2 - along * along < 1e-6:
            x0, x1, x2, along = 0.0, 0.0, 1.0, y2
        x0, x1, x2 = x0 - along * y0, x1 - along * y1, x2 - along * y2
        wide = math.sqrt(x0 * x0 + x1 * x1 + x2 * x2)
        x0, x1, x2 = x0 / wide, x1 / wide, x2 / wide
        z0, z1, z2 = x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0
        axes = np.array([[x0, y0, z0 * squeeze], [x1, y1, z1 * squeeze], [x2, y2, z2 * squeeze]])
        self._add(CONE, axes, start, (length, *radii, cut, 0, 0), material)

    def box(self, at: Vector, turn: Matrix, half: tuple[float, float, float], material: int) -> None:
        """A box: centre, axes as the columns of `turn`, half sides in metres."""
        self._add(BOX, turn * np.array(half), at, (*half, 0, 0, 0), material)

    def hull(
        self,
        at: Vector,
        turn: Matrix,
        half: tuple[float, float, float],
        planes: list[tuple[float, float, float, float]],
        material: int,
    ) -> None:
        """A box cut by planes `(nx, ny, nz, d)`, `n·x ≤ d`, x in half sides."""
        size = (*half, 0, len(self._planes), len(planes))
        self._planes += planes
        self._add(HULL, turn * np.array(half), at, size, material)

    def _add(self, kind: int, axes: Matrix, at: Vector, size: tuple[float, ...], material: int) -> None:
        self._kind.append(kind)
        self._axes.append(axes)
        self._at.append(at)
        self._size.append(size)
        self._material.append(material)
        self._semantic.append(self.semantic)

    def shapes(self) -> Shapes:
        """What was collected; instance 0."""
        n = len(self._kind)
        return Shapes(
            kind=np.array(self._kind, np.int64),
            frame=np.concatenate((np.reshape(self._axes, (n, 3, 3)), np.reshape(self._at, (n, 3, 1))), axis=2),
            size=np.array(self._size, np.float64).reshape(n, SIZES),
            material=np.array(self._material, np.int64),
            instance=np.zeros(n, np.int64),
            semantic=np.array(self._semantic, np.int64),
            planes=np.array(self._planes, np.float64).reshape(-1, 4),
        )


def turn_x(degrees: float) -> Matrix:
    """Rotation about x: y turns towards z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def turn_y(degrees: float) -> Matrix:
    """Rotation about y: z turns towards x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def turn_z(degrees: float) -> Matrix:
    """Rotation about z: x turns towards y."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
