"""Command: a frozen pose network over a test set → AP for each of ExLPose's splits, PCK, and a page of poses.

python -m models.evaluate --pose out/pose-lsbn+lupi/weights.safetensors --data ExLPose
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from isp_sim.scenes import JOINTS
from isp_sim.scenes.sources import open_scenes
from models.data.normalisation import Picture
from models.data.picture_files import jpeg
from models.data.samples import TEST_SEED, FolderPairs, PairSample, PairSource, RigPairs, scene_of, shots
from models.engine.distributed import pick_device
from models.enhance.enhancer import Enhancer, load_enhancer
from models.enhance.poses import enhanced_by
from models.recognisers.inference import FLIPS
from models.recognisers.loading import load_recogniser
from models.recognisers.recogniser import EXTENTS
from models.scoring.average_precision import Protocol, Score, figure
from models.scoring.drawing import caption, draw_poses, lifted, stacked
from models.scoring.poses import Poses, SplitScore, find_poses

TEST_SCENES = 16
SHOWN = 6
HEADINGS = ("split", "scenes", "pictures", "people", "AP", "AP50", "AP75", "PCK@0.2 torso")
ERRORS = "± is the standard error over scenes"


def rows(judged: Mapping[str, SplitScore]) -> list[tuple[str, ...]]:
    """The table's lines, as text; AP and PCK with their standard error over scenes."""
    return [
        (
            split,
            *map(str, (one.over.scenes, one.over.pictures, one.score.people)),
            f"{figure(one.score.ap)} ± {figure(one.over.ap)}",
            figure(one.score.ap50),
            figure(one.score.ap75),
            f"{figure(one.pck)} ± {figure(one.over.pck)}",
        )
        for split, one in judged.items()
    ]


def show(sample: PairSample, shown: list[PairSample]) -> None:
    """Keep a shot to look at: one of each of the first scenes with people, of another split each time if it can be."""
    if not any(person.labelled for person in sample.people):
        return
    scenes = [scene_of(one.name) for one in shown]
    if scene_of(sample.name) in scenes[-1:]:
        if sample.split == ("LL-N", "LL-H", "LL-E")[(len(shown) - 1) % 3]:
            shown[-1] = sample
    elif len(shown) < SHOWN and scene_of(sample.name) not in scenes:
        shown.append(sample)


def poses_sheet(shown: Sequence[PairSample], poses: Poses, enhancer: Enhancer | None = None) -> Picture:
    """A row a shot: well-lit, then low-light lifted or enhanced; true poses white, found ones in colour."""
    lines = []
    for sample in shown:
        truth = poses.truth["WL"][sample.name]
        low = enhancer.enhance(sample.low_light) if enhancer else lifted(sample.low_light)
        how = f"after {enhancer.name}" if enhancer else "channels scaled to mean 0.4"
        tiles = []
        for split, seen, words in (
            ("WL", sample.well_lit, "well-lit"),
            ("LL-A", low, f"{sample.split}, {how}"),
        ):
            tile = draw_poses(seen, truth, poses.found[split][sample.name], zoom=2)
            caption(tile, f"{words}   white: true, orange: left, blue: right")
            tiles.append(tile)
        lines.append(np.hstack(tiles))
    return stacked(lines)


def write_report(folder: Path, name: str, judged: Mapping[str, SplitScore], sheet: Picture) -> Path:
    """`scores.json`, `poses.jpg` and `report.html` into a folder; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {split: one.record() for split, one in judged.items()}
    write_atomically(folder / "scores.json", json.dumps(record, indent=1, allow_nan=False).encode())
    coded = jpeg(sheet)
    write_atomically(folder / "poses.jpg", coded)
    blocks = [
        html_report.table(HEADINGS, rows(judged)),
        html_report.text("", ERRORS),
        html_report.picture(
            coded, "true poses white; found ones orange on the left of the body, blue on the right", "jpeg"
        ),
        html_report.text("", "Protocol of every score"),
        html_report.verbatim(json.dumps(next(iter(record.values()))["protocol"])),
    ]
    write_atomically(folder / "report.html", html_report.page(f"Poses found by {name}", blocks))
    return folder / "report.html"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m models.evaluate",
        description="Score a frozen pose network as ExLPose scores: OKS AP over true boxes for LL-N, LL-H, LL-E, LL-A "
        "(low-light input) and WL (well-lit input). Without --data the rig shoots a small test set of its own.",
        epilog="example: python -m models.evaluate --scenes photos/ --count 50   # with COCO JSON in it",
    )
    asked.add_argument(
        "--pose",
        help="weights (.safetensors), TorchScript (.pt) or torch.export (.pt2) with a YAML beside it, "
        "module:factory, movenet-thunder, movenet-lightning, or well-lit: the shipped one as if it had never seen the "
        "dark [the shipped network]",
    )
    asked.add_argument(
        "--enhancer",
        help="before the network: gamma, clahe, msr, lime, weights of models.train_enhancer (.safetensors), "
        "TorchScript (.pt), torch.export (.pt2) or module:factory [none: each channel to a mean of 0.4]",
    )
    asked.add_argument(
        "--data",
        type=Path,
        help="folder in ExLPose's layout instead of shooting; people come from its Annotations/*WL.json",
    )
    asked.add_argument("--rig", default="exlpose-small", help="that shoots where there is no --data [%(default)s]")
    asked.add_argument("--scenes", default="people", help="'people', or a folder of labelled photographs [%(default)s]")
    asked.add_argument(
        "--count", type=int, default=TEST_SCENES, help="scenes to shoot, each at 3 to 5 shots [%(default)s]"
    )
    asked.add_argument("--flip", choices=tuple(FLIPS), default="right", help="mean with the mirror image's heatmaps; "
                       "'released' swaps the joints the released code swaps [%(default)s]")  # fmt: skip
    asked.add_argument("--extent", type=float, help="of a person's crop over the box with its margins, "
                       f"{EXTENTS[0]:g} to {EXTENTS[1]:g} [the network's own; ours: 1, as released]")  # fmt: skip
    asked.add_argument("--seed", type=int, default=TEST_SEED, help="of scenes and noise [%(default)s]")
    asked.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    asked.add_argument("--out", type=Path, default=Path("out/evaluate"), help="folder of the report [%(default)s]")
    return asked


def counted(score: Score) -> str:
    """Which joints a score counts, where they are not all: "; 12 of 14 joints (no head, neck)"."""
    absent = [joint for joint in JOINTS if joint not in score.protocol.joints]
    return f"; {len(score.protocol.joints)} of {len(JOINTS)} joints (no {', '.join(absent)})" if absent else ""


def open_source(given: argparse.Namespace) -> PairSource:
    """What the command line says is to be judged."""
    if given.count < 1:
        raise ValueError(f"--count {given.count}: whole numbers from 1 are allowed")
    if given.extent is not None and not EXTENTS[0] <= given.extent <= EXTENTS[1]:
        raise ValueError(f"--extent {given.extent}: expected a number from {EXTENTS[0]:g} to {EXTENTS[1]:g}")
    if given.data:
        return FolderPairs(given.data, labelled=True)
    rig = load_rig(given.rig)
    scenes = open_scenes(given.scenes, None, rig, given.seed)
    return RigPairs(rig, given.seed, min(given.count, len(scenes)), scenes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        device = pick_device(given.device)
        enhancer = load_enhancer(given.enhancer, device) if given.enhancer else None
        recogniser = load_recogniser(given.pose).to(device)
        if given.extent is not None:
            recogniser.extent = given.extent
        low_light = enhanced_by(enhancer, recogniser, given.flip) if enhancer else None
        source = open_source(given)
        shown: list[PairSample] = []

        def kept() -> Iterator[PairSample]:
            for sample in shots(source, console):
                show(sample, shown)
                yield sample

        poses = find_poses(recogniser, kept(), given.flip, low_light)
        if not shown:
            raise ValueError(f"{given.data or given.scenes}: nobody has a labelled joint; poses need one to be judged")
        judged = poses.judged(Protocol(flip=given.flip, extent=recogniser.extent, seed=given.seed))
        name = (given.pose or "the shipped network") + (f" after {enhancer.name}" if enhancer else "")
        report = write_report(given.out, name, judged, poses_sheet(shown, poses, enhancer))
    except (ValueError, OSError) as fault:
        print(f"models.evaluate: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models.evaluate: stopped; nothing was written", file=sys.stderr)
        return 130
    protocol = f"true boxes, flip {given.flip}, extent {recogniser.extent:g}{counted(judged['WL'].score)}"
    result = Table(title=f"{name}: {len(poses.truth['WL'])} shots, {protocol}; {ERRORS}")
    for heading in HEADINGS:
        result.add_column(heading, justify="left" if heading == "split" else "right")
    for row in rows(judged):
        result.add_row(*row)
    console.print(result)
    console.print(f"report {report}, poses drawn in {given.out / 'poses.jpg'}", soft_wrap=True)
    pose = f" --pose {given.pose}" if given.pose else ""
    console.print(f"next: python -m models.train_isp{pose}   # an ISP that helps this network see", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
