"""A still scene or a chessboard seen by both arms → the low-light arm's geometry as a rig file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import optimize

from calibration.arms import extended, read_picture, read_stack
from calibration.emva.confidence import NORMAL, Array, Estimate
from calibration.output import figure, write_result, yaml_text
from calibration.plots import INK, PALE, SECOND, new_figure
from isp_sim import html_report
from isp_sim.optics import centre_shift, homography
from isp_sim.rectify import ArmMap, common_box
from isp_sim.rig import Geometry, Rig
from isp_sim.rigfile import load_rig

FEWEST = 20
"""Matches that must agree before a homography is believed; four would make one."""
INLIER_PX = 1.5
CELLS = (10, 6)
"""Of the grid residuals are shown over, across and down."""
UNITS = {"rotation_deg": "°", "scale": "", "shift_px": "px", "perspective_per_px": "a px"}


@dataclass(frozen=True)
class Alignment:
    """The low-light arm against the well-lit one.

    Attributes:
        arms: low-light pixels → well-lit pixels.
        geometry: rotation (°), scale, shift (px, unbinned), perspective (a px, unbinned), as rig files have them.
        well, low: the points it rests on, px, `(n, 2)`.
        residual: what is left in the well-lit frame, px, `(n, 2)`.
    """

    arms: ArmMap
    geometry: dict[str, tuple[Estimate, ...]]
    well: Array
    low: Array
    residual: Array

    @property
    def rms_px(self) -> float:
        """RMS length of the residual."""
        return float(np.sqrt((self.residual**2).sum(axis=1).mean()))


def grey(plane: Array) -> NDArray[np.uint8]:
    """A mosaic or linear RGB as an 8-bit picture of detail: tile means, spread from the 1st to the 99.5th percentile.

    A 3×3 weighting of a mosaic holds each colour in equal parts everywhere and moves nothing.
    """
    level = plane.mean(axis=2) if plane.ndim == 3 else cv2.sepFilter2D(plane, cv2.CV_64F, _TILE, _TILE)
    low, high = np.percentile(level, [1, 99.5])
    return np.asarray(255 * np.sqrt(np.clip((level - low) / max(high - low, 1e-12), 0, 1)) + 0.5, np.uint8)


_TILE = np.array([0.25, 0.5, 0.25])


def matched(well: NDArray[np.uint8], low: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Points seen in both pictures, `(n, 2)` each: SIFT, ratio test, homography by MAGSAC (OpenCV).

    Raises:
        ValueError: too few agree.
    """
    detector = cv2.SIFT.create(nfeatures=8000)
    (points_w, words_w), (points_l, words_l) = (detector.detectAndCompute(p, None) for p in (well, low))
    near = []
    if words_w is not None and words_l is not None and min(len(words_w), len(words_l)) >= 2:
        pairs = cv2.BFMatcher().knnMatch(words_l, words_w, k=2)
        near = [first for first, second in pairs if first.distance < 0.8 * second.distance]
    if len(near) >= FEWEST:
        at_l = np.array([points_l[m.queryIdx].pt for m in near])
        at_w = np.array([points_w[m.trainIdx].pt for m in near])
        _, inside = cv2.findHomography(at_l, at_w, cv2.USAC_MAGSAC, INLIER_PX, maxIters=5000, confidence=0.999)
        agree = inside is not None and int(inside.sum()) >= FEWEST
        if agree:
            use = inside.ravel() > 0
            return at_w[use].astype(np.float64), at_l[use].astype(np.float64)
    raise ValueError(
        f"only {len(near)} points of the arms' frames match or they do not agree; expected {FEWEST} or more: take a "
        "still, sharp scene full of detail, average more frames of the low-light arm, or show a chessboard (--board)"
    )


def board_corners(picture: NDArray[np.uint8], inner: tuple[int, int]) -> Array:
    """Inner corners of a chessboard, `(n, 2)`, px.

    Raises:
        ValueError: it is not all seen.
    """
    found, corners = cv2.findChessboardCornersSB(picture, inner, flags=cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_EXHAUSTIVE)
    if not found:
        raise ValueError(f"no chessboard of {inner[0]}×{inner[1]} inner corners is seen whole")
    return np.asarray(corners, np.float64).reshape(-1, 2)


def align(well: Array, low: Array, shape: tuple[int, int], binning: int) -> Alignment:
    """Six numbers of a rig's geometry by robust least squares over matched points (soft L1, then 3 σ).

    `x_low = C·A·C⁻¹ x_well`, A = `optics.homography`, C the frame's centre; the well-lit arm defines the frame.

    Args:
        well: points in the well-lit frame, `(n, 2)`.
        low: the same in the low-light frame.
        shape: of the frames, height and width.
        binning: of the frames; geometry is in unbinned pixels.
    """
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    reach = float(centre.max())
    scales = np.array([1 / reach, 1 / reach, 1.0, 1.0, 1 / reach**2, 1 / reach**2])
    first = np.zeros(6)

    def rest(p: Array, w: Array, at: Array) -> Array:
        return np.asarray((cv2.perspectiveTransform((w - centre)[None], _forward(p * scales))[0] + centre - at).ravel())

    found = optimize.least_squares(rest, first, args=(well, low), loss="soft_l1", f_scale=0.3)
    for _ in range(3):
        left = np.hypot(*rest(found.x, well, low).reshape(-1, 2).T)
        use = left <= 3 * max(float(np.median(left)), 1e-6) / 0.83
        found = optimize.least_squares(rest, found.x, args=(well[use], low[use]))
    well, low = well[use], low[use]
    errors = NORMAL * np.sqrt(np.diag(_covariance(np.asarray(found.jac), found.fun))) * scales
    p = found.x * scales
    corner = centre_shift(*shape)
    low_to_well = np.linalg.inv(corner @ _forward(p) @ np.linalg.inv(corner))
    low_to_well /= low_to_well[2, 2]
    residual = cv2.perspectiveTransform(low[None], low_to_well)[0] - well
    units = np.array([np.degrees(1), 1.0, binning, binning, 1 / binning, 1 / binning])
    values, halves = (p + np.eye(6)[1]) * units, errors * units
    parts = [Estimate.within(v, h) for v, h in zip(values, halves, strict=True)]
    geometry = {
        "rotation_deg": (parts[0],),
        "scale": (parts[1],),
        "shift_px": (parts[2], parts[3]),
        "perspective_per_px": (parts[4], parts[5]),
    }
    return Alignment(ArmMap(low_to_well, shape), geometry, well, low, np.asarray(residual))


def _covariance(jacobian: Array, rest: Array) -> Array:
    """Of least squares' parameters: `(JᵀJ)⁻¹ · Σr²/ν`."""
    freedom = max(1, len(rest) - jacobian.shape[1])
    return np.asarray(np.linalg.pinv(jacobian.T @ jacobian) * float((rest**2).sum()) / freedom, np.float64)


def _forward(p: Array) -> Array:
    """`optics.homography` of (rotation in rad, scale − 1, shift x, y, perspective x, y), binned pixels."""
    values = {
        "rotation_deg": float(np.degrees(p[0])),
        "scale": float(1 + p[1]),
        "shift_px": p[2:4].tolist(),
        "perspective_per_px": p[4:6].tolist(),
    }
    geometry = {name: figure(value, "assumed", "trial") for name, value in values.items()}
    return homography(Geometry.model_validate(geometry), 1)


def distortion(corners: Array, inner: tuple[int, int], shape: tuple[int, int]) -> tuple[Estimate, Estimate, float]:
    """k1, k2 of `scene = image·(1 + k1 ρ² + k2 ρ⁴)` from a flat chessboard, and the residual, px rms.

    The straightened corners are a homography of the board's grid; ρ is in half diagonals of the frame.

    Args:
        corners: `(n, 2)`, px, row by row.
        inner: corners of the board, across and down.
        shape: of the frame, height and width.
    """
    centre, half = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]), float(np.hypot(*shape)) / 2
    grid = np.stack(np.meshgrid(np.arange(inner[0]), np.arange(inner[1])), axis=-1).reshape(-1, 2).astype(np.float64)
    image = (corners - centre) / half
    rho2 = (image**2).sum(axis=1, keepdims=True)
    start, _ = cv2.findHomography(grid, image)

    def rest(p: Array) -> Array:
        straight = image * (1 + p[8] * rho2 + p[9] * rho2**2)
        board = cv2.perspectiveTransform(grid[None], np.append(p[:8], 1.0).reshape(3, 3))[0]
        return np.asarray((board - straight).ravel())

    found = optimize.least_squares(rest, np.append(start.ravel()[:8] / start[2, 2], [0.0, 0.0]), x_scale="jac")
    halves = NORMAL * np.sqrt(np.diag(_covariance(np.asarray(found.jac), found.fun))[8:])
    k1, k2 = (Estimate.within(k, h) for k, h in zip(found.x[8:], halves, strict=True))
    return k1, k2, float(np.sqrt((found.fun**2).mean()) * half * np.sqrt(2))


def rig_file(rig: Rig, base: str, name: str, found: Alignment, lens: tuple[Estimate, Estimate, float] | None) -> str:
    """A rig file that extends another by this geometry."""
    how = f"{len(found.well)} points, residual {found.rms_px:.3f} px rms"
    geometry = {}
    for field, parts in found.geometry.items():
        value: object = [float(f"{e.value:.6g}") for e in parts]
        words = ", ".join(e.plus_minus for e in parts)
        geometry[field] = figure(
            value if len(parts) > 1 else float(f"{parts[0].value:.8g}"), "measured", f"{how}; {words}"
        )
    level = {"rotation_deg": 0, "shift_px": [0, 0], "scale": 1, "perspective_per_px": [0, 0]}
    frame = {field: figure(value, "measured", "the well-lit arm defines the frame") for field, value in level.items()}
    document: dict[str, object] = {
        "extends": base,
        "name": name,
        "well_lit": {"geometry": frame},
        "low_light": {"geometry": geometry},
    }
    if lens is not None:
        words = f"chessboard, residual {lens[2]:.3f} px rms; k1 {lens[0]}, k2 {lens[1]}"
        document["lens"] = {"distortion": figure([lens[0].value, lens[1].value], "measured", words)}
    head = f"# {rig.name} with the geometry of its arms, made by `python -m calibration.geometry`.\n"
    return head + yaml_text(document)


HEADINGS = ("figure", "value", "95 %", "unit")


def figures(found: Alignment) -> list[tuple[str, str, str, str]]:
    """The six numbers: name, value, interval, unit."""
    return [
        (f"{field}{(' x', ' y')[n] if len(parts) > 1 else ''}", f"{e.value:.5g}", f"± {e.half:.2g}", UNITS[field])
        for field, parts in found.geometry.items()
        for n, e in enumerate(parts)
    ]


def page_blocks(found: Alignment, lens: tuple[Estimate, Estimate, float] | None) -> list[str]:
    """The page: figures, map, residuals."""
    rows = figures(found)
    if lens is not None:
        rows += [(f"lens k{n + 1}", f"{e.value:.5g}", f"± {e.half:.2g}", "") for n, e in enumerate(lens[:2])]
    x, y, width, height = common_box(found.arms, "low_light")
    matrix = [tuple(f"{v:.7g}" for v in row) for row in found.arms.low_to_well]
    return [
        html_report.text(
            f"{len(found.well)} points seen by both arms; the six numbers leave {found.rms_px:.3f} px rms. "
            f"Pictures are valid in {width}×{height} px from ({x}, {y}) of the low-light frame on."
        ),
        html_report.text("", "Low-light arm"),
        html_report.table(HEADINGS, rows),
        html_report.text("", "Low-light pixels → well-lit pixels"),
        html_report.table(("", "", ""), matrix),
        html_report.picture(
            _residuals(found),
            "Where the points lie in the well-lit frame, and the mean residual of those in each cell of a grid; the "
            "arrow at the top gives the length.",
        ),
    ]


def _residuals(found: Alignment) -> Figure:
    """Means over a grid of at most `CELLS`, as many cells as hold a point: what the six numbers cannot explain."""
    low, high = found.well.min(axis=0), found.well.max(axis=0)
    side = np.maximum(high - low, 1e-9) / CELLS
    column, row = np.minimum((found.well - low) / side, np.array(CELLS) - 1).astype(int).T
    cells = [(row == r) & (column == c) for r in range(CELLS[1]) for c in range(CELLS[0])]
    filled = [cell for cell in cells if cell.any()]
    places, means = (np.array([of[cell].mean(axis=0) for cell in filled]) for of in (found.well, found.residual))
    longest = float(np.hypot(*means.T).max())
    scale = max(longest / float(side.min()), 1e-12)
    plot = new_figure(8, 5)
    axes = plot.subplots()
    axes.plot(*found.well.T, ".", markersize=2, color=PALE)
    arrows = axes.quiver(*places.T, *means.T, color=SECOND, angles="xy", scale_units="xy", scale=scale, width=0.003)
    key = _round_below(longest)
    axes.quiverkey(arrows, 0.86, 0.95, key, f"{key:g} px", labelpos="E", color=INK, labelcolor=INK)
    (left, top), (right, bottom) = low - side * (1, 1.6), high + side  # room for the key
    axes.set(xlabel="x, px", ylabel="y, px", aspect="equal", xlim=(left, right), ylim=(bottom, top))
    return plot


def _round_below(length: float) -> float:
    """The largest of 1, 2, 5 · 10ⁿ that is no longer."""
    ten = 10.0 ** math.floor(math.log10(max(length, 1e-9)))
    return max(step * ten for step in (1, 2, 5) if step * ten <= max(length, 1e-9))


def calibrate(
    well_files: Sequence[Path] | None, low_files: Sequence[Path] | None, board: tuple[int, int] | None, rig_name: str,
    name: str | None, seed: int, out: Path,
) -> tuple[Path, Path, Alignment]:  # fmt: skip
    """Match both arms' frames, fit, write rig file and page; the files written and the alignment.

    Args:
        well_files: DNG of one setting or one picture of the well-lit arm; None: a simulated still scene.
        low_files: likewise, of the low-light arm.
        board: inner corners of the chessboard they show, across and down; None: a still scene.
        rig_name: rig file that is extended.
        name: of the new rig; None: `<rig>-aligned`.
        seed: of the simulated frames.
        out: folder of both.

    Raises:
        ValueError: frames of one arm alone, of two sizes, or without enough in common.
    """
    rig = load_rig(rig_name)
    if (well_files is None) != (low_files is None):
        raise ValueError("--well-lit and --low-light go together: both arms must see the scene")
    if well_files is None or low_files is None:
        from calibration.simulated_rig import textured_pair  # brings the simulator

        well_files, low_files = textured_pair(rig, out / "still", seed)
    well, low = (_read(files) for files in (well_files, low_files))
    if well.shape[:2] != low.shape[:2]:
        raise ValueError(
            f"{well_files[0]} is {well.shape[1]}×{well.shape[0]} px, {low_files[0]} {low.shape[1]}×{low.shape[0]}"
        )
    lens = None
    if board:
        at_well, at_low = (board_corners(grey(plane), board) for plane in (well, low))
        lens = distortion(at_well, board, well.shape[:2])
    else:
        at_well, at_low = matched(grey(well), grey(low))
    found = align(at_well, at_low, well.shape[:2], rig.binning)
    name = name or f"{rig.name}-aligned"
    text = rig_file(rig, extended(rig_name, out), name, found, lens)
    file, page = write_result(out, name, text, "Geometry calibration", page_blocks(found, lens))
    load_rig(file)  # complains if it is none
    return file, page, found


def _read(files: Sequence[Path]) -> Array:
    return read_stack(files)[1] if files[0].suffix.lower() == ".dng" else read_picture(files[0])
