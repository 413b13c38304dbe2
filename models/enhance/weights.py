"""An enhancer's weights as safetensors, with what is needed to build it again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from isp_sim.rig import Finite, Positive
from isp_sim.rigfile import from_json
from models.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, NormalisationName
from models.engine.weights_file import fill, read_tensors, write_tensors
from models.enhance.networks.gladnet import GladNet
from models.enhance.networks.ruas import Ruas
from models.enhance.networks.sci import Sci
from models.enhance.networks.sdag import Sdag, Stem
from models.enhance.networks.sllen import Sllen, SllenParts
from models.enhance.networks.zero_dce import ZeroDce, ZeroDcePlus
from models.enhance.tiles import Tileable

NETWORKS: dict[str, Callable[..., Tileable]] = {
    "gladnet": GladNet,
    "sllen": lambda **parts: Sllen(SllenParts(**parts)),
    "zero-dce": ZeroDce,
    "zero-dce++": ZeroDcePlus,
    "sci": Sci,
    "ruas": Ruas,
}
"""Enhancers that learn, by the name that `models.train_enhancer --model` takes."""


LARGEST_LAYER = 1_000_000
"""Weights of a stem's layer."""


class Settings(BaseModel):
    """What networks are built with, each with its own of these."""

    model_config = ConfigDict(extra="forbid")

    shrink: int = Field(1, ge=1, le=1000)
    classes: int = Field(1, ge=1, le=1000)
    width: int = Field(32, ge=1, le=1000)
    attention: bool = True
    modulation: bool = True
    fusion: bool = True
    shared: bool = True
    denoise: bool = False


class EnhancerMetadata(BaseModel):
    """What a file says of its enhancer."""

    model: str
    settings: Settings
    scaling: NormalisationName


class SdagMetadata(BaseModel):
    """What a file says of its guidance network."""

    stem: list[Literal["Conv2d", "BatchNorm2d", "ReLU", "ReLU6"]] = Field(min_length=1, max_length=20)
    mean: tuple[Finite, Finite, Finite] = IMAGENET_MEAN
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD


Metadata = TypeVar("Metadata", bound=BaseModel)


def build(model: str, seed: int = 0, **settings: object) -> Tileable:
    """A network with weights drawn by the seed; torch's global generator stays as it was.

    Raises:
        ValueError: an unknown name.
    """
    if model not in NETWORKS:
        raise ValueError(f"enhancer {model!r}: expected one of {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NETWORKS[model](**settings)


def settings_of(network: nn.Module) -> dict[str, object]:
    """What `build` needs beside the name."""
    if isinstance(network, Sllen):
        return asdict(network.parts)
    if isinstance(network, Ruas):
        return {"denoise": network.denoiser is not None}
    return {"shrink": network.shrink} if isinstance(network, ZeroDcePlus) else {}


def save_enhancer(
    network: nn.Module, model: str, scaling: NormalisationName, path: Path, about: Mapping[str, object]
) -> None:
    """Write an enhancer.

    Args:
        network: of `NETWORKS`.
        model: its name there.
        scaling: what it was trained on: `none`, pictures unchanged; `mean-0.4`, each channel brought to that mean.
        path: ends on .safetensors.
        about: how it was trained; kept beside the weights.
    """
    built = {"model": model, "settings": settings_of(network), "scaling": scaling}
    write_tensors(path, network.state_dict(), {"enhancer": json.dumps(built), "about": json.dumps(about)})


def load_enhancer_network(path: Path) -> tuple[Tileable, str, NormalisationName]:
    """A network that `save_enhancer` wrote, its name, and how it wants its input.

    Raises:
        ValueError: no such file, not safetensors, or not an enhancer's.
    """
    tensors, about = _read(path, "enhancer", EnhancerMetadata)
    try:
        network = build(about.model, **about.settings.model_dump(exclude_unset=True))
    except (TypeError, ValueError) as fault:
        raise ValueError(f"{path}: its metadata names no enhancer of ours: {about} ({fault})") from None
    fill(network, tensors, path)
    return network.eval().requires_grad_(False), about.model, about.scaling


def save_sdag(network: Sdag, path: Path, about: Mapping[str, object]) -> None:
    """Write a guidance network, its stem with it."""
    built: dict[str, object] = {"stem": [type(layer).__name__ for layer in network.stem.layers]}
    built |= {name: getattr(network.stem, name).flatten().tolist() for name in ("mean", "std")}
    write_tensors(path, network.state_dict(), {"sdag": json.dumps(built), "about": json.dumps(about)})


def load_sdag(path: Path) -> Sdag:
    """A guidance network that `save_sdag` wrote, frozen.

    Raises:
        ValueError: no such file, not safetensors, or not a guidance network's.
    """
    tensors, about = _read(path, "sdag", SdagMetadata)
    with torch.random.fork_rng(devices=[]):
        layers = nn.Sequential(*(_stem_layer(kind, n, tensors, path) for n, kind in enumerate(about.stem)))
        network = Sdag(Stem(layers, about.mean, about.std))
    fill(network, tensors, path)
    return network.eval().requires_grad_(False)


def _stem_layer(kind: str, number: int, tensors: Mapping[str, torch.Tensor], path: Path) -> nn.Module:
    """One layer of a stem, of the shape that its tensors have."""
    if kind.startswith("ReLU"):
        return nn.ReLU() if kind == "ReLU" else nn.ReLU6()
    name = f"stem.layers.{number}.weight"
    weight = tensors.get(name)
    if weight is None or weight.ndim != (4 if kind == "Conv2d" else 1) or weight.numel() > LARGEST_LAYER:
        raise ValueError(f"{path}: tensor {name}: missing, or not of a {kind} of up to {LARGEST_LAYER} numbers")
    if kind == "BatchNorm2d":
        return nn.BatchNorm2d(len(weight))
    outgoing, incoming, *kernel = weight.shape
    bias = f"stem.layers.{number}.bias" in tensors
    return nn.Conv2d(incoming, outgoing, kernel, padding=[side // 2 for side in kernel], bias=bias)  # type: ignore[arg-type]


def _read(path: Path, kind: str, model: type[Metadata]) -> tuple[dict[str, torch.Tensor], Metadata]:
    tensors, metadata = read_tensors(path)
    if kind not in metadata:
        raise ValueError(f"{path}: its metadata has no {kind}; expected the weights of one")
    return tensors, from_json(model, metadata[kind], f"{path}: metadata {kind}")
