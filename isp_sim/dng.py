"""`Raw` as a DNG file: what LibRaw, exiftool and raw converters read, and what we read back exactly.

Uncompressed 16-bit CFA, DNG 1.4 (Adobe, Digital Negative Specification 1.4.0.0, 2012). tifffile writes IFD0
and the mosaic; the Exif IFD, which tifffile does not write, is appended. A DNG rounds most numbers to ratios
of 32-bit integers, so ImageDescription carries them once more in full, as JSON, with the provenance.
"""

import io
import json
import logging
import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from tifffile import DATATYPE as TYPE

from isp_sim.companding import codes_of
from isp_sim.dng_opcodes import LISTS, defects_of, opcode_lists, shading_of
from isp_sim.dng_tags import D65, ISO_SHORT_MAX, black_level, iso_of, noise_profile, numbers, xyz_to_camera
from isp_sim.files import write_atomically
from isp_sim.raw import Defects, Raw, defects_within, turned
from isp_sim.shading import Shading
from isp_sim.units import Counts

# What tifffile logs of a damaged file stands in our sentence, too; without a handler it would go to stderr before it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_TILES = {"RGGB": b"\0\1\1\2", "BGGR": b"\2\1\1\0", "GRBG": b"\1\0\2\1", "GBRG": b"\1\2\0\1"}
"""The four Bayer tiles as CFAPattern: 0 red, 1 green, 2 blue, row by row (TIFF/EP, ISO 12234-2)."""

_CFA, _LINEAR_RAW, _RECOMMENDED_EXPOSURE_INDEX = 32803, 34892, 2
"""Values of PhotometricInterpretation and of Exif's SensitivityType."""

_FLIPS = {2: 1, 3: 3, 4: 2, 5: 4, 6: 6, 7: 7, 8: 5}
"""Orientation as `isp_sim.raw.turned` takes it."""

_OTHERS_ISO_AT_0DB = 100
"""Assumed of a DNG that is not ours: no DNG tag holds the ISO at 0 dB, and 100 is the usual base ISO."""

_UNASSIGNED_TAG, _EXIF_TAG = 34664, 34665
"""tifffile refuses to write tag 34665, so its unassigned neighbour keeps the place in the sorted IFD."""

_NOTED = {
    "make": "Make",
    "model": "Model",
    "serial": "CameraSerialNumber",
    "black_level_dn": "BlackLevel",
    "neutral": "AsShotNeutral",
    "xyz_to_camera": "ColorMatrix1",
    "exposure_us": "ExposureTime",
}
"""Fields whose tag may round them: the note in ImageDescription has them in full."""

_ONLY = {
    "Compression": 1,
    "BitsPerSample": 16,
    "SamplesPerPixel": 1,
    "CFARepeatPatternDim": (2, 2),
    "CFALayout": 1,
    "BlackLevelDeltaH": "none",
    "BlackLevelDeltaV": "none",
}
"""The only values `read_dng` reads, though LibRaw may read others; an absent tag means the same."""

_NOBODY_ELSE = {"SampleFormat": 1, "CFAPlaneColor": b"\0\1\2"}
"""The only values anybody reads rightly: LibRaw takes four colours for three, and scales floats by the brightest."""


OURS = '{"isp_sim": '
"""How ImageDescription begins in a DNG of ours."""


def write_dng(path: Path, raw: Raw) -> None:
    """Write a raw frame as a DNG; the same frame gives the same bytes.

    The file appears whole, by renaming, or not at all.

    Args:
        path: the file to write or to replace.
        raw: the frame.

    Raises:
        ValueError: a field does not fit a DNG; nothing is written.
        OSError: the disk refused; the error names `path`.
    """
    write_atomically(path, encode_dng(raw, path))


def read_dng(path: Path, upright: bool = True) -> Raw:
    """Read a DNG: ours exactly as written, another's as far as its tags go.

    A tag of our file that was edited wins over the note in ImageDescription. In a file that is not ours, the
    gain is `20·log10(ISO / 100)` dB, the neutral is scaled to a maximum of 1, and what is absent is the DNG
    default: black 0 DN, white 65535 DN; `()` for the noise profile, `""` for names. The mosaic is cut to
    ActiveArea, companded codes are made linear; of opcode lists, defective pixels and GainMaps are read.

    Args:
        path: an uncompressed 16-bit Bayer DNG.
        upright: turn the mosaic as Orientation says, as pictures are; else its rows are the sensor's.

    Raises:
        ValueError: no DNG, a truncated one, or a tag is missing or not supported; names file, tag and what
            was expected.
        OSError: the file cannot be read.
    """
    return decode_dng(path.read_bytes(), path, upright)


def decode_dng(content: bytes, path: object, upright: bool = True) -> Raw:
    """As `read_dng`, of a file's content; `path` names it in the sentence."""
    try:
        tags, counts = _parse(content)
        return _decode(tags, counts, tags.get("Orientation", 1) if upright else 1)
    except Exception as error:
        # Damaged offsets and types come out of the parser as any exception; to the caller they are one fault.
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path} cannot be read as a DNG: {reason}") from error


def raw_pages(file: tifffile.TiffFile) -> list[tuple[Any, dict[str, Any]]]:
    """The pages of a DNG that hold raw data, a mosaic or linear, each with its tags by name and those of IFD0."""
    first = file.pages.first
    pages = [page for page in (first, *(first.pages or ())) if page.photometric in (_CFA, _LINEAR_RAW)]
    return [(page, {tag.name: tag.value for ifd in (first, page) for tag in ifd.tags}) for page in pages]


def misread(page: Any, tags: dict[str, Any], size: int) -> str | None:
    """Why nobody, LibRaw included, reads a raw page of a file of `size` bytes rightly; None: nothing is known."""
    counts, parts = page.databytecounts, math.prod(page.chunked)
    ends = [start + count for start, count in zip(page.dataoffsets, counts, strict=True)]
    short = page.compression == 1 and sum(counts) < page.nbytes
    if max(ends, default=0) > size or len(ends) < parts or short:
        return f"truncated: {size} bytes do not hold all {math.prod(page.shape)} pixels"
    for name, only in _NOBODY_ELSE.items():
        if tags.get(name, only) not in (only, (only,) * page.samplesperpixel):
            return f"{name} is {tags[name]}; expected {only}"
    levels = tags.get("WhiteLevel", 0)
    if isinstance(levels, tuple) and len(set(levels)) > 1:
        return f"WhiteLevel is {levels}; expected one number"
    dim = tags.get("BlackLevelRepeatDim", (1, 1))
    if not isinstance(dim, tuple) and dim != 1:
        return f"BlackLevelRepeatDim is {dim}; expected rows and columns"
    return None


def encode_dng(raw: Raw, path: object) -> memoryview:
    """The file's bytes: IFD0 and mosaic, then the Exif IFD, to which IFD0 is made to point. Raises as `write_dng`."""
    try:
        _check(raw)
        tags = _extratags(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    noted = {field: getattr(raw, field) for field in (*_NOTED, "gain_db", "provenance")}
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        codes_of(raw.counts, np.array(raw.linearization, np.uint16)) if raw.linearization else raw.counts,
        byteorder="<",
        photometric="cfa",
        software="isp-sim",
        description=json.dumps({"isp_sim": 1, **noted}, default=float),
        metadata=None,
        extratags=tags,
    )
    offset = stream.seek(0, io.SEEK_END)
    stream.write(_exif_ifd(raw, offset))
    content = stream.getbuffer()
    # IFD0 stands at the very beginning: no value, only the entry itself can match first.
    place = content[:1024].tobytes().index(struct.pack("<HHI", _UNASSIGNED_TAG, TYPE.LONG, 1))
    struct.pack_into("<HHII", content, place, _EXIF_TAG, TYPE.LONG, 1, offset)
    return content


def _check(raw: Raw) -> None:
    """Refuse, by name, what a DNG cannot carry and `read_dng` could not give back."""
    counts = raw.counts
    if counts.dtype != np.uint16 or counts.ndim != 2 or counts.size == 0:
        raise ValueError(f"counts are {counts.dtype} {counts.shape}; expected uint16 (height, width)")
    if raw.linearization:
        table = np.array(raw.linearization)
        if len(table) < 2 or not (np.diff(table) > 0).all() or table[0] < 0 or table[-1] > 65535:
            raise ValueError("linearization: expected counts from 0 to 65535 that rise from code to code")
        if not np.isin(counts, table).all():
            raise ValueError("counts have values that linearization does not give; see isp_sim.companding.companded")
    if raw.cfa not in _TILES:
        raise ValueError(f"cfa is {raw.cfa!r}; expected one of {', '.join(_TILES)}")
    for field, low, high in (("white_level_dn", 1, 65535), ("iso", 0, 2**32 - 1)):
        number = getattr(raw, field)
        if number != int(number) or not low <= number <= high:
            raise ValueError(f"{field} is {number}; expected whole numbers {low} … {high}")
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "black_level_dn": ((4,),),
        "neutral": ((3,),),
        "xyz_to_camera": ((3, 3),),
        "noise_profile": ((3, 2), (0,)),
        "exposure_us": ((),),
        "gain_db": ((),),
    }
    for field, allowed in shapes.items():
        value = np.asarray(getattr(raw, field), dtype=np.float64)
        if value.shape not in allowed or not np.isfinite(value).all():
            raise ValueError(f"{field} is {getattr(raw, field)}; expected finite numbers of shape {allowed[0]}")
    if 0 in _as_tag("neutral", raw.neutral)[::2]:
        raise ValueError(f"neutral is {raw.neutral}; expected numbers above 0")
    try:
        kept = json.loads(json.dumps(raw.provenance, allow_nan=False)) == raw.provenance
    except (TypeError, ValueError) as error:
        raise ValueError(f"provenance does not fit JSON: {error}") from error
    if not kept:
        raise ValueError("provenance would change in JSON; expected lists, not tuples, and strings as keys")


def _extratags(raw: Raw) -> list[tuple[Any, ...]]:
    """IFD0 beyond the mosaic's shape and place, as tifffile's (tag, type, count, value, write once)."""
    ours = {tag: _as_tag(field, getattr(raw, field)) for field, tag in _NOTED.items()}
    tags: list[tuple[Any, ...]] = [
        ("Orientation", TYPE.SHORT, 1, 1),
        ("CFARepeatPatternDim", TYPE.SHORT, 2, (2, 2)),
        ("CFAPattern", TYPE.BYTE, 4, _TILES[raw.cfa]),
        (_UNASSIGNED_TAG, TYPE.LONG, 1, 0),
        ("DNGVersion", TYPE.BYTE, 4, bytes((1, 4, 0, 0))),
        # All but NoiseProfile, which an older reader may ignore, was in DNG 1.1.
        ("DNGBackwardVersion", TYPE.BYTE, 4, bytes((1, 1, 0, 0))),
        ("UniqueCameraModel", TYPE.ASCII, 0, f"{ours['Make']} {ours['Model']}".strip() or "unknown"),
        ("CFAPlaneColor", TYPE.BYTE, 3, _NOBODY_ELSE["CFAPlaneColor"]),
        ("CFALayout", TYPE.SHORT, 1, _ONLY["CFALayout"]),
        ("BlackLevelRepeatDim", TYPE.SHORT, 2, (2, 2)),
        ("BlackLevel", TYPE.RATIONAL, 4, ours["BlackLevel"]),
        ("WhiteLevel", TYPE.LONG, 1, int(raw.white_level_dn)),
        ("ColorMatrix1", TYPE.SRATIONAL, 9, ours["ColorMatrix1"]),
        ("CalibrationIlluminant1", TYPE.SHORT, 1, D65),
        ("AsShotNeutral", TYPE.RATIONAL, 3, ours["AsShotNeutral"]),
    ]
    tags += [(tag, TYPE.ASCII, 0, ours[tag]) for tag in ("Make", "Model", "CameraSerialNumber")]
    if raw.noise_profile:
        tags.append(("NoiseProfile", TYPE.DOUBLE, 6, tuple(map(float, chain(*raw.noise_profile)))))
    if raw.linearization:
        tags.append(("LinearizationTable", TYPE.SHORT, len(raw.linearization), raw.linearization))
    tags += [(name, TYPE.UNDEFINED, len(content), content) for name, content in opcode_lists(raw).items()]
    return [(*tag, True) for tag in tags]


def _exif_ifd(raw: Raw, offset: int) -> bytes:
    """The Exif IFD as it stands at `offset`: LibRaw takes the ISO from nowhere else."""
    iso = int(raw.iso)
    entries = [  # tag, type, count, value; ExposureTime has no room for its value and points behind the IFD
        (33434, TYPE.RATIONAL, 1, struct.pack("<I", offset + 2 + 12 * 5 + 4)),
        (34855, TYPE.SHORT, 1, struct.pack("<H", min(iso, ISO_SHORT_MAX))),  # PhotographicSensitivity
        (34864, TYPE.SHORT, 1, struct.pack("<H", _RECOMMENDED_EXPOSURE_INDEX)),  # SensitivityType
        (34866, TYPE.LONG, 1, struct.pack("<I", iso)),  # RecommendedExposureIndex
        (36864, TYPE.UNDEFINED, 4, b"0230"),  # ExifVersion
    ]
    ifd = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    exposure = struct.pack("<II", *_as_tag("exposure_us", raw.exposure_us))
    return struct.pack("<H", len(entries)) + ifd + bytes(4) + exposure


def _as_tag(field: str, value: Any) -> Any:
    """A field of `_NOTED` as its tag holds it: ASCII, or numerators and denominators in turn."""
    if field in ("make", "model", "serial"):
        # A TIFF string ends at NUL, and readers drop blanks at its ends.
        return value.encode("ascii", "replace").decode().replace("\0", "?").strip()
    unit = 1_000_000 if field == "exposure_us" else 1
    return _ratios(np.ravel(value), field, unit, signed=field == "xyz_to_camera")


def _ratios(values: Iterable[float], field: str, unit: int, signed: bool) -> tuple[int, ...]:
    """`value / unit` as the nearest ratio of 32-bit integers; 0.1 is 1/10, not its binary float."""
    high = 2**31 - 1 if signed else 2**32 - 1
    low = -high if signed else 0
    ratios: list[int] = []
    for value in map(float, values):
        if not low <= value / unit <= high:
            raise ValueError(f"{field} has {value}; expected {low * unit} … {high * unit}")
        exact = Fraction(repr(value)) / unit
        ratios += exact.limit_denominator(int(high / max(abs(exact), Fraction(1)))).as_integer_ratio()
    return tuple(ratios)


def _parse(content: bytes) -> tuple[dict[str, Any], Counts]:
    """The mosaic, and under their names the tags of IFD0, of the mosaic's IFD and of Exif."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page, tags = next(((page, tags) for page, tags in raw_pages(file) if page.photometric == _CFA), (None, {}))
        if page is None:
            raise ValueError(f"PhotometricInterpretation is {file.pages.first.photometric}; expected {_CFA} (CFA)")
        exif = tags.get("ExifTag", {})
        if not isinstance(exif, dict):
            raise ValueError("truncated: ExifTag points behind the end; expected the whole Exif IFD")
        # By name: Exif has a CFAPattern of its own, laid out differently. Exif 2.3 renamed ISOSpeedRatings.
        names = {"ExposureTime", "ISOSpeedRatings", "PhotographicSensitivity", "RecommendedExposureIndex"}
        tags |= {name: exif[name] for name in names & exif.keys()}
        for name, only in _ONLY.items():
            if tags.get(name, only) != only:
                raise ValueError(f"{name} is {tags[name]}; expected {only}")
        if fault := misread(page, tags, len(content)):
            raise ValueError(fault)
        return tags, Counts(np.ascontiguousarray(page.asarray(), dtype=np.uint16))


def _decode(tags: dict[str, Any], counts: Counts, orientation: int) -> Raw:
    """The frame as the tags describe it, turned, and as the note does where a tag only rounds it."""
    stored = counts
    top, left, bottom, right = tags.get("ActiveArea", (0, 0, *stored.shape[:2]))
    counts = Counts(np.ascontiguousarray(stored[top:bottom, left:right]))
    if counts.ndim != 2 or counts.size == 0:
        raise ValueError(f"{' × '.join(map(str, counts.shape))} pixels; expected height × width")
    table = tuple(np.ravel(tags.get("LinearizationTable", ())).tolist())
    if table:
        counts = _linear(counts, table)
    shading, defects = _opcodes(tags, stored, top, left, counts.shape)
    cfa = next((cfa for cfa, pattern in _TILES.items() if pattern == tags.get("CFAPattern")), None)
    if cfa is None:
        raise ValueError(f"CFAPattern is {tags.get('CFAPattern')}; expected {', '.join(_TILES)}")
    iso, neutral = iso_of(tags), numbers(tags, "AsShotNeutral", 3)
    if min(neutral) <= 0:
        raise ValueError(f"AsShotNeutral is {neutral}; expected numbers above 0")
    fields: dict[str, Any] = {
        "black_level_dn": black_level(tags),
        "neutral": tuple(share / max(neutral) for share in neutral),
        "xyz_to_camera": xyz_to_camera(tags),
        "exposure_us": numbers(tags, "ExposureTime", 1)[0] * 1e6,
        "gain_db": 20 * math.log10(max(iso, 1) / _OTHERS_ISO_AT_0DB),
        **{field: tags.get(_NOTED[field], "") for field in ("make", "model", "serial")},
        **_noted(tags),
    }
    white = int(np.max(tags.get("WhiteLevel", 65535)))
    if not max(fields["black_level_dn"]) < white:
        raise ValueError(f"WhiteLevel is {white}; expected above BlackLevel, {fields['black_level_dn']}")
    if not math.isfinite(fields["gain_db"]):
        raise ValueError(f"ImageDescription notes gain_db = {fields['gain_db']}; expected a finite number")
    rises = all(before < after for before, after in pairwise(table))  # else no code can be told from its count
    fields |= {
        "iso": iso,
        "linearization": table if rises else (),
        "noise_profile": noise_profile(tags),
        "shading": shading,
        "defects": defects,
    }
    raw = Raw(counts, cfa, white_level_dn=white, **fields)
    return turned(raw, _FLIPS.get(orientation, 0))


def _opcodes(
    tags: dict[str, Any], stored: np.ndarray, top: int, left: int, shape: tuple[int, int]
) -> tuple[Shading | None, Defects]:
    """What the opcode lists say of the mosaic within ActiveArea."""
    first, second = (tags.get(name) for name in LISTS)
    for name, content in zip(LISTS, (first, second), strict=True):
        if content is not None and not isinstance(content, bytes):
            raise ValueError(f"{name} is {str(content)[:40]}; expected bytes")
    defects = defects_of(first, stored) if first else ()
    return shading_of(second, *shape) if second else None, defects_within(defects, top, left, *shape)


def _linear(codes: Counts, table: tuple[int, ...]) -> Counts:
    """Codes through LinearizationTable; those beyond its end are its last."""
    if len(table) < 2 or min(table) < 0 or max(table) > 65535:
        raise ValueError("LinearizationTable is damaged; expected 2 and more numbers from 0 to 65535")
    return Counts(np.array(table, np.uint16)[np.minimum(codes, len(table) - 1)])


def _noted(tags: dict[str, Any]) -> dict[str, Any]:
    """What `_encode` noted in ImageDescription, less what was edited in the tags since; `{}` if not ours."""
    description = tags.get("ImageDescription")
    if not isinstance(description, str) or not description.startswith(OURS):
        return {}
    try:
        note = json.loads(description)
        fields = {
            field: _tuples(note[field]) for field, tag in _NOTED.items() if _as_tag(field, note[field]) == tags.get(tag)
        }
        return fields | {"gain_db": float(note["gain_db"]), "provenance": dict(note["provenance"])}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"ImageDescription is damaged: {error!r}") from error


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
