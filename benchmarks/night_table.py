"""Lee et al.'s Table 5 (ExLPose-OCN, CVPR 2023) in simulation: two cameras at night, no filter, no partner.

    python benchmarks/night_table.py [--scenes 24] [--pose movenet-thunder …] [--trained out/lee/quick]
    python benchmarks/night_table.py --data ExLPose/Annotations/ExLPose-OC_test_A7M3.json …   # the real pictures

Built-in people of the test seed through `rigs/night-a7m3.yaml` and `rigs/night-ricoh3.yaml`, one shot a scene; the
low-light arm's pictures are scored. First rows with nothing learned: the picture as it is, Lee's mean of 0.4, classical
enhancement. `--trained` is a folder of `benchmarks/lee_tables.py`: each of its variants becomes a row, trained on the
ExLPose rig alone, which never saw these cameras, as in the paper. AP over true boxes ± standard error over scenes; the
mean 8-bit level of the pictures stands beside the published one. The paper's APs of Table 5 are not among the facts
this project could check, so `PUBLISHED` is empty until somebody enters them with the paper at hand.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from isp_sim.progress import track
from isp_sim.rigfile import load_rig
from models.choices import TEST_SEED
from models.data.lone_pictures import LonePicture, LonePictures
from models.data.normalisation import LOW, normalise
from models.data.samples import RigPairs
from models.engine.distributed import pick_device
from models.enhance.enhancer import CLASSICAL
from models.recognisers.inference import detect, detect_in
from models.recognisers.loading import load_recogniser
from models.recognisers.recogniser import Recogniser
from models.runs.lone_evaluation import Reader, judge_lone
from models.scoring.average_precision import Protocol, figure
from models.scoring.poses import SplitScore

CAMERAS = {"A7M3": ("night-a7m3", 3.8), "RICOH3": ("night-ricoh3", 5.6)}
"""Rig of each camera, and the mean 8-bit level of its real pictures (Lee et al., section 5.1)."""
PUBLISHED: dict[str, tuple[float, float]] = {}
"""AP on A7M3 and RICOH3 by row, from Table 5."""
WEIGHTS = "weights.safetensors"


def shot(scenes: int) -> list[LonePicture]:
    """The low-light arm's pictures of both rigs."""
    pictures = []
    for camera, (rig, _) in CAMERAS.items():
        source = RigPairs(load_rig(rig), TEST_SEED, scenes)
        for number in track(range(scenes), f"scenes of {rig}"):
            (sample,) = source.group(number)
            pictures.append(LonePicture(sample.name, sample.low_light, sample.people, camera))
    return pictures


def readers(names: list[str], trained: Path | None, device: str, flip: str) -> Iterator[tuple[str, Reader, Recogniser]]:
    """Every row: its name, how a picture is read, and by which network."""
    for name in names:
        network = load_recogniser(name).to(pick_device(device))
        yield (
            f"{name}: no enhancement",
            lambda p, people, n=network: detect_in(n, [normalise(p, "none")], people, LOW, flip),
            network,
        )
        yield f"{name}: mean 0.4 (Lee)", lambda p, people, n=network: detect(n, p, people, LOW, flip), network
        for enhancer, enhance in CLASSICAL.items():
            yield (
                f"{name}: {enhancer}",
                lambda p, people, n=network, e=enhance: detect(n, e(p), people, LOW, flip),
                network,
            )
    for weights in sorted(trained.glob(f"*/{WEIGHTS}")) if trained else ():
        network = load_recogniser(weights).to(pick_device(device))
        yield f"trained, {weights.parent.name}", lambda p, people, n=network: detect(n, p, people, LOW, flip), network


def cell(one: SplitScore) -> str:
    """AP and PCK, each with its standard error."""
    return f"{figure(one.score.ap)} ± {figure(one.over.ap)} / {figure(one.pck)} ± {figure(one.over.pck)}"


def main() -> None:
    """Shoot or read, score every row, print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=24)
    asked.add_argument("--pose", nargs="+", default=["movenet-thunder", "movenet-lightning"])
    asked.add_argument("--trained", type=Path, help="folder of benchmarks/lee_tables.py")
    asked.add_argument("--data", type=Path, nargs="+", help="keypoint files of real pictures")
    asked.add_argument("--flip", default="right")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path, default=Path("out/night"))
    given = asked.parse_args()
    pictures = [one for file in given.data for one in LonePictures(file)] if given.data else shot(given.scenes)
    cameras = list(dict.fromkeys(one.split for one in pictures))
    console = Console(width=140)
    for camera in cameras:
        of = [one for one in pictures if one.split == camera]
        means = [float(one.low_light.mean()) for one in of]
        error = np.std(means, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else float("nan")
        people = sum(len(one.labelled) for one in of)
        known = f", published {CAMERAS[camera][1]}" if camera in CAMERAS else ""
        console.print(f"{camera}: {len(of)} pictures, {people} people, mean {np.mean(means):.2f} ± {error:.2f}{known}")
    table = Table(title="AP / PCK@0.2 of the torso, true boxes, ± standard error over scenes")
    for heading in ("row", *cameras, "joints", "published"):
        table.add_column(heading, justify="left" if heading == "row" else "right")
    record = {}
    for name, read, _ in readers(given.pose, given.trained, given.device, given.flip):
        judged, _ = judge_lone(track(pictures, name), read, Protocol(flip=given.flip, seed=TEST_SEED))
        record[name] = {camera: one.record() for camera, one in judged.items()}
        joints = len(judged[cameras[0]].score.protocol.joints)
        published = " / ".join(map(str, PUBLISHED[name])) if name in PUBLISHED else "-"
        table.add_row(name, *(cell(judged[camera]) for camera in cameras), str(joints), published)
    console.print(table)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "scores.json").write_text(json.dumps(record, indent=1))
    console.print(f"scores {given.out / 'scores.json'}")


if __name__ == "__main__":
    main()
