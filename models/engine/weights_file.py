"""Tensors and metadata as safetensors, the same bytes for the same content.

The library writes the metadata in an order that differs from process to process; here it is sorted.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from isp_sim.files import json_object, write_atomically

ALIGNMENT = 8
"""The header's length is a multiple of it (safetensors' format)."""


def file_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file: 8 bytes of length, a JSON header padded with spaces, the numbers.

    Args:
        tensors: contiguous, on the CPU.
        metadata: text by name.
    """
    written = save(dict(tensors), dict(metadata))
    (length,) = struct.unpack("<Q", written[:8])
    header = json.loads(written[8 : 8 + length])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + written[8 + length :]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device and layout with their metadata; the file is whole or not there."""
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(path, file_bytes(stored, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, on the CPU, and metadata.

    Raises:
        ValueError: no such file, or not a whole safetensors file.
    """
    try:
        with safe_open(path, "pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as fault:
        raise ValueError(f"{path}: not a whole safetensors file: {fault}") from None


def read_torch_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint in torch's own format, by torch's weights-only loader, which runs no code of the file.

    A `state_dict` inside it is taken, and a `module.` before every name, which data parallelism puts there, removed.

    Raises:
        ValueError: no such file, or one that holds more than numbers, lists and dictionaries.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # a broken file makes the loader raise errors of a dozen kinds
        why = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ValueError(f"{path}: not a checkpoint of torch with weights alone: {why}") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found or not all(isinstance(t, Tensor) for t in found.values()):
        raise ValueError(f"{path}: expected a dictionary of tensors, or one under state_dict")
    before = "module." if all(name.startswith("module.") for name in found) else ""
    return {name.removeprefix(before): tensor for name, tensor in found.items()}


def described(metadata: Mapping[str, str], name: str, path: Path) -> dict[str, Any]:
    """The JSON object under a name of a file's metadata; empty where there is none. Raises as `json_object`."""
    return json_object(metadata.get(name, "{}"), f"{path}: metadata {name}")


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a module the weights of a file.

    Raises:
        ValueError: names or shapes differ, or a number is not finite.
    """
    expected = module.state_dict()
    for name in (*expected, *tensors):
        there, wanted = (tuple(some[name].shape) if name in some else None for some in (tensors, expected))
        if there != wanted:
            raise ValueError(
                f"{path}: tensor {name}: {'missing' if there is None else f'of shape {there}'}; "
                f"expected {'none of this name' if wanted is None else f'shape {wanted}'}"
            )
        if not bool(tensors[name].isfinite().all()):
            raise ValueError(f"{path}: tensor {name}: holds NaN or infinity; expected finite numbers")
    module.load_state_dict(tensors)


def digest(module: nn.Module, *also: object) -> str:
    """What makes a network this one: of its weights, and of what else says how it is used."""
    whole = hashlib.blake2b(repr(also).encode(), digest_size=16)
    for name, tensor in module.state_dict().items():
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
