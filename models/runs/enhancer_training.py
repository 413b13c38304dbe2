"""A training of an enhancer: what `models.train_enhancer` does."""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from isp_sim.scenes.people.semantics import CLASSES
from models.choices import WEIGHTS
from models.data.normalisation import NormalisationName
from models.data.samples import PairSource, shots
from models.engine.distributed import Processes
from models.engine.training import Batches, Training
from models.enhance.enhancer import as_image, of_network
from models.enhance.learners import Guidance, sllen_batches
from models.enhance.networks.sdag import Sdag, Stem
from models.enhance.networks.sllen import Sllen
from models.enhance.networks.sllen_losses import VOID
from models.enhance.patches import Patches
from models.enhance.recipe import EnhancerRecipe, new_learner, new_network
from models.enhance.tiles import Tileable
from models.enhance.weights import save_enhancer, save_sdag
from models.scoring.picture_quality import ClassOverlap, psnr_ssim


def train(
    model: str, recipe: EnhancerRecipe, source: PairSource, judge: PairSource | None, folder: Path,
    device: torch.device, resume: bool, about: dict[str, object], console: Console,
    guidance: Sdag | None = None, stem: Stem | None = None, semantic: PairSource | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train and write `folder/weights.safetensors`.

    Args:
        model: one of `models.choices.ENHANCERS`.
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
    guide = Guidance(guidance.to(device), recipe.guidance) if guidance is not None else None
    stem = stem.to(device) if stem is not None else None
    network = new_network(model, recipe, stem)
    learner = new_learner(network, recipe, guide, stem, source)
    metadata = {"model": model} | {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    training.open(resume)
    batches = new_batches(model, recipe, source, semantic, device, processes)

    def scores(epoch: int) -> dict[str, float]:
        due = (epoch + 1) % recipe.judge_every == 0 or epoch + 1 == recipe.training.epochs
        if judge is None or not due or not processes.first:
            return {}
        return judged(network, recipe.scaling, judge)

    training.run(batches, scores, console)
    if processes.first:
        kept = metadata | {"last": training.history[-1]}
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


def judged(network: Tileable | Sdag, scaling: NormalisationName, judge: PairSource) -> dict[str, float]:
    """Mean PSNR and SSIM of an enhancer, a segmenter's mean IoU, or how far SDAG's rebuilt pictures are."""
    found: dict[str, list[float]] = {}
    device = next(network.parameters()).device
    if isinstance(network, Sdag):
        with torch.inference_mode():
            images = (as_image(shot.well_lit, "none", device) for shot in shots(judge))
            return {"rebuilt apart": float(np.mean([float((network(one) - one).abs().mean()) for one in images]))}
    overlap = ClassOverlap(len(CLASSES), VOID) if isinstance(network, Sllen) and network.parts.semantic else None
    enhancer = of_network(network, "judged", scaling)
    for shot in shots(judge):
        psnr, ssim = psnr_ssim(enhancer.enhance(shot.low_light), shot.well_lit)
        found.setdefault("PSNR", []).append(psnr)
        found.setdefault("SSIM", []).append(ssim)
        if overlap is not None and shot.semantic is not None and isinstance(network, Sllen):
            true = torch.from_numpy(shot.semantic)
            with torch.inference_mode():
                overlap.add(network.classes(as_image(shot.low_light, scaling, device))[0], true)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | ({"mIoU": overlap.value()} if overlap is not None else {})
