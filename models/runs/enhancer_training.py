"""A training of an enhancer: what `models.train_enhancer` does."""

from dataclasses import dataclass
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
from models.enhance.learners import SdagLearner, sllen_batches
from models.enhance.networks.sdag import Sdag
from models.enhance.networks.sllen import Sllen
from models.enhance.networks.sllen_losses import VOID
from models.enhance.patches import Patches
from models.enhance.recipe import EnhancerRecipe, Frozen, Learner, new_learner, new_network
from models.enhance.tiles import Tileable
from models.enhance.voc import VOC_CLASSES
from models.enhance.weights import save_enhancer, save_sdag
from models.scoring.picture_quality import ClassOverlap, psnr_ssim


@dataclass(frozen=True)
class Semantic:
    """What SLLEN's segmenter learns from instead of the pairs' own maps.

    Attributes:
        learn: low-light pictures with maps.
        judge: of the same classes; its mean IoU is logged. None: nothing is.
        classes: of the maps.
    """

    learn: PairSource
    judge: PairSource | None = None
    classes: int = VOC_CLASSES


def train(
    model: str, recipe: EnhancerRecipe, source: PairSource, judge: PairSource | None, folder: Path,
    device: torch.device, resume: bool, about: dict[str, object], console: Console,
    frozen: Frozen | None = None, semantic: Semantic | None = None,
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
        frozen: networks that it looks through.
        semantic: what SLLEN's segmenter learns from; None: the source's own maps.

    Returns:
        The last epoch's line of the log.

    Raises:
        ValueError: names or data that cannot be used, a folder with another training.
        FloatingPointError: the loss is not a number.
    """
    processes = Processes.join(device)
    frozen = (frozen or Frozen()).to(device)
    network = new_network(model, recipe, frozen.stem, semantic.classes if semantic else len(CLASSES))
    learner = new_learner(network, recipe, frozen, source)
    metadata = {"model": model} | {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    training.open(resume)
    batches = new_batches(model, recipe, source, semantic.learn if semantic else None, device, processes)

    def scores(epoch: int) -> dict[str, float]:
        due = (epoch + 1) % recipe.judge_every == 0 or epoch + 1 == recipe.training.epochs
        if judge is None or not due or not processes.first:
            return {}
        return judged(learner, recipe.scaling, judge, semantic)

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
    return sllen_batches(own, other, 0 if recipe.alternating else (recipe.training.epochs + 1) // 2)


def judged(
    learner: Learner, scaling: NormalisationName, judge: PairSource, semantic: Semantic | None = None
) -> dict[str, float]:
    """Mean PSNR and SSIM of an enhancer, a segmenter's mean IoU, or how far SDAG's rebuilt pictures are."""
    found: dict[str, list[float]] = {}
    network = learner.network
    assert isinstance(network, (Tileable, Sdag))
    device = next(network.parameters()).device
    if isinstance(learner, SdagLearner):
        with torch.inference_mode():
            seen = (learner.rebuilt_from(as_image(s.low_light, scaling, device), as_image(s.well_lit, "none", device))
                    for s in shots(judge))  # fmt: skip
            return {"rebuilt apart": float(np.mean([float((network(one) - one).abs().mean()) for one in seen]))}
    assert isinstance(network, Tileable)
    enhancer = of_network(network, "judged", scaling)
    for shot in shots(judge):
        psnr, ssim = psnr_ssim(enhancer.enhance(shot.low_light), shot.well_lit)
        found.setdefault("PSNR", []).append(psnr)
        found.setdefault("SSIM", []).append(ssim)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    maps = judge if semantic is None else semantic.judge
    if isinstance(network, Sllen) and network.parts.semantic and maps is not None:
        means["mIoU"] = mean_iou(network, scaling, maps)
    return means


def mean_iou(network: Sllen, scaling: NormalisationName, judge: PairSource) -> float:
    """A segmenter's mean IoU over all pixels of low-light pictures that have a class, %."""
    overlap = ClassOverlap(network.parts.classes, VOID)
    device = next(network.parameters()).device
    with torch.inference_mode():
        for shot in shots(judge):
            if shot.semantic is not None:
                image = as_image(shot.low_light, scaling, device)
                overlap.add(network.classes(image)[0].cpu(), torch.from_numpy(shot.semantic))
    return overlap.value()
