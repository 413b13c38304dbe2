"""The recipe of an enhancer's training, and the network with its losses that follows from it."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from isp_sim.rigfile import load_yaml
from isp_sim.scenes.people.semantics import CLASSES
from models.choices import SLLEN_PARTS
from models.data.samples import PairSource
from models.engine.training import Recipe
from models.enhance.enhancer import as_image
from models.enhance.learners import (
    GladNetLearner,
    Guidance,
    RuasLearner,
    SciLearner,
    SdagLearner,
    SllenLearner,
    ZeroDceLearner,
)
from models.enhance.networks.gladnet import RGB_WEIGHTS, GladNet
from models.enhance.networks.ruas import Ruas
from models.enhance.networks.sci import SIGMA, Sci
from models.enhance.networks.sdag import Sdag, Stem
from models.enhance.networks.sllen import Sllen
from models.enhance.networks.sllen_losses import mean_gradient
from models.enhance.networks.zero_dce import ZeroDce, ZeroDcePlus
from models.enhance.tiles import Tileable
from models.enhance.weights import build

RECIPES = Path(__file__).parent.parent / "recipes"
GRADIENT_GROUPS = 16
"""Groups over whose well-lit pictures SLLEN's mean gradient is taken."""

Learner = GladNetLearner | SllenLearner | ZeroDceLearner | SciLearner | RuasLearner | SdagLearner
Side = Annotated[int, Field(ge=16, multiple_of=8)]


class EnhancerRecipe(BaseModel):
    """A training of an enhancer; what another model needs is ignored.

    Attributes:
        patch: side of a patch, px.
        patches: a step.
        patches_a_picture: taken from one picture.
        scaling: of the low-light picture: `none`, or each channel to a mean of 0.4; the weights remember it.
        scenes: built-in ones, without data.
        judged_scenes: of another seed, where nothing else judges; 0 judges nothing.
        judge_every: epochs.
        rgb_order: GLADNet's loss: the paper's weights, or reversed as in the released code.
        width: SLLEN's finest level.
        attention, modulation, fusion: whether SLLEN has HSEB and HSBAB, RSAEB, FFB.
        alternating: SLLEN's segmenter and enhancer share an encoder and learn in turn; else the segmenter, with its
            own, learns through the first half of the epochs, then the enhancer (SLLEN-4).
        without_losses: of SLLEN; with the perceptual one a pose network is needed.
        shrink: Zero-DCE++ finds its curves on a picture so many times smaller.
        sigma: of SCI's and RUAS's smoothness.
        denoise: whether RUAS has its denoiser.
        guidance: weight of SDAG beside an enhancer's own losses.
        rebuilds: what SDAG learns to rebuild: `enhanced` low-light pictures, or, ours, `well-lit` ones.
        cosine: SDAG's: over the batch, as in the released code, or, ours, over channels.
        training: how long and how fast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    patch: Side = 96
    patches: int = Field(8, ge=1)
    patches_a_picture: int = Field(2, ge=1)
    scaling: Literal["none", "mean-0.4"] = "none"
    scenes: int = Field(24, ge=1)
    judged_scenes: int = Field(2, ge=0)
    judge_every: int = Field(1, ge=1)
    rgb_order: Literal["paper", "released"] = "paper"
    width: int = Field(32, ge=4)
    attention: bool = True
    modulation: bool = True
    fusion: bool = True
    alternating: bool = True
    without_losses: tuple[Literal["perceptual", "distillation", "illumination", "gradient"], ...] = ()
    shrink: int = Field(1, ge=1)
    sigma: float = Field(SIGMA, gt=0)
    denoise: bool = False
    guidance: float = Field(1.0, gt=0)
    rebuilds: Literal["enhanced", "well-lit"] = "enhanced"
    cosine: Literal["batch", "channels"] = "batch"
    training: Recipe = Recipe()


def load_recipe(name: str, model: str) -> EnhancerRecipe:
    """A model's recipe that comes with the package (`quick`, `full`, of some `photos`), or a YAML file.

    Raises:
        ValueError: every fault of the file.
    """
    family = "zero-dce" if model == "zero-dce++" else model
    known = RECIPES / f"{family}-{name}.yaml"
    path = known if known.is_file() else Path(name)
    if not path.is_file():
        there = sorted(one.stem.removeprefix(f"{family}-") for one in RECIPES.glob(f"{family}-*.yaml"))
        raise ValueError(f"--recipe {name}: no such file, expected a file or one of {', '.join(there)}")
    return load_yaml(EnhancerRecipe, path)


@dataclass(frozen=True)
class Frozen:
    """Networks that a training looks through and leaves alone.

    Attributes:
        guidance: a trained SDAG, beside the losses of an enhancer without a target.
        stem: of a recogniser; SDAG is made on it, SLLEN's perceptual loss looks through it.
        enhancer: makes the pictures that SDAG rebuilds.
    """

    guidance: Sdag | None = None
    stem: Stem | None = None
    enhancer: Tileable | None = None

    def to(self, device: torch.device) -> "Frozen":
        """All of them there."""
        return Frozen(*(part.to(device) if part is not None else None for part in vars(self).values()))


def new_network(
    model: str, recipe: EnhancerRecipe, stem: Stem | None = None, classes: int = len(CLASSES)
) -> Tileable | Sdag:
    """A model's network as the recipe wants it, with weights drawn by its seed; SLLEN's segmenter knows `classes`."""
    if model == "sdag":
        assert stem is not None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.training.seed)
            return Sdag(stem)
    settings: dict[str, object] = {}
    if model == "sllen":
        settings = {"classes": classes, "shared": recipe.alternating}
        settings |= {n: getattr(recipe, n) for n in ("width", *SLLEN_PARTS[:3])}
    elif model == "zero-dce++":
        settings = {"shrink": recipe.shrink}
    elif model == "ruas":
        settings = {"denoise": recipe.denoise}
    return build(model, recipe.training.seed, **settings)


def new_learner(network: nn.Module, recipe: EnhancerRecipe, frozen: Frozen, source: PairSource) -> Learner:
    """A network with its losses.

    Raises:
        ValueError: guidance for a model that has a target, or nothing that makes the pictures for SDAG.
    """
    guidance = Guidance(frozen.guidance, recipe.guidance) if frozen.guidance is not None else None
    if isinstance(network, (ZeroDce, ZeroDcePlus)):
        return ZeroDceLearner(network, guidance)
    if isinstance(network, Sci):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.training.seed)
            return SciLearner(network, guidance, recipe.sigma)
    if isinstance(network, Ruas):
        return RuasLearner(network, guidance, recipe.sigma)
    if guidance is not None:
        raise ValueError("--guidance sdag: for --model zero-dce, zero-dce++, sci and ruas, which have no target")
    if isinstance(network, Sdag):
        if recipe.rebuilds == "enhanced" and frozen.enhancer is None:
            raise ValueError("--model sdag: rebuilds enhanced pictures; name the --enhancer that makes them")
        return SdagLearner(network, frozen.enhancer if recipe.rebuilds == "enhanced" else None, recipe.cosine)
    if isinstance(network, Sllen):
        return SllenLearner(network, gradient_level(source), frozen.stem, recipe.without_losses)
    assert isinstance(network, GladNet)
    return GladNetLearner(network, RGB_WEIGHTS if recipe.rgb_order == "paper" else RGB_WEIGHTS[::-1])


def gradient_level(source: PairSource) -> float:
    """E: the mean gradient of well-lit pictures, over the first of a source."""
    some = itertools.chain.from_iterable(source.group(n) for n in range(min(len(source), GRADIENT_GROUPS)))
    return float(np.mean([mean_gradient(as_image(s.well_lit, "none", torch.device("cpu"))) for s in some]))
