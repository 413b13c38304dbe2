"""Command: pairs → a pose network, trained as one of Lee et al.'s variants.

python -m models.train_pose --recipe quick --variant lsbn+lupi
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from isp_sim.rigfile import load_rig
from models.data.crops import Augmentation
from models.data.samples import FolderPairs, JoinedPairs, PairSample, PairSource, RigPairs, shots
from models.engine.distributed import Processes, leads, pick_device
from models.engine.training import CURVES, Recipe, Training, load_recipe, with_options
from models.pose.batches import Batches, GroupCrops
from models.pose.network import Cpn
from models.pose.variants import VARIANTS, PoseLearner
from models.pose.weights import load_network, save_network
from models.recognisers.loading import of_cpn
from models.scoring.average_precision import Protocol
from models.scoring.poses import find_poses, table_row

KNOWN = {name: f"pose-{name}.yaml" for name in ("quick", "small-start", "small", "exlpose")}
"""Recipes that come with the package."""
WEIGHTS = "weights.safetensors"
VALIDATION_SEED = 900_001
"""Of the built-in scenes that judge while training goes on; added to the training's own seed."""


Side = Annotated[int, Field(ge=64, multiple_of=16)]


class PoseRecipe(BaseModel):
    """A training of the pose network.

    Attributes:
        variant: one of `models.pose.variants.VARIANTS`.
        size: one of `models.pose.network.SIZES`.
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
    size: str = "small"
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
    learner = PoseLearner(recipe.variant, recipe.size, recipe.training.seed)
    if start_from:
        start(learner.network, start_from)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    about = about | {"start_from": str(start_from)}
    said = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, said, processes)
    training.open(resume)
    size = recipe.crop or learner.network.input_size
    crops = GroupCrops(source, size, recipe.augmentation, recipe.training.seed)
    batches = Batches(crops, recipe.people_a_batch, workers, processes.rank, processes.count)

    held: list[PairSample] = []

    def scores(epoch: int) -> dict[str, float]:
        due = (epoch + 1) % recipe.judge_every == 0 or epoch + 1 == recipe.training.epochs
        if judge is None or not due or not processes.first:
            return {}
        judged = copy.deepcopy(learner.network)
        judged.input_size = size  # a network that has seen small crops only is judged on such
        frozen = of_cpn(judged)
        if not held:
            held.extend(shots(judge))  # shot once: every epoch is judged on the same pictures
        return table_row(find_poses(frozen, held, flip="none").scores(Protocol(flip="none")))

    training.run(lambda epoch: ((share, batch.to(device)) for share, batch in batches(epoch)), scores, console)
    if processes.first:
        save_network(learner.network, folder / WEIGHTS, without_folders(said) | {"last": training.history[-1]})
    processes.leave()
    return training.history[-1]


def without_folders(said: dict[str, object]) -> dict[str, object]:
    """What travels with the weights: names of data folders and files, not where they lay."""
    data = said.get("data")
    names = {"data": [Path(str(one)).name for one in data]} if isinstance(data, list) else {}
    return said | names | {"start_from": Path(str(said.get("start_from"))).name}


def start(network: Cpn, path: Path) -> None:
    """Give a network the weights of another training.

    Raises:
        ValueError: they are of another size or variant, or cannot be read.
    """
    there = load_network(path)
    if (there.size, there.lsbn) != (network.size, network.lsbn):
        raise ValueError(
            f"--start-from {path}: of size {there.size}, LSBN {there.lsbn}; asked are {network.size}, {network.lsbn}"
        )
    network.load_state_dict(there.state_dict())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m models.train_pose",
        description="Train a pose network (CPN) on low-light / well-lit pairs as a variant that Lee et al. compare: "
        f"{', '.join(VARIANTS)}. Without --data the rig shoots its pairs as the training goes.",
        epilog="several GPUs: torchrun --nproc-per-node 4 -m models.train_pose --recipe exlpose --data ExLPose",
    )
    asked.add_argument("--recipe", default="quick", help=f"{', '.join(KNOWN)}, or a YAML file [%(default)s]")
    asked.add_argument("--variant", choices=tuple(VARIANTS), help="instead of the recipe's")
    asked.add_argument("--epochs", type=int, help="instead of the recipe's")
    asked.add_argument(
        "--data", type=Path, action="append", help="folder in ExLPose's layout (isp_sim.generate's); may be repeated"
    )
    asked.add_argument("--start-from", type=Path, help="weights (.safetensors) to begin with [drawn by the seed]")
    asked.add_argument("--judge", type=Path, help="folder whose AP is logged [built-in scenes of another seed]")
    asked.add_argument("--rig", default="exlpose-small", help="that shoots where there is no --data [%(default)s]")
    asked.add_argument("--seed", type=int, default=0, help="of weights, order, crops and scenes [%(default)s]")
    asked.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    asked.add_argument("--workers", type=int, default=1, help="processes that read and crop [%(default)s]")
    asked.add_argument("--out", type=Path, help="folder of the training [out/pose-<variant>]")
    asked.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    return asked


def asked_recipe(given: argparse.Namespace) -> PoseRecipe:
    """The recipe with what the command line says instead."""
    recipe = load_recipe(PoseRecipe, given.recipe, KNOWN)
    training = with_options(recipe.training, given.seed, given.epochs).model_dump()
    said = {"variant": given.variant or recipe.variant, "training": training}
    return PoseRecipe.model_validate(recipe.model_dump() | said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        recipe, device = asked_recipe(given), pick_device(given.device)
        rig = load_rig(given.rig)
        source: PairSource
        if given.data:
            source = JoinedPairs([FolderPairs(folder, labelled=True) for folder in given.data])
            about: dict[str, object] = {"data": [str(folder.resolve()) for folder in given.data]}
        else:
            source, about = RigPairs(rig, given.seed, recipe.scenes), {"data": f"rig {rig.name}, built-in people"}
        judge: PairSource | None = None
        if given.judge:
            judge = FolderPairs(given.judge, labelled=True)
        elif recipe.validation_scenes:
            judge = RigPairs(rig, given.seed + VALIDATION_SEED, recipe.validation_scenes)
        out = given.out or Path("out") / f"pose-{recipe.variant}"
        train(recipe, source, judge, out, device, given.workers, given.resume, about, console, given.start_from)
    except (ValueError, OSError, FloatingPointError) as fault:
        print(f"models.train_pose: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models.train_pose: stopped; finished epochs are kept: add --resume to go on", file=sys.stderr)
        return 130
    if not leads():
        return 0
    console.print(f"weights {out / WEIGHTS}, log and curves beside them ({CURVES})", soft_wrap=True)
    console.print(f"next: python -m models.evaluate --pose {out / WEIGHTS}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
