"""Command: pairs → a detector of people in low light: MoveNet MultiPose's boxes, fine-tuned on both pictures.

python -m models.train_detector
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import run
from models.choices import DETECTOR, WEIGHTS, add_training

if TYPE_CHECKING:
    from models.runs.detector_training import DetectorRecipe

KNOWN = {name: f"detector-{name}.yaml" for name in ("quick", "full")}
"""Recipes that come with the package."""


def parser(prog: str = "python -m models.train_detector") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Fine-tune a detector of people on low-light / well-lit pairs, both pictures of each, as Lee et "
        "al. train theirs. Without --data the rig shoots its pairs.",
        epilog="then: isp-sim evaluate --boxes detected --detector out/detector/weights.safetensors",
    )
    parser.add_argument("--recipe", default="quick", help=f"{', '.join(KNOWN)}, or a YAML file [%(default)s]")
    parser.add_argument(
        "--data", type=Path, action="append", help="folder in ExLPose's layout (isp_sim.generate's); may be repeated"
    )
    parser.add_argument(
        "--start-from", default=DETECTOR, help="movenet-multipose, or weights of this command [%(default)s]"
    )
    add_training(parser, "order, windows and scenes", "out/detector")
    return parser


def recipe_from(args: argparse.Namespace) -> "DetectorRecipe":
    """The recipe with what the command line replaces in it."""
    from models.engine.training import load_recipe, with_options
    from models.runs.detector_training import DetectorRecipe

    recipe = load_recipe(DetectorRecipe, args.recipe, KNOWN)
    return recipe.model_copy(update={"training": with_options(recipe.training, args.seed, args.epochs)})


def work(args: argparse.Namespace) -> int:
    """Train, then print where the weights lie. Raises as `models.runs.detector_training.train`."""
    from rich.console import Console

    from isp_sim.rigfile import load_rig
    from models.data.samples import HeldPairs, PairSource, RigPairs
    from models.data.shard_pairs import poses_of
    from models.engine.distributed import leads, pick_device
    from models.engine.training import print_result
    from models.runs.detector_training import train

    console = Console()
    recipe, device = recipe_from(args), pick_device(args.device)
    rig = load_rig(args.rig)
    source: PairSource
    if args.data:
        source = poses_of(args.data)
        about: dict[str, object] = {"data": [str(folder.resolve()) for folder in args.data]}
    else:
        source = HeldPairs(RigPairs(rig, args.seed, recipe.scenes))
        about = {"data": f"rig {rig.name}, {recipe.scenes} built-in scenes"}
    train(recipe, source, args.out, device, args.resume, about, console, args.start_from)
    if leads():
        weights = args.out / WEIGHTS
        print_result(console, weights, f"evaluate --boxes detected --detector {weights}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.train_detector") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "finished epochs are kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
