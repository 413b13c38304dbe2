"""A picture of a data set that a person can judge: pairs side by side, the dark arm also lifted, poses drawn."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from isp_sim.dataset import read_manifest, write_png
from isp_sim.pair import Picture
from isp_sim.scenes import SKELETON

TILE_WIDTH = 480
ROWS = 6


def contact_sheet(folder: Path, rows: int = ROWS) -> Path:
    """Draw `contact_sheet.png` into a closed data set: well-lit, low-light as it is, low-light brought to a
    mean of 0.4 (Lee et al.'s input scaling), a row a pair, pairs spread evenly over the run.

    Returns:
        The picture's path.
    """
    lines = list(read_manifest(folder))
    chosen = [lines[i] for i in np.unique(np.linspace(0, len(lines) - 1, min(rows, len(lines))).astype(int))]
    sheet = np.vstack([_row(folder, line) for line in chosen])
    path = folder / "contact_sheet.png"
    write_png(path, sheet)
    return path


def _row(folder: Path, line: dict[str, Any]) -> Picture:
    well, low = (_read(folder / line[arm]) for arm in ("bright", "dark"))
    gain = 0.4 / np.maximum(low.reshape(-1, 3).mean(axis=0) / 255, 1e-6)
    lifted = np.clip(low * gain, 0, 255).astype(np.uint8)
    captions = (
        f"{line['split']}  well-lit  {line['well_lit_gain_db']:.2f} dB  {line['exposure_us']} us  "
        f"mean {line['mean_well_lit']:.1f}",
        f"low-light  {line['low_light_gain_db']:.2f} dB  mean {line['mean_low_light']:.2f}",
        "low-light, channels scaled to mean 0.4",
    )
    tiles = []
    for picture, caption in zip((well, low, lifted), captions, strict=True):
        tile, scale = _shrink(picture)
        _draw_people(tile, line["people"], scale)
        _caption(tile, caption)
        tiles.append(tile)
    return np.hstack(tiles)


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path}: is no readable PNG")
    return np.ascontiguousarray(picture[..., ::-1])


def _shrink(picture: Picture) -> tuple[Picture, float]:
    scale = TILE_WIDTH / picture.shape[1]
    height = TILE_WIDTH * 5 // 8
    scale = min(scale, height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    tile = np.full((height, TILE_WIDTH, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = small
    return tile, scale


def _draw_people(tile: Picture, people: list[dict[str, Any]], scale: float) -> None:
    for person in people:
        joints = np.array(person["keypoints"], float).reshape(14, 3)
        at = ((joints[:, :2] + 0.5) * scale).round().astype(int)
        for a, b in SKELETON:
            if joints[a, 2] > 0 and joints[b, 2] > 0:
                cv2.line(tile, at[a].tolist(), at[b].tolist(), (80, 220, 120), 1, cv2.LINE_AA)


def _caption(tile: Picture, text: str) -> None:
    at = (6, tile.shape[0] - 8)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
