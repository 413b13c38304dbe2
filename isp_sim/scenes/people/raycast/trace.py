"""A ray and many solids, in numba: which it meets first, what stands in its way, which points are seen."""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int64

from isp_sim import streams  # noqa: F401  (names the cache of compiled kernels)
from isp_sim.scenes.people.raycast.intersect import enter

LEAF = 1  # solids in a leaf of the tree


class Tree(NamedTuple):
    """A bounding-volume tree over the solids that cast shadows.

    Attributes:
        nodes: low corner, high corner, the node that follows when this one is missed, and a leaf's place and
            number in `order` (0 for inner nodes).
        order: solids' numbers.
    """

    nodes: Float64[np.ndarray, "nodes 9"]
    order: Int64[np.ndarray, " k"]


def tree(low: Float64[np.ndarray, "n 3"], high: Float64[np.ndarray, "n 3"], chosen: Int64[np.ndarray, " k"]) -> Tree:
    """Split the chosen solids at the median of the longest side, depth first."""
    nodes: list[list[float]] = []
    order: list[int] = []

    def grow(members: Int64[np.ndarray, " k"]) -> None:
        here = len(nodes)
        nodes.append([*low[members].min(axis=0), *high[members].max(axis=0), 0, len(order), 0])
        if len(members) <= LEAF:
            nodes[here][8] = len(members)
            order.extend(members.tolist())
        else:
            middle = (low[members] + high[members]) / 2
            axis = int(np.ptp(middle, axis=0).argmax())
            by = members[np.argsort(middle[:, axis], kind="stable")]
            grow(by[: len(by) // 2])
            grow(by[len(by) // 2 :])
        nodes[here][6] = len(nodes)

    if len(chosen):
        grow(chosen)
    return Tree(np.array(nodes, np.float64).reshape(-1, 9), np.array(order, np.int64))


@numba.njit(nogil=True, error_model="numpy")
def nearest(s, listed, near, start, stop, ox, oy, oz, dx, dy, dz, best, which):  # type: ignore[no-untyped-def]
    """First of the listed solids a ray meets before `best`, and where, else `which` and there; the list is sorted by
    `near`, a lower bound of t.
    """
    for i in range(start, stop):
        k = listed[i]
        if near[k] > best:
            break
        t = enter(s, k, ox, oy, oz, dx, dy, dz)
        if t < best:
            best, which = t, k
    return best, which


@numba.njit(nogil=True, error_model="numpy", inline="always")
def misses(nodes, node, ox, oy, oz, ix, iy, iz, reach):  # type: ignore[no-untyped-def]
    """Whether o … o + reach·d misses a node's box, the six first numbers of its row; (ix, iy, iz) is 1/d."""
    x0, x1 = (nodes[node, 0] - ox) * ix, (nodes[node, 3] - ox) * ix
    y0, y1 = (nodes[node, 1] - oy) * iy, (nodes[node, 4] - oy) * iy
    z0, z1 = (nodes[node, 2] - oz) * iz, (nodes[node, 5] - oz) * iz
    enters = max(min(x0, x1), min(y0, y1), min(z0, z1), 0.0)
    return enters > min(max(x0, x1), max(y0, y1), max(z0, z1), reach)


@numba.njit(nogil=True, error_model="numpy")
def blocked(s, nodes, order, ox, oy, oz, dx, dy, dz, reach):  # type: ignore[no-untyped-def]
    """Whether anything stands between o and o + reach·d."""
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    node, last = 0, len(nodes)
    while node < last:
        if misses(nodes, node, ox, oy, oz, ix, iy, iz, reach):
            node = int(nodes[node, 6])
            continue
        first = int(nodes[node, 7])
        for i in range(first, first + int(nodes[node, 8])):
            if enter(s, order[i], ox, oy, oz, dx, dy, dz) < reach:
                return True
        node += 1
    return False


@numba.njit(nogil=True, error_model="numpy", cache=True)
def seen(s, count, origin, points, slack, out):  # type: ignore[no-untyped-def]
    """For each point whether nothing stands more than `slack` (m) before it, seen from the origin."""
    for j in range(len(points)):
        dx, dy, dz = points[j, 0] - origin[0], points[j, 1] - origin[1], points[j, 2] - origin[2]
        reach = 1.0 - slack[j] / np.sqrt(dx * dx + dy * dy + dz * dz)
        free = True
        for k in range(count):
            if enter(s, k, origin[0], origin[1], origin[2], dx, dy, dz) < reach:
                free = False
                break
        out[j] = free
