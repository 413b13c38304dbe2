"""Command: a frozen pose network and low-light pictures → an ISP that helps it see, and a table of what it gains.

python -m models.train_isp --data out/exlpose --judge out/exlpose-test
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import run
from models.choices import FLIPS, LEARN_POSE, TEST_SEED, add_raw_stage, add_training, add_trust

if TYPE_CHECKING:
    from models.data.samples import PairSource
    from models.runs.isp_training import IspRecipe

KNOWN = {"isp": "isp.yaml", "isp-quick": "isp-quick.yaml"}
"""Recipes that come with the package: the paper's, and a first look."""
LEARN_SCENES, JUDGE_SCENES, SHOTS = 16, 5, 2
"""Built-in scenes, where no data is given: enough for a first table in two minutes on two cores."""


def parser(prog: str = "python -m models.train_isp") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train an image-adaptive ISP before a frozen pose network: low-light pictures only, the pose loss "
        "only (Ono et al., VISAPP 2024). Then a table: AP for each split with no enhancement, Lee's mean of 0.4, the "
        "best fixed setting, the learned ISP, test-time parameter selection per person near it, and an oracle that "
        "tries a grid of settings on each picture; and what share of the gap to the oracle is closed. Without --data "
        "a rig shoots a small set of its own.",
        epilog="several GPUs: torchrun --nproc-per-node 4 -m models.train_isp --data ExLPose --recipe isp",
    )
    parser.add_argument(
        "--recipe", default="isp-quick", help="isp (the paper's), isp-quick, or a YAML file [%(default)s]"
    )
    parser.add_argument("--pipeline", type=Path, help="steps as YAML [the recipe's]")
    parser.add_argument("--pose", help=f"frozen network, as models.evaluate takes it [{LEARN_POSE}]")
    parser.add_argument(
        "--detector",
        help="learn for the boxes of this frozen detector instead of poses, as models.evaluate takes it: "
        "movenet-multipose or weights; the recipe's start is then base, and the table has its box AP",
    )
    add_raw_stage(parser, "the ISP, by a recipe of input: raw, develops")
    parser.add_argument("--data", type=Path, action="append", help="folder in ExLPose's layout; may be repeated")
    parser.add_argument(
        "--judge", type=Path, help="folder of held-out pairs with labelled people [built-in scenes of another seed]"
    )
    parser.add_argument("--flip", choices=FLIPS, default="none", help="test of the table [%(default)s]")
    parser.add_argument("--full-grid", action="store_true", help="the oracle tries 81 settings a picture instead of 25")
    parser.add_argument(
        "--climb",
        type=int,
        default=0,
        help="steps of gradient refinement on each picture, a second oracle [%(default)s]",
    )
    parser.add_argument(
        "--random-crops",
        type=int,
        default=0,
        help="score with so many random crops a shot, too; the paper: 3 [%(default)s]",
    )
    add_trust(parser)
    add_training(parser, "weights, order, crops and scenes", "out/isp")
    return parser


def recipe_from(args: argparse.Namespace) -> "IspRecipe":
    """The recipe with what the command line replaces in it."""
    for name in ("climb", "seed"):
        if not 0 <= getattr(args, name) < 2**63:
            raise ValueError(f"--{name} {getattr(args, name)}: expected a whole number from 0 to 2⁶³ − 1")
    from isp_sim.isp.pipeline import load_pipeline
    from models.engine.training import load_recipe, with_options
    from models.runs.isp_training import IspRecipe

    recipe = load_recipe(IspRecipe, args.recipe, KNOWN)
    if args.pipeline:
        recipe = recipe.model_copy(update={"pipeline": load_pipeline(args.pipeline)})
    if recipe.pipeline.takes_raw and recipe.input != "raw":
        raise ValueError(
            f"--recipe {args.recipe}: has input: picture, and the pipeline's steps take a raw; expected raw"
        )
    if args.detector:  # the best fixed setting is one for poses
        recipe = recipe.model_copy(update={"start": "base"})
    return recipe.model_copy(update={"training": with_options(recipe.training, args.seed, args.epochs)})


def sources(args: argparse.Namespace, recipe: "IspRecipe") -> "tuple[PairSource, PairSource, dict[str, object]]":
    """What to learn from, what to be judged on, and what the former is."""
    from isp_sim.rigfile import load_rig
    from models.data.samples import HeldPairs, PairSource, RigPairs
    from models.data.shard_pairs import open_pairs, poses_of
    from models.recognisers.loading import identity

    if args.judge and args.judge.resolve() in [folder.resolve() for folder in args.data or ()]:
        raise ValueError(f"--judge {args.judge}: is learned from (--data); expected held-out pairs")
    rig = load_rig(args.rig)
    about: dict[str, object] = {"detector": args.detector} if args.detector else {"pose": identity(args.pose)}
    staged = args.raw_stage is not None
    if staged and recipe.input != "raw":
        raise ValueError(f"--raw-stage {args.raw_stage}: --recipe {args.recipe} has input: picture; expected raw")
    if staged and recipe.pipeline.takes_raw:
        raise ValueError(
            f"--raw-stage {args.raw_stage}: develops the raw, and so do the pipeline's steps; expected one"
        )
    after = _after_stage(args, about) if staged else lambda source: source
    developed = recipe.input == "raw" and not staged
    raw = staged or recipe.pipeline.takes_raw

    def shot(seed: int, scenes: int) -> PairSource:
        return RigPairs(rig, seed, scenes, pre_quantisation=developed, shots_per_scene=SHOTS, raw=raw)

    learn: PairSource
    if args.data:
        learn = after(poses_of(args.data, developed, raw))
        about["data"] = [str(folder.resolve()) for folder in args.data]
    else:
        learn = HeldPairs(after(shot(args.seed, LEARN_SCENES)))
        about["data"] = f"rig {rig.name}, {LEARN_SCENES} built-in scenes"
    if args.judge:
        judged = open_pairs(args.judge, pre_quantisation=developed, labelled=True, raw=raw)
        return learn, after(judged), about
    return learn, HeldPairs(after(shot(TEST_SEED, JUDGE_SCENES))), about


def _after_stage(args: argparse.Namespace, about: dict[str, object]) -> "Callable[[PairSource], PairSource]":
    """What puts the raw stage of `--raw-stage` between a source and the ISP."""
    from models.engine.distributed import pick_device
    from models.engine.weights_file import digest
    from models.raw_stage.stage import RestoredPairs, load_stage

    network = load_stage(args.raw_stage, pick_device(args.device))
    about["raw_stage"] = digest(network)
    return lambda source: RestoredPairs(source, network)


def work_before_detector(args: argparse.Namespace) -> int:
    """Train for a detector's boxes, judge, print the table. Raises as `models.runs.isp_training.train`."""
    from rich.console import Console

    from models.data.samples import shots
    from models.engine.distributed import leads, pick_device
    from models.engine.training import CURVES
    from models.isp.detector_learner import box_table, compare_boxes
    from models.recognisers.person_detector import load_detector
    from models.runs.isp_training import WEIGHTS, train

    console = Console()
    if args.pose:
        raise ValueError(f"--pose {args.pose}: with --detector no pose network is learned for; expected one of the two")
    recipe = recipe_from(args)
    detector = load_detector(args.detector).to(pick_device(args.device))
    learn, judged, about = sources(args, recipe)
    isp = train(recipe, detector, learn, args.out, args.resume, about, console)
    if leads():
        console.print(box_table(compare_boxes(isp, detector, recipe.input, shots(judged, shown=True))))
        console.print(f"weights {args.out / WEIGHTS}, curves {args.out / CURVES}", soft_wrap=True)
    return 0


def work(args: argparse.Namespace) -> int:
    """Train, judge, print the table and where the report lies. Raises as `models.runs.isp_training.train`."""
    if args.detector:
        return work_before_detector(args)
    args.pose = args.pose or LEARN_POSE
    from rich.console import Console

    from models.data.samples import shots
    from models.engine.distributed import leads, pick_device
    from models.engine.training import CURVES
    from models.isp.fixed_settings import training_shots
    from models.isp.grid_search import GRID, QUICK_GRID
    from models.isp.random_crops import check_croppable, random_crop_lines, random_crop_poses
    from models.isp.report import print_rows, scored, write_report
    from models.recognisers.loading import load_recogniser
    from models.runs.isp_training import WEIGHTS, judge, train
    from models.scoring.average_precision import Protocol

    console = Console()
    recipe = recipe_from(args)
    recogniser = load_recogniser(args.pose).to(pick_device(args.device))
    learn, judged, about = sources(args, recipe)
    if args.random_crops:
        check_croppable(judged.group(0)[0], recipe.per_person)
    isp = train(recipe, recogniser, learn, args.out, args.resume, about, console)
    if not leads():
        return 0
    steps = GRID if args.full_grid else QUICK_GRID
    held_out = shots(judged, shown=True)
    cache = args.out / f"oracle-flip-{args.flip}"
    fixed_on = training_shots(learn, recipe.fixed_shots)
    rows = judge(isp, recogniser, recipe.input, fixed_on, held_out, args.flip, steps, cache, args.climb)
    scores = scored(rows, Protocol(flip=args.flip, seed=args.seed))
    report = write_report(args.out, isp, recogniser, recipe.input, list(shots(judged)), scores)
    print_rows(scores, console)
    if args.random_crops:
        found = random_crop_poses(isp, recogniser, shots(judged), recipe.input, args.flip, args.random_crops)
        lines = random_crop_lines(found, Protocol(flip=args.flip, seed=args.seed))
        console.print(
            f"learned, mean over {args.random_crops} random crops of each shot", *lines, sep="\n", highlight=False
        )
    console.print(f"report {report}, weights {args.out / WEIGHTS}, curves {args.out / CURVES}", soft_wrap=True)
    picture = f"RAW.dng --rig {args.rig}" if recipe.input == "raw" else "PICTURE"
    console.print(f"next: isp-sim develop {picture} --weights {args.out / WEIGHTS} --explain", soft_wrap=True)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.train_isp") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "finished epochs are kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
