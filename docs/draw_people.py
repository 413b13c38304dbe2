"""Draw `docs/pictures/people.png`: 24 built-in scenes, in six columns, as a camera that meters would show them."""

from pathlib import Path

import cv2
import numpy as np

from isp_sim.scenes.people.source import People

TILE = (200, 320)
COLUMNS = 6
SCENES = 24


def draw(path: Path = Path(__file__).parent / "pictures" / "people.png") -> Path:
    """Render the first 24 scenes at four times the tile's pixels and average down."""
    source = People(2 * TILE[0], 2 * TILE[1])
    tiles = []
    for index in range(SCENES):
        light = source.scene(index).radiance
        light = light * (0.16 / np.minimum(light, 6 * np.median(light)).mean())
        small = cv2.resize(np.clip(light, 0, 1), TILE[::-1], interpolation=cv2.INTER_AREA)
        tiles.append((255 * small ** (1 / 2.2)).round().astype(np.uint8))
    sheet = np.vstack([np.hstack(tiles[n : n + COLUMNS]) for n in range(0, SCENES, COLUMNS)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return path


if __name__ == "__main__":
    print(draw())
