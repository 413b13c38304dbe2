"""What a surface sends to the camera, in numba: its pattern's colour, its folds, the light on it, its reflections."""

import numba
import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.raycast.intersect import KIND, MESH, normal
from isp_sim.scenes.people.raycast.light import WARM_WHITE, ambient, irradiance, sky_radiance
from isp_sim.scenes.people.raycast.textures import SIZE, facade, mix, noise, share, surface
from isp_sim.scenes.people.raycast.triangles import CORNERS, on_triangle, turned_away
from isp_sim.scenes.people.shapes import CONE

SKYLINE = 0.38
"""Sine of the height up to which houses hide the sky in a reflection. Assumed."""
FOLD_SHADE = 2.5
"""How much darker folds are inside, over their slope. Assumed."""
CRUMPLE = 4.0
"""How much steeper folds become where a bent joint leaves cloth less room, over the share of its area. Assumed."""


@numba.njit(nogil=True, error_model="numpy")
def coloured(s, k, x, y, z, blur):  # type: ignore[no-untyped-def]
    """Reflectance and glow (over reflectance) of solid k at a point of its own frame."""
    kind = s[k, KIND]
    pattern, glow = s[k, m.PATTERN], s[k, m.GLOW]
    u, v = surface(s, k, kind, x, y, z)
    if kind == MESH and pattern == m.PRINT:
        v -= 0.74 * s[k, SIZE] - 0.16  # on the chest
    mirror = s[k, m.MIRROR]
    if pattern == m.FACADE:
        glass, frame, cloth, number, lamp = facade(s, k, u, v, blur)
        r, g, b = mix(s, k, min(frame, 1.0))
        dim = 0.02 + 0.05 * number
        r, g, b = r + glass * (dim - r), g + glass * (dim - g), b + glass * (1.1 * dim - b)
        r, g, b = r + cloth * (0.34 - r), g + cloth * (0.33 - g), b + cloth * (0.30 - b)
        mirror = mirror + glass * (0.06 + 0.10 * number) * (1 - 0.4 * cloth)
        if glow > 0.0:
            value, _, _, _ = noise(u / 0.35, v / 0.5, number)  # what stands in the window
            glow *= lamp * glass * (0.6 + 0.4 * value) * (1 - 0.6 * cloth)
    elif pattern == m.PANE or pattern == m.SCREEN:
        part = 1.0
        r, g, b = s[k, m.RED], s[k, m.GREEN], s[k, m.BLUE]
        if pattern == m.PANE:
            value, _, _, _ = noise(u * 0.8 + s[k, m.SEED], 0.5, 0.5)
            part = 0.22 + 0.10 * value if v < -0.35 * s[k, SIZE + 1] + 0.25 * s[k, SIZE + 1] * value else 1.0
        else:
            value, _, _, _ = noise(u / 0.08 + s[k, m.SEED], v / 0.05, 0.5)
            part = 0.5 + 0.5 * value
        glow = glow * part
    else:
        r, g, b = mix(s, k, share(s, k, u, v, z, blur))
    grain, vary = s[k, m.GRAIN], s[k, m.VARIATION]
    if vary > 0.0 and blur < 2 * grain:
        value, _, _, _ = noise((u + 7.3 * s[k, m.SEED]) / grain, v / grain, z / grain * 0.3)
        tone = 1.0 + vary * value * min(2.0 - blur / grain, 1.0)
        r, g, b = r * tone, g * tone, b * tone
    return r, g, b, glow, mirror


@numba.njit(nogil=True, error_model="numpy")
def creases(x, y, z, seed):  # type: ignore[no-untyped-def]
    """Gradient of the height of folds, with ridges where the noise is 0, and how deep in them the point lies."""
    v, gx, gy, gz = noise(x + seed, 0.4 * y, z)
    w, hx, hy, hz = noise(0.6 * (x + y), 1.4 * (y - 0.5 * x) + seed, 0.6 * z)
    hollow = 0.5 * (abs(v) + abs(w))
    v, w = (1 - abs(v)) * v / np.sqrt(v * v + 0.1), (1 - abs(w)) * w / np.sqrt(w * w + 0.1)
    gx, gy, gz = v * gx + w * (0.6 * hx - 0.7 * hy), 0.4 * v * gy + w * (0.6 * hx + 1.4 * hy), v * gz + 0.6 * w * hz
    return gx, gy, gz, hollow


@numba.njit(nogil=True, error_model="numpy")
def folded(s, k, x, y, z, nx, ny, nz, blur):  # type: ignore[no-untyped-def]
    """The normal tilted by the gradient of noise in the solid's own frame: folds of cloth, bark, leaves."""
    bump, size = s[k, m.BUMP], s[k, m.BUMP_SCALE]
    if bump == 0.0 or blur > size:
        return nx, ny, nz
    if s[k, KIND] == CONE:
        ax, ay, az = x, y, z
    else:
        ax, ay, az = x * s[k, SIZE], y * s[k, SIZE + 1], z * s[k, SIZE + 2]
    seed = s[k, m.SEED]
    gx, gy, gz, _ = creases(ax / size, ay / size, az / size, seed)
    tilt = 0.5 * bump * (1.0 - blur / size)
    stretch = 1.0 / np.sqrt(s[k, 4] ** 2 + s[k, 5] ** 2 + s[k, 6] ** 2)
    wx = (s[k, 0] * gx + s[k, 4] * gy + s[k, 8] * gz) * stretch
    wy = (s[k, 1] * gx + s[k, 5] * gy + s[k, 9] * gz) * stretch
    wz = (s[k, 2] * gx + s[k, 6] * gy + s[k, 10] * gz) * stretch
    along = wx * nx + wy * ny + wz * nz
    nx, ny, nz = nx - tilt * (wx - along * nx), ny - tilt * (wy - along * ny), nz - tilt * (wz - along * nz)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@numba.njit(nogil=True, error_model="numpy")
def draped(s, k, triangles, vertices, i, x, y, z, nx, ny, nz, blur):  # type: ignore[no-untyped-def]
    """`folded` for a body: folds stay where they are on the body at rest, whose gradient the triangle carries over.
    Also the share of the light from all sides that reaches into them.
    """
    bump, size = s[k, m.BUMP], s[k, m.BUMP_SCALE]
    if bump == 0.0 or blur > size:
        return nx, ny, nz, 1.0
    gx, gy, gz, hollow = creases(x / size, y / size, z / size, s[k, m.SEED])
    p, q, r = int(triangles[i, CORNERS]), int(triangles[i, CORNERS + 1]), int(triangles[i, CORNERS + 2])
    x0, y0, z0 = vertices[p, 3], vertices[p, 4], vertices[p, 5]
    ux, uy, uz = vertices[q, 3] - x0, vertices[q, 4] - y0, vertices[q, 5] - z0
    vx, vy, vz = vertices[r, 3] - x0, vertices[r, 4] - y0, vertices[r, 5] - z0
    a, b = gx * ux + gy * uy + gz * uz, gx * vx + gy * vy + gz * vz
    uu, uv, vv = ux * ux + uy * uy + uz * uz, ux * vx + uy * vy + uz * vz, vx * vx + vy * vy + vz * vz
    ax, ay, az = triangles[i, 3], triangles[i, 4], triangles[i, 5]
    bx, by, bz = triangles[i, 6], triangles[i, 7], triangles[i, 8]
    aa, ab, bb = ax * ax + ay * ay + az * az, ax * bx + ay * by + az * bz, bx * bx + by * by + bz * bz
    det = max(aa * bb - ab * ab, 1e-3 * aa * bb)
    v, w = (bb * a - ab * b) / det, (aa * b - ab * a) / det
    squeezed = 1.0 - min(np.sqrt(max(aa * bb - ab * ab, 0.0) / max(uu * vv - uv * uv, 1e-20)), 1.0)
    tilt = 0.5 * bump * (1.0 - blur / size) * (1.0 + CRUMPLE * squeezed)
    wx, wy, wz = tilt * (v * ax + w * bx), tilt * (v * ay + w * by), tilt * (v * az + w * bz)
    steep = max(np.sqrt(wx * wx + wy * wy + wz * wz), 1.0)
    nx, ny, nz = nx - wx / steep, ny - wy / steep, nz - wz / steep
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length, 1.0 - min(FOLD_SHADE * tilt * hollow, 0.6)


@numba.njit(nogil=True, error_model="numpy")
def radiance(s, nodes, order, rows, sky, shades, bodies, camera, k, i, t, dx, dy, dz, cell):  # type: ignore[no-untyped-def]
    """Light a ray brings home from where it meets solid k, or triangle i of surface k, in two parts: what comes whether
    or not the lights are hidden, what the lights send, and the share of the latter that arrives from place `cell` on
    each (`spot`).
    """
    if k < 0:
        r, g, b = sky_radiance(sky, dx, dy, dz)
        return r, g, b, 0.0, 0.0, 0.0, 1.0
    px, py, pz = camera.x + t * dx, camera.y + t * dy, camera.z + t * dz
    own = 1.0
    if i >= 0:
        nx, ny, nz, x, y, z, own, ox, oy, oz = on_triangle(bodies.triangles, bodies.vertices, i, px, py, pz)
        if turned_away(bodies.triangles, i, dx, dy, dz):  # the inner side of cloth
            nx, ny, nz, own, ox, oy, oz = -nx, -ny, -nz, 0.3, px, py, pz
    else:
        nx, ny, nz, x, y, z = normal(s, k, px, py, pz)
        ox, oy, oz = px, py, pz
    facing = -(nx * dx + ny * dy + nz * dz)
    blur = t / camera.focal_px / max(facing, 0.15) ** 0.5
    r, g, b, glow, mirror = coloured(s, k, x, y, z, blur)
    behind = glow if s[k, m.PATTERN] == m.FACADE else 0.0
    if glow > behind:
        return r * glow, g * glow, b * glow, 0.0, 0.0, 0.0, 1.0
    ox, oy, oz = ox + 2e-3 * nx, oy + 2e-3 * ny, oz + 2e-3 * nz
    if i >= 0:
        nx, ny, nz, deep = draped(s, k, bodies.triangles, bodies.vertices, i, x, y, z, nx, ny, nz, blur)
        own *= deep
    else:
        nx, ny, nz = folded(s, k, x, y, z, nx, ny, nz, blur)
    er, eg, eb, hr, hg, hb, share_ = irradiance(
        s, k, nodes, order, rows, bodies, ox, oy, oz, nx, ny, nz, dx, dy, dz, cell
    )
    ar, ag, ab = ambient(s, k, sky, shades, px, py, pz, nx, ny, nz)
    er, eg, eb = r * er + hr, g * eg + hg, b * eb + hb
    # What the body hides of its surroundings sends light too: about as much as there is, times its reflectance.
    r, g, b = r * ar * own / (1 - (1 - own) * r), g * ag * own / (1 - (1 - own) * g), b * ab * own / (1 - (1 - own) * b)
    if mirror > 0.0:
        along = dx * nx + dy * ny + dz * nz
        strength = mirror + (1 - mirror) * max(1.0 + along, 0.0) ** 5 * min(4 * mirror, 1.0)
        mr, mg, mb = mirrored(sky, dx - 2 * along * nx, dy - 2 * along * ny, dz - 2 * along * nz)
        r, g, b = r + strength * mr, g + strength * mg, b + strength * mb
    if behind > 0.0:
        r, g, b = r + behind * WARM_WHITE[0], g + behind * WARM_WHITE[1], b + behind * WARM_WHITE[2]
    return r, g, b, er, eg, eb, share_


@numba.njit(nogil=True, error_model="numpy")
def mirrored(sky, dx, dy, dz):  # type: ignore[no-untyped-def]
    """What a smooth surface shows: in rooms their walls; out of doors the sky above the roofs, houses below."""
    if sky[0] == 0.0:
        return 0.5 * sky[12], 0.5 * sky[13], 0.5 * sky[14]
    r, g, b = sky_radiance(sky, dx, dy, dz)
    roof = SKYLINE + 0.12 * np.sin(9.0 * np.arctan2(dx, dz))
    above = min(max((dy - roof) / 0.03, 0.0), 1.0)
    wall = 0.30 if dy > 0.0 else 0.18
    return (
        above * r + (1 - above) * wall * sky[12],
        above * g + (1 - above) * wall * sky[13],
        above * b + (1 - above) * wall * sky[14],
    )
