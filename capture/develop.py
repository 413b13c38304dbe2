"""Captured files → linear light, warp, crop, 8 bits: the pictures of an aligned pair.

The low-light arm is resampled once, in linear light, after demosaicing: `cubic` (Catmull-Rom, 4×4 samples) or `linear`
(2×2), at coordinates in double precision. The well-lit arm is cropped and never resampled.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from capture import kernels
from capture.captures import CapturedPair
from capture.geometry import Alignment
from capture.observation import Observation, of_pictures, of_raws
from isp_sim.camera import REC709_TO_XYZ
from isp_sim.dng import read_dng
from isp_sim.isp.develop import DevelopParams, develop_linear
from isp_sim.pair import Picture
from isp_sim.raw import Raw, normalise
from isp_sim.rows import in_rows
from isp_sim.transfer import srgb_decode, srgb_encode

Resampler = Literal["cubic", "linear"]
Linear = Float32[np.ndarray, "height width 3"]
Box = tuple[int, int, int, int]
"""(x, y, width, height) in the well-lit frame."""
DEMOSAIC = "malvar2004"
CODES = 4096
MIN_SIDE_PX = 16


@dataclass(frozen=True)
class Frames:
    """A pair as read: raws, or 8-bit pictures (R first)."""

    bright: Raw | Picture
    dark: Raw | Picture

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        plane = self.bright.counts if isinstance(self.bright, Raw) else self.bright
        return plane.shape[0], plane.shape[1]

    def observation(self) -> Observation:
        """The pair as registration sees it. Raises ValueError where the arms do not fit each other."""
        if isinstance(self.bright, Raw) and isinstance(self.dark, Raw):
            return of_raws(self.bright, self.dark)
        assert not isinstance(self.bright, Raw) and not isinstance(self.dark, Raw)
        return of_pictures(self.bright, self.dark)


def read(pair: CapturedPair) -> Frames:
    """Read a pair's files.

    Raises:
        ValueError: a file is truncated or no such file as its name says.
        OSError: it cannot be read.
    """
    if pair.is_raw:
        return Frames(read_dng(pair.bright), read_dng(pair.dark))
    return Frames(_picture(pair.bright), _picture(pair.dark))


def _picture(path: Path) -> Picture:
    codes = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if codes is None:
        raise ValueError(f"{path}: is not a whole picture: empty, truncated, damaged or of another format")
    return np.ascontiguousarray(codes[..., ::-1])


def linear(frame: Raw | Picture) -> Linear:
    """Linear Rec. 709 light, white 1, nothing cut at black."""
    if not isinstance(frame, Raw):
        table = srgb_decode(torch.linspace(0, 1, 256, dtype=torch.float64)).numpy().astype(np.float32)
        return np.asarray(cv2.LUT(frame, table), np.float32)
    mosaic = normalise(frame.counts, frame.black_level_dn, frame.white_level_dn)
    with torch.inference_mode():
        light = develop_linear(mosaic, _params(frame))
    return np.ascontiguousarray(light[0].permute(1, 2, 0).numpy())


def _params(raw: Raw) -> DevelopParams:
    """White balance and matrix from a raw's own metadata; the matrix's rows sum to 1, so that white stays white."""
    neutral = np.array(raw.neutral)
    gains = neutral.max() / neutral
    mixing = gains[:, None] * np.array(raw.xyz_to_camera) @ np.array(REC709_TO_XYZ)
    matrix = np.linalg.inv(mixing)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return DevelopParams(
        raw.cfa,
        DEMOSAIC,
        torch.tensor(gains[None], dtype=torch.float32),
        torch.tensor(matrix[None], dtype=torch.float32),
    )


def warp(image: Linear, alignment: Alignment, box: Box, resampler: Resampler) -> Linear:
    """The low-light image on the well-lit arm's pixels, cropped to `box`."""
    left, top, width, height = box
    out = np.empty((height, width, image.shape[2]), np.float32)
    back = tuple(np.linalg.inv(alignment.centred()).ravel())
    numbers = (back, *alignment.distortion, alignment.radius**2, left, top, resampler == "cubic")
    in_rows(kernels.warp_rows, height, image, *numbers, out)
    return out


def encode(image: Linear) -> Picture:
    """Linear light → 8-bit sRGB codes `⌊255·s + ½⌋`, by a table of 4,096 steps in the root of the light.

    The root keeps a step under a third of a code everywhere, so a code is off by one at most where it lies on an edge.
    """
    steps = torch.linspace(0, 1, CODES, dtype=torch.float64) ** 2
    table = (srgb_encode(steps) * 255 + 0.5).numpy().astype(np.uint8)
    at = np.sqrt(np.clip(image, 0, 1)) * (CODES - 1) + 0.5
    return np.asarray(table[at.astype(np.uint16)])


def common_box(alignment: Alignment, height: int, width: int, within: Box | None = None) -> Box:
    """The part of the well-lit frame the low-light frame fills: an upright rectangle inside its warped rim.

    Args:
        alignment: low-light → well-lit.
        height: of the frames.
        width: likewise.
        within: a crop that must not be left.

    Raises:
        ValueError: less than 16 pixels are left.
    """
    xs, ys = (np.linspace(-(n - 1) / 2, (n - 1) / 2, 65) for n in (width, height))
    at_x, at_y = np.full_like(ys, xs[-1]), np.full_like(xs, ys[-1])

    def edge(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        middle = ((width - 1) / 2, (height - 1) / 2)[axis]
        return np.asarray(alignment.displaced(np.column_stack([x, y]))[:, axis] + middle)

    hair = 1e-3  # rounding, not light that lacks
    left, top = int(np.ceil(edge(-at_x, ys, 0).max() - hair)), int(np.ceil(edge(xs, -at_y, 1).max() - hair))
    right, bottom = int(np.floor(edge(at_x, ys, 0).min() + hair)), int(np.floor(edge(xs, at_y, 1).min() + hair))
    x, y, w, h = within or (0, 0, width, height)
    left, top, right, bottom = max(left, x), max(top, y), min(right, x + w - 1), min(bottom, y + h - 1)
    if right - left + 1 < MIN_SIDE_PX or bottom - top + 1 < MIN_SIDE_PX:
        raise ValueError(
            f"of {width}×{height} px hardly anything is seen by both arms; {MIN_SIDE_PX} and more are allowed"
        )
    return left, top, right - left + 1, bottom - top + 1


def crop(image: Linear, box: Box) -> Linear:
    """The box of a well-lit image."""
    left, top, width, height = box
    return np.ascontiguousarray(image[top : top + height, left : left + width])
