"""Command: pairs → a pose network, trained as one of Lee et al.'s variants.

python -m models.train_pose --recipe quick --variant lsbn+lupi
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import run
from models.choices import JUDGE_SEED, VARIANTS, WEIGHTS, add_raw_stage, add_training

if TYPE_CHECKING:
    from models.runs.pose_training import PoseRecipe

KNOWN = {name: f"pose-{name}.yaml" for name in ("quick", "lightning", "exlpose")}
"""Recipes that come with the package."""


def parser(prog: str = "python -m models.train_pose") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train a pose network (MoveNet, or a CPN) on low-light / well-lit pairs as one of the variants "
        f"that Lee et al. compare: {', '.join(VARIANTS)}. Without --data the rig shoots its pairs as it goes.",
        epilog="several GPUs: torchrun --nproc-per-node 4 -m models.train_pose --recipe exlpose --data ExLPose",
    )
    parser.add_argument("--recipe", default="quick", help=f"{', '.join(KNOWN)}, or a YAML file [%(default)s]")
    parser.add_argument("--variant", choices=VARIANTS, help="instead of the recipe's")
    parser.add_argument(
        "--data", type=Path, action="append", help="folder in ExLPose's layout (isp_sim.generate's); may be repeated"
    )
    parser.add_argument("--start-from", type=Path, help="weights (.safetensors) of an earlier training to start with")
    add_raw_stage(parser, "the network learns from")
    parser.add_argument("--judge", type=Path, help="folder whose AP is logged [built-in scenes of another seed]")
    parser.add_argument("--workers", type=int, default=1, help="processes that read and crop [%(default)s]")
    add_training(parser, "weights, order, crops and scenes", named="out/pose-<variant>")
    return parser


def recipe_from(args: argparse.Namespace) -> "PoseRecipe":
    """The recipe with what the command line replaces in it."""
    from models.engine.training import load_recipe, with_options
    from models.runs.pose_training import PoseRecipe

    recipe = load_recipe(PoseRecipe, args.recipe, KNOWN)
    training = with_options(recipe.training, args.seed, args.epochs).model_dump()
    return PoseRecipe.model_validate(
        recipe.model_dump() | {"variant": args.variant or recipe.variant, "training": training}
    )


def work(args: argparse.Namespace) -> int:
    """Train, then print where the weights lie. Raises as `models.runs.pose_training.train`."""
    from rich.console import Console

    from isp_sim.rigfile import load_rig
    from models.data.samples import PairSource, RigPairs
    from models.data.shard_pairs import open_pairs, poses_of
    from models.engine.distributed import leads, pick_device
    from models.engine.training import print_result
    from models.engine.weights_file import digest
    from models.raw_stage.stage import RestoredPairs, load_stage
    from models.runs.pose_training import train

    console, staged = Console(), args.raw_stage is not None
    recipe, device = recipe_from(args), pick_device(args.device)
    rig = load_rig(args.rig)
    source: PairSource
    if args.data:
        source = poses_of(args.data, raw=staged)
        about: dict[str, object] = {"data": [str(folder.resolve()) for folder in args.data]}
    else:
        source, about = (
            RigPairs(rig, args.seed, recipe.scenes, raw=staged),
            {"data": f"rig {rig.name}, built-in people"},
        )
    judge: PairSource | None = None
    if args.judge:
        judge = open_pairs(args.judge, labelled=True, raw=staged)
    elif recipe.validation_scenes:
        judge = RigPairs(rig, args.seed + JUDGE_SEED, recipe.validation_scenes, raw=staged)
    if staged:
        stage = load_stage(args.raw_stage)
        source, about["raw_stage"] = RestoredPairs(source, stage), digest(stage)
        judge = RestoredPairs(judge, stage) if judge is not None else None
    out = args.out or Path("out") / f"pose-{recipe.variant}"
    train(recipe, source, judge, out, device, args.workers, args.resume, about, console, args.start_from)
    if leads():
        print_result(console, out / WEIGHTS, f"evaluate --pose {out / WEIGHTS}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.train_pose") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "finished epochs are kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
