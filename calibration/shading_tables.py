"""Flats → shading tables: what an evenly lit frame looks like, by least squares, defective pixels left out."""

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.arms import Array
from isp_sim.shading import fitted, interpolated, positions

ORDINARY = 0.2
"""A pixel that differs from the median of 5×5 of its colour by more than this share is left out."""
ROUNDS = 3
"""Of fitting with what was fitted in place of what is left out."""


def shading_tables(flat: Array, cfa: str, nodes: tuple[int, int], lens: Array | None = None) -> list[Array]:
    """Tables of R, G and B, edge to edge, the largest node of each 1.

    Args:
        flat: mean image, dark frame taken off, `(height, width)`.
        cfa: colours of the 2×2 tile.
        nodes: rows and columns.
        lens: what falls off anyway, which the tables leave out, `(height, width)`.
    """
    light = flat if lens is None else flat / lens
    tables = {colour: [plane_table(light, place, nodes) for place in places(cfa, colour)] for colour in "RGB"}
    means = [np.mean([table / table.mean() for table in tables[colour]], axis=0) for colour in "RGB"]
    return [np.asarray(mean / mean.max()) for mean in means]


def places(cfa: str, colour: str) -> list[int]:
    """Places of a colour in the tile."""
    return [place for place, each in enumerate(cfa) if each == colour]


def _at(size: tuple[int, ...], place: int) -> tuple[slice, slice, Array, Array]:
    """A place's rows and columns of a frame, and where they lie."""
    top, left = divmod(place, 2)
    height, width = size
    return (
        slice(top, None, 2),
        slice(left, None, 2),
        positions(height, height)[top::2],
        positions(width, width)[left::2],
    )


def plane_table(light: Array, place: int, nodes: tuple[int, int]) -> Array:
    """The table that comes nearest to one place's pixels, defective ones left out."""
    rows, columns, down, across = _at(light.shape, place)
    plane = light[rows, columns]
    around = cv2.medianBlur(plane.astype(np.float32), 5)
    ordinary = np.abs(plane - around) <= ORDINARY * np.abs(around)
    table = fitted(np.where(ordinary, plane, around), down, across, nodes)
    for _ in range(ROUNDS):
        table = fitted(np.where(ordinary, plane, interpolated(table, down, across)), down, across, nodes)
    return table


def evened(flat: Array, nodes: tuple[int, int]) -> Array:
    """A flat over its own shading: ordinary pixels have 1."""
    even = np.empty_like(flat)
    for place in range(4):
        rows, columns, down, across = _at(flat.shape, place)
        even[rows, columns] = flat[rows, columns] / interpolated(plane_table(flat, place, nodes), down, across)
    return even


def cell_values(tables: Sequence[Array], rows: int, columns: int) -> list[Array]:
    """Tables in the middles of cells: `rows` × `columns` each."""
    return [interpolated(table, positions(rows, rows), positions(columns, columns)) for table in tables]
