"""Light: the sun, lamps and windows, the sky, and what comes from all sides.

Radiance is relative: 1 is a white wall under the scene's main light. Irradiance here is already over π, so a
diffuser of reflectance ρ lit by E has the radiance ρ·E.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.materials import Rgb
from isp_sim.scenes.people.raycast.hierarchy import shadowed
from isp_sim.scenes.people.raycast.intersect import INSTANCE
from isp_sim.scenes.people.raycast.textures import noise
from isp_sim.scenes.people.raycast.trace import blocked

SUN, LAMP, WINDOW, LANTERN, BEAM = range(5)
SUN_RADIUS = 0.00465
"""Half the sun's angle as seen from the earth, radians (32')."""
SKIN_RED = 0.3
"""Red light that entered skin beside a point and leaves there, over what falls on it at a grazing angle. Assumed."""
LIT = 0.01  # less irradiance than this from one light is not worth a shadow ray
MANY = 5
"""Where there are more lights, as at night, each sends a shadow ray at every fourth place only, for four."""

DAYLIGHT: Rgb = (1.0, 0.98, 0.95)
SKYLIGHT: Rgb = (0.78, 0.90, 1.12)
TUNGSTEN: Rgb = (1.35, 0.95, 0.52)
WARM_WHITE: Rgb = (1.16, 0.98, 0.76)
COOL_WHITE: Rgb = (0.98, 1.0, 1.04)
"""Colours of light in linear Rec. 709, luminance about 1: assumed, near 5500 K, 12000 K, 2900 K, 4000 K, 6300 K."""


class Lights(NamedTuple):
    """Lights a row each: kind; place (or direction of the sun); the way it shines; colour times strength; and
    the solids that dim what comes from all sides.

    Attributes:
        rows: as `area` makes them. Irradiance: of the sun `n·l`, of a lamp `n·l·(0.25 + 0.75·cos)/r²`, of a window
            `n·l·cos/r²`, of a street lamp `n·l·min(4·cos, 1)/r²`, of a head lamp `n·l·cos³²/r²`, l towards its middle.
        sky: see `Sky.row`.
        shades: balls (x, y, z, radius, person) that stand for bodies in the ambient light.
    """

    rows: Float64[np.ndarray, "lights 16"]
    sky: Float64[np.ndarray, " 26"]
    shades: Float64[np.ndarray, "balls 5"]


Triple = Sequence[float] | Float64[np.ndarray, " 3"]


def area(kind: int, at: Triple, way: Triple, colour: Triple, across: Triple, along: Triple) -> tuple[float, ...]:
    """A light's row: kind; place (or direction of the sun); the way it shines; colour times strength; half its
    extent in two directions, over which its shadows are soft.
    """
    return (float(kind), *(float(v) for part in (at, way, colour, across, along) for v in part))


@dataclass(frozen=True)
class Sky:
    """What is around: out of doors the sky, in rooms the light from all sides.

    Attributes:
        outdoors: rays that meet nothing see the sky.
        zenith, horizon: radiance of the clear sky.
        clouds: cover, 0 … 1.
        sun: direction to it.
        glow: radiance round the sun, relative.
        above, below: irradiance from the upper and lower half-space.
        seed: of the clouds.
        rise: power of the height's sine with which the horizon's radiance turns into the zenith's.
        cloud: radiance of clouds in the sun; 0 where they are the sky.
        room: left, right, back, front, height of a room's walls, m; corners in it are darker.
    """

    outdoors: bool
    zenith: Rgb
    horizon: Rgb
    clouds: float
    sun: Rgb
    glow: float
    above: Rgb
    below: Rgb
    seed: float
    room: tuple[float, float, float, float, float] = (-1e6, 1e6, -1e6, 1e6, 1e6)
    rise: float = 1.0
    cloud: float = 0.0

    def row(self) -> Float64[np.ndarray, " 26"]:
        """For the kernel."""
        parts = (*self.zenith, *self.horizon, self.clouds, *self.sun, self.glow, *self.above, *self.below, self.seed)
        return np.array((float(self.outdoors), *parts, *self.room, self.rise, self.cloud), np.float64)


@numba.njit(nogil=True, error_model="numpy")
def sky_radiance(sky, dx, dy, dz):  # type: ignore[no-untyped-def]
    """The sky in a direction: horizon to zenith, clouds, the glow round the sun. Below the horizon, the ground."""
    up = max(dy, 0.0)
    rise = up ** sky[24]
    r = sky[4] + rise * (sky[1] - sky[4])
    g = sky[5] + rise * (sky[2] - sky[5])
    b = sky[6] + rise * (sky[3] - sky[6])
    cover = sky[7]
    if cover > 0.0 and dy > 0.01:
        u, v = 1.4 * dx / (dy + 0.16), 1.4 * dz / (dy + 0.16)
        a1, _, _, _ = noise(u, v, sky[18])
        a2, _, _, _ = noise(2.3 * u, 2.3 * v, sky[18] + 7)
        a3, _, _, _ = noise(5.1 * u, 5.1 * v, sky[18] + 13)
        puff = min(max((0.55 * a1 + 0.3 * a2 + 0.15 * a3 + 2.2 * cover - 1.1) * 1.7, 0.0), 1.0)
        white = sky[25] * (1.0 + 0.35 * a2) if sky[25] > 0.0 else (r + g + b) / 3 * (1.0 + 0.3 * a2)
        puff *= min(dy * 8, 1.0) * 0.9
        r, g, b = r + puff * (white - r), g + puff * (white - g), b + puff * (white * 1.02 - b)
    near = dx * sky[8] + dy * sky[9] + dz * sky[10]
    if near > 0.0:
        halo = sky[11] * (0.25 * near**8 + 1.5 * near**60 + 400.0 * (near > 0.99996))
        r, g, b = r + halo, g + 0.95 * halo, b + 0.85 * halo
    if dy < 0.0:
        fade = min(-dy * 12, 1.0)
        r, g, b = r + fade * (sky[15] * 0.3 - r), g + fade * (sky[16] * 0.3 - g), b + fade * (sky[17] * 0.3 - b)
    return r, g, b


@numba.njit(nogil=True, error_model="numpy")
def openness(sky, shades, person, px, py, pz, nx, ny, nz):  # type: ignore[no-untyped-def]
    """How much of what comes from all sides arrives: bodies near the point take `(r/d)²·n·d` of it, walls some."""
    free = 1.0
    for i in range(len(shades)):
        ex, ey, ez = shades[i, 0] - px, shades[i, 1] - py, shades[i, 2] - pz
        d2 = ex * ex + ey * ey + ez * ez
        r2 = shades[i, 3] * shades[i, 3]
        if d2 > 40.0 * r2 or (int(shades[i, 4]) == person and person > 0):
            continue
        d = np.sqrt(d2)
        facing = max((nx * ex + ny * ey + nz * ez) / d + 0.15, 0.0)
        free *= 1.0 - min(facing * r2 / max(d2, r2), 0.85)
    near = min(px - sky[19], sky[20] - px)
    depth = min(pz - sky[21], sky[22] - pz)
    under = min(py, sky[23] - py)
    for distance in (near, depth, under):
        if distance < 1.0:
            free *= 1.0 - 0.22 * np.exp(-3.0 * max(distance, 0.0))
    if person > 0:
        free *= 0.72 + 0.28 * min(max(py, 0.0) / 0.5, 1.0)
    return free


@numba.njit(nogil=True, error_model="numpy", inline="always")
def spot(cell):  # type: ignore[no-untyped-def]
    """Sample `cell` of 16 over a light, −1 … 1 both ways: Hammersley's points, 16 different places along each."""
    back = ((cell & 1) << 3) | ((cell & 2) << 1) | ((cell & 4) >> 1) | ((cell & 8) >> 3)
    return (cell + 0.5) / 8 - 1, (back + 0.5) / 8 - 1


@numba.njit(nogil=True, error_model="numpy", cache=True)
def ambient(s, k, sky, shades, px, py, pz, nx, ny, nz):  # type: ignore[no-untyped-def]
    """Light from all sides at a point, over π, in three bands."""
    open_ = openness(sky, shades, int(s[k, INSTANCE]), px, py, pz, nx, ny, nz)
    half = min(max(0.5 + 0.42 * ny + 0.22 * (nx * sky[8] + nz * sky[10]), 0.0), 1.0)  # it is brighter on the sun's side
    red = open_ * (sky[15] + half * (sky[12] - sky[15]))
    green = open_ * (sky[16] + half * (sky[13] - sky[16]))
    blue = open_ * (sky[17] + half * (sky[14] - sky[17]))
    return red, green, blue


@numba.njit(nogil=True, error_model="numpy")
def irradiance(s, k, nodes, order, rows, bodies, sx, sy, sz, nx, ny, nz, vx, vy, vz, cell):  # type: ignore[no-untyped-def]
    """Light of the lights at a point, over π, in three bands, if nothing stood in its way; the highlight it gives
    towards the viewer; and the share of it that arrives, towards one of 16 places on each light. Shadow rays
    start at s.
    """
    red = green = blue = shine_r = shine_g = shine_b = 0.0
    sent = arrives = 0.0
    gloss, sharp = s[k, m.GLOSS], s[k, m.SHARPNESS]
    along, aside = spot(cell)
    for i in range(len(rows)):
        lx, ly, lz = rows[i, 1], rows[i, 2], rows[i, 3]
        tx = lx + along * rows[i, 10] + aside * rows[i, 13]
        ty = ly + along * rows[i, 11] + aside * rows[i, 14]
        tz = lz + along * rows[i, 12] + aside * rows[i, 15]
        strength, reach = 1.0, 1e6
        if rows[i, 0] != SUN:
            lx, ly, lz = lx - sx, ly - sy, lz - sz
            tx, ty, tz = tx - sx, ty - sy, tz - sz
            far = np.sqrt(lx * lx + ly * ly + lz * lz)
            lx, ly, lz = lx / far, ly / far, lz / far
            out = -(lx * rows[i, 4] + ly * rows[i, 5] + lz * rows[i, 6])
            if rows[i, 0] == LAMP:
                out = 0.25 + 0.75 * max(out, 0.0)
            elif rows[i, 0] == LANTERN:
                out = min(4.0 * out, 1.0)
            elif rows[i, 0] == BEAM:
                out = max(out, 0.0) ** 32
            strength, reach = max(out, 0.0) / (far * far + 0.15), 1.0 - 0.05 / far
        cosine = nx * lx + ny * ly + nz * lz
        colour = rows[i, 7] + rows[i, 8] + rows[i, 9]
        if cosine <= 0.0 or strength * cosine * colour < LIT:
            continue
        e, turns = strength * cosine, 1.0
        sent += e * colour
        if len(rows) > MANY:
            turns = 4.0 if (cell ^ i) & 3 == 0 else 0.0
        if turns > 0.0 and not (
            shadowed(bodies.nodes, bodies.triangles, sx, sy, sz, tx, ty, tz, reach)
            or blocked(s, nodes, order, sx, sy, sz, tx, ty, tz, reach)
        ):
            arrives += turns * e * colour
        beside = 1.0 + SKIN_RED * (1.0 - cosine) if s[k, m.PATTERN] == m.SKIN else 1.0
        red, green, blue = red + beside * e * rows[i, 7], green + e * rows[i, 8], blue + e * rows[i, 9]
        if gloss > 0.0:
            hx, hy, hz = lx - vx, ly - vy, lz - vz
            h = np.sqrt(hx * hx + hy * hy + hz * hz)
            up = max((nx * hx + ny * hy + nz * hz) / h, 0.0)
            lobe = gloss * e * up**sharp * (sharp + 8) / 8
            shine_r += lobe * rows[i, 7]
            shine_g += lobe * rows[i, 8]
            shine_b += lobe * rows[i, 9]
    return red, green, blue, shine_r, shine_g, shine_b, arrives / sent if sent > 0.0 else 1.0
