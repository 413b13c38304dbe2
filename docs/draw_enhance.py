"""Draw docs/pictures/enhance-*.jpg: what each enhancer makes of a low-light picture; pairs from one raw file.

python docs/draw_enhance.py [--trained out/ablations]
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from isp_sim import generate
from isp_sim.files import write_atomically
from isp_sim.manifest import read_manifest
from isp_sim.picture_files import jpeg
from isp_sim.rigfile import load_rig
from models.data.normalisation import Picture
from models.data.samples import RigPairs
from models.enhance.enhancer import CLASSICAL, SHIPPED, Enhancer, as_image, as_picture, load_enhancer
from models.scoring.drawing import caption
from models.scoring.picture_quality import psnr_ssim

PICTURES = Path(__file__).parent / "pictures"
TRAINED = Path("out/ablations")
SEED, SCENE = 31, 1
COLUMNS = 3


def save(name: str, picture: Picture) -> None:
    """A JPEG in docs/pictures."""
    write_atomically(PICTURES / name, jpeg(picture, quality=75))
    print(PICTURES / name)


def sheet(tiles: list[Picture]) -> Picture:
    """Tiles in rows of three, all of one size."""
    blank = np.full_like(tiles[0], 40)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[n : n + COLUMNS]) for n in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def scaled(picture: Picture) -> Picture:
    """Each channel at a mean of 0.4."""
    return as_picture(as_image(picture, "mean-0.4", torch.device("cpu")))


def draw_enhancers(trained: Path) -> None:
    """One shot through every enhancer, PSNR to its well-lit partner below."""
    shot = RigPairs(load_rig("exlpose-small"), SEED, SCENE + 1).group(SCENE)[0]
    weights = sorted(trained.glob("*/weights.safetensors"))
    learned = []
    for path in weights:
        if path.parent.name in ("gladnet-0", "sllen-0"):
            learned.append(Enhancer(f"{load_enhancer(path).name}, trained shortly", load_enhancer(path).enhance))
    tiles = []
    known = [load_enhancer(name) for name in (*CLASSICAL, *SHIPPED)]
    for one in [Enhancer("as shot", lambda picture: picture), Enhancer("mean 0.4", scaled), *known, *learned]:
        tile = one.enhance(shot.low_light).copy()
        psnr, _ = psnr_ssim(tile, shot.well_lit)
        caption(tile, f"{one.name}   {psnr:.1f} dB")
        tiles.append(tile)
    well = shot.well_lit.copy()
    caption(well, f"well-lit partner of this {shot.split} shot")
    save("enhance-methods.jpg", sheet([well, *tiles]))


def draw_raw_pairs() -> None:
    """Pairs of rigs/gladnet.yaml from two raws of the small rig."""
    with tempfile.TemporaryDirectory() as folder:
        raws, pairs = Path(folder) / "raws", Path(folder) / "pairs"
        common = ["--seed", str(SEED), "--workers", "1"]
        generate.main(["--rig", "exlpose-small", "--count", "2", "--shots-per-scene", "1", *common, "--out", str(raws)])
        generate.main(
            ["--rig", "gladnet", "--scenes", str(raws / "raw"), "--count", "12", *common, "--out", str(pairs)]
        )
        tiles = []
        for line in [one for one in read_manifest(pairs) if one.labels["kind"] in ("colour", "grey")][:6]:
            low, well = (cv2.imread(str(pairs / name))[..., ::-1] for name in (line.dark, line.bright))
            tile = np.hstack([low[:, : low.shape[1] // 2], well[:, well.shape[1] // 2 :]]).copy()
            labels = line.labels
            caption(
                tile,
                f"E {labels['exposure_ev']:.1f} EV  C {labels['contrast']:.0f}  saturation {labels['saturation']:.2f}  "
                f"{labels['kind']}",
            )
            tiles.append(tile)
        save("enhance-raw-pairs.jpg", sheet(tiles))


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trained", type=Path, default=TRAINED, help="trainings of benchmarks/ablations.py, shown where they are"
    )
    args = parser.parse_args()
    draw_raw_pairs()
    draw_enhancers(args.trained)


if __name__ == "__main__":
    main()
