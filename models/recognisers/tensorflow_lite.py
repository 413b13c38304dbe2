"""BlazePose's weights from the public TensorFlow Lite file → safetensors in half precision, no TensorFlow needed.

The file keeps them as 16-bit floats; they are only laid out anew and given our names: nothing is rounded. It is a
FlatBuffer: a table is a row of fields, of which each may be left out, found through a table of their offsets
(https://flatbuffers.dev/internals); the fields' numbers are those of TensorFlow Lite's schema.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.engine.weights_file import write_tensors
from models.recognisers.blazepose import BLAZEPOSE_NAME, BlazePose
from models.recognisers.npm_package import read_file

FILE = "pose_landmark_full.tflite"
_IDENTIFIER = b"TFL3"
_CONVOLUTION, _DEPTHWISE, _DEQUANTISE = 3, 4, 6
"""Numbers of operators in the schema."""
_TYPES = {0: "<f4", 1: "<f2"}
"""Of the schema's tensors, those that weights may have."""
Convolution = tuple[np.ndarray, np.ndarray]
"""Weight and bias as TensorFlow Lite lays them out."""


@dataclass(frozen=True)
class Table:
    """A table of a FlatBuffer.

    Attributes:
        content: the whole file.
        at: where the table starts.
    """

    content: bytes
    at: int

    def number(self, field: int, kind: str = "i") -> int:
        """A number of one of `struct`'s kinds; 0 where it is left out."""
        at = self._field(field)
        return self._read(kind, at) if at else 0

    def numbers(self, field: int, kind: str = "<i4") -> np.ndarray:
        """A vector of numbers; empty where it is left out."""
        count, start = self._vector(field)
        return np.frombuffer(self.content, kind, count, start)

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables; empty where it is left out."""
        count, start = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [Table(self.content, place + self._read("I", place)) for place in places]

    def _field(self, field: int) -> int:
        """Where a field stands; 0 where it is left out."""
        offsets = self.at - self._read("i", self.at)
        slot = 4 + 2 * field
        offset = self._read("H", offsets + slot) if slot < self._read("H", offsets) else 0
        return self.at + offset if offset else 0

    def _vector(self, field: int) -> tuple[int, int]:
        """A vector's length and where its first element stands."""
        at = self._field(field)
        if not at:
            return 0, 0
        start = at + self._read("I", at)
        return self._read("I", start), start + 4

    def _read(self, kind: str, at: int) -> int:
        if at < 0:
            raise ValueError(f"points to byte {at}")
        (value,) = struct.unpack_from("<" + kind, self.content, at)
        return int(value)


def convolutions(content: bytes) -> list[Convolution]:
    """Weight and bias of each convolution of a TensorFlow Lite model, in the order in which it computes them.

    Raises:
        ValueError: not such a model, or weights that are neither 16-bit nor 32-bit floats.
    """
    if content[4:8] != _IDENTIFIER:
        raise ValueError(f"does not begin as a TensorFlow Lite model; expected {_IDENTIFIER.decode()} after 4 bytes")
    try:
        model = Table(content, struct.unpack_from("<I", content)[0])
        (graph,) = model.tables(2)
        kinds = [max(code.number(0, "b"), code.number(3)) for code in model.tables(1)]
        tensors, buffers = graph.tables(0), model.tables(4)
        found: list[Convolution] = []
        stored: dict[int, int] = {}  # tensors that are another one, dequantised
        for operator in graph.tables(3):
            kind, inputs = kinds[operator.number(0, "I")], operator.numbers(1).tolist()
            if kind == _DEQUANTISE:
                stored[int(operator.numbers(2)[0])] = inputs[0]
            elif kind in (_CONVOLUTION, _DEPTHWISE):
                weight, bias = (_array(tensors[stored.get(i, i)], buffers) for i in inputs[1:3])
                found.append((weight, bias))
    except (struct.error, IndexError, ValueError) as fault:
        raise ValueError(f"is not a TensorFlow Lite model of one graph: {fault}") from None
    return found


def _array(tensor: Table, buffers: list[Table]) -> np.ndarray:
    kind = _TYPES.get(tensor.number(1, "b"))
    if kind is None:
        raise ValueError(f"a weight has the type {tensor.number(1, 'b')}; expected 0 or 1, floats of 32 or 16 bits")
    content = buffers[tensor.number(2, "I")].numbers(0, "u1").tobytes()
    return np.frombuffer(content, kind).reshape(tensor.numbers(0).tolist())


def names() -> list[str | None]:
    """Which of our convolutions each of the published graph's is; None for one that we leave out.

    Left out: the mask of the person (at strides 2 and 1), places in metres, and whether anybody is there.
    """
    mask_lateral, mask, metres_and_anybody = 2, 11, 2
    found: list[str | None] = ["stem"]
    laterals = {1: None, 3: "laterals.3", 5: "laterals.2", 11: "laterals.1"}  # computed amid the block after them
    for block in range(15):
        found += [f"blocks.{block}.expand"] if block else []
        if block in laterals:
            lateral = laterals[block]
            found += _separable(lateral) if lateral else [None] * mask_lateral
        found += [f"blocks.{block}.depthwise", f"blocks.{block}.project"]
    found += ["last", "around", *_separable("laterals.0"), *[None] * mask, "heatmaps", *_separable("narrow")]
    for block in range(11):
        found += _separable(f"regression.{block}")
    return [*found, "places", *[None] * metres_and_anybody]


def _separable(name: str) -> list[str | None]:
    return [f"{name}.depthwise", f"{name}.pointwise"]


def state(found: list[Convolution]) -> dict[str, Tensor]:
    """BlazePose's state in half precision.

    TensorFlow Lite lays a convolution out as (out, height, width, in), in each channel as (1, height, width, channels);
    torch as (out, in, height, width) and (channels, 1, height, width).

    Raises:
        ValueError: other convolutions than the published graph's.
    """
    with torch.random.fork_rng(devices=[]):
        wanted = BlazePose().state_dict()
    ours = names()
    if len(found) != len(ours):
        raise ValueError(f"{FILE}: has {len(found)} convolutions; expected {len(ours)}")
    tensors: dict[str, Tensor] = {}
    for name, (weight, bias) in zip(ours, found, strict=True):
        if name is None:
            continue
        if weight.ndim == 4:
            weight = weight.transpose((3, 0, 1, 2) if name.endswith("depthwise") or name == "around" else (0, 3, 1, 2))
        for part, array in (("weight", weight), ("bias", bias)):
            shape = list(wanted[f"{name}.{part}"].shape)
            if list(array.shape) != shape:
                raise ValueError(f"{FILE}: the {part} of {name} has shape {list(array.shape)}; expected {shape}")
            tensors[f"{name}.{part}"] = torch.from_numpy(np.array(array, np.float16, order="C"))
    return tensors


def convert(package: Path, out: Path) -> Path:
    """Write a folder's `blazepose-full.safetensors`; gives its path.

    Args:
        package: the npm archive `@mediapipe/pose`, or a folder.
        out: made if it is not there.

    Raises:
        ValueError, OSError: see `read_file`, `convolutions`, `state`.
    """
    content = read_file(package, FILE)
    try:
        found = convolutions(content)
    except ValueError as fault:
        raise ValueError(f"{package}: {FILE} {fault}") from None
    about = {
        "source": "https://google.github.io/mediapipe/solutions/pose",
        "through": f"npm @mediapipe/pose, {FILE}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "Apache-2.0",
    }
    metadata = {"network": json.dumps({"blazepose": "full"}), "about": json.dumps(about, sort_keys=True)}
    tensors = state(found)
    path = out / f"{BLAZEPOSE_NAME}.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, metadata)
    return path
