"""Command: pairs → an enhancer: GLADNet, SLLEN, Zero-DCE, Zero-DCE++, SCI, RUAS; or SDAG, which guides the last four.

python -m models.train_enhancer --model gladnet
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import run
from models.choices import ENHANCERS, JUDGE_SEED, SLLEN_LOSSES, SLLEN_PARTS, WEIGHTS, add_training

if TYPE_CHECKING:
    from models.data.samples import PairSource
    from models.enhance.recipe import EnhancerRecipe, Frozen
    from models.runs.enhancer_training import Semantic


def parser(prog: str = "python -m models.train_enhancer") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train an enhancer on low-light / well-lit pairs: gladnet and sllen learn from the well-lit "
        "picture, zero-dce, zero-dce++, sci and ruas from the low-light one alone. sdag learns what a frozen "
        "recogniser's first layers keep of an enhanced picture, and then guides those four. Without --data the rig "
        "shoots pairs.",
        epilog="example: %(prog)s --model sdag && %(prog)s --model sci --guidance sdag",
    )
    parser.add_argument("--model", choices=ENHANCERS, default="gladnet", help="what is trained [%(default)s]")
    parser.add_argument(
        "--recipe",
        default="quick",
        help="quick, full (as published), photos (as shipped), or a YAML file [%(default)s]",
    )
    parser.add_argument("--data", type=Path, action="append", help="folder in ExLPose's layout; may be repeated")
    parser.add_argument("--judge", type=Path, help="folder whose PSNR and SSIM are logged [built-in, another seed]")
    parser.add_argument("--guidance", choices=("sdag",), help="added to the losses of zero-dce, zero-dce++, sci, ruas")
    parser.add_argument(
        "--sdag", type=Path, default=Path("out/sdag") / WEIGHTS, help="trained guidance network [%(default)s]"
    )
    parser.add_argument("--pose", type=Path, help="pose network whose stem SDAG and SLLEN look through [the shipped]")
    parser.add_argument("--vgg", type=Path, help="torchvision's VGG16 weights (.pth), whose stem is taken instead")
    parser.add_argument("--enhancer", default="zero-dce", help="whose pictures SDAG learns to rebuild [%(default)s]")
    parser.add_argument(
        "--without", nargs="+", choices=SLLEN_PARTS, default=(), help="leave out of SLLEN; all four: a plain U-Net"
    )
    parser.add_argument(
        "--without-losses", nargs="+", choices=SLLEN_LOSSES, default=(), help="leave out beside SLLEN's smooth L1"
    )
    parser.add_argument("--semantic-data", type=Path, help="VOC-style folder for SLLEN's segmenter [the pairs' maps]")
    parser.add_argument("--semantic-judge", type=Path, help="such a folder whose mean IoU is logged")
    parser.add_argument("--semantic-darken", type=float, default=0.0, help="EV its pictures lose [%(default)s]")
    add_training(parser, "weights, order, patches and scenes", named="out/<model>, out/<model>+sdag")
    return parser


def recipe_from(args: argparse.Namespace) -> "EnhancerRecipe":
    """The recipe with what the command line replaces in it."""
    from models.engine.training import with_options
    from models.enhance.recipe import EnhancerRecipe, load_recipe

    recipe = load_recipe(args.recipe, args.model)
    training = with_options(recipe.training, args.seed, args.epochs).model_dump()
    for option, given in (("--without", args.without), ("--without-losses", args.without_losses)):
        if given and args.model != "sllen":
            raise ValueError(f"{option} {' '.join(given)}: these are parts of --model sllen")
    changes = dict.fromkeys(args.without, False) | {
        "training": training,
        "without_losses": sorted({*recipe.without_losses, *args.without_losses}),
    }
    return EnhancerRecipe.model_validate(recipe.model_dump() | changes)


def sources(
    args: argparse.Namespace, recipe: "EnhancerRecipe"
) -> "tuple[PairSource, PairSource | None, dict[str, object]]":
    """What to learn from, what judges, and what that is."""
    from isp_sim.rigfile import load_rig
    from models.data.samples import HeldPairs, JoinedPairs, PairSource, RigPairs
    from models.data.shard_pairs import open_pairs

    rig = load_rig(args.rig)
    source: PairSource
    if args.data:
        source = JoinedPairs([open_pairs(folder, semantic=True) for folder in args.data])
        about: dict[str, object] = {"data": [str(folder.resolve()) for folder in args.data]}
    else:
        source = HeldPairs(RigPairs(rig, args.seed, recipe.scenes))
        about = {"data": f"rig {rig.name}, {recipe.scenes} built-in scenes"}
    judge: PairSource | None = None
    if args.judge:
        judge = HeldPairs(open_pairs(args.judge, semantic=True))
    elif recipe.judged_scenes:
        judge = HeldPairs(RigPairs(rig, args.seed + JUDGE_SEED, recipe.judged_scenes))
    return source, judge, about


def semantic_from(args: argparse.Namespace) -> "Semantic | None":
    """What SLLEN's segmenter learns from and is judged on, where folders of VOC's layout are named.

    Raises:
        ValueError: a folder to judge without one to learn from.
    """
    from models.enhance.voc import VocPictures
    from models.runs.enhancer_training import Semantic

    if args.semantic_data is None:
        if args.semantic_judge is not None:
            raise ValueError(f"--semantic-judge {args.semantic_judge}: needs --semantic-data, whose classes it has")
        return None
    judge = VocPictures(args.semantic_judge, args.semantic_darken) if args.semantic_judge else None
    return Semantic(VocPictures(args.semantic_data, args.semantic_darken), judge)


def frozen_parts(args: argparse.Namespace, recipe: "EnhancerRecipe") -> "tuple[Frozen, EnhancerRecipe]":
    """The guidance, the stem and the enhancer, where they are needed, and the recipe with the enhancer's scaling.

    Raises:
        ValueError: a file that is needed is not there.
    """
    from models.enhance.enhancer import load_network_by_name
    from models.enhance.networks.sdag import stem_of, vgg_stem
    from models.enhance.recipe import Frozen
    from models.enhance.weights import load_sdag
    from models.recognisers.weights import SHIPPED, load_network

    guidance, stem, enhancer = None, None, None
    if args.guidance:
        if not args.sdag.is_file():
            raise ValueError(f"--sdag {args.sdag}: no such file; first: isp-sim train-enhancer --model sdag")
        guidance = load_sdag(args.sdag)
    if args.model == "sdag" or (args.model == "sllen" and "perceptual" not in recipe.without_losses):
        stem = vgg_stem(args.vgg) if args.vgg else stem_of(load_network(args.pose or SHIPPED))
    if args.model == "sdag" and recipe.rebuilds == "enhanced":
        enhancer, _, scaling = load_network_by_name(args.enhancer)
        recipe = recipe.model_copy(update={"scaling": scaling})
    return Frozen(guidance, stem, enhancer), recipe


def work(args: argparse.Namespace) -> int:
    """Train, then print where the weights lie. Raises as `models.runs.enhancer_training.train`."""
    from rich.console import Console

    from models.engine.distributed import leads, pick_device
    from models.engine.training import print_result
    from models.runs.enhancer_training import train

    console = Console()
    device = pick_device(args.device)
    frozen, recipe = frozen_parts(args, recipe_from(args))
    source, judge, about = sources(args, recipe)
    about |= {"guidance": str(args.sdag) if args.guidance else None, "pose": str(args.vgg or args.pose)}
    if args.model == "sdag":
        about |= {"enhancer": args.enhancer}
    if args.semantic_data:
        about |= {"semantic_data": str(args.semantic_data.resolve()), "semantic_darken": args.semantic_darken}
    out = args.out or Path("out") / (args.model + ("+sdag" if args.guidance else ""))
    train(
        args.model, recipe, source, judge, out, device, args.resume, about, console, frozen, semantic_from(args)
    )  # fmt: skip
    if leads():
        after = (
            f"train-enhancer --model sci --guidance sdag --sdag {out / WEIGHTS}"
            if args.model == "sdag"
            else f"evaluate --enhancer {out / WEIGHTS}"
        )
        print_result(console, out / WEIGHTS, after)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.train_enhancer") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "finished epochs are kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
