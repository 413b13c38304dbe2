"""`Raw` as an .npz: counts compressed without loss, and every other field exactly, as JSON; for stores, not for
raw developers, which read DNG (`isp_sim.dng`).
"""

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any

import numpy as np

from isp_sim.raw import Raw
from isp_sim.shading import Shading
from isp_sim.units import Counts

MOST_PIXELS = 500_000_000
"""A few bytes can ask for gigabytes."""


def encode_npz(raw: Raw) -> bytes:
    """A raw frame as the content of an .npz, `counts` (uint16) and `fields` (JSON); the same frame, the same bytes."""
    rest = {field.name: getattr(raw, field.name) for field in fields_of(raw) if field.name != "counts"}
    text = json.dumps(rest, default=_plain).encode()
    stream = io.BytesIO()
    np.savez_compressed(stream, counts=raw.counts, fields=np.frombuffer(text, np.uint8))
    return stream.getvalue()


def _plain(value: object) -> object:
    """What JSON does not know: a `Shading` as its fields, NumPy's numbers."""
    return asdict(value) if isinstance(value, Shading) else float(value)  # type: ignore[arg-type]


def decode_npz(content: bytes, name: object) -> Raw:
    """The frame that `encode_npz` wrote.

    Args:
        content: of the file.
        name: of the file, for the sentence.

    Raises:
        ValueError: damaged, or of another content.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for part in arrays.zip.infolist():
                if part.file_size > 2 * MOST_PIXELS:
                    raise ValueError(f"{part.filename} has {part.file_size} bytes")
            counts, rest = arrays["counts"], json.loads(arrays["fields"].tobytes())
        if counts.dtype != np.uint16 or counts.ndim != 2:
            raise ValueError(f"counts are {counts.dtype} {counts.shape}; expected uint16 (height, width)")
        fields: dict[str, Any] = {field: _frozen(field, value) for field, value in rest.items()}
        return Raw(counts=Counts(counts), **fields)
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as fault:
        raise ValueError(f"{name} cannot be read as a raw .npz: {fault}") from None


def _frozen(field: str, value: object) -> object:
    """JSON's lists as a frame's tuples; provenance is JSON's own."""
    if field == "shading" and isinstance(value, dict):
        return Shading(**{name: _frozen(name, part) for name, part in value.items()})  # type: ignore[arg-type]
    if field == "provenance" or not isinstance(value, list):
        return value
    return tuple(_frozen(field, one) for one in value)
