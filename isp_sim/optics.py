"""Radiance → photons: lens, beam splitter, ND filter and where each arm's sensor sits.

Coordinates: pixels with (0, 0) at the centre of the first pixel; inside the lens, pixels about the optical
axis. An arm's pixel is followed backwards to the light it sees:

    sensor pixel → (arm's homography)⁻¹ → image plane → ·zoom·(1 + k1 ρ² + k2 ρ⁴) → scene pixel

The zoom, at most 1, makes the scene fill the distorted field of view to its corners. Lens distortion stands before
the beam splitter, so both arms share it and differ by a homography alone.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numba
import numpy as np
from jaxtyping import Float32, Float64
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.special import j1

from isp_sim.faults import ShadingTables
from isp_sim.parallel_rows import in_rows
from isp_sim.rig import Arm, BeamSplitter, Geometry, Lens, NdFilter, Sensor
from isp_sim.shading import interpolated, positions
from isp_sim.transfer import REC709_LUMA
from isp_sim.units import Photons, Radiance

BAND_WAVELENGTH_UM = (0.60, 0.54, 0.46)
"""Middle of the R, G and B bands, for diffraction."""
FINE = 9  # samples across a pixel when a point spread function is integrated


class Numbers(NamedTuple):
    """One arm's geometry as the kernel takes it.

    Attributes:
        back: inverse homography, sensor → image plane, row by row.
        k1, k2: distortion, per (half diagonal)² and ⁴.
        half_diagonal_px: half the full sensor's diagonal.
        zoom: scene pixels an image pixel spans at the axis: `1/max(1, 1 + k1 + k2)`.
        focal_px: focal length; vignetting is `cos⁴ = (f²/(f² + r²))²`.
    """

    back: tuple[float, ...]
    k1: float
    k2: float
    half_diagonal_px: float
    zoom: float
    focal_px: float


@dataclass(frozen=True)
class View:
    """How one arm sees the scene.

    Attributes:
        forward: homography image plane → sensor, about the centre, px.
        numbers: the same and the lens for the kernel.
        bands: 3×3, linear Rec. 709 → light reaching R, G, B pixels, filters included.
    """

    forward: Float64[np.ndarray, "3 3"]
    numbers: Numbers
    bands: Float64[np.ndarray, "3 3"]


def homography(geometry: Geometry, binning: int) -> Float64[np.ndarray, "3 3"]:
    """Image plane → sensor about the centre, binned pixels: `x' = shift + scale·R·x / (1 + p·x)`."""
    angle = math.radians(geometry.rotation_deg.value)
    turn = geometry.scale.value * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shift = np.array(geometry.shift_px.value) / binning
    perspective = np.array(geometry.perspective_per_px.value) * binning
    matrix = np.eye(3)
    matrix[:2, :2] = turn + np.outer(shift, perspective)
    matrix[:2, 2] = shift
    matrix[2, :2] = perspective
    return matrix


def splitter_share(arm: Arm, splitter: BeamSplitter) -> Float64[np.ndarray, " 3"]:
    """Share of R, G, B light that the splitter sends to an arm."""
    return np.array(splitter.transmittance.value if arm.path == "transmitted" else splitter.reflectance.value)


def arm_bands(
    arm: Arm, splitter: BeamSplitter, nd_filter: NdFilter, lens: Lens, sensor: Sensor
) -> Float64[np.ndarray, "3 3"]:
    """Linear Rec. 709 → the light R, G, B pixels of this arm get, per unit of light before the splitter:
    `diag(T_path · T_nd) · M + mean T_path · T_nd,nir · nir · [1 1 1]ᵀ·Y`.
    """
    path = splitter_share(arm, splitter)
    visible = path * (np.array(nd_filter.transmittance.value) if arm.nd_filter else 1.0)
    infrared = path.mean() * (nd_filter.near_infrared_transmittance.value if arm.nd_filter else 1.0)
    leak = infrared * lens.near_infrared.value * np.outer(np.ones(3), REC709_LUMA)
    return np.asarray(visible[:, None] * np.array(sensor.rec709_to_camera.value) + leak)


def view(arm: Arm, splitter: BeamSplitter, nd_filter: NdFilter, lens: Lens, sensor: Sensor, binning: int) -> View:
    """Everything about one arm that does not depend on the scene. `sensor` is the unbinned one."""
    forward = homography(arm.geometry, binning)
    pitch_mm = sensor.pixel_pitch_um.value * 1e-3
    k1, k2 = lens.distortion.value
    return View(
        forward=forward,
        numbers=Numbers(
            back=tuple(float(v) for v in np.linalg.inv(forward).ravel()),
            k1=k1,
            k2=k2,
            half_diagonal_px=math.hypot(sensor.width_px.value, sensor.height_px.value) / 2 / binning,
            zoom=1 / max(1.0, 1 + k1 + k2),
            focal_px=lens.focal_length_mm.value / pitch_mm / binning,
        ),
        bands=arm_bands(arm, splitter, nd_filter, lens, sensor),
    )


def point_spread(lens: Lens, pitch_um: float, band: int) -> Float64[np.ndarray, "size size"]:
    """Lens blur on the pixel grid: the Airy pattern `(2 J1(v)/v)²`, v = π r/(λ N), spread over the defocus
    disc and integrated over each pixel; sums to 1.
    """
    half_px = max(1, math.ceil((lens.defocus_um.value / 2 + 1.5 * lens.f_number.value) / pitch_um))
    size = (2 * half_px + 1) * FINE
    axis_um = (np.arange(size) - (size - 1) / 2) * pitch_um / FINE
    radius_um = np.hypot(axis_um[:, None], axis_um)
    v = np.maximum(math.pi * radius_um / (BAND_WAVELENGTH_UM[band] * lens.f_number.value), 1e-9)
    spread = (2 * j1(v) / v) ** 2
    disc = (radius_um <= lens.defocus_um.value / 2).astype(float)
    if disc.sum() > 1:
        spread = _convolved(spread, disc)
    kernel = spread.reshape(2 * half_px + 1, FINE, 2 * half_px + 1, FINE).sum(axis=(1, 3))
    kernel = np.maximum(kernel, 0)
    return np.asarray(kernel / kernel.sum())


def _convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The middle of `image * kernel`, of the image's size; `scipy.signal` takes 0.7 s to import."""
    size = np.add(image.shape, kernel.shape) - 1
    fast = [next_fast_len(int(n), True) for n in size]
    whole = irfftn(rfftn(image, fast) * rfftn(kernel, fast), fast)
    top, left = (size - image.shape) // 2
    return np.asarray(whole[top : top + image.shape[0], left : left + image.shape[1]])


def through_lens(radiance: Radiance, lens: Lens, pitch_um: float) -> Radiance:
    """The image the lens forms, before either arm: each band convolved with its `point_spread`.

    Outside the scene the light of its rim goes on.
    """
    blurred = np.empty_like(radiance)
    for band in range(3):
        kernel = point_spread(lens, pitch_um, band)
        blurred[..., band] = cv2.filter2D(radiance[..., band], -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return Radiance(blurred)


@numba.njit(inline="always")
def catmull_rom(t):  # type: ignore[no-untyped-def]
    """Catmull-Rom weights (Keys 1981, a = −½) of the samples at −1, 0, 1, 2 for a point at 0 ≤ t < 1."""
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


@numba.njit(inline="always")
def _seen(u, v, numbers):  # type: ignore[no-untyped-def]
    """A sensor pixel about the centre, backwards: image plane, and the stretch that leads on to the scene."""
    b = numbers.back
    depth = b[6] * u + b[7] * v + b[8]
    px = (b[0] * u + b[1] * v + b[2]) / depth
    py = (b[3] * u + b[4] * v + b[5]) / depth
    rho2 = (px * px + py * py) / (numbers.half_diagonal_px * numbers.half_diagonal_px)
    return px, py, numbers.zoom * (1.0 + numbers.k1 * rho2 + numbers.k2 * rho2 * rho2)


@numba.njit(nogil=True, cache=True)
def _points(start, stop, numbers, points):  # type: ignore[no-untyped-def]
    height, width = points.shape[:2]
    for y in range(start, stop):
        for x in range(width):
            px, py, stretch = _seen(x - (width - 1) / 2, y - (height - 1) / 2, numbers)
            points[y, x, 0] = px * stretch + (width - 1) / 2
            points[y, x, 1] = py * stretch + (height - 1) / 2


def scene_points(view: View, height: int, width: int) -> Float32[np.ndarray, "height width 2"]:
    """The scene pixel (x, y) every pixel of an arm sees: the map `photons_at_sensor` collects light by, the
    inverse of `to_sensor`.

    Args:
        view: the arm's.
        height: of the scene, which is also the frame's.
        width: likewise.
    """
    points = np.empty((height, width, 2), np.float32)
    in_rows(_points, height, view.numbers, points)
    return points


@numba.njit(nogil=True, cache=True)
def _collect(start, stop, image, numbers, bands, photons):  # type: ignore[no-untyped-def]
    height, width = photons.shape[:2]
    rows, columns = image.shape[:2]
    for y in range(start, stop):
        for x in range(width):
            px, py, stretch = _seen(x - (width - 1) / 2, y - (height - 1) / 2, numbers)
            r2 = px * px + py * py
            sx, sy = px * stretch + (columns - 1) / 2, py * stretch + (rows - 1) / 2
            x0, y0 = math.floor(sx), math.floor(sy)
            wx, wy = catmull_rom(sx - x0), catmull_rom(sy - y0)
            red = green = blue = 0.0
            for j in range(4):
                row, down = min(max(y0 - 1 + j, 0), rows - 1), wy[j]
                for i in range(4):
                    column, weight = min(max(x0 - 1 + i, 0), columns - 1), down * wx[i]
                    red += weight * image[row, column, 0]
                    green += weight * image[row, column, 1]
                    blue += weight * image[row, column, 2]
            cosine2 = numbers.focal_px * numbers.focal_px / (numbers.focal_px * numbers.focal_px + r2)
            fall = cosine2 * cosine2
            for c in range(3):
                total = bands[c, 0] * red + bands[c, 1] * green + bands[c, 2] * blue
                photons[y, x, c] = max(total * fall, 0.0)


def photons_at_sensor(radiance: Radiance, view: View, photons_at_white: float) -> Photons:
    """Mean photons of each pixel of one arm's sensor, in its three bands.

    `photons = photons_at_white · cos⁴θ · bands · radiance(scene point of the pixel)`, the scene sampled with a
    Catmull-Rom cubic and cut at 0.

    Args:
        radiance: the lens's image (`through_lens`), `(height, width, 3)`.
        view: the arm's.
        photons_at_white: photons a perfect diffuser sends on axis to a pixel of unit response before the
            splitter, over the exposure.

    Returns:
        float32 `(height, width, 3)`, the size of the radiance.
    """
    photons = np.empty(radiance.shape, np.float32)
    in_rows(
        _collect,
        len(photons),
        np.ascontiguousarray(radiance),
        view.numbers,
        view.bands * photons_at_white,
        photons,
    )
    return Photons(photons)


def shading_at(tables: ShadingTables, colour_temperature_k: float) -> Float64[np.ndarray, "3 rows columns"]:
    """An arm's tables of R, G and B under a light: straight lines over 1/T between the nearest two; the ends go on."""
    planes = np.array([[table.red, table.green, table.blue] for table in tables])
    mired = np.array([-1e6 / table.colour_temperature_k for table in tables])
    at = float(np.interp(-1e6 / colour_temperature_k, mired, np.arange(len(tables))))
    below = min(int(at), max(len(tables) - 2, 0))
    above = min(below + 1, len(tables) - 1)
    return np.asarray(planes[below] + (at - below) * (planes[above] - planes[below]))


def shaded(photons: Photons, tables: Float64[np.ndarray, "3 rows columns"], frame: tuple[int, int]) -> Photons:
    """Photons that the arm's shading lets through: each band by its own table.

    Args:
        photons: of the frame, or of a part in its middle.
        tables: of R, G and B, see `isp_sim.faults.ShadingTable`.
        frame: height and width of the arm's frame.
    """
    down, across = (positions(n, whole) for n, whole in zip(photons.shape[:2], frame, strict=True))
    share = np.stack([interpolated(table, down, across) for table in tables], axis=2)
    return Photons(photons * share.astype(np.float32))


def to_sensor(points: Float64[np.ndarray, "n 2"], view: View, height: int, width: int) -> Float64[np.ndarray, "n 2"]:
    """Scene pixels → an arm's pixels, the way light goes: the distortion is inverted by fixed-point steps.

    Args:
        points: (x, y), scene pixels.
        view: the arm's.
        height: of the scene, which is also the frame's.
        width: likewise.
    """
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    scene = np.asarray(points, np.float64) - centre
    image = scene.copy()
    n = view.numbers
    for _ in range(30):
        rho2 = (image**2).sum(axis=1, keepdims=True) / n.half_diagonal_px**2
        image = scene / (n.zoom * (1 + n.k1 * rho2 + n.k2 * rho2**2))
    lifted = np.column_stack([image, np.ones(len(image))]) @ view.forward.T
    return np.asarray(lifted[:, :2] / lifted[:, 2:] + centre)


def centre_shift(height: int, width: int) -> Float64[np.ndarray, "3 3"]:
    """C: pixels about a frame's centre → pixels counted from the centre of the first one."""
    return np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1.0]])


def between(source: View, target: View, height: int, width: int) -> Float64[np.ndarray, "3 3"]:
    """Homography from one arm's pixels to the other's: `C · A_target · A_source⁻¹ · C⁻¹`, C the centre."""
    centre = centre_shift(height, width)
    matrix = centre @ target.forward @ np.linalg.inv(source.forward) @ np.linalg.inv(centre)
    return np.asarray(matrix / matrix[2, 2])
