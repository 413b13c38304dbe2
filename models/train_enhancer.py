"""Command: pairs → an enhancer: GLADNet, SLLEN, Zero-DCE, Zero-DCE++, SCI; or SDAG, which guides the last three.

python -m models.train_enhancer --model gladnet
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from isp_sim.rigfile import load_rig
from isp_sim.scenes.people.semantics import CLASSES
from models.data.normalisation import NormalisationName
from models.data.samples import FolderPairs, HeldPairs, JoinedPairs, PairSource, RigPairs, shots
from models.engine.distributed import Processes, leads, pick_device
from models.engine.training import CURVES, Batches, Training, with_options
from models.enhance.enhancer import as_image, of_network
from models.enhance.learners import Guidance, sllen_batches
from models.enhance.networks.sdag import Sdag, Stem, stem_of
from models.enhance.networks.sllen import Sllen
from models.enhance.networks.sllen_losses import VOID
from models.enhance.patches import Patches
from models.enhance.recipe import MODELS, SLLEN_PARTS, EnhancerRecipe, load_recipe, new_learner, new_network
from models.enhance.voc import VocPictures
from models.enhance.weights import load_sdag, save_enhancer, save_sdag
from models.pose.weights import SHIPPED, load_network
from models.scoring.picture_quality import ClassOverlap, psnr_ssim

WEIGHTS = "weights.safetensors"
JUDGE_SEED = 900_001
"""Of the built-in scenes that judge while training goes on; added to the training's own seed."""


def train(
    model: str, recipe: EnhancerRecipe, source: PairSource, judge: PairSource | None, folder: Path,
    device: torch.device, resume: bool, about: dict[str, object], console: Console,
    guidance: Sdag | None = None, stem: Stem | None = None, semantic: PairSource | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train and write `folder/weights.safetensors`.

    Args:
        model: one of `MODELS`.
        recipe: what and how.
        source: to learn from.
        judge: whose PSNR and SSIM are logged; None judges nothing.
        folder: of the training.
        device: where.
        resume: go on with the checkpoint in the folder.
        about: what the source is; with the recipe it identifies the training.
        console: for progress.
        guidance: a trained SDAG.
        stem: of a frozen recogniser; SDAG is made on it, SLLEN's perceptual loss looks through it.
        semantic: what SLLEN's segmenter learns from; None: the source's own maps.

    Returns:
        The last epoch's line of the log.

    Raises:
        ValueError: names or data that cannot be used, a folder with another training.
        FloatingPointError: the loss is not a number.
    """
    processes = Processes.join(device)
    told = Guidance(guidance.to(device), recipe.guidance) if guidance is not None else None
    stem = stem.to(device) if stem is not None else None
    network = new_network(model, recipe, stem)
    learner = new_learner(network, recipe, told, stem, source)
    said = {"model": model} | {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, said, processes)
    training.open(resume)
    batches = new_batches(model, recipe, source, semantic, device, processes)

    def scores(epoch: int) -> dict[str, float]:
        due = (epoch + 1) % recipe.judge_every == 0 or epoch + 1 == recipe.training.epochs
        if judge is None or not due or not processes.first:
            return {}
        return judged(network, recipe.scaling, judge)

    training.run(batches, scores, console)
    if processes.first:
        kept = said | {"last": training.history[-1]}
        if isinstance(network, Sdag):
            save_sdag(network, folder / WEIGHTS, kept)
        else:
            save_enhancer(network, model, recipe.scaling, folder / WEIGHTS, kept)
    processes.leave()
    return training.history[-1]


def new_batches(
    model: str, recipe: EnhancerRecipe, source: PairSource, semantic: PairSource | None, device: torch.device,
    processes: Processes,
) -> Batches:  # fmt: skip
    """The batches of each epoch."""

    def of(pairs: PairSource, seed: int) -> Patches:
        return Patches(
            pairs, recipe.patch, recipe.patches, recipe.patches_a_picture, recipe.scaling, seed, device,
            processes.rank, processes.count,
        )  # fmt: skip

    own = of(source, recipe.training.seed)
    if model != "sllen":
        return own
    segmented = recipe.attention or recipe.modulation
    other = of(semantic or source, recipe.training.seed + 1) if segmented else None  # other pictures in a step
    return sllen_batches(own, other, recipe.alternating)


def judged(network: nn.Module, scaling: NormalisationName, judge: PairSource) -> dict[str, float]:
    """Mean PSNR and SSIM of an enhancer, a segmenter's mean IoU, or how far SDAG's rebuilt pictures are."""
    found: dict[str, list[float]] = {}
    device = next(network.parameters()).device
    overlap = ClassOverlap(len(CLASSES), VOID) if isinstance(network, Sllen) and network.parts.semantic else None
    enhancer = of_network(network, "judged", scaling)
    for shot in shots(judge):
        if isinstance(network, Sdag):
            with torch.inference_mode():
                image = as_image(shot.well_lit, "none", device)
                found.setdefault("rebuilt apart", []).append(float((network(image) - image).abs().mean()))
            continue
        psnr, ssim = psnr_ssim(enhancer.enhance(shot.low_light), shot.well_lit)
        found.setdefault("PSNR", []).append(psnr)
        found.setdefault("SSIM", []).append(ssim)
        if overlap is not None and shot.semantic is not None and isinstance(network, Sllen):
            true = torch.from_numpy(shot.semantic)
            with torch.inference_mode():
                overlap.add(network.classes(as_image(shot.low_light, scaling, device))[0], true)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | ({"mIoU": overlap.value()} if overlap is not None else {})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m models.train_enhancer",
        description="Train an enhancer on low-light / well-lit pairs: gladnet and sllen learn from the well-lit "
        "picture, zero-dce, zero-dce++ and sci from the low-light one alone. sdag learns what a frozen pose network's "
        "first layer keeps of a picture, and then guides those three. Without --data the rig shoots its pairs.",
        epilog="example: python -m models.train_enhancer --model sdag && "
        "python -m models.train_enhancer --model sci --guidance sdag",
    )
    asked.add_argument("--model", choices=MODELS, default="gladnet", help="what is trained [%(default)s]")
    asked.add_argument("--recipe", default="quick", help="quick, full (as published), or a YAML file [%(default)s]")
    asked.add_argument("--epochs", type=int, help="instead of the recipe's")
    asked.add_argument("--data", type=Path, action="append", help="folder in ExLPose's layout; may be repeated")
    asked.add_argument("--judge", type=Path, help="folder whose PSNR and SSIM are logged [built-in, another seed]")
    asked.add_argument("--rig", default="exlpose-small", help="that shoots where there is no --data [%(default)s]")
    asked.add_argument("--guidance", choices=("sdag",), help="beside the own losses of zero-dce, zero-dce++, sci")
    asked.add_argument(
        "--sdag", type=Path, default=Path("out/sdag") / WEIGHTS, help="trained guidance network [%(default)s]"
    )
    asked.add_argument("--pose", type=Path, help="pose network whose stem SDAG and SLLEN look through [the shipped]")
    asked.add_argument(
        "--without", nargs="+", choices=SLLEN_PARTS, default=(), help="leave out of SLLEN; all four: a plain U-Net"
    )
    asked.add_argument("--semantic-data", type=Path, help="VOC-style folder for SLLEN's segmenter [the pairs' maps]")
    asked.add_argument("--semantic-darken", type=float, default=0.0, help="EV its pictures lose [%(default)s]")
    asked.add_argument("--seed", type=int, default=0, help="of weights, order, patches and scenes [%(default)s]")
    asked.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    asked.add_argument("--out", type=Path, help="folder of the training [out/<model>, out/<model>+sdag]")
    asked.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    return asked


def asked_recipe(given: argparse.Namespace) -> EnhancerRecipe:
    """The recipe with what the command line says instead."""
    recipe = load_recipe(given.recipe, given.model)
    training = with_options(recipe.training, given.seed, given.epochs).model_dump()
    if given.without and given.model != "sllen":
        raise ValueError(f"--without {' '.join(given.without)}: these are parts of --model sllen")
    said: dict[str, object] = {"training": training} | dict.fromkeys(given.without, False)
    return EnhancerRecipe.model_validate(recipe.model_dump() | said)


def sources(
    given: argparse.Namespace, recipe: EnhancerRecipe
) -> tuple[PairSource, PairSource | None, PairSource | None, dict[str, object]]:
    """What to learn from, what judges, what SLLEN's segmenter learns from, and what all that is."""
    rig = load_rig(given.rig)
    source: PairSource
    if given.data:
        source = JoinedPairs([FolderPairs(folder, semantic=True) for folder in given.data])
        about: dict[str, object] = {"data": [str(folder.resolve()) for folder in given.data]}
    else:
        source = HeldPairs(RigPairs(rig, given.seed, recipe.scenes))
        about = {"data": f"rig {rig.name}, {recipe.scenes} built-in scenes"}
    judge: PairSource | None = None
    if given.judge:
        judge = HeldPairs(FolderPairs(given.judge, semantic=True))
    elif recipe.judged_scenes:
        judge = HeldPairs(RigPairs(rig, given.seed + JUDGE_SEED, recipe.judged_scenes))
    semantic: PairSource | None = None
    if given.semantic_data:
        semantic = VocPictures(given.semantic_data, given.semantic_darken, len(CLASSES))
        about |= {"semantic_data": str(given.semantic_data.resolve()), "semantic_darken": given.semantic_darken}
    return source, judge, semantic, about


def frozen_parts(given: argparse.Namespace, recipe: EnhancerRecipe) -> tuple[Sdag | None, Stem | None]:
    """The guidance and the pose network's stem, where they are needed.

    Raises:
        ValueError: a file that is needed is not there.
    """
    guidance = None
    if given.guidance:
        if not given.sdag.is_file():
            raise ValueError(f"--sdag {given.sdag}: no such file; first: python -m models.train_enhancer --model sdag")
        guidance = load_sdag(given.sdag)
    stem = None
    if given.model == "sdag" or (given.model == "sllen" and recipe.perceptual):
        stem = stem_of(load_network(given.pose or SHIPPED))
    return guidance, stem


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        recipe, device = asked_recipe(given), pick_device(given.device)
        guidance, stem = frozen_parts(given, recipe)
        source, judge, semantic, about = sources(given, recipe)
        about |= {"guidance": str(given.sdag) if given.guidance else None, "pose": str(given.pose)}
        out = given.out or Path("out") / (given.model + ("+sdag" if given.guidance else ""))
        train(
            given.model, recipe, source, judge, out, device, given.resume, about, console, guidance, stem, semantic
        )  # fmt: skip
    except (ValueError, OSError, FloatingPointError) as fault:
        print(f"models.train_enhancer: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models.train_enhancer: stopped; finished epochs are kept: add --resume to go on", file=sys.stderr)
        return 130
    if not leads():
        return 0
    console.print(f"weights {out / WEIGHTS}, log and curves beside them ({CURVES})", soft_wrap=True)
    if given.model == "sdag":
        then = f"python -m models.train_enhancer --model sci --guidance sdag --sdag {out / WEIGHTS}"
    else:
        then = f"python -m models.evaluate --enhancer {out / WEIGHTS}"
    console.print(f"next: {then}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
