"""Where the low-light arm's pixels lie in the well-lit arm's frame: the model, its derivatives, what is known before.

Coordinates are pixels about the frame's centre, (0, 0) at the centre of the frame, as in `isp_sim.optics`. With
R half the frame's diagonal and ρ = |x|/R, a low-light pixel x lies at

    W(x) = (M·x′ + t) / (1 + (p, q)·x′ / R²),    M = 1 + [[e + a, s − r], [s + r, e − a]] / R,
    x′ = x·(1 + (k1 ρ² + k2 ρ⁴) / R)

so every parameter is a displacement in pixels: t everywhere, the others at the corner. e is expansion, r rotation,
a aspect, s shear, (p, q) perspective, (k1, k2) what the arms' distortions differ by (0 behind one shared lens).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from isp_sim.optics import centre_shift
from isp_sim.rectify import ArmMap

NAMES = ("shift_x", "shift_y", "expansion", "rotation", "aspect", "shear", "tilt_x", "tilt_y", "k1", "k2")
HOMOGRAPHY, DISTORTED = 8, 10
"""How many of the parameters are free: a homography, or distortion as well."""

TILT_DEG = 0.15
"""Assumed spread of a sensor's tilt behind the splitter, σ; perspective is tan(tilt)/f a pixel.

A sensor tilted by more is out of focus at its rim: 0.15° lifts the corner, 3.9 mm out, by 10 µm, which at f/2.8 is a
blur of one pixel of 3.45 µm."""
FOCAL_OVER_R = 2.05
"""Assumed focal length over half the diagonal: 8 mm behind a 1920×1200 frame of 3.45 µm pixels."""
ASPECT = 1e-4
"""Assumed spread of aspect and shear, σ: pixels of both sensors are square; a degree's tilt: 1 − cos 1° = 1.5e-4."""


@dataclass(frozen=True)
class Alignment:
    """A fitted map from low-light to well-lit pixels.

    Attributes:
        theta: the parameters in `NAMES`' order, px.
        radius: R the parameters refer to, px.
    """

    theta: Float64[np.ndarray, " parameters"]
    radius: float

    def centred(self) -> Float64[np.ndarray, "3 3"]:
        """The homography about the centre, distortion left out."""
        tx, ty, e, r, a, s, p, q = self.theta[:8]
        radius = self.radius
        return np.array(
            [
                [1 + (e + a) / radius, (s - r) / radius, tx],
                [(s + r) / radius, 1 + (e - a) / radius, ty],
                [p / radius**2, q / radius**2, 1],
            ]
        )

    def low_to_well(self, height: int, width: int) -> Float64[np.ndarray, "3 3"]:
        """The homography between pixels counted from the centre of the first one, as the manifest has it."""
        corner = centre_shift(height, width)
        matrix = corner @ self.centred() @ np.linalg.inv(corner)
        return np.asarray(matrix / matrix[2, 2])

    def arm_map(self, height: int, width: int) -> ArmMap:
        """The map as the pictures are warped by."""
        return ArmMap(self.low_to_well(height, width), (height, width), self.distortion)

    @property
    def distortion(self) -> tuple[float, float]:
        """(k1, k2) a pixel: `x′ = x·(1 + k1 ρ² + k2 ρ⁴)`."""
        k1, k2 = self.theta[8:10]
        return float(k1 / self.radius), float(k2 / self.radius)

    def displaced(self, points: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
        """W of low-light points about the centre."""
        rho2 = (points**2).sum(axis=1, keepdims=True) / self.radius**2
        k1, k2 = self.distortion
        bent = points * (1 + k1 * rho2 + k2 * rho2**2)
        return np.asarray(cv2.perspectiveTransform(bent[None], self.centred())[0])


def start(shift: tuple[float, float], height: int, width: int) -> Alignment:
    """A pure shift, px."""
    theta = np.zeros(len(NAMES))
    theta[:2] = shift
    return Alignment(theta, math.hypot(height, width) / 2)


def jacobian(alignment: Alignment, points: Float64[np.ndarray, "n 2"], free: int) -> Float64[np.ndarray, "n 2 free"]:
    """∂W/∂θ of the first `free` parameters at low-light points about the centre."""
    radius = alignment.radius
    x, y = points.T
    m = alignment.centred()
    depth = 1 + m[2, 0] * x + m[2, 1] * y
    wx, wy = alignment.displaced(points).T
    rho2 = (x * x + y * y) / radius**2
    one, nil = np.ones_like(x), np.zeros_like(x)
    columns = [
        (one, nil),
        (nil, one),
        (x / radius, y / radius),
        (-y / radius, x / radius),
        (x / radius, -y / radius),
        (y / radius, x / radius),
        (-wx * x / radius**2, -wy * x / radius**2),
        (-wx * y / radius**2, -wy * y / radius**2),
        (x * rho2 / radius, y * rho2 / radius),
        (x * rho2**2 / radius, y * rho2**2 / radius),
    ]
    return np.stack([np.stack(column, axis=-1) / depth[:, None] for column in columns[:free]], axis=-1)


def prior(radius: float, free: int) -> Float64[np.ndarray, " free"]:
    """1/σ² of each parameter about 0: aspect, shear and tilt are known to be small, distortion differs by little."""
    tilt_px = math.tan(math.radians(TILT_DEG)) / FOCAL_OVER_R * radius
    aspect_px = ASPECT * radius
    sigma = np.array([np.inf] * 4 + [aspect_px, aspect_px, tilt_px, tilt_px, 0.02 * radius, 0.02 * radius])
    return np.asarray(1 / sigma[:free] ** 2)


def corners(height: int, width: int) -> Float64[np.ndarray, "4 2"]:
    """The frame's corner pixels about its centre."""
    x, y = (width - 1) / 2, (height - 1) / 2
    return np.array([(-x, -y), (x, -y), (-x, y), (x, y)])


def corner_error(
    matrix: Float64[np.ndarray, "3 3"], truth: Float64[np.ndarray, "3 3"], height: int, width: int
) -> float:
    """RMS distance in px between the four corner pixels under two homographies."""
    at = np.array([(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)], float)[None]
    apart = cv2.perspectiveTransform(at, matrix) - cv2.perspectiveTransform(at, truth)
    return float(np.sqrt((apart**2).sum(axis=-1).mean()))
