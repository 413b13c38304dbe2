"""Draw `docs/pictures/people.jpg` and `people_close.jpg`: 24 built-in scenes and 24 close people, in six columns, as a
camera that meters would show them; `people_night.jpg`, all at one exposure. With a folder of pictures:
`people_backgrounds.jpg`, people before these.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from isp_sim import streams
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Scene
from isp_sim.scenes.people.source import People
from isp_sim.schedule import scene_shots

PICTURES = Path(__file__).parent / "pictures"
TILE, CLOSE = (200, 320), (400, 230)
COLUMNS, TILES = 6, 24
WHITE_LX = 20.0
"""What a white wall at night needs to fill the range: about 1/30 s at ISO 4000 and f/2.8."""


def scenes(height: int, width: int, backgrounds: Path | None = None) -> Iterator[tuple[Scene, np.ndarray]]:
    """The scenes of a run's bases, and each as a picture, linear, 0 … 1."""
    source, schedule = People(height, width, backgrounds=backgrounds), load_rig("exlpose").schedule
    for index in range(10 * TILES):
        shot = scene_shots(schedule, index, streams.generator(0, index, "schedule"))[0]
        scene = source.scene(index, shot.daylight)
        light = scene.radiance * (0.16 / np.minimum(scene.radiance, 6 * np.median(scene.radiance)).mean())
        yield scene, np.clip(light, 0, 1)


def nights(height: int, width: int) -> list[np.ndarray]:
    """Scenes at night as one exposure shows them all."""
    source = People(height, width)
    dark = (source.scene(index, 0.0) for index in range(TILES))
    return [np.clip(scene.radiance * ((scene.white_lx or 0.0) / WHITE_LX), 0, 1) for scene in dark]


def draw(name: str, tiles: list[np.ndarray], size: tuple[int, int], quality: int) -> Path:
    """Write a sheet."""
    small = [cv2.resize(tile, size[::-1], interpolation=cv2.INTER_AREA) for tile in tiles]
    coded = [(255 * tile ** (1 / 2.2)).round().astype(np.uint8) for tile in small]
    sheet = np.vstack([np.hstack(coded[n : n + COLUMNS]) for n in range(0, len(coded), COLUMNS)])
    cv2.imwrite(str(PICTURES / name), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return PICTURES / name


def close(height: int = 1200, width: int = 1920) -> list[np.ndarray]:
    """The first people, one a scene, at least 0.6 of the picture's height and with 11 joints in view."""
    found = []
    for scene, light in scenes(height, width):
        for person in scene.people:
            x, y, wide, high = person.bbox
            if high > 0.6 * height and sum(seen == 2 for _, _, seen in person.keypoints) >= 11:
                tall = min(1.06 * max(high, wide * CLOSE[0] / CLOSE[1]), height)
                across = tall * CLOSE[1] / CLOSE[0]
                left = round(np.clip(x + wide / 2 - across / 2, 0, max(width - across, 0)))
                top = round(np.clip(y + high / 2 - tall / 2, 0, max(height - tall, 0)))
                found.append(light[top : top + round(tall), left : left + round(across)])
                break
        if len(found) == TILES:
            return found
    return found


if __name__ == "__main__":
    large = 2 * TILE[0], 2 * TILE[1]
    if len(sys.argv) > 1:
        before = [light for _, (_, light) in zip(range(12), scenes(*large, Path(sys.argv[1])), strict=False)]
        print(draw("people_backgrounds.jpg", before, TILE, 88))
        sys.exit()
    print(draw("people.jpg", [light for _, (_, light) in zip(range(TILES), scenes(*large), strict=False)], TILE, 88))
    print(draw("people_close.jpg", close(), CLOSE, 85))
    print(draw("people_night.jpg", nights(*large), TILE, 88))
