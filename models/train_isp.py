"""Command: a frozen pose network and low-light pictures → an ISP that helps it see, and a table of what it gains.

python -m models.train_isp --data out/exlpose --judge out/exlpose-test
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from rich.console import Console

from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig
from models.data.samples import TEST_SEED, FolderPairs, HeldPairs, JoinedPairs, PairSample, PairSource, RigPairs, shots
from models.engine.distributed import Processes, leads, pick_device
from models.engine.training import CHECKPOINT, CURVES, Recipe, Training, load_recipe, with_options
from models.isp.fixed_settings import best_fixed, start_fixed, training_shots
from models.isp.grid_search import GRID, QUICK_GRID, Steps
from models.isp.learned import LearnedIsp, save_weights
from models.isp.learner import Input, IspLearner, Loss, LowLightPictures
from models.isp.predictor import Crop, Predictor
from models.isp.report import print_rows, write_report
from models.isp.table import Method, Oracle, Row, compare, developed_by, mean_scaled, not_enhanced, selected_near
from models.recognisers.inference import FLIPS
from models.recognisers.loading import identity, load_recogniser
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import Protocol
from models.scoring.poses import Poses

KNOWN = {"isp": "isp.yaml", "isp-quick": "isp-quick.yaml"}
"""Recipes that come with the package: the paper's, and a first look."""
WEIGHTS = "isp.safetensors"
LEARN_SCENES, JUDGE_SCENES, SHOTS = 16, 5, 3
"""Built-in scenes, where no data is given: enough for a first table in two minutes on two cores."""


class IspRecipe(BaseModel):
    """A training of the learned ISP.

    Attributes:
        pipeline: steps of the ISP.
        input: what it develops: `picture`, the 8-bit one (the paper's), or `raw`, before quantisation.
        start: where the predictor starts: `base`, each picture at a mean of 0.4 (the paper's), or `fixed`, the setting
            of a coarse grid that is best for a few training shots, one for all.
        loss: `heatmaps` (the paper's) or `spatial-cross-entropy` (`places` in older files); see
            `models.isp.learner.pose_loss`.
        look: what the predictor sees of a picture in training: `random`, a 256×256 crop (the paper's), or `thumbnail`,
            the whole squeezed to 256×256, which also takes smaller pictures.
        pictures_a_batch: low-light pictures a step.
        people_a_picture: at most; drawn from a crowd.
        training: how long and how fast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: Pipeline = Pipeline()
    input: Input = "picture"
    start: Literal["base", "fixed"] = "base"
    loss: Loss = "heatmaps"
    look: Crop = "thumbnail"
    pictures_a_batch: int = Field(8, ge=1)
    people_a_picture: int = Field(8, ge=1)
    training: Recipe = Recipe()

    @field_validator("loss", mode="before")
    @classmethod
    def _name_of_older_files(cls, value: object) -> object:
        return "spatial-cross-entropy" if value == "places" else value


def train(
    recipe: IspRecipe, recogniser: Recogniser, source: PairSource, folder: Path, resume: bool,
    about: dict[str, object], console: Console,
) -> LearnedIsp:  # fmt: skip
    """Train the predictor before the frozen network and write `folder/isp.safetensors`.

    Args:
        recipe: what and how.
        recogniser: frozen; where it is, the training is.
        source: low-light shots with labels.
        folder: of the training.
        resume: go on with the checkpoint in the folder.
        about: what source and recogniser are; with the recipe they identify the training.
        console: for progress.

    Returns:
        The learned ISP, evaluated.

    Raises:
        ValueError: a folder with another training, data that cannot be used.
        FloatingPointError: the loss is not a number.
    """
    device = next(recogniser.parameters()).device
    processes = Processes.join(device)
    drawn = torch.Generator().manual_seed(recipe.training.seed)
    whole: Crop = "whole" if recipe.look == "random" else "thumbnail"
    isp = LearnedIsp(Predictor(recipe.pipeline, drawn, recipe.look, whole), recipe.pipeline)
    learner = IspLearner(isp, recogniser, recipe.loss)
    said = {k: v for k, v in recipe.model_dump(mode="json").items() if k != "training"} | about
    training = Training(learner, learner.losses, recipe.training, folder, device, said, processes)
    if recipe.start == "fixed" and not (folder / CHECKPOINT).exists():
        start_fixed(isp, recogniser, recipe.input, training_shots(source))
    training.open(resume)
    pictures = LowLightPictures(
        source, recogniser.input_size, recipe.pictures_a_batch, recipe.people_a_picture, recipe.training.seed,
        device, recipe.input, recogniser.extent, recogniser.grow, processes.rank, processes.count,
    )  # fmt: skip
    training.run(pictures, lambda _: {}, console)
    if processes.first:
        save_weights(isp, folder / WEIGHTS, recipe.input)
    processes.leave()
    return isp.eval()


def judge(
    isp: LearnedIsp, recogniser: Recogniser, what: Input, learned_on: PairSource, judged: Iterable[PairSample],
    flip: str, steps: Steps, cache: Path | None = None, refinement_steps: int = 0,
) -> dict[Row, Poses]:  # fmt: skip
    """The rows of the table: baselines, the learned ISP, oracles over the same held-out shots.

    Args:
        isp: learned.
        recogniser: frozen.
        what: of a shot the ISP develops; oracles search the 8-bit picture, and the raw if it is that.
        learned_on: shots that choose the best fixed setting.
        judged: shots nobody was trained on.
        flip: see `models.recognisers.inference.heatmaps`.
        steps: the oracle's grid.
        cache: folder of what the oracle's search found.
        refinement_steps: of the gradient from the grid's best, a second oracle; 0 leaves it out.
    """
    searched = Pipeline()  # the oracle is the same whatever the learned ISP is made of
    some = training_shots(learned_on)
    inputs: tuple[Input, ...] = ("picture",) if what == "picture" else ("picture", "raw")
    fixed = {one: best_fixed(recogniser, searched, some, one, steps, flip) for one in inputs}
    candidates = {
        Method.NONE: not_enhanced(recogniser, flip),
        Method.MEAN_SCALED: mean_scaled(recogniser, flip),
        Method.LEARNED: developed_by(isp, recogniser, what, flip),
        Method.LEARNED_SELECTED: selected_near(isp, recogniser, what, flip),
    }
    oracle = Oracle(searched, steps, fixed, cache, refinement_steps)
    return compare(recogniser, judged, candidates, oracle, flip)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m models.train_isp",
        description="Train an image-adaptive ISP before a frozen pose network: low-light pictures only, the pose loss "
        "only (Ono et al., VISAPP 2024). Then a table: AP for each split of the input as it is, Lee's mean of 0.4, the "
        "best fixed setting, the learned ISP, each person's surest setting near it, and an oracle that "
        "tries a grid of settings on each picture; and which share of the gap to the oracle is closed. Without --data "
        "a rig shoots a small set of its own.",
        epilog="several GPUs: torchrun --nproc-per-node 4 -m models.train_isp --data ExLPose --recipe isp",
    )
    asked.add_argument(
        "--recipe", default="isp-quick", help="isp (the paper's), isp-quick, or a YAML file [%(default)s]"
    )
    asked.add_argument(
        "--pose", help="frozen network, as models.evaluate takes it, well-lit among them [the shipped network]"
    )
    asked.add_argument("--data", type=Path, action="append", help="folder in ExLPose's layout; may be repeated")
    asked.add_argument(
        "--judge", type=Path, help="folder of held-out pairs with labelled people [built-in scenes of another seed]"
    )
    asked.add_argument("--rig", default="exlpose-small", help="that shoots where there is no --data [%(default)s]")
    asked.add_argument("--epochs", type=int, help="instead of the recipe's")
    asked.add_argument("--flip", choices=tuple(FLIPS), default="none", help="test of the table [%(default)s]")
    asked.add_argument("--full-grid", action="store_true", help="the oracle tries 81 settings a picture instead of 25")
    asked.add_argument(
        "--climb", type=int, default=0, help="steps of gradient ascent on each picture, a second oracle [%(default)s]"
    )
    asked.add_argument("--seed", type=int, default=0, help="of weights, order, crops and scenes [%(default)s]")
    asked.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    asked.add_argument("--out", type=Path, default=Path("out/isp"), help="folder of the training [%(default)s]")
    asked.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    return asked


def asked_recipe(given: argparse.Namespace) -> IspRecipe:
    """The recipe with what the command line says instead."""
    for name in ("climb", "seed"):
        if not 0 <= getattr(given, name) < 2**63:
            raise ValueError(f"--{name} {getattr(given, name)}: whole numbers from 0 to 2⁶³ − 1 are allowed")
    recipe = load_recipe(IspRecipe, given.recipe, KNOWN)
    return recipe.model_copy(update={"training": with_options(recipe.training, given.seed, given.epochs)})


def sources(given: argparse.Namespace, raw: bool) -> tuple[PairSource, PairSource, dict[str, object]]:
    """What to learn from, what to be judged on, and what the former is."""
    if given.judge and given.judge.resolve() in [folder.resolve() for folder in given.data or ()]:
        raise ValueError(f"--judge {given.judge}: is learned from (--data); held-out pairs are allowed")
    rig = load_rig(given.rig)
    about: dict[str, object] = {"pose": identity(given.pose)}
    learn: PairSource
    if given.data:
        learn = JoinedPairs([FolderPairs(folder, pre_quantisation=raw, labelled=True) for folder in given.data])
        about["data"] = [str(folder.resolve()) for folder in given.data]
    else:
        learn = HeldPairs(RigPairs(rig, given.seed, LEARN_SCENES, pre_quantisation=raw, shots_per_scene=SHOTS))
        about["data"] = f"rig {rig.name}, {LEARN_SCENES} built-in scenes"
    if given.judge:
        return learn, FolderPairs(given.judge, pre_quantisation=raw, labelled=True), about
    judged = HeldPairs(RigPairs(rig, TEST_SEED, JUDGE_SCENES, pre_quantisation=raw, shots_per_scene=SHOTS))
    return learn, judged, about


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        recipe = asked_recipe(given)
        recogniser = load_recogniser(given.pose).to(pick_device(given.device))
        learn, judged, about = sources(given, recipe.input == "raw")
        isp = train(recipe, recogniser, learn, given.out, given.resume, about, console)
        if not leads():
            return 0
        steps = GRID if given.full_grid else QUICK_GRID
        held_out = shots(judged, console)
        cache = given.out / f"oracle-flip-{given.flip}"
        rows = judge(isp, recogniser, recipe.input, learn, held_out, given.flip, steps, cache, given.climb)
        protocol = Protocol(flip=given.flip, seed=given.seed)
        scores = {name: row.scores(protocol) for name, row in rows.items()}
        report = write_report(given.out, isp, recogniser, recipe.input, list(shots(judged)), scores)
    except (ValueError, OSError, FloatingPointError) as fault:
        print(f"models.train_isp: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models.train_isp: stopped; finished epochs are kept: add --resume to go on", file=sys.stderr)
        return 130
    print_rows(scores, console)
    console.print(f"report {report}, weights {given.out / WEIGHTS}, curves {given.out / CURVES}", soft_wrap=True)
    what = f"RAW.dng --rig {given.rig}" if recipe.input == "raw" else "PICTURE"
    console.print(
        f"next: python -m models.learned_isp {what} --weights {given.out / WEIGHTS} --explain", soft_wrap=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
