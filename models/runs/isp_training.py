"""A training of the learned ISP and the table it is judged by: what `models.train_isp` does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from rich.console import Console

from isp_sim.isp.pipeline import Pipeline
from models.data.crops import GROW
from models.data.samples import PairSample, PairSource
from models.engine.distributed import Processes
from models.engine.training import CHECKPOINT, Recipe, Training
from models.isp.detector_learner import DetectorIspLearner
from models.isp.fixed_settings import FIXED_SHOTS, best_fixed, start_fixed, training_shots
from models.isp.grid_search import Steps
from models.isp.learned import LearnedIsp, save_weights
from models.isp.learner import Input, IspLearner, LowLightPictures
from models.isp.predictor import Crop, Predictor
from models.isp.table import (
    Method,
    Oracle,
    Row,
    compare,
    developed_by,
    mean_scaled,
    not_enhanced,
    selected_near,
    well_lit,
)
from models.recognisers.movenet import COARSEST
from models.recognisers.person_detector import PersonDetector
from models.recognisers.recogniser import Loss, Recogniser
from models.scoring.poses import Poses

WEIGHTS = "isp.safetensors"


class IspRecipe(BaseModel):
    """A training of the learned ISP.

    Attributes:
        pipeline: steps of the ISP.
        input: what it develops: `picture`, the 8-bit one (the paper's), or `raw`, before quantisation.
        start: where the predictor starts: `base`, each picture at a mean of 0.4 (the paper's), or `fixed`, the setting
            of a coarse grid that is best for `fixed_shots` training shots, one for all.
        loss: `all-heatmaps` (the paper's Eq. 4), `heatmaps` (the 8 hardest joints) or `spatial-cross-entropy`
            (`places` in older files); see `models.recognisers.losses.pose_loss`. None: what suits the network's maps,
            as it says itself.
        look: what the predictor sees of a picture in training: `random`, a 256×256 crop (the paper's), or `thumbnail`,
            the whole squeezed to 256×256, which also takes smaller pictures.
        informed: whether the predictor also sees exposure, gain, noise and a histogram (`models.isp.evidence`).
        per_person: whether everybody has parameters of their own, predicted from what their crop sees.
        one_for_all: whether one setting for all pictures is learned instead, by the same loss: what a predictor has to
            beat to show that looking at a picture pays.
        pictures_a_batch: low-light pictures a step.
        people_a_picture: at most; drawn from a crowd.
        training: how long and how fast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: Pipeline = Pipeline()
    input: Input = "picture"
    start: Literal["base", "fixed"] = "base"
    fixed_shots: int = Field(FIXED_SHOTS, ge=1)
    loss: Loss | None = None
    look: Crop = "thumbnail"
    informed: bool = False
    per_person: bool = False
    one_for_all: bool = False
    pictures_a_batch: int = Field(8, ge=1)
    people_a_picture: int = Field(8, ge=1)
    training: Recipe = Recipe()

    @field_validator("loss", mode="before")
    @classmethod
    def _name_of_older_files(cls, value: object) -> object:
        return "spatial-cross-entropy" if value == "places" else value


def train(
    recipe: IspRecipe, recogniser: Recogniser | PersonDetector, source: PairSource, folder: Path, resume: bool,
    about: dict[str, object], console: Console,
) -> LearnedIsp:  # fmt: skip
    """Train the predictor before the frozen network and write `folder/isp.safetensors`.

    Args:
        recipe: what and how.
        recogniser: frozen, a pose network or a detector, whose loss is that of its boxes; where it is, the training is.
        source: low-light shots with labels.
        folder: of the training.
        resume: go on with the checkpoint in the folder.
        about: what source and recogniser are; with the recipe they identify the training.
        console: for progress.

    Returns:
        The learned ISP, evaluated.

    Raises:
        ValueError: a folder with another training, data that cannot be used, a fixed start before a detector.
        FloatingPointError: the loss is not a number.
    """
    device = next(recogniser.parameters()).device
    processes = Processes.join(device)
    drawn = torch.Generator().manual_seed(recipe.training.seed)
    whole: Crop = "whole" if recipe.look == "random" else "thumbnail"
    predictor = Predictor(recipe.pipeline, drawn, recipe.look, whole, recipe.informed)
    if recipe.one_for_all:
        for name, parameter in predictor.named_parameters():
            parameter.requires_grad_(name == "head.bias")
    isp = LearnedIsp(predictor, recipe.pipeline, recipe.per_person)
    learner: DetectorIspLearner | IspLearner
    if isinstance(recogniser, PersonDetector):
        learner = DetectorIspLearner(isp, recogniser)
    else:
        learner = IspLearner(isp, recogniser, recipe.loss)
    metadata = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    if recipe.start == "fixed" and not (folder / CHECKPOINT).exists():
        if isinstance(recogniser, PersonDetector):
            raise ValueError("recipe: start fixed is chosen by poses; expected base before a detector")
        start_fixed(isp, recogniser, recipe.input, training_shots(source, recipe.fixed_shots))
    training.open(resume)
    size, extent, grow = crops_of(recogniser)
    pictures = LowLightPictures(
        source, size, recipe.pictures_a_batch, recipe.people_a_picture, recipe.training.seed,
        device, recipe.input, extent, grow, processes.rank, processes.count, recipe.pipeline,
    )  # fmt: skip
    training.run(pictures, lambda _: {}, console)
    if processes.first:
        save_weights(isp, folder / WEIGHTS, recipe.input)
    processes.leave()
    return isp.eval()


def crops_of(
    recogniser: Recogniser | PersonDetector,
) -> tuple[tuple[int, int], float, tuple[float, float]]:
    """Size, extent and margins of a person's crop; a detector looks at whole pictures and uses none of it."""
    if isinstance(recogniser, PersonDetector):
        return (COARSEST, COARSEST), 1.0, GROW
    return recogniser.input_size, recogniser.extent, recogniser.grow


def judge(
    isp: LearnedIsp, recogniser: Recogniser, what: Input, fixed_on: Sequence[PairSample], judged: Iterable[PairSample],
    flip: str, steps: Steps, cache: Path | None = None, refinement_steps: int = 0,
) -> dict[Row, Poses]:  # fmt: skip
    """The rows of the table: baselines, the learned ISP, oracles over the same held-out shots.

    Args:
        isp: learned.
        recogniser: frozen.
        what: of a shot the ISP develops, and what oracles search.
        fixed_on: training shots that choose the best fixed setting.
        judged: shots nobody was trained on.
        flip: see `models.recognisers.inference.heatmaps`.
        steps: the oracle's grid.
        cache: folder of what searches of a picture's settings found.
        refinement_steps: of the gradient from the grid's best, a second oracle; 0 leaves it out.
    """
    searched = Pipeline()  # the oracle is the same whatever the learned ISP is made of
    fixed = {what: best_fixed(recogniser, searched, fixed_on, what, steps, flip)}
    candidates = {
        Row(Method.NONE): not_enhanced(recogniser, flip),
        Row(Method.MEAN_SCALED): mean_scaled(recogniser, flip),
        Row(Method.MEAN_SCALED, what): mean_scaled(recogniser, flip, what),
        Row(Method.LEARNED): developed_by(isp, recogniser, what, flip),
        Row(Method.LEARNED_SELECTED): selected_near(isp, recogniser, what, flip, cache),
        Row(Method.WELL_LIT): well_lit(recogniser, flip),
    }
    oracle = Oracle(searched, steps, fixed, cache, refinement_steps)
    return compare(recogniser, judged, candidates, oracle, flip)
