"""One arm's picture on the other arm's pixels: the map between the arms, the warp, the crop both fill, the labels.

The pictures of a pair lie on the pixels of one arm, which is only cropped; the other arm's picture is warped onto them.
As in ExLPose the low-light arm is the one that is cropped: an interpolation would average its noise, differently at
every place of the mosaic's 2×2 tile.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numba
import numpy as np
from jaxtyping import Float32, Float64

from isp_sim.optics import catmull_rom, centre_shift
from isp_sim.parallel_rows import in_rows
from isp_sim.scenes import Person

ArmName = Literal["low_light", "well_lit"]
Resampling = Literal["linear", "cubic"]
Box = tuple[int, int, int, int]
"""(x, y, width, height) of a crop, px of the arm that is cropped; all four even, so that the mosaic's tile stays."""
Points = Float64[np.ndarray, "n 2"]
MIN_SIDE_PX = 16
UNBEND_STEPS = 30


@dataclass(frozen=True)
class ArmMap:
    """Where the low-light arm's pixels lie on the well-lit arm: `W(x) = H · bend(x)`.

    Attributes:
        low_to_well: H, 3×3, between pixels counted from the centre of the first one.
        size: (height, width) of either arm's frame.
        distortion: (k1, k2) of `bend(x) = x·(1 + k1 ρ² + k2 ρ⁴)` about the frame's centre, ρ in half diagonals: what
            the arms' lenses differ by; 0 behind one shared lens.
    """

    low_to_well: Float64[np.ndarray, "3 3"]
    size: tuple[int, int]
    distortion: tuple[float, float] = (0.0, 0.0)

    @property
    def centred(self) -> Float64[np.ndarray, "3 3"]:
        """H about the frame's centre."""
        corner = centre_shift(*self.size)
        return np.asarray(np.linalg.inv(corner) @ self.low_to_well @ corner)

    @property
    def half_diagonal_px(self) -> float:
        """What ρ is counted in."""
        return math.hypot(*self.size) / 2

    def moved(self, points: Points, onto: ArmName) -> Points:
        """Pixels of the other arm → pixels of arm `onto`; the distortion is inverted by fixed-point steps."""
        height, width = self.size
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        about = np.asarray(points, np.float64) - centre
        if onto == "well_lit":
            about = cv2.perspectiveTransform((about * self._bend(about))[None], self.centred)[0]
        else:
            bent = cv2.perspectiveTransform(about[None], np.linalg.inv(self.centred))[0]
            about = bent
            for _ in range(UNBEND_STEPS if any(self.distortion) else 0):
                about = bent / self._bend(about)
        return np.asarray(about + centre)

    def _bend(self, about: Points) -> Float64[np.ndarray, "n 1"]:
        rho2 = (about**2).sum(axis=1, keepdims=True) / self.half_diagonal_px**2
        return np.asarray(1 + self.distortion[0] * rho2 + self.distortion[1] * rho2**2)


@numba.njit(inline="always")
def mapped(x, y, m, k1, k2, radius2):  # type: ignore[no-untyped-def]
    """W(x, y) about the centre: distortion, then the homography `m`, row by row."""
    rho2 = (x * x + y * y) / radius2
    bend = 1.0 + k1 * rho2 + k2 * rho2 * rho2
    x, y = x * bend, y * bend
    depth = m[6] * x + m[7] * y + m[8]
    return (m[0] * x + m[1] * y + m[2]) / depth, (m[3] * x + m[4] * y + m[5]) / depth


@numba.njit(nogil=True, inline="always")
def _across(image, y, x0, x1, x2, x3, c, w):  # type: ignore[no-untyped-def]
    """Four pixels of a row, weighted and added in their order."""
    return w[0] * image[y, x0, c] + w[1] * image[y, x1, c] + w[2] * image[y, x2, c] + w[3] * image[y, x3, c]


@numba.njit(nogil=True, cache=True)
def _warp_rows(start, stop, image, m, bend, unbend, radius2, left, top, cubic, out):  # type: ignore[no-untyped-def]
    """Every pixel of `out` from the point of `image` (both `(height, width, channels)`) that the map takes it to.

    Coordinates stay in double precision (OpenCV rounds them to 1/32 px). Beyond the rim its pixels go on.
    """
    rows, columns, channels = image.shape
    for i in range(start, stop):
        for j in range(out.shape[1]):
            x, y = j + left - (columns - 1) / 2, i + top - (rows - 1) / 2
            x, y = mapped(x, y, m, bend[0], bend[1], radius2)
            bent_x, bent_y = x, y
            for _ in range(UNBEND_STEPS if unbend[0] != 0.0 or unbend[1] != 0.0 else 0):
                rho2 = (x * x + y * y) / radius2
                stretch = 1.0 + unbend[0] * rho2 + unbend[1] * rho2 * rho2
                x, y = bent_x / stretch, bent_y / stretch
            u, v = x + (columns - 1) / 2, y + (rows - 1) / 2
            x0, y0 = math.floor(u), math.floor(v)
            fx, fy = u - x0, v - y0
            x1, x2 = min(max(x0, 0), columns - 1), min(max(x0 + 1, 0), columns - 1)
            y1, y2 = min(max(y0, 0), rows - 1), min(max(y0 + 1, 0), rows - 1)
            if not cubic:
                for c in range(channels):
                    upper = (1.0 - fx) * image[y1, x1, c] + fx * image[y1, x2, c]
                    lower = (1.0 - fx) * image[y2, x1, c] + fx * image[y2, x2, c]
                    out[i, j, c] = (1.0 - fy) * upper + fy * lower
                continue
            x0, x3 = min(max(x0 - 1, 0), columns - 1), min(max(x0 + 2, 0), columns - 1)
            y0, y3 = min(max(y0 - 1, 0), rows - 1), min(max(y0 + 2, 0), rows - 1)
            wx, wy = catmull_rom(fx), catmull_rom(fy)
            for c in range(channels):
                total = wy[0] * _across(image, y0, x0, x1, x2, x3, c, wx)
                total += wy[1] * _across(image, y1, x0, x1, x2, x3, c, wx)
                total += wy[2] * _across(image, y2, x0, x1, x2, x3, c, wx)
                out[i, j, c] = total + wy[3] * _across(image, y3, x0, x1, x2, x3, c, wx)


def warp(
    image: Float32[np.ndarray, "height width channels"],
    arms: ArmMap,
    onto: ArmName,
    box: Box,
    resampling: Resampling,
) -> Float32[np.ndarray, "box_height box_width channels"]:
    """The other arm's image on the pixels of arm `onto`, cropped to `box`.

    Args:
        image: of the arm that is warped, of its whole frame, in linear light.
        arms: the map.
        onto: arm whose pixels are kept.
        box: of the crop, px of arm `onto`.
        resampling: `linear` (2×2 pixels) or `cubic` (Catmull-Rom, 4×4).

    Raises:
        ValueError: the image is not of the frame's size.
    """
    if image.shape[:2] != arms.size:
        raise ValueError(f"an image of {image.shape[:2]} px: the map between the arms is of {arms.size} px")
    left, top, width, height = box
    out = np.empty((height, width, image.shape[2]), np.float32)
    forward = onto == "low_light"  # the point each pixel is taken from lies the other way
    back = arms.centred if forward else np.linalg.inv(arms.centred)
    none = (0.0, 0.0)
    bends = (arms.distortion, none) if forward else (none, arms.distortion)
    numbers = (tuple(back.ravel()), *bends, arms.half_diagonal_px**2, left, top, resampling == "cubic")
    in_rows(_warp_rows, height, np.ascontiguousarray(image, np.float32), *numbers, out)
    return out


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The box of an image of the arm that is kept."""
    left, top, width, height = box
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def on_one_arm(
    images: tuple[np.ndarray, np.ndarray], arms: ArmMap, onto: ArmName, box: Box, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """Both arms' linear images on the pixels of arm `onto`: that one cropped to `box`, the other one warped onto it.

    Args:
        images: well-lit and low-light, float32 `(height, width, 3)`, of the whole frames.
        arms: the map.
        onto: arm whose pixels are kept.
        box: of the crop, px of arm `onto`.
        resampling: of the other arm, see `warp`.

    Returns:
        Well-lit and low-light, float32 `(box height, box width, 3)`.
    """
    well, low = images
    if onto == "low_light":
        return warp(well, arms, onto, box, resampling), crop(low, box)
    return crop(well, box), warp(low, arms, onto, box, resampling)


def filled_box(
    moved: Callable[[Points], Points], size: tuple[int, int], within: Box | None = None, source: Box | None = None
) -> Box:
    """The part of a frame that something else fills: an upright rectangle inside that thing's rim, on even pixels.

    Args:
        moved: pixels of what fills it (the other arm, the scene; of the frame's size) → pixels of the frame.
        size: (height, width) of both.
        within: a crop that must not be left; None is the whole frame.
        source: the part of what fills it that is there; None is all of it.

    Raises:
        ValueError: less than 16 pixels are left.
    """
    height, width = size
    x, y, w, h = within or (0, 0, width, height)
    x0, y0, source_w, source_h = source or (0, 0, width, height)
    xs, ys = np.linspace(x0, x0 + source_w - 1, 129), np.linspace(y0, y0 + source_h - 1, 129)
    near_x, far_x = np.full_like(ys, xs[0]), np.full_like(ys, xs[-1])
    near_y, far_y = np.full_like(xs, ys[0]), np.full_like(xs, ys[-1])

    def rim(across: np.ndarray, down: np.ndarray, axis: int) -> np.ndarray:
        return moved(np.column_stack([across, down]))[:, axis]

    hair = 1e-3  # rounding, not light that lacks
    left = max(math.ceil(rim(near_x, ys, 0).max() - hair), x)
    top = max(math.ceil(rim(xs, near_y, 1).max() - hair), y)
    right = min(math.floor(rim(far_x, ys, 0).min() + hair), x + w - 1)
    bottom = min(math.floor(rim(xs, far_y, 1).min() + hair), y + h - 1)
    left, top = left + left % 2, top + top % 2
    found_w, found_h = ((last - first + 1) // 2 * 2 for first, last in ((left, right), (top, bottom)))
    if found_w < MIN_SIDE_PX or found_h < MIN_SIDE_PX:
        raise ValueError(
            f"of {width}×{height} px only {max(0, found_w)}×{max(0, found_h)} are seen by both arms; at least "
            f"{MIN_SIDE_PX}×{MIN_SIDE_PX} must be: check the arms' geometry and the scene's size"
        )
    return left, top, found_w, found_h


def common_box(arms: ArmMap, onto: ArmName, within: Box | None = None) -> Box:
    """The part of arm `onto`'s frame that the other arm fills; see `filled_box`."""
    return filled_box(lambda points: arms.moved(points, onto), arms.size, within)


def people_on(people: Iterable[Person], moved: Callable[[Points], Points], box: Box) -> tuple[Person, ...]:
    """Labels on the cropped pictures; joints outside become unlabelled, boxes are cut.

    A person's box follows as the hull of its four corners.

    Args:
        people: labelled elsewhere.
        moved: from there to the frame that is cropped.
        box: the crop.
    """
    return tuple(_person_on(person, moved, box) for person in people)


def _person_on(person: Person, moved: Callable[[Points], Points], box: Box) -> Person:
    left, top, crop_width, crop_height = box
    labelled = (*person.keypoints, *person.face)
    joints = moved(np.array([(x, y) for x, y, _ in labelled])) - (left, top)
    keypoints: list[tuple[float, float, int]] = []
    for (x, y), (_, _, visibility) in zip(joints, labelled, strict=True):
        inside = -0.5 <= x < crop_width - 0.5 and -0.5 <= y < crop_height - 0.5
        keep = visibility > 0 and inside
        keypoints.append((float(x), float(y), visibility) if keep else (0.0, 0.0, 0))
    x, y, w, h = person.bbox
    corners = np.array([(x, y), (x + w, y), (x, y + h), (x + w, y + h)], float) - 0.5
    hull = moved(corners) + 0.5 - (left, top)
    low = np.clip(hull.min(axis=0), 0, (crop_width, crop_height))
    high = np.clip(hull.max(axis=0), 0, (crop_width, crop_height))
    size = high - low
    count = len(person.keypoints)
    bbox = (float(low[0]), float(low[1]), float(size[0]), float(size[1]))
    return Person(tuple(keypoints[:count]), bbox, person.iscrowd, tuple(keypoints[count:]))


def plane_on(plane: np.ndarray, seen: Float32[np.ndarray, "height width 2"]) -> np.ndarray:
    """A map on the cropped pictures: each pixel takes the nearest value, nothing is interpolated.

    Args:
        plane: class, person or depth of each pixel.
        seen: (x, y) in `plane` of every pixel of the crop.
    """
    return np.asarray(cv2.remap(plane, seen[..., 0], seen[..., 1], cv2.INTER_NEAREST))
