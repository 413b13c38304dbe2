"""The pose network's weights as safetensors, with what is needed to build it again."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from isp_sim.files import write_atomically
from models.engine.weights_file import file_bytes
from models.pose.network import Cpn

SHIPPED = Path(__file__).parent / "small.safetensors"
"""The network that comes with the package; `small.md` beside it says how it was trained and what it does."""


def save_network(network: Cpn, path: Path, about: Mapping[str, object]) -> None:
    """Write a network.

    Args:
        network: of `models.pose.network.SIZES`.
        path: ends on .safetensors.
        about: how it was trained; kept beside the weights.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    said = {"network": json.dumps({"size": network.size, "lsbn": network.lsbn}), "about": json.dumps(about)}
    write_atomically(path, file_bytes(tensors, said))


def load_network(path: Path) -> Cpn:
    """Read a network that `save_network` wrote.

    Raises:
        ValueError: no such file, not safetensors, or not a pose network's.
    """
    try:
        with safe_open(path, "pt") as stored:
            said = (stored.metadata() or {}).get("network")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as fault:
        raise ValueError(f"{path}: no whole safetensors file: {fault}") from None
    if said is None:
        raise ValueError(f"{path}: says nothing of a pose network; these are no weights of one")
    what = json.loads(said)
    with torch.random.fork_rng(devices=[]):
        network = Cpn(what["size"], lsbn=what["lsbn"])
    try:
        network.load_state_dict(tensors)
    except RuntimeError as fault:
        raise ValueError(f"{path}: {fault}") from None
    return network
