"""A training of the raw stage: its recipe, and what `models.train_raw_stage` does with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from models.choices import WEIGHTS
from models.data.samples import PairSource, shots
from models.engine.distributed import Processes
from models.engine.training import Recipe, Training
from models.raw_stage.learner import RawStageLearner, TunedStageLearner
from models.raw_stage.network import WIDTHS, RawNet
from models.raw_stage.patches import Patches
from models.raw_stage.people import PeopleOfRaws
from models.raw_stage.stage import build, restored, save_stage
from models.recognisers.recogniser import Recogniser
from models.scoring.picture_quality import psnr_ssim


class RawStageRecipe(BaseModel):
    """A training of the raw stage.

    Attributes:
        widths: channels of the U-Net's scales, the finest first.
        patch: side of a patch of the mosaic, px.
        patches: a step.
        patches_a_picture: taken from one picture.
        people: a step, where a frozen network's loss tunes the stage.
        fidelity: weight of the distance from the well-lit picture beside that loss.
        scenes: built-in ones, without data.
        judged_scenes: of another seed, where nothing else judges; 0 judges nothing.
        training: how long and how fast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    widths: tuple[int, ...] = Field(WIDTHS, min_length=2, max_length=6)
    patch: int = Field(128, ge=32, multiple_of=16)
    patches: int = Field(8, ge=1)
    patches_a_picture: int = Field(2, ge=1)
    people: int = Field(8, ge=1)
    fidelity: float = Field(10.0, ge=0, allow_inf_nan=False)
    scenes: int = Field(24, ge=1)
    judged_scenes: int = Field(2, ge=0)
    training: Recipe = Recipe()


def train(
    recipe: RawStageRecipe, source: PairSource, judge: PairSource | None, folder: Path, device: torch.device,
    resume: bool, about: dict[str, object], console: Console, start: RawNet | None = None,
    recognisers: Sequence[Recogniser] = (),
) -> dict[str, float]:  # fmt: skip
    """Train and write `folder/weights.safetensors`.

    Args:
        recipe: what and how.
        source: to learn from, with its raws; before recognisers with labels.
        judge: whose PSNR and SSIM are logged; None judges nothing.
        folder: of the training.
        device: where.
        resume: go on with the checkpoint in the folder.
        about: what the source is; with the recipe it identifies the training.
        console: for progress.
        start: a trained stage to go on from, of any widths; None: new weights.
        recognisers: frozen; their loss tunes the stage. None: the well-lit pictures alone.

    Returns:
        The last epoch's line of the log.

    Raises:
        ValueError: data that cannot be used, a folder with another training.
        FloatingPointError: the loss is not a number.
    """
    processes = Processes.join(device)
    network = start.train() if start is not None else build(recipe.widths, recipe.training.seed)
    learner: RawStageLearner | TunedStageLearner
    batches: Patches | PeopleOfRaws
    seed, share = recipe.training.seed, (processes.rank, processes.count)
    if not recognisers:
        learner = RawStageLearner(network)
        batches = Patches(source, recipe.patch, recipe.patches, recipe.patches_a_picture, seed, device, *share)
    else:
        frozen = [recogniser.to(device) for recogniser in recognisers]
        learner = TunedStageLearner(network, frozen, recipe.fidelity)
        batches = PeopleOfRaws(source, frozen, recipe.people, seed, device, *share)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    metadata = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    training.open(resume)

    def scores(_: int) -> dict[str, float]:
        return judged(network, judge) if judge is not None and processes.first else {}

    training.run(batches, scores, console)
    if processes.first:
        save_stage(network, folder / WEIGHTS, metadata | {"last": training.history[-1]})
    processes.leave()
    return training.history[-1]


def judged(network: RawNet, judge: PairSource) -> dict[str, float]:
    """Mean PSNR and SSIM of what the stage makes of low-light raws, against the well-lit pictures."""
    found = [psnr_ssim(restored(shot, network).low_light, shot.well_lit) for shot in shots(judge)]
    return dict(zip(("PSNR", "SSIM"), np.mean(found, axis=0).tolist(), strict=True))
