"""Command: pairs → the learned raw stage, noisy mosaic to linear RGB.

python -m models.train_raw_stage
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import run
from models.choices import JUDGE_SEED, WEIGHTS, add_training

KNOWN = {
    "quick": "raw-stage-quick.yaml",
    "full": "raw-stage.yaml",
    "tuned": "raw-stage-tuned.yaml",
    "tuned-both": "raw-stage-tuned-both.yaml",
}
"""Recipes that come with the package."""
TUNED = ("tuned", "tuned-both")
"""Those for frozen networks."""


def parser(prog: str = "python -m models.train_raw_stage") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train the raw stage on low-light / well-lit pairs: a small network that turns the low-light "
        "arm's mosaic into linear RGB. With --pose the loss of frozen networks tunes it (labels needed). "
        "Without --data the rig shoots its pairs.",
        epilog="example: %(prog)s --recipe full --data out/exlpose-small, then "
        "%(prog)s --recipe tuned --start-from out/raw-stage/weights.safetensors --pose movenet-lightning "
        "--data out/exlpose-small --out out/raw-stage-tuned",
    )
    parser.add_argument("--recipe", default="quick", help=f"{', '.join(KNOWN)}, or a YAML file [%(default)s]")
    parser.add_argument("--data", type=Path, action="append", help="isp_sim.generate's folder; may be repeated")
    parser.add_argument("--judge", type=Path, help="folder whose PSNR and SSIM are logged [built-in, another seed]")
    parser.add_argument("--start-from", type=Path, help="weights (.safetensors) of a raw stage to go on from")
    parser.add_argument(
        "--pose", nargs="+", help="frozen networks whose loss tunes the stage, as evaluate's [none: L1 alone]"
    )
    add_training(parser, "weights, order, patches and scenes", "out/raw-stage")
    return parser


def work(args: argparse.Namespace) -> int:
    """Train, then print where the weights lie. Raises as `models.runs.raw_stage_training.train`."""
    from rich.console import Console

    from isp_sim.rigfile import load_rig
    from models.data.samples import HeldPairs, JoinedPairs, PairSource, RigPairs
    from models.data.shard_pairs import open_pairs
    from models.engine.distributed import leads, pick_device
    from models.engine.training import load_recipe, print_result, with_options
    from models.engine.weights_file import digest
    from models.raw_stage.stage import load_stage
    from models.recognisers.loading import load_recogniser
    from models.runs.raw_stage_training import RawStageRecipe, train

    console = Console()
    if args.recipe in TUNED and not (args.pose and args.start_from):
        raise ValueError(f"--recipe {args.recipe}: needs --start-from and --pose, what goes on and for whom")
    recipe = load_recipe(RawStageRecipe, args.recipe, KNOWN)
    recipe = recipe.model_copy(update={"training": with_options(recipe.training, args.seed, args.epochs)})
    rig = load_rig(args.rig)
    source: PairSource
    if args.data:
        source = JoinedPairs([open_pairs(folder, labelled=args.pose is not None, raw=True) for folder in args.data])
        about: dict[str, object] = {"data": [folder.name for folder in args.data]}
    else:
        source = HeldPairs(RigPairs(rig, args.seed, recipe.scenes, raw=True))
        about = {"data": f"rig {rig.name}, {recipe.scenes} built-in scenes"}
    judge: PairSource | None = None
    if args.judge:
        judge = HeldPairs(open_pairs(args.judge, raw=True))
    elif recipe.judged_scenes:
        judge = HeldPairs(RigPairs(rig, args.seed + JUDGE_SEED, recipe.judged_scenes, raw=True))
    start = None
    if args.start_from:
        start = load_stage(args.start_from)
        about["started_from"] = digest(start)
    recognisers = [load_recogniser(name) for name in args.pose or ()]
    if recognisers:
        about["recognisers"] = [one.digest() for one in recognisers]
    train(recipe, source, judge, args.out, pick_device(args.device), args.resume, about, console, start, recognisers)
    if leads():
        print_result(console, args.out / WEIGHTS, f"evaluate --raw-stage {args.out / WEIGHTS}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.train_raw_stage") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "finished epochs are kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
