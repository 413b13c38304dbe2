"""A session's page: residuals before and after over the frame, flicker and checkerboard overlays; one file, offline."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from capture.alignment import develop
from capture.alignment.session_fit import AlignSettings, SessionMap
from capture.alignment.writer import Done
from capture.captures import CapturedPair
from capture.registration.geometry import NAMES
from capture.registration.residuals import Grid
from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.isp.codes import srgb_codes
from isp_sim.picture_files import jpeg
from isp_sim.rectify import common_box, crop, on_one_arm
from isp_sim.units import Picture

WIDTH = 900
DETAIL_PX, ZOOM = 150, 3
BOARD_PX = 60


def write_report(
    path: Path,
    session: SessionMap,
    settings: AlignSettings,
    reference: CapturedPair,
    done: Sequence[tuple[CapturedPair, Done]],
    faults: Sequence[str],
) -> None:
    """Write a session's page.

    Args:
        path: of the HTML file.
        session: as fitted.
        settings: of the run.
        reference: the pair to show.
        done: its pairs that were aligned.
        faults: sentences about those that were not.

    Raises:
        OSError: the disk refused.
    """
    blocks = [
        html_report.text(
            f"{len(done)} pairs aligned, {len(faults)} refused. Map fitted to {len(session.pairs)} pair(s), the first "
            f"is shown: {session.pairs[0]}."
        ),
        *_residuals(session),
        html_report.text("Here the low-light arm is lifted to the well-lit arm's level.", "Overlays"),
        *_overlays(session, settings, reference),
        html_report.text("", "Map, low-light → well-lit, px at the corner"),
        html_report.table(
            ("parameter", "px"), [(n, f"{v:.4f}") for n, v in zip(NAMES, session.fit.alignment.theta, strict=True)]
        ),
        html_report.text("", "Light"),
        html_report.table(
            ("channel", "gain", "offset"),
            [
                (c, f"{g:.2f}", f"{o:.5f}")
                for c, g, o in zip("RGB", session.match.gain, session.match.offset, strict=True)
            ],
        ),
        html_report.text("", "Pairs"),
        _pairs(done),
        *(html_report.warning(fault) for fault in faults),
    ]
    page = html_report.page(f"Alignment of session {session.name}", blocks, width_px=2 * WIDTH + 60)
    write_atomically(path, page)


def _residuals(session: SessionMap) -> list[str]:
    grid = session.grid
    rows = [
        ("RMS residual over the grid, px", f"{grid.rms_px(grid.before):.2f}", f"{grid.rms_px(grid.left):.3f}"),
        ("… beyond its noise, px", "", f"{grid.excess_px:.3f}"),
        ("expected RMS corner error, px", "", f"{session.sigma_px:.3f}"),
        ("last step, px", "", f"{session.fit.last_step_px:.4f}"),
    ]
    return [
        html_report.table(("", "before", "after"), rows),
        _arrows(grid, grid.before, session.size, "before: the arms' displacement"),
        _arrows(grid, grid.left, session.size, "after: the residual (grey: 1 σ; no arrow: nothing to measure it by)"),
    ]


def _overlays(session: SessionMap, settings: AlignSettings, reference: CapturedPair) -> list[str]:
    """Flicker and checkerboard of a pair, before and after the map."""
    well, low = develop.read(reference).linear(settings.isps)
    box = common_box(session.arms, settings.onto)
    apart = (crop(well, box), crop(low, box))
    together = on_one_arm((well, low), session.arms, settings.onto, box, settings.resampler)
    (well_before, before), (well_after, after) = (
        (srgb_codes(bright), srgb_codes(session.match.level(dark))) for bright, dark in (apart, together)
    )
    return [
        _flicker(_small(well_before), _small(before), "flicker, before"),
        _flicker(_small(well_after), _small(after), "flicker, after"),
        *(
            _flicker(_detail(well_after, at), _detail(after, at), f"flicker, {ZOOM}×, after")
            for at in _details(well_after)
        ),
        html_report.picture(jpeg(_small(checkerboard(well_before, before))), "checkerboard, before", "jpeg"),
        html_report.picture(jpeg(_small(checkerboard(well_after, after))), "checkerboard, after", "jpeg"),
    ]


def _pairs(done: Sequence[tuple[CapturedPair, Done]]) -> str:
    rows = []
    for pair, one in done:
        check = one.check
        seen = (
            "too dark to tell" if not np.isfinite(check.sigma_px) else f"{check.length_px:.3f} ± {check.sigma_px:.3f}"
        )
        unknown = "too dark to tell" if one.record.raw_bright else ""
        share = unknown if one.share is None else f"{100 * one.share:.2f} %"
        rows.append((pair.name, one.record.split, f"{one.record.mean_low_light:.2f}", seen, share))
    return html_report.table(
        ("pair", "split", "mean of the low-light arm", "residual shift, px", "share of light"), rows
    )


def _arrows(grid: Grid, vectors: np.ndarray, size: tuple[int, int], caption: str) -> str:
    """The grid as SVG, arrows enlarged to be seen; the caption says how much."""
    height, width = size
    scale = WIDTH / width
    longest = float(np.linalg.norm(vectors[grid.known], axis=1).max()) if grid.known.any() else 1.0
    longest = max(longest, 1e-6)
    times = 0.5 * (height / 5) / longest  # half a patch: none leaves the frame
    parts = [
        f'<svg width="{WIDTH}" height="{height * scale:.0f}" viewBox="0 0 {width} {height}" '
        'style="background:#f6f6f6;border:1px solid #ccc">'
    ]
    for centre, vector, sigma, known in zip(grid.centres, vectors, grid.sigma, grid.known, strict=True):
        x, y = centre + np.array([width / 2, height / 2])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#999"/>')
        if known:
            dx, dy = vector * times
            rx, ry = sigma * times
            parts.append(
                f'<ellipse cx="{x + dx:.1f}" cy="{y + dy:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="none" stroke="#aaa" '
                f'stroke-width="2"/><line x1="{x:.1f}" y1="{y:.1f}" x2="{x + dx:.1f}" y2="{y + dy:.1f}" stroke="#06c" '
                'stroke-width="5"/>'
            )
    scaled = f"{caption}; the longest is {longest:.3f} px, drawn {times:.0f} times as long"
    return html_report.drawing(f"{''.join(parts)}</svg>", scaled)


def _flicker(one: Picture, other: Picture, caption: str) -> str:
    return html_report.flicker(jpeg(one), jpeg(other), caption)


def _small(picture: Picture) -> Picture:
    scale = WIDTH / picture.shape[1]
    size = (WIDTH, max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def checkerboard(one: Picture, other: Picture) -> Picture:
    """Squares of two pictures in turn."""
    side = max(2, BOARD_PX * one.shape[1] // 1920)
    y, x = np.indices(one.shape[:2]) // side
    return np.where(((y + x) % 2 == 0)[..., None], one, other)


def _details(picture: Picture) -> list[tuple[int, int]]:
    """Corners of the places with most structure, one in each third of the width."""
    grey = picture[..., 1].astype(np.float32)
    energy = cv2.boxFilter(cv2.Laplacian(grey, cv2.CV_32F) ** 2, -1, (DETAIL_PX, DETAIL_PX))
    height, width = grey.shape
    half, third = DETAIL_PX // 2, width // 3
    if height <= 2 * half or third <= 2 * half:
        return []
    found = []
    for n in range(3):
        part = energy[half : height - half, n * third + half : (n + 1) * third - half]
        y, x = np.unravel_index(int(part.argmax()), part.shape)
        found.append((int(y), int(x) + n * third))
    return found


def _detail(picture: Picture, at: tuple[int, int]) -> Picture:
    y, x = at
    part = picture[y : y + DETAIL_PX, x : x + DETAIL_PX]
    return np.asarray(cv2.resize(part, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST))
