"""Redraw docs/pictures/align.jpg: capture.align on a pair. `python docs/draw_capture.py` (or `make pictures`)."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from capture import align
from capture.alignment import develop, session_fit
from capture.alignment.report import checkerboard
from capture.captures import find_pairs
from isp_sim import generate
from isp_sim.isp.codes import srgb_codes
from isp_sim.rectify import common_box, crop, on_one_arm
from isp_sim.rigfile import load_rig

PICTURES = Path(__file__).parent / "pictures"
DETAIL = (slice(90, 330), slice(300, 620))
ZOOM = 2


def draw() -> None:
    """Six pairs of the demonstration's rig, registered; one of them before and after."""
    with tempfile.TemporaryDirectory() as scratch:
        captures = Path(scratch) / "captures"
        generate.main(["--rig", align.DEMO_RIG, "--count", str(align.DEMO_PAIRS), "--out", str(captures)])
        isps = develop.Isps.of(load_rig(align.DEMO_RIG))
        settings = session_fit.AlignSettings(
            "low_light", "cubic", "none", 0.5, False, None, align.DEMO_PAIRS, 0.01, isps
        )
        pairs, _ = find_pairs(captures)
        loaded = [(pair, develop.read(pair)) for pair in session_fit.candidates(pairs, settings)[: align.DEMO_PAIRS]]
        found = session_fit.fit_session("demonstration", loaded, settings)
    frames = loaded[0][1]
    box = common_box(found.arms, "low_light")
    bright, dark = frames.linear(isps)
    warped, kept = on_one_arm((bright, dark), found.arms, "low_light", box, "cubic")
    well, before, low = (srgb_codes(image) for image in (warped, crop(bright, box), found.match.level(kept)))
    panels = {
        "well-lit, warped": well,
        "low-light, brightened": low,
        "checkerboard, as captured": checkerboard(before, low),
        "checkerboard, aligned": checkerboard(well, low),
    }
    tiles = []
    for caption, picture in panels.items():
        tile = cv2.resize(picture[DETAIL], None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            place = (10, tile.shape[0] - 12)
            cv2.putText(tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, thickness, cv2.LINE_AA)
        tiles.append(tile)
    sheet = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    cv2.imwrite(str(PICTURES / "align.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    draw()
