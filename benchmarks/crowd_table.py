"""Lee et al.'s Table 6 in simulation: poses of a crowd in detected boxes, for each split, and the detector's own AP.

    python benchmarks/crowd_table.py [--scenes 6] [--detector out/detector/weights.safetensors]

Built-in scenes of the test seed through exlpose-small. Rows: the low-light picture as it is, each channel scaled to a
mean of 0.4 (Lee), the best fixed gain, LIME, all before the published MultiPose; the fine-tuned one that --detector
names; and true boxes, what a perfect detector would give. Detector and pose network see the same developed picture. The
gain is the one of a grid with which the published detector has the highest box AP over 3 scenes of another seed. ± is
the standard error over scenes. Rows that are in --out already are not computed again.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from isp_sim.annotation_files import SPLITS
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from models.choices import TEST_SEED
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import HeldPairs, PairSample, PairSource, RigPairs, shots
from models.enhance.enhancer import load_enhancer
from models.recognisers.crowd import poses, poses_in
from models.recognisers.detection import Detection
from models.recognisers.loading import load_recogniser
from models.recognisers.person_detector import MULTIPOSE_NAME, PersonDetector, load_detector
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import TRUE_BOXES, Protocol
from models.scoring.boxes import score_boxes
from models.scoring.poses import Poses, find_boxes

CHOICE_SEED, CHOICE_SCENES = 51, 3
"""Of the scenes over which the fixed gain is chosen."""
GAINS = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
FLIP = "none"
TUNED = "mean 0.4, detector fine-tuned on pairs"
Read = Callable[[Recogniser, PairSample], list[Detection]]
COLUMNS = ("people", "ap", "box_ap", "box_ap50", "box_recall50")


def rows(published: PersonDetector, tuned: PersonDetector | None, gain: float) -> dict[str, tuple[Read, Read, str]]:
    """Each row's name: how it reads the low-light picture, how the well-lit one, and its boxes for the protocol."""
    lime = load_enhancer("lime")

    def scaled(detector: PersonDetector | None) -> Read:
        return lambda network, shot: poses(network, shot.low_light, shot.people, LOW, FLIP, detector)

    def well(detector: PersonDetector | None) -> Read:
        return lambda network, shot: poses(network, shot.well_lit, shot.people, WELL, FLIP, detector)

    def brightened(by: float) -> Read:
        return lambda network, shot: poses_in(
            network, by * normalise(shot.low_light, "none"), shot.people, LOW, FLIP, published
        )

    def enhanced(network: Recogniser, shot: PairSample) -> list[Detection]:
        return poses(network, lime.enhance(shot.low_light), shot.people, LOW, FLIP, published)

    named = f"{published.name}, longer side {published.side} px"
    found = {
        "nothing: the picture as it is": (brightened(1.0), well(published), named),
        "mean 0.4 (Lee)": (scaled(published), well(published), named),
        f"best fixed gain, {gain:g}": (brightened(gain), well(published), named),
        "LIME": (enhanced, well(published), named),
    }
    if tuned:
        found[TUNED] = (scaled(tuned), well(tuned), f"fine-tuned {named}")
    return found | {"mean 0.4, true boxes": (scaled(None), well(None), TRUE_BOXES)}


def best_gain(detector: PersonDetector, source: PairSource) -> float:
    """The gain of the grid with the detector's highest box AP."""

    def box_ap(gain: float) -> float:
        read = find_boxes(detector, shots(source), lambda shot: gain * normalise(shot.low_light, "none"))
        return score_boxes(read.truth["LL-A"], read.found["LL-A"], Protocol()).ap

    scores = {gain: box_ap(gain) for gain in GAINS}
    print(
        "box AP on other scenes, LL-A:",
        ", ".join(f"gain {gain:g}: {ap:.1f}" for gain, ap in scores.items()),
        flush=True,
    )
    return max(scores, key=scores.__getitem__)


def judged(
    network: Recogniser, source: PairSource, low: Read, well: Read, boxes: str, progress: str
) -> dict[str, dict[str, Any]]:
    """Scores of a row, a record a split."""
    read = Poses()
    for shot in shots(source):
        shot_people = shot.people if boxes != TRUE_BOXES else shot.labelled
        read.add_low_light(shot.split, shot.name, shot_people, low(network, shot))
        read.add("WL", shot.name, shot_people, well(network, shot))
    print(progress, flush=True)
    protocol = Protocol(boxes=boxes, flip=FLIP, extent=network.extent, seed=TEST_SEED)
    return {split: one.record() for split, one in read.judged(protocol).items()}


def cell(record: Mapping[str, Any], name: str) -> str:
    """A figure with its standard error, if it has one."""
    if record.get(name) is None:
        return ""
    error = record.get(f"{name}_standard_error")
    return f"{record[name]:.1f}" + (f" ± {error:.1f}" if error is not None else "")


def print_tables(found: Mapping[str, Mapping[str, Mapping[str, Any]]], networks: Sequence[str]) -> None:
    """A table of pose AP for each network, and one of the detector."""
    console = Console(width=130)
    for network in networks:
        table = Table(title=f"AP of {network} in detected boxes")
        for heading in ("picture and boxes", *SPLITS):
            table.add_column(heading)
        for row, splits in found.items():
            name, _, who = row.partition(" | ")
            if who == network:
                table.add_row(name, *(cell(splits[split], "ap") for split in SPLITS))
        console.print(table)
    table = Table(title="the detector: box AP ± standard error; AP50; people found at IoU .50, %")
    for heading in ("picture", *SPLITS):
        table.add_column(heading)
    for row, splits in found.items():
        name, _, who = row.partition(" | ")
        if who == networks[0] and splits["WL"].get("box_ap") is not None:
            figures = [[cell(splits[s], one) for one in ("box_ap", "box_ap50", "box_recall50")] for s in SPLITS]
            table.add_row(name, *("; ".join(three) for three in figures))
    console.print(table)
    counts = {s: next(iter(found.values()))[s] for s in SPLITS}
    console.print(", ".join(f"{s}: {c['people']} people, {c['pictures']} pictures" for s, c in counts.items()))


def main() -> None:
    """Compute what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument(
        "--pose", nargs="+", default=["movenet-thunder", "low-light"], help="as models.evaluate takes them"
    )
    parser.add_argument("--detector", type=Path, help="weights of isp-sim train-detector")
    parser.add_argument("--out", type=Path, default=Path("out/crowd-table"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / f"scores-{args.scenes}.json"
    done = json.loads(kept.read_text()) if kept.exists() else {}
    rig = load_rig("exlpose-small")
    source = HeldPairs(RigPairs(rig, TEST_SEED, args.scenes))
    published = load_detector(MULTIPOSE_NAME)
    tuned = load_detector(args.detector) if args.detector else None
    weights = hashlib.blake2b(args.detector.read_bytes(), digest_size=8).hexdigest() if args.detector else None
    if weights and done.get("detector") != weights:  # rows of other weights are not these
        done = {row: one for row, one in done.items() if not row.startswith(TUNED)} | {"detector": weights}
    if "gain" not in done:
        done["gain"] = best_gain(published, HeldPairs(RigPairs(rig, CHOICE_SEED, CHOICE_SCENES)))
        write_atomically(kept, json.dumps(done).encode())
    found = {}
    for name, (low, well, boxes) in rows(published, tuned, done["gain"]).items():
        for pose in args.pose:
            row = f"{name} | {pose}"
            if row not in done:
                done[row] = judged(load_recogniser(pose), source, low, well, boxes, row)
                write_atomically(kept, json.dumps(done).encode())
            found[row] = done[row]
    print_tables(found, args.pose)


if __name__ == "__main__":
    main()
