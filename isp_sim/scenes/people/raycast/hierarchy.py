"""A bounding-volume hierarchy over the triangles of bodies, in numba, and the shadow rays that walk it."""

import numba
import numpy as np

from isp_sim.scenes.people.raycast.trace import misses

LEAF, BINS = 4, 12  # triangles in a leaf; places tried for a split


@numba.njit(nogil=True, error_model="numpy", cache=True)
def hierarchy(start, stop, starts, packed, triangles, nodes, used):  # type: ignore[no-untyped-def]
    """The hierarchy of each body: nodes split where the surface-area heuristic is least, along their longest side."""
    for body in range(start, stop):
        offset, count = starts[body], starts[body + 1] - starts[body]
        low, high = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
        for i in range(count):
            for c in range(3):
                a = packed[offset + i, c]
                b, d = a + packed[offset + i, 3 + c], a + packed[offset + i, 6 + c]
                low[i, c], high[i, c] = min(a, b, d), max(a, b, d)
        order = np.arange(count)
        stack = np.empty((64, 2), np.int64)
        last = np.empty(2 * count + 1, np.int64)
        own = nodes[2 * offset :]
        node, depth = 0, 1
        stack[0, 0], stack[0, 1] = 0, count
        while depth > 0:
            depth -= 1
            i, j = stack[depth, 0], stack[depth, 1]
            for c in range(3):
                own[node, c], own[node, 3 + c] = np.inf, -np.inf
                for n in range(i, j):
                    own[node, c] = min(own[node, c], low[order[n], c])
                    own[node, 3 + c] = max(own[node, 3 + c], high[order[n], c])
            own[node, 6], own[node, 7], last[node] = i, -1.0, j
            if j - i <= LEAF:
                own[node, 7] = 8 * (offset + i) + j - i
            else:
                middle = _split(low, high, order, i, j)
                stack[depth, 0], stack[depth, 1] = middle, j
                stack[depth + 1, 0], stack[depth + 1, 1] = i, middle
                depth += 2
            node += 1
        used[body] = node
        following = np.full(count + 1, node)  # the first node whose triangles start there
        for n in range(node - 1, -1, -1):
            first = int(own[n, 6])
            own[n, 6] = following[last[n]]
            following[first] = n
        for i in range(count):
            triangles[offset + i] = packed[offset + order[i]]


@numba.njit(nogil=True, error_model="numpy")
def _split(low, high, order, i, j):  # type: ignore[no-untyped-def]
    """Sort triangles i … j into two lots; where the second starts."""
    axis, wide, least = 0, np.float32(-1.0), np.float32(0.0)
    for c in range(3):
        a, b = np.float32(np.inf), np.float32(-np.inf)
        for n in range(i, j):
            middle = low[order[n], c] + high[order[n], c]
            a, b = min(a, middle), max(b, middle)
        if b - a > wide:
            axis, wide, least = c, b - a, a
    counts, areas = np.zeros(BINS, np.int64), np.empty(BINS)
    boxes = np.empty((BINS, 6), np.float32)
    boxes[:, :3], boxes[:, 3:] = np.inf, -np.inf
    scale = np.float32(0.999) * BINS / wide if wide > 0 else np.float32(0.0)
    for n in range(i, j):
        k = order[n]
        box = int((low[k, axis] + high[k, axis] - least) * scale)
        counts[box] += 1
        for c in range(3):
            boxes[box, c] = min(boxes[box, c], low[k, c])
            boxes[box, 3 + c] = max(boxes[box, 3 + c], high[k, c])
    for way in range(2):  # cost of what lies left of each place, then of what lies right of it
        x0, y0, z0, x1, y1, z1 = np.inf, np.inf, np.inf, -np.inf, -np.inf, -np.inf
        number = 0
        for step in range(BINS - 1):
            place = step if way == 0 else BINS - 1 - step
            number += counts[place]
            x0, y0, z0 = min(x0, boxes[place, 0]), min(y0, boxes[place, 1]), min(z0, boxes[place, 2])
            x1, y1, z1 = max(x1, boxes[place, 3]), max(y1, boxes[place, 4]), max(z1, boxes[place, 5])
            p, q, r = x1 - x0, y1 - y0, z1 - z0
            cost = number * (p * q + q * r + r * p) if number else 0.0
            if way == 0:
                areas[place] = cost
            else:
                areas[place - 1] += cost
    best = int(np.argmin(areas[: BINS - 1]))
    m, n = i, j - 1
    while m <= n:
        k = order[m]
        if int((low[k, axis] + high[k, axis] - least) * scale) <= best:
            m += 1
        else:
            order[m], order[n] = order[n], k
            n -= 1
    return m if i < m < j else (i + j) // 2


@numba.njit(nogil=True, error_model="numpy")
def shadowed(nodes, triangles, ox, oy, oz, dx, dy, dz, reach):  # type: ignore[no-untyped-def]
    """Whether a triangle stands between o and o + reach·d (Möller and Trumbore, J. Graphics Tools 2, 1997)."""
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    node, last = 0, len(nodes)
    while node < last:
        if misses(nodes, node, ox, oy, oz, ix, iy, iz, reach):
            node = int(nodes[node, 6])
            continue
        leaf = int(nodes[node, 7])
        node += 1
        if leaf < 0:
            continue
        for i in range(leaf >> 3, (leaf >> 3) + (leaf & 7)):
            ax, ay, az = triangles[i, 3], triangles[i, 4], triangles[i, 5]
            bx, by, bz = triangles[i, 6], triangles[i, 7], triangles[i, 8]
            px, py, pz = dy * bz - dz * by, dz * bx - dx * bz, dx * by - dy * bx
            det = ax * px + ay * py + az * pz
            if det == 0.0:
                continue
            sx, sy, sz = ox - triangles[i, 0], oy - triangles[i, 1], oz - triangles[i, 2]
            u = (sx * px + sy * py + sz * pz) / det
            if u < 0.0 or u > 1.0:
                continue
            qx, qy, qz = sy * az - sz * ay, sz * ax - sx * az, sx * ay - sy * ax
            v = (dx * qx + dy * qy + dz * qz) / det
            if v < 0.0 or u + v > 1.0:
                continue
            t = (bx * qx + by * qy + bz * qz) / det
            if 0.0 < t < reach:
                return True
    return False
