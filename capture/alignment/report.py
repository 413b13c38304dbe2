"""A session's page: residuals before and after over the frame, flicker and checkerboard overlays; one file, offline."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from capture.alignment import develop
from capture.alignment.session_fit import Session
from capture.alignment.writer import Done
from capture.captures import CapturedPair
from capture.registration.geometry import NAMES
from capture.registration.residuals import Grid
from isp_sim.files import write_atomically
from isp_sim.isp.codes import srgb_codes
from isp_sim.rectify import ArmName, common_box, crop, on_one_arm
from isp_sim.units import Picture

WIDTH = 900
DETAIL_PX, ZOOM = 150, 3
BOARD_PX = 60

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body{{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:{wide}px;color:#222}}
table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.15em .7em;text-align:right;border-bottom:1px solid #ddd}}
td:first-child,th:first-child{{text-align:left}}figure{{margin:1em 0;display:inline-block;vertical-align:top}}
figcaption{{color:#555}}.flicker{{position:relative;display:inline-block}}.flicker img{{display:block}}
.flicker img+img{{position:absolute;left:0;top:0;animation:blink 1s steps(1) infinite}}
@keyframes blink{{0%{{opacity:0}}50%{{opacity:1}}}}
.bad{{color:#a00}}</style>{body}</html>
"""


def write_report(
    path: Path,
    session: Session,
    onto: ArmName,
    reference: CapturedPair,
    done: Sequence[tuple[CapturedPair, Done]],
    faults: Sequence[str],
) -> None:
    """Write a session's page.

    Args:
        path: of the HTML file.
        session: as fitted.
        onto: the arm whose pixels are kept.
        reference: the pair to show.
        done: its pairs that were aligned.
        faults: sentences about those that were not.

    Raises:
        OSError: the disk refused.
    """
    frames = develop.read(reference)
    box = common_box(session.arms, onto)
    well, low = frames.linear
    apart = (crop(well, box), crop(low, box))
    together = on_one_arm((well, low), session.arms, onto, box, "cubic")
    (well_before, before), (well_after, after) = (
        (srgb_codes(bright), srgb_codes(session.match.level(dark))) for bright, dark in (apart, together)
    )
    grid, fit = session.grid, session.fit
    body = [
        f"<h1>Session {html.escape(session.name)}</h1>",
        f"<p>{len(done)} pairs aligned, {len(faults)} refused. Map fitted to {len(session.pairs)} pair(s), the first "
        f"is shown: <code>{html.escape(session.pairs[0])}</code>.</p>",
        _table(
            ("", "before", "after"),
            [
                ("RMS residual over the grid, px", f"{grid.rms_px(grid.before):.2f}", f"{grid.rms_px(grid.left):.3f}"),
                ("… beyond its noise, px", "", f"{grid.excess_px:.3f}"),
                ("expected RMS corner error, px", "", f"{session.sigma_px:.3f}"),
                ("last step, px", "", f"{fit.last_step_px:.4f}"),
            ],
        ),
        _arrows(grid, grid.before, session.size, "before: the arms' displacement"),
        _arrows(grid, grid.left, session.size, "after: what is left (grey: 1 σ; no arrow: nothing to be seen)"),
        "<h2>Overlays</h2><p>Here the low-light arm is lifted to the well-lit arm's level.</p>",
        _flicker(_small(well_before), _small(before), "flicker, before"),
        _flicker(_small(well_after), _small(after), "flicker, after"),
        *(
            _flicker(_detail(well_after, at), _detail(after, at), f"flicker, {ZOOM}×, after")
            for at in _details(well_after)
        ),
        _figure(_small(checkerboard(well_before, before)), "checkerboard, before"),
        _figure(_small(checkerboard(well_after, after)), "checkerboard, after"),
        "<h2>Map, low-light → well-lit, px at the corner</h2>",
        _table(("parameter", "px"), [(n, f"{v:.4f}") for n, v in zip(NAMES, fit.alignment.theta, strict=True)]),
        "<h2>Light</h2>",
        _table(
            ("channel", "gain", "offset"),
            [
                (c, f"{g:.2f}", f"{o:.5f}")
                for c, g, o in zip("RGB", session.match.gain, session.match.offset, strict=True)
            ],
        ),
        "<h2>Pairs</h2>",
        _pairs(done),
        *(f'<p class="bad">{html.escape(fault)}</p>' for fault in faults),
    ]
    title = f"alignment of {html.escape(session.name)}"
    write_atomically(path, _PAGE.format(title=title, wide=2 * WIDTH + 60, body="\n".join(body)).encode())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in head)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows]
    return f"<table>{''.join(cells)}</table>"


def _pairs(done: Sequence[tuple[CapturedPair, Done]]) -> str:
    rows = []
    for pair, one in done:
        check = one.check
        seen = (
            "too dark to tell" if not np.isfinite(check.sigma_px) else f"{check.length_px:.3f} ± {check.sigma_px:.3f}"
        )
        untold = "too dark to tell" if one.record.raw_bright else ""
        share = untold if one.share is None else f"{100 * one.share:.2f} %"
        rows.append((pair.name, one.record.split, f"{one.record.mean_low_light:.2f}", seen, share))
    return _table(("pair", "split", "mean of the low-light arm", "residual shift, px", "share of light"), rows)


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
    told = f"{caption}; the longest is {longest:.3f} px, drawn {times:.0f} times as long"
    return f"<figure>{''.join(parts)}</svg><figcaption>{html.escape(told)}</figcaption></figure>"


def _flicker(one: Picture, other: Picture, caption: str) -> str:
    images = f"{_image(one)}{_image(other)}"
    return f'<figure><div class="flicker">{images}</div><figcaption>{html.escape(caption)}</figcaption></figure>'


def _figure(picture: Picture, caption: str) -> str:
    return f"<figure>{_image(picture)}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _image(picture: Picture) -> str:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'


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
