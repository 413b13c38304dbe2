"""`Raw` as an .npz: counts compressed without loss, and every other field exactly, as JSON; for stores, not for
raw developers, which read DNG (`isp_sim.dng`).

The counts' high and low bytes lie apart: few high ones differ, so zlib's quickest level makes less of them than its
usual one of whole counts, four times as fast (benchmarks/scale.py codecs).
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
    """A raw frame as the content of an .npz: `high`, `low` (uint8), `fields` (JSON); the same frame, the same bytes."""
    rest = {field.name: getattr(raw, field.name) for field in fields_of(raw) if field.name != "counts"}
    text = json.dumps(rest, default=_plain).encode()
    high, low = (raw.counts >> 8).astype(np.uint8), raw.counts.astype(np.uint8)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, array in (("high", high), ("low", low), ("fields", np.frombuffer(text, np.uint8))):
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            of_1980 = zipfile.ZipInfo(f"{name}.npy")
            file.writestr(of_1980, part.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)
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
                if part.file_size > MOST_PIXELS:
                    raise ValueError(f"{part.filename} has {part.file_size} bytes")
            high, low, rest = arrays["high"], arrays["low"], json.loads(arrays["fields"].tobytes())
        if not high.dtype == low.dtype == np.uint8 or high.ndim != 2 or high.shape != low.shape:
            raise ValueError(
                f"high and low are {high.dtype} {high.shape}, {low.dtype} {low.shape}; expected uint8 planes"
            )
        counts = high.astype(np.uint16) << np.uint16(8) | low
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
