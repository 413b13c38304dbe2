"""One raw frame and all that is needed to develop it.

The file format is DNG; see `isp_sim.dng`.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool

from isp_sim.shading import Shading
from isp_sim.units import Counts, Mosaic

Defects = tuple[tuple[int, int, int, int], ...]
"""Rectangles of defective pixels: top, left, bottom, right, the last two beyond them."""


@dataclass(frozen=True)
class Raw:
    """A mosaic as captured, with the metadata a DNG carries.

    Attributes:
        counts: uint16 `(height, width)`, DN, black level included.
        cfa: the colours of the 2×2 tile, row by row, such as `"RGGB"`.
        black_level_dn: black of each pixel of the 2×2 tile, row by row, DN.
        white_level_dn: the count at which a pixel is saturated, DN.
        exposure_us: exposure time, µs.
        gain_db: analogue gain, dB (20·log10).
        iso: what EXIF calls the gain: `iso_at_0db · 10^(gain/20)`.
        neutral: camera RGB of a neutral grey, largest is 1 (DNG AsShotNeutral).
        xyz_to_camera: 3×3, CIE XYZ (D65) → camera RGB (DNG ColorMatrix1).
        noise_profile: (S, O) for R, G, B: var = S·x + O with x in 0 … 1 (DNG NoiseProfile).
        make: camera maker.
        model: camera model.
        serial: the camera's serial number; fixed maps belong to it.
        provenance: everything else that is known of the shot, JSON-able.
        shading: gains that undo the lens's shading, where the camera knows them (DNG GainMap).
        defects: the pixels that the camera knows to be defective (DNG FixBadPixelsList).
        linearization: of a camera that sends companded codes, the count of each; a file keeps the codes (DNG
            LinearizationTable). `counts` are linear.
    """

    counts: Counts
    cfa: str
    black_level_dn: tuple[float, float, float, float]
    white_level_dn: int
    exposure_us: float
    gain_db: float
    iso: int
    neutral: tuple[float, float, float]
    xyz_to_camera: tuple[tuple[float, float, float], ...]
    noise_profile: tuple[tuple[float, float], ...]
    make: str
    model: str
    serial: str
    provenance: dict[str, object] = field(default_factory=dict)
    shading: Shading | None = None
    defects: Defects = ()
    linearization: tuple[int, ...] = ()


def cropped(raw: Raw, left: int, top: int, width: int, height: int) -> Raw:
    """A part of a raw with the same tile: even sides, the last odd row or column left out.

    Raises:
        ValueError: it begins at an odd row or column.
    """
    if left % 2 or top % 2:
        raise ValueError(f"crop at ({left}, {top}): expected an even column and row, else the tile is another")
    counts = raw.counts[top : top + height // 2 * 2, left : left + width // 2 * 2]
    return replace(
        raw,
        counts=Counts(np.ascontiguousarray(counts)),
        shading=raw.shading and raw.shading.of_part(top, left, counts.shape, raw.counts.shape),
        defects=defects_within(raw.defects, top, left, *counts.shape),
    )


def defects_within(defects: Defects, top: int, left: int, height: int, width: int) -> Defects:
    """Defects of a part of the frame, in its own rows and columns."""
    moved = ((y0 - top, x0 - left, y1 - top, x1 - left) for y0, x0, y1, x1 in defects)
    cut = ((max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)) for y0, x0, y1, x1 in moved)
    return tuple((y0, x0, y1, x1) for y0, x0, y1, x1 in cut if y0 < y1 and x0 < x1)


def defect_mask(defects: Defects, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Which pixels of a frame are listed."""
    edges = np.zeros((height + 1, width + 1), np.int32)
    corners = np.array(defects, np.int64).reshape(-1, 4).T
    for rows, columns, sign in ((0, 1, 1), (0, 3, -1), (2, 1, -1), (2, 3, 1)):
        np.add.at(edges, (corners[rows], corners[columns]), sign)
    return np.asarray(edges.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0)


def normalise(counts: Counts, black_level_dn: tuple[float, float, float, float], white_level_dn: float) -> Mosaic:
    """Counts as a fraction of the range: `m = (counts − black) / (white − mean black)`.

    Args:
        counts: uint16 `(height, width)`, DN.
        black_level_dn: black of the 2×2 tile, row by row, DN.
        white_level_dn: saturation, DN.

    Returns:
        float32 tensor `(1, 1, height, width)`; noise below black stays negative.

    Raises:
        ValueError: white is not above black.
    """
    range_dn = white_level_dn - float(np.mean(black_level_dn))
    if range_dn <= 0:
        raise ValueError(f"white level {white_level_dn} DN must lie above the black level {black_level_dn} DN")
    mosaic = torch.from_numpy(np.asarray(counts)).to(torch.float32)
    for position, black in enumerate(black_level_dn):
        mosaic[position // 2 :: 2, position % 2 :: 2] -= black
    return Mosaic((mosaic / range_dn)[None, None])


def turned(raw: Raw, flip: int) -> Raw:
    """A frame with its columns in reverse (bit 1), its rows (bit 2), then both exchanged (bit 4); its tile follows."""
    if not flip:
        return raw

    def turn(plane: np.ndarray) -> np.ndarray:
        plane = plane[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1]
        return np.ascontiguousarray(plane.T if flip & 4 else plane)

    height, width = raw.counts.shape
    places = turn(2 * (np.arange(height) % 2)[:, None] + np.arange(width) % 2)[:2, :2].ravel()
    black = tuple(raw.black_level_dn[place] for place in places)
    return replace(
        raw,
        counts=Counts(turn(raw.counts)),
        cfa="".join(raw.cfa[place] for place in places),
        black_level_dn=(black[0], black[1], black[2], black[3]),
        shading=raw.shading and raw.shading.turned(flip, places.tolist()),
        defects=tuple(_turned_rectangle(one, flip, height, width) for one in raw.defects),
    )


def _turned_rectangle(one: tuple[int, int, int, int], flip: int, height: int, width: int) -> tuple[int, int, int, int]:
    top, left, bottom, right = one
    if flip & 2:
        top, bottom = height - bottom, height - top
    if flip & 1:
        left, right = width - right, width - left
    return (left, top, right, bottom) if flip & 4 else (top, left, bottom, right)
