"""A picture of a data set that a person can judge: pairs side by side, the dark arm also lifted, poses drawn."""

from collections.abc import Callable

import cv2
import numpy as np

from isp_sim.manifest import PairRecord
from isp_sim.picture_files import png
from isp_sim.scenes import SKELETON, Person
from isp_sim.units import Picture

TILE_WIDTH = 480
ROWS = 6


def contact_sheet(
    pictures: Callable[[int], tuple[PairRecord, Picture, Picture]], count: int, rows: int = ROWS
) -> bytes:
    """Pairs spread evenly over a run, a row a pair: well-lit, low-light as it is, low-light brought to a mean of 0.4
    (Lee et al.'s input scaling).

    Args:
        pictures: place in the run → its record, well-lit and low-light picture.
        count: of pairs in the run.
        rows: of the sheet, at most.

    Returns:
        The content of a PNG file.
    """
    places = np.unique(np.linspace(0, count - 1, min(rows, count)).astype(int))
    sheet = np.vstack([_row(*pictures(int(place))) for place in places])
    return png(sheet[..., ::-1], "contact sheet")


def _row(record: PairRecord, well: Picture, low: Picture) -> Picture:
    gain = 0.4 / np.maximum(low.reshape(-1, 3).mean(axis=0) / 255, 1e-6)
    lifted = np.clip(low * gain, 0, 255).astype(np.uint8)
    captions = (
        f"{record.split}  well-lit  {record.well_lit_gain_db:.2f} dB  {record.exposure_us} us  "
        f"mean {record.mean_well_lit:.1f}",
        f"low-light  {record.low_light_gain_db:.2f} dB  mean {record.mean_low_light:.2f}",
        "low-light, channels scaled to mean 0.4",
    )
    tiles = []
    for picture, caption in zip((well, low, lifted), captions, strict=True):
        tile, scale = _shrink(picture)
        _draw_people(tile, record.persons, scale)
        _caption(tile, caption)
        tiles.append(tile)
    return np.hstack(tiles)


def _shrink(picture: Picture) -> tuple[Picture, float]:
    scale = TILE_WIDTH / picture.shape[1]
    height = TILE_WIDTH * 5 // 8
    scale = min(scale, height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    tile = np.full((height, TILE_WIDTH, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = small
    return tile, scale


def _draw_people(tile: Picture, people: tuple[Person, ...], scale: float) -> None:
    for person in people:
        joints = np.array(person.keypoints, float)
        at = ((joints[:, :2] + 0.5) * scale).round().astype(int)
        for a, b in SKELETON:
            if joints[a, 2] > 0 and joints[b, 2] > 0:
                cv2.line(tile, at[a].tolist(), at[b].tolist(), (80, 220, 120), 1, cv2.LINE_AA)


def _caption(tile: Picture, text: str) -> None:
    at = (6, tile.shape[0] - 8)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
