"""Draw `docs/pictures/people.jpg`: 24 built-in scenes, in six columns, as a camera that meters would show them."""

from pathlib import Path

import cv2
import numpy as np

from isp_sim import streams
from isp_sim.rigfile import load_rig
from isp_sim.scenes.people.source import People
from isp_sim.schedule import scene_shots

TILE = (200, 320)
COLUMNS = 6
SCENES = 24


def draw(path: Path = Path(__file__).parent / "pictures" / "people.jpg") -> Path:
    """Render the scenes of a run's first 24 bases at four times the tile's pixels and average down."""
    source, schedule = People(2 * TILE[0], 2 * TILE[1]), load_rig("exlpose").schedule
    tiles = []
    for index in range(SCENES):
        shot = scene_shots(schedule, index, streams.generator(0, index, "schedule"))[0]
        light = source.scene(index, shot.daylight).radiance
        light = light * (0.16 / np.minimum(light, 6 * np.median(light)).mean())
        small = cv2.resize(np.clip(light, 0, 1), TILE[::-1], interpolation=cv2.INTER_AREA)
        tiles.append((255 * small ** (1 / 2.2)).round().astype(np.uint8))
    sheet = np.vstack([np.hstack(tiles[n : n + COLUMNS]) for n in range(0, SCENES, COLUMNS)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return path


if __name__ == "__main__":
    print(draw())
