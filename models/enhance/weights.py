"""An enhancer's weights as safetensors, with what is needed to build it again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from isp_sim.files import write_atomically
from models.data.crops import NormalisationName
from models.engine.weights_file import file_bytes
from models.enhance.networks.gladnet import GladNet
from models.enhance.networks.sci import Sci
from models.enhance.networks.sdag import Sdag, Stem
from models.enhance.networks.sllen import Sllen, SllenParts
from models.enhance.networks.zero_dce import ZeroDce, ZeroDcePlus

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "gladnet": GladNet,
    "sllen": lambda **parts: Sllen(SllenParts(**parts)),
    "zero-dce": ZeroDce,
    "zero-dce++": ZeroDcePlus,
    "sci": Sci,
}
"""Enhancers that learn, by the name that `models.train_enhancer --model` takes."""


def build(model: str, seed: int = 0, **settings: object) -> nn.Module:
    """A network with weights drawn by the seed; torch's global generator stays as it was.

    Raises:
        ValueError: an unknown name.
    """
    if model not in NETWORKS:
        raise ValueError(f"enhancer {model!r}: allowed are {', '.join(NETWORKS)}")
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
        scaling: what it was trained on: `none`, pictures as they are; `mean-0.4`, each channel brought to that mean.
        path: ends on .safetensors.
        about: how it was trained; kept beside the weights.
    """
    said = {"model": model, "settings": settings_of(network), "scaling": scaling}
    _write(network, path, {"enhancer": json.dumps(said), "about": json.dumps(about)})


def load_enhancer_network(path: Path) -> tuple[nn.Module, str, NormalisationName]:
    """A network that `save_enhancer` wrote, its name, and how it wants its input.

    Raises:
        ValueError: no such file, not safetensors, or not an enhancer's.
    """
    tensors, said = _read(path, "enhancer")
    network = build(said["model"], **said["settings"])
    _fill(network, tensors, path)
    return network.eval().requires_grad_(False), said["model"], said["scaling"]


def save_sdag(network: Sdag, path: Path, about: Mapping[str, object]) -> None:
    """Write a guidance network, its stem with it."""
    conv = network.stem.conv
    said = {"channels": conv.out_channels, "kernel": conv.kernel_size[0], "norm": network.stem.norm is not None}
    _write(network, path, {"sdag": json.dumps(said), "about": json.dumps(about)})


def load_sdag(path: Path) -> Sdag:
    """A guidance network that `save_sdag` wrote, frozen.

    Raises:
        ValueError: no such file, not safetensors, or not a guidance network's.
    """
    tensors, said = _read(path, "sdag")
    size = said["kernel"]
    with torch.random.fork_rng(devices=[]):
        conv = nn.Conv2d(3, said["channels"], size, padding=size // 2, bias="stem.conv.bias" in tensors)
        network = Sdag(Stem(conv, nn.BatchNorm2d(said["channels"]) if said["norm"] else None))
    _fill(network, tensors, path)
    return network.eval().requires_grad_(False)


def _write(network: nn.Module, path: Path, said: dict[str, str]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, file_bytes(tensors, said))


def _read(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as stored:
            said = (stored.metadata() or {}).get(kind)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as fault:
        raise ValueError(f"{path}: no whole safetensors file: {fault}") from None
    if said is None:
        raise ValueError(f"{path}: says nothing of an {kind}; these are no weights of one")
    return tensors, json.loads(said)


def _fill(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as fault:
        raise ValueError(f"{path}: {fault}") from None
