"""Command: a frozen pose network over a test set → AP for each of ExLPose's splits, PCK, and a page of poses.

python -m models.evaluate --pose out/pose-lsbn+lupi/weights.safetensors --data ExLPose
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import folder, run
from models.choices import BOXES, DETECTOR, EXTENTS, FLIPS, POSE, TEST_SEED, add_raw_stage, add_trust

if TYPE_CHECKING:
    from rich.console import Console

    from models.data.samples import PairSource
    from models.enhance.enhancer import Enhancer
    from models.recognisers.recogniser import Recogniser

TEST_SCENES = 16


def parser(prog: str = "python -m models.evaluate") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Score a frozen pose network as ExLPose scores: OKS AP over true boxes, or over those that a "
        "detector finds in the same picture, for LL-N, LL-H, LL-E, LL-A (low-light input) and WL (well-lit input). "
        "Without --data the rig shoots a small test set of its own.",
        epilog="example: %(prog)s --scenes photos/ --count 50   # with COCO JSON in it",
    )
    _add_what(parser)
    parser.add_argument(
        "--data",
        type=Path,
        help="folder in ExLPose's layout instead of shooting; people come from its Annotations/*WL.json. A keypoint "
        "file, or a folder without *WL.json: low-light pictures alone",
    )
    parser.add_argument("--rig", default="exlpose-small", help="rig that shoots if there is no --data [%(default)s]")
    parser.add_argument(
        "--scenes", default="people", help="'people', or a folder of labelled photographs [%(default)s]"
    )
    parser.add_argument(
        "--count", type=int, default=TEST_SCENES, help="scenes to shoot, each at 3 to 5 shots [%(default)s]"
    )
    parser.add_argument("--flip", choices=FLIPS, default="right", help="mean with the mirror image's heatmaps; "
                       "'released' swaps the joints the released code swaps [%(default)s]")  # fmt: skip
    parser.add_argument("--extent", type=float, help="of a person's crop over the box with its margins, "
                       f"{EXTENTS[0]:g} to {EXTENTS[1]:g} [the network's own; ours: 1, as released]")  # fmt: skip
    parser.add_argument("--seed", type=int, default=TEST_SEED, help="of scenes and noise [%(default)s]")
    add_trust(parser)
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/evaluate"), help="folder of the report [%(default)s]")
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    """What is judged: the network, and what stands before it."""
    parser.add_argument(
        "--pose",
        default=POSE,
        help="weights (.safetensors), TorchScript (.pt) or torch.export (.pt2) with a YAML beside it, "
        "module:factory, movenet-thunder, movenet-lightning, blazepose-full, low-light: the low-light network that "
        "comes along, or well-lit: that one as if it had never seen the dark [%(default)s]",
    )
    parser.add_argument(
        "--enhancer",
        help="before the network: gamma, clahe, msr, msrcr, dehz, lime, srie, zero-dce, zero-dce++, sci, ruas, weights "
        "of isp-sim train-enhancer (.safetensors), TorchScript (.pt), torch.export (.pt2) or module:factory [none: "
        "each channel to a mean of 0.4]",
    )
    add_raw_stage(parser, "the network and the enhancer see")
    parser.add_argument("--boxes", choices=BOXES, default="true", help="those of the labels, or those that a detector "
                       "finds in the same picture, with its own AP beside the poses' [%(default)s]")  # fmt: skip
    parser.add_argument(
        "--detector",
        default=DETECTOR,
        help="for --boxes detected: movenet-multipose, or weights of train-detector (.safetensors) [%(default)s]",
    )


def open_source(args: argparse.Namespace) -> "PairSource":
    """What the command line says is to be judged."""
    if args.count < 1:
        raise ValueError(f"--count {args.count}: expected a whole number from 1")
    if args.extent is not None and not EXTENTS[0] <= args.extent <= EXTENTS[1]:
        raise ValueError(f"--extent {args.extent}: expected a number from {EXTENTS[0]:g} to {EXTENTS[1]:g}")
    if args.raw_stage is not None:
        from models.engine.distributed import pick_device
        from models.raw_stage.stage import RestoredPairs, load_stage

        network = load_stage(args.raw_stage, pick_device(args.device))
        return RestoredPairs(_pairs(args, raw=True), network)
    return _pairs(args, raw=False)


def _pairs(args: argparse.Namespace, raw: bool) -> "PairSource":
    from isp_sim.rigfile import load_rig
    from isp_sim.scenes.sources import open_scenes
    from models.data.samples import RigPairs
    from models.data.shard_pairs import open_pairs

    if args.data:
        return open_pairs(args.data, labelled=True, raw=raw)
    rig = load_rig(args.rig)
    scenes = open_scenes(args.scenes, None, rig, args.seed)
    return RigPairs(rig, args.seed, min(args.count, len(scenes)), scenes, raw=raw)


def work(args: argparse.Namespace) -> int:
    """Score the network, write the report, print the table.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    from rich.console import Console

    from models.data.lone_pictures import without_partners
    from models.data.samples import PairSample, shots
    from models.engine.distributed import pick_device
    from models.enhance.enhancer import load_enhancer
    from models.enhance.poses import enhanced_by
    from models.recognisers.loading import load_recogniser
    from models.recognisers.person_detector import load_detector
    from models.runs.evaluation import counted, poses_sheet, score_table, show, write_report
    from models.scoring.average_precision import Protocol
    from models.scoring.poses import find_poses

    console = Console()
    device = pick_device(args.device)
    enhancer = load_enhancer(args.enhancer, device) if args.enhancer else None
    recogniser = load_recogniser(args.pose).to(device)
    if args.extent is not None:
        recogniser.extent = args.extent
    if args.data and without_partners(args.data):
        if args.raw_stage is not None:
            raise ValueError(f"--raw-stage {args.raw_stage}: {args.data} has pictures without raws; expected pairs")
        if args.boxes == "detected":
            raise ValueError(f"--boxes detected: {args.data} has low-light pictures without partners; expected true")
        return _work_alone(args, recogniser, enhancer, console)
    if args.detector != DETECTOR and args.boxes != "detected":
        raise ValueError(f"--detector {args.detector}: is not used with --boxes true; expected --boxes detected")
    detector = load_detector(args.detector).to(device) if args.boxes == "detected" else None
    low_light = enhanced_by(enhancer, recogniser, args.flip, detector=detector) if enhancer else None
    source = open_source(args)
    shown: list[PairSample] = []

    def kept() -> Iterator[PairSample]:
        for sample in shots(source, shown=True):
            show(sample, shown)
            yield sample

    poses = find_poses(recogniser, kept(), args.flip, low_light, detector=detector)
    if not shown:
        raise ValueError(f"{args.data or args.scenes}: nobody has a labelled joint; poses need one to be judged")
    boxes = f"{detector.name}, longer side {detector.side} px" if detector else "true"
    judged = poses.judged(Protocol(boxes=boxes, flip=args.flip, extent=recogniser.extent, seed=args.seed))
    name = _named(args, enhancer)
    report = write_report(args.out, name, judged, poses_sheet(shown, poses, enhancer))
    protocol = f"boxes {boxes}, flip {args.flip}, extent {recogniser.extent:g}{counted(judged['WL'].score)}"
    console.print(score_table(f"{name}: {len(poses.truth['WL'])} shots, {protocol}", judged))
    console.print(f"report {report}, poses drawn in {args.out / 'poses.jpg'}", soft_wrap=True)
    behind = f"{args.pose} --raw-stage {args.raw_stage}" if args.raw_stage else args.pose
    console.print(f"next: isp-sim train-isp --pose {behind}   # an ISP that helps this network see", soft_wrap=True)
    return 0


def _named(args: argparse.Namespace, enhancer: "Enhancer | None") -> str:
    """The network with what stands before it."""
    before = [*(["the raw stage"] if args.raw_stage else []), *([enhancer.name] if enhancer else [])]
    return str(args.pose) + (f" after {' and '.join(before)}" if before else "")


def _work_alone(
    args: argparse.Namespace, recogniser: "Recogniser", enhancer: "Enhancer | None", console: "Console"
) -> int:
    """Low-light pictures without partners: scores of each keypoint file."""
    from isp_sim.progress import track
    from models.data.lone_pictures import LonePictures
    from models.data.normalisation import LOW
    from models.recognisers.inference import detect
    from models.runs.evaluation import counted, score_table, write_report
    from models.runs.lone_evaluation import judge_lone
    from models.scoring.average_precision import Protocol

    pictures = LonePictures(args.data)
    judged, sheet = judge_lone(
        track(pictures, "pictures"),
        lambda picture, people: detect(
            recogniser, enhancer.enhance(picture) if enhancer else picture, people, LOW, args.flip
        ),
        Protocol(flip=args.flip, extent=recogniser.extent, seed=args.seed),
    )
    name = args.pose + (f" after {enhancer.name}" if enhancer else "")
    report = write_report(args.out, name, judged, sheet)
    protocol = f"true boxes, flip {args.flip}, extent {recogniser.extent:g}{counted(next(iter(judged.values())).score)}"
    console.print(score_table(f"{name}: {len(pictures)} pictures without partners, {protocol}", judged))
    console.print(f"report {report}, poses drawn in {args.out / 'poses.jpg'}", soft_wrap=True)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.evaluate") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
