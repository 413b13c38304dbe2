"""An enhancer's weights as safetensors, with what is needed to build it again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from isp_sim.rig import Finite, Positive
from isp_sim.rigfile import from_json
from models.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, NormalisationName
from models.engine.weights_file import fill, read_tensors, write_tensors
from models.enhance.networks.gladnet import GladNet
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
}
"""Enhancers that learn, by the name that `models.train_enhancer --model` takes."""


class Settings(BaseModel):
    """What networks are built with, each with its own of these."""

    model_config = ConfigDict(extra="forbid")

    shrink: int = Field(1, ge=1, le=1000)
    classes: int = Field(1, ge=1, le=1000)
    width: int = Field(32, ge=1, le=1000)
    attention: bool = True
    modulation: bool = True
    fusion: bool = True


class EnhancerMetadata(BaseModel):
    """What a file says of its enhancer."""

    model: str
    settings: Settings
    scaling: NormalisationName


class SdagMetadata(BaseModel):
    """What a file says of its guidance network."""

    channels: int = Field(ge=1, le=10_000)
    kernel: int = Field(ge=1, le=100)
    norm: bool
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
    conv = network.stem.conv
    built = {"channels": conv.out_channels, "kernel": conv.kernel_size[0], "norm": network.stem.norm is not None}
    built |= {name: getattr(network.stem, name).flatten().tolist() for name in ("mean", "std")}
    write_tensors(path, network.state_dict(), {"sdag": json.dumps(built), "about": json.dumps(about)})


def load_sdag(path: Path) -> Sdag:
    """A guidance network that `save_sdag` wrote, frozen.

    Raises:
        ValueError: no such file, not safetensors, or not a guidance network's.
    """
    tensors, about = _read(path, "sdag", SdagMetadata)
    with torch.random.fork_rng(devices=[]):
        conv = nn.Conv2d(3, about.channels, about.kernel, padding=about.kernel // 2, bias="stem.conv.bias" in tensors)
        network = Sdag(Stem(conv, nn.BatchNorm2d(about.channels) if about.norm else None, about.mean, about.std))
    fill(network, tensors, path)
    return network.eval().requires_grad_(False)


def _read(path: Path, kind: str, model: type[Metadata]) -> tuple[dict[str, torch.Tensor], Metadata]:
    tensors, metadata = read_tensors(path)
    if kind not in metadata:
        raise ValueError(f"{path}: its metadata has no {kind}; expected the weights of one")
    return tensors, from_json(model, metadata[kind], f"{path}: metadata {kind}")
