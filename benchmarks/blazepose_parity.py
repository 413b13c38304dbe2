"""Our BlazePose against the published graph in LiteRT: the largest differences of heads and joints.

    pip install ai-edge-litert
    npm pack @mediapipe/pose@0.5.1675469404 && tar xzf mediapipe-pose-0.5.1675469404.tgz
    python benchmarks/blazepose_parity.py --model package/pose_landmark_full.tflite

Drawn figures, and crops of the last photographs of Leeds Sports Pose Extended if they are at hand. The graph ends with
logits of heatmaps and places in px; heads are compared relatively to the largest of each picture, joints after the same
decoding of both. `--write` keeps what the graph said of the drawn figures, every eighth cell of
the heatmaps, for `tests/models/test_recognisers_blazepose.py`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from movenet_parity import FIGURES, PHOTOS, as_batch, figure, photographs
from rich.console import Console
from rich.table import Table

from models.recognisers.blazepose import KEYPOINTS, SIDE, STRIDE, BlazePose, Landmarks, load_blazepose
from models.recognisers.decoding import decode
from models.recognisers.loading import load_recogniser

EVERY = 8


def published(model: Path, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits of heatmaps `(N, 33, 64, 64)`, and places `(N, 33, 2)`, x and y in px."""
    from ai_edge_litert.interpreter import Interpreter

    graph = Interpreter(str(model))
    graph.allocate_tensors()
    (entry,) = graph.get_input_details()
    nodes = {node["name"]: node["index"] for node in graph.get_output_details()}
    maps, places = [], []
    for picture in pictures:
        graph.set_tensor(entry["index"], picture[None].astype(np.float32) / 255)
        graph.invoke()
        maps.append(graph.get_tensor(nodes["Identity_3"])[0].transpose(2, 0, 1)[: len(KEYPOINTS)])
        places.append(graph.get_tensor(nodes["Identity"]).reshape(-1, 5)[: len(KEYPOINTS), :2])
    return np.stack(maps), np.stack(places)


def ours(network: BlazePose, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from the torch module."""
    with torch.inference_mode():
        *finer, coarsest = network.backbone(as_batch(pictures))
        return network.pyramid(finer, coarsest).numpy(), (network.regressed(coarsest) * STRIDE).numpy()


def joints(maps: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints in px, and scores."""
    found, scores = decode(Landmarks(torch.from_numpy(maps).sigmoid(), torch.from_numpy(places) / STRIDE))
    return found.numpy() * STRIDE, scores.numpy()


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference over the largest value of each picture."""
    largest = np.abs(theirs).reshape(len(theirs), -1).max(axis=1)
    return float((np.abs(ours - theirs).reshape(len(theirs), -1).max(axis=1) / largest).max())


def main() -> None:
    """Compare on both kinds of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="pose_landmark_full.tflite")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--write", type=Path, help=".npz of what the graph said of the drawn figures")
    args = parser.parse_args()
    sets = {"drawn figures": np.stack([figure(SIDE, seed)[0] for seed in range(FIGURES)])}
    if PHOTOS.is_dir() and args.photos:
        sets["photographs"] = photographs(PHOTOS, load_recogniser("blazepose-full"), args.photos)
    table = Table(title="largest difference from the published graph")
    for heading in ("pictures", "heatmaps, relative", "places, relative", "joints, px", "scores"):
        table.add_column(heading, justify="right")
    for title, pictures in sets.items():
        theirs, mine = published(args.model, pictures), ours(load_blazepose(), pictures)
        (there, scores), (here, my_scores) = joints(*theirs), joints(*mine)
        apart = np.hypot(*(here - there).reshape(-1, 2).T).max()
        heads = [relative(a, b) for a, b in zip(mine, theirs, strict=True)]
        figures = [f"{value:.1e}" for value in (*heads, apart, np.abs(scores - my_scores).max())]
        table.add_row(f"{len(pictures)} {title}", *figures)
        if title == "drawn figures" and args.write:
            np.savez_compressed(args.write, heatmaps=theirs[0][..., ::EVERY, ::EVERY], places=theirs[1])
    Console(width=120).print(table)
    if args.write:
        print(args.write, args.write.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
