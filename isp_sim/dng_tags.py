"""Numbers of a DNG's tags, as tifffile gives them, with the defaults of the DNG specification."""

from typing import Any

import numpy as np

D65 = 21
"""Of Exif's LightSource."""

ISO_SHORT_MAX = 65535
"""Exif 2.3: PhotographicSensitivity has 16 bits; at its top, RecommendedExposureIndex has the ISO.

LibRaw looks there for Sony and Canon only: to it, another maker's ISO ends at 65535."""


def numbers(tags: dict[str, Any], name: str, count: int) -> tuple[float, ...]:
    """A tag of `count` numbers or, as tifffile gives ratios, of `count` numerators and denominators."""
    value = tags.get(name)
    flat = value if isinstance(value, tuple) else (value,)
    if len(flat) == 2 * count and all(flat[1::2]):
        flat = tuple(above / below for above, below in zip(flat[::2], flat[1::2], strict=True))
    if value is None or len(flat) != count:
        found = "missing or cut off" if value is None else value
        raise ValueError(f"{name} is {found}; expected {count} number(s)")
    return tuple(map(float, flat))


def iso_of(tags: dict[str, Any]) -> int:
    """Exif's ISO; RecommendedExposureIndex where 16 bits do not hold it."""
    iso = tags.get("PhotographicSensitivity", tags.get("ISOSpeedRatings"))
    if iso == ISO_SHORT_MAX:
        iso = tags.get("RecommendedExposureIndex", iso)
    if not isinstance(iso, int):
        found = "missing or cut off" if iso is None else iso
        raise ValueError(f"PhotographicSensitivity is {found}; expected one whole number")
    return iso


def black_level(tags: dict[str, Any]) -> tuple[float, ...]:
    """BlackLevel of each pixel of the 2×2 tile, row by row, DN."""
    dim = tags.get("BlackLevelRepeatDim", (1, 1))
    rows, columns = dim if isinstance(dim, tuple) else (1, 1)  # a lone 1 stands in some files
    if not {rows, columns} <= {1, 2}:
        raise ValueError(f"BlackLevelRepeatDim is {(rows, columns)}; expected 1 or 2 rows and columns")
    levels = numbers({"BlackLevel": (0,) * rows * columns} | tags, "BlackLevel", rows * columns)
    return tuple(np.broadcast_to(np.reshape(levels, (rows, columns)), (2, 2)).ravel().tolist())


def xyz_to_camera(tags: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
    """The ColorMatrix of D65."""
    found = {number: tags.get(f"CalibrationIlluminant{number}") for number in (1, 2, 3)}
    for number, illuminant in found.items():
        if illuminant == D65:
            flat = numbers(tags, f"ColorMatrix{number}", 9)
            return flat[:3], flat[3:6], flat[6:]
    raise ValueError(f"CalibrationIlluminant1 is {found[1]}; expected a ColorMatrix for {D65} (D65)")


def noise_profile(tags: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    """(S, O) of R, G and B; a single pair counts for all; `()` if the file has none."""
    flat = tags.get("NoiseProfile", ())
    if len(flat) not in (0, 2, 6):
        raise ValueError(f"NoiseProfile has {len(flat)} numbers; expected 2 or 6")
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    return pairs * 3 if len(pairs) == 1 else pairs
