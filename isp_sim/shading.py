"""Lens shading as tables over a frame: nodes, and straight lines between them in each direction.

With nodes at `origin + j·spacing` of the frame's height or width and pixel i of n at `(i + ½)/n`, as in DNG's GainMap,

    value_yx = Σ_jk A_yj T_jk B_xk,    A_yj = max(0, 1 − |(y' − origin)/spacing − j|)

beyond the last node its value goes on. So a plane is two matrix products, and the table that fits a plane best their
pseudoinverses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

Table = tuple[tuple[float, ...], ...]
Pair = tuple[float, float]
Places = Float64[np.ndarray, " n"]


@dataclass(frozen=True)
class Shading:
    """Gains by which an evenly lit frame becomes even, for each pixel of the 2×2 tile.

    Attributes:
        gains: four tables, rows of nodes; of the tile's pixels row by row.
        origin: of the first node, down and across, in shares of the frame.
        spacing: of nodes, likewise.
    """

    gains: tuple[Table, Table, Table, Table]
    origin: Pair = (0.0, 0.0)
    spacing: Pair = (1.0, 1.0)

    def over(self, height: int, width: int) -> Float32[np.ndarray, "height width"]:
        """The gain of every pixel of a frame."""
        plane = np.empty((height, width), np.float32)
        rows, columns = (positions(n, n) for n in (height, width))
        for place, table in enumerate(self.gains):
            at = rows[place // 2 :: 2], columns[place % 2 :: 2]
            grid = zip(at, np.shape(table), self.origin, self.spacing, strict=True)
            down, across = (hat(*one).astype(np.float32) for one in grid)
            plane[place // 2 :: 2, place % 2 :: 2] = down @ (np.array(table, np.float32) @ across.T)
        return plane

    def of_part(self, top: int, left: int, part: tuple[int, int], frame: tuple[int, int]) -> "Shading":
        """The same gains of a part of the frame, whose corner lies on an even row and column."""
        corner = (top, left)
        origin = tuple((o * n - c) / m for o, n, c, m in zip(self.origin, frame, corner, part, strict=True))
        spacing = tuple(s * n / m for s, n, m in zip(self.spacing, frame, part, strict=True))
        return Shading(self.gains, (origin[0], origin[1]), (spacing[0], spacing[1]))

    def turned(self, flip: int, places: Sequence[int]) -> "Shading":
        """Of a frame turned as `isp_sim.raw.turned` does; `places`: which pixel of the old tile each of the new was."""
        nodes = np.shape(self.gains)[1:]
        origin = [
            1 - o - (n - 1) * s if flip & bit else o
            for o, n, s, bit in zip(self.origin, nodes, self.spacing, (2, 1), strict=True)
        ]
        tables = [np.array(self.gains[p])[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1] for p in places]
        spacing = list(self.spacing)
        if flip & 4:
            tables, origin, spacing = [table.T for table in tables], origin[::-1], spacing[::-1]
        return Shading(four_tables(tables), (origin[0], origin[1]), (spacing[0], spacing[1]))


def four_tables(tables: Sequence[np.ndarray]) -> tuple[Table, Table, Table, Table]:
    """Arrays as the tables of a `Shading`."""
    first, second, third, fourth = (tuple(map(tuple, table.tolist())) for table in tables)
    return first, second, third, fourth


def edge_to_edge(tables: Sequence[np.ndarray]) -> Shading:
    """Four tables whose outer nodes lie on the frame's edges, in float32, as a DNG holds them."""
    rows, columns = tables[0].shape
    return Shading(four_tables([t.astype(np.float32) for t in tables]), (0.0, 0.0), (1 / (rows - 1), 1 / (columns - 1)))


def positions(count: int, whole: int) -> Float64[np.ndarray, " count"]:
    """Middles of `count` pixels that lie in the middle of `whole` ones, in shares of these."""
    return np.asarray((np.arange(count) + 0.5 + (whole - count) / 2) / whole)


def hat(at: Places, nodes: int, origin: float, spacing: float) -> Float64[np.ndarray, "n nodes"]:
    """A: weights of nodes at places in shares of the frame."""
    steps = np.clip((at - origin) / spacing, 0, nodes - 1)
    return np.asarray(np.maximum(0.0, 1 - np.abs(steps[:, None] - np.arange(nodes))))


def interpolated(table: Float[np.ndarray, "rows columns"], down: Places, across: Places) -> Float64[np.ndarray, "y x"]:
    """A table, edge to edge, at places down and across."""
    a, b = (hat(at, nodes, 0.0, 1 / (nodes - 1)) for at, nodes in zip((down, across), table.shape, strict=True))
    return np.asarray(a @ table @ b.T)


def fitted(
    plane: Float[np.ndarray, "y x"], down: Places, across: Places, nodes: tuple[int, int]
) -> Float64[np.ndarray, "rows columns"]:
    """The table, edge to edge, that comes nearest to a plane's values at places down and across: least squares."""
    a, b = (hat(at, n, 0.0, 1 / (n - 1)) for at, n in zip((down, across), nodes, strict=True))
    return np.asarray(np.linalg.pinv(a) @ plane @ np.linalg.pinv(b).T)
