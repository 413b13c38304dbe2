"""The pose network's weights as safetensors, with what is needed to build it again."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from models.engine.weights_file import described, fill, read_tensors, write_tensors
from models.pose.network import Cpn
from models.recognisers.movenet import SIZES
from models.recognisers.pretrained import PretrainedPose

OurNetwork = Cpn | PretrainedPose
SHIPPED = Path(__file__).parent.parent / "pose" / "low_light.safetensors"
"""The network that comes with the package; `low_light.md` beside it says how it was trained and what it does."""


def save_network(network: OurNetwork, path: Path, about: Mapping[str, object], half: bool = False) -> None:
    """Write a network.

    Args:
        network: ours.
        path: ends on .safetensors.
        about: how it was trained; kept beside the weights.
        half: convolutions in float16, as the shipped ones are; norms stay in float32.
    """
    metadata = {"network": json.dumps({"size": network.size, "lsbn": network.lsbn}), "about": json.dumps(about)}
    tensors = {n: t.half() if half and t.ndim == 4 else t for n, t in network.state_dict().items()}
    write_tensors(path, tensors, metadata)


def load_network(path: Path) -> OurNetwork:
    """Read a network that `save_network` wrote.

    Raises:
        ValueError: no such file, not safetensors, or not a pose network's.
    """
    tensors, metadata = read_tensors(path)
    if "network" not in metadata:
        raise ValueError(f"{path}: its metadata has no network; expected the weights of a pose network")
    shape = described(metadata, "network", path)
    try:
        with torch.random.fork_rng(devices=[]):
            size, lsbn = shape["size"], shape["lsbn"]
            network = PretrainedPose(size, lsbn) if size in SIZES else Cpn(size, lsbn=lsbn)
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"{path}: its metadata names no pose network of ours: {shape} ({fault})") from None
    fill(network, {n: t.float() if t.dtype == torch.float16 else t for n, t in tensors.items()}, path)
    return network
