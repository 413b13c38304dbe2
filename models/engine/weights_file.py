"""Tensors and what is said of them as safetensors, the same bytes for the same content.

The library writes the metadata in an order that differs from process to process; here it is sorted.
"""

import json
import struct
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

ALIGNMENT = 8
"""The header's length is a multiple of it (safetensors' format)."""


def file_bytes(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> bytes:
    """A safetensors file: 8 bytes of length, a JSON header padded with spaces, the numbers.

    Args:
        tensors: contiguous, on the CPU.
        said: metadata.
    """
    written = save(dict(tensors), dict(said))
    (length,) = struct.unpack("<Q", written[:8])
    header = json.loads(written[8 : 8 + length])
    header["__metadata__"] = dict(sorted(said.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + written[8 + length :]
