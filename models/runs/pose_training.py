"""A training of the pose network: its recipe, and what `models.train_pose` does with it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from isp_sim.progress import Progress
from models.choices import WEIGHTS
from models.data.crops import Augmentation
from models.data.samples import PairSample, PairSource, shots
from models.engine.distributed import Processes
from models.engine.training import CHECKPOINT, Recipe, Training
from models.pose.batches import Batches, GroupCrops
from models.pose.network import Cpn
from models.pose.variants import PoseLearner, variant_of
from models.recognisers.loading import of_ours
from models.recognisers.movenet import SIZES as MOVENETS
from models.recognisers.movenet import load_movenet, shipped_weights
from models.recognisers.pretrained import PretrainedPose, unfolded
from models.recognisers.weights import OurNetwork, load_network, save_network
from models.scoring.average_precision import Protocol
from models.scoring.poses import find_poses, table_row

NORM_PEOPLE = 64
"""Crops that the norms of a pretrained network are measured on."""
Side = Annotated[int, Field(ge=64, multiple_of=16)]


class PoseRecipe(BaseModel):
    """A training of the pose network.

    Attributes:
        variant: one of `models.pose.variants.VARIANTS`.
        size: `lightning` or `thunder`, which start as the public MoveNet; or a CPN from random weights, one of
            `models.pose.network.SIZES`.
        people_a_batch: pairs of crops a step.
        crop: height and width of training crops, px, multiples of 16; None is the network's own. Smaller ones train
            faster, for a start.
        scenes: of an epoch, where the rig shoots as it goes.
        validation_scenes: of the rig, that judge while training goes on; 0 judges nothing.
        judge_every: epochs.
        training: how long and how fast.
        augmentation: what is drawn for each crop.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: str = "lsbn+lupi"
    size: str = "lightning"
    people_a_batch: int = Field(32, ge=2)
    crop: tuple[Side, Side] | None = None
    scenes: int = Field(400, ge=1)
    validation_scenes: int = Field(12, ge=0)
    judge_every: int = Field(1, ge=1)
    training: Recipe = Recipe()
    augmentation: Augmentation = Augmentation()


def train(
    recipe: PoseRecipe,
    source: PairSource,
    judge: PairSource | None,
    folder: Path,
    device: torch.device,
    workers: int,
    resume: bool,
    about: dict[str, object],
    console: Console,
    start_from: Path | None = None,
) -> dict[str, float]:
    """Train and write `folder/weights.safetensors`.

    Args:
        recipe: what and how.
        source: to learn from.
        judge: whose AP is logged; None judges nothing.
        folder: of the training.
        device: where.
        workers: processes that read and crop.
        resume: go on with the checkpoint in the folder.
        about: what the source is; with the recipe it identifies the training.
        console: for progress.
        start_from: weights of the same network to begin with; None draws them.

    Returns:
        The last epoch's line of the log.

    Raises:
        ValueError: unknown names, a folder with another training, data that cannot be used.
        FloatingPointError: the loss is not a number.
    """
    processes = Processes.join(device)
    network = new_network(recipe, source, (folder / CHECKPOINT).is_file() or start_from is not None)
    if start_from:
        start(network, start_from)
    learner = PoseLearner(recipe.variant, network, recipe.training.seed)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    about = about | {"start_from": str(start_from)}
    metadata = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, metadata, processes)
    training.open(resume)
    size = recipe.crop or network.input_size
    crops = crops_of(recipe, source, network)
    batches = Batches(crops, recipe.people_a_batch, workers, processes.rank, processes.count)

    held: list[PairSample] = []

    def scores(epoch: int) -> dict[str, float]:
        due = (epoch + 1) % recipe.judge_every == 0 or epoch + 1 == recipe.training.epochs
        if judge is None or not due or not processes.first:
            return {}
        judged = copy.deepcopy(network)
        judged.input_size = size  # a network that has seen small crops only is judged on such
        frozen = of_ours(judged)
        if not held:
            held.extend(shots(judge))  # shot once: every epoch is judged on the same pictures
        return table_row(find_poses(frozen, held, flip="none").scores(Protocol(flip="none")))

    training.run(lambda epoch: ((share, batch.to(device)) for share, batch in batches(epoch)), scores, console)
    if processes.first:
        save_network(network, folder / WEIGHTS, without_folders(metadata) | {"last": training.history[-1]})
    processes.leave()
    return training.history[-1]


def new_network(recipe: PoseRecipe, source: PairSource, restored: bool) -> OurNetwork:
    """A network to begin with.

    Args:
        recipe: its size, variant and seed.
        source: whose well-lit crops the norms of a pretrained one are measured on.
        restored: other weights are read into it, so nothing needs to be measured.

    Raises:
        ValueError: unknown names, or a source without people.
    """
    lsbn, seed, size = variant_of(recipe.variant).lsbn, recipe.training.seed, recipe.size
    with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights from the global generator
        torch.default_generator.manual_seed(seed)
        if size not in MOVENETS:
            return Cpn(size, lsbn=lsbn)
        network = PretrainedPose(size, lsbn)
        if restored:
            return network
        return unfolded(load_movenet(shipped_weights(size)), lsbn, _well_lit(crops_of(recipe, source, network)))


def crops_of(recipe: PoseRecipe, source: PairSource, network: OurNetwork) -> GroupCrops:
    """Training crops as a network wants them."""
    size, seed = recipe.crop or network.input_size, recipe.training.seed
    return GroupCrops(source, size, recipe.augmentation, seed, network.normalisation, network.grow)


def _well_lit(crops: GroupCrops) -> Iterator[torch.Tensor]:
    """Well-lit crops of the source's first groups, `NORM_PEOPLE` or all."""
    people = 0
    with Progress("well-lit crops that the norms are measured on", NORM_PEOPLE) as progress:
        for index in range(len(crops.source)):
            lot = crops[0, index]
            if len(lot):
                yield lot.well_lit
            people += len(lot)
            progress.reach(min(people, NORM_PEOPLE))
            if people >= NORM_PEOPLE:
                return


def without_folders(metadata: dict[str, object]) -> dict[str, object]:
    """What travels with the weights: names of data folders and files, not where they lay."""
    data = metadata.get("data")
    names = {"data": [Path(str(one)).name for one in data]} if isinstance(data, list) else {}
    return metadata | names | {"start_from": Path(str(metadata.get("start_from"))).name}


def start(network: OurNetwork, path: Path) -> None:
    """Give a network the weights of another training.

    Raises:
        ValueError: they are of another size or variant, or cannot be read.
    """
    there = load_network(path)
    if (there.size, there.lsbn) != (network.size, network.lsbn):
        raise ValueError(
            f"--start-from {path}: of size {there.size}, LSBN {there.lsbn}; expected {network.size}, {network.lsbn}"
        )
    network.load_state_dict(there.state_dict())
