"""A training of the detector: its recipe, and what `models.train_detector` does with it."""

import json
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from models.choices import WEIGHTS
from models.data.samples import PairSource
from models.detector.batches import WindowPairs
from models.detector.learner import DetectorLearner
from models.engine.distributed import Processes
from models.engine.training import Recipe, Training
from models.engine.weights_file import write_tensors
from models.recognisers.multipose import MultiPose, load_multipose
from models.recognisers.person_detector import SIDE, load_detector, weights_of
from models.runs.pose_training import without_folders

WindowSide = Annotated[int, Field(ge=64, multiple_of=32)]


class DetectorRecipe(BaseModel):
    """A training of the detector.

    Attributes:
        pairs_a_batch: windows of both arms' pictures a step.
        window: height and width, px.
        scenes: built-in ones, where no folder of pairs is given; one shot of each an epoch.
        training: how long and how fast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs_a_batch: int = Field(4, ge=1)
    window: tuple[WindowSide, WindowSide] = (256, 256)
    scenes: int = Field(100, ge=1)
    training: Recipe = Recipe()


def train(
    recipe: DetectorRecipe,
    source: PairSource,
    folder: Path,
    device: torch.device,
    resume: bool,
    about: dict[str, object],
    console: Console,
    start_from: str | Path,
) -> dict[str, float]:
    """Fine-tune the detector on both pictures of pairs and write `folder/weights.safetensors`, half precision.

    Args:
        recipe: what and how.
        source: to learn from.
        folder: of the training.
        device: where.
        resume: go on with the checkpoint in the folder.
        about: what the source is; with the recipe it identifies the training.
        console: for progress.
        start_from: as `models.recognisers.person_detector.load_detector` takes it.

    Returns:
        The last epoch's line of the log.

    Raises:
        ValueError: a folder with another training, data or weights that cannot be used.
        FloatingPointError: the loss is not a number.
    """
    processes = Processes.join(device)
    network = load_multipose(weights_of(start_from))
    learner = DetectorLearner(network)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    about = about | {"start_from": str(start_from)}
    metadata = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    training.open(resume)
    normalisation = load_detector(start_from).normalisation
    windows = WindowPairs(
        source, recipe.pairs_a_batch, recipe.window, SIDE, normalisation, recipe.training.seed, device,
        processes.rank, processes.count,
    )  # fmt: skip
    training.run(windows, lambda _: {}, console)
    if processes.first:
        save(network, folder / WEIGHTS, without_folders(metadata) | {"last": training.history[-1]})
    processes.leave()
    return training.history[-1]


def save(network: MultiPose, path: Path, about: dict[str, object]) -> None:
    """Weights as `models.recognisers.person_detector.load_detector` reads them."""
    metadata = {"network": json.dumps({"movenet": "multipose"}), "about": json.dumps(about, sort_keys=True)}
    write_tensors(path, {name: tensor.half() for name, tensor in network.state_dict().items()}, metadata)
