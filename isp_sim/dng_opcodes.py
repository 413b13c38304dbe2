"""DNG's opcode lists: lens shading and defective pixels as other readers take and give them.

Of DNG 1.4 (Adobe, 2012, chapter 7): FixBadPixelsConstant and FixBadPixelsList in OpcodeList1, which belongs to the
mosaic as stored; GainMap in OpcodeList2, which belongs to linear light within ActiveArea. Big endian, whatever the
file's order. Other opcodes are passed over, as they are optional to a reader that does no lens correction.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from isp_sim.raw import Defects, Raw
from isp_sim.shading import Shading, Table, four_tables

_CONSTANT, _LIST, _GAIN_MAP = 4, 5, 9
_VERSION = bytes((1, 3, 0, 0))
_OPTIONAL = 1
_PHASES = {"RGGB": 0, "GRBG": 1, "GBRG": 2, "BGGR": 3}
"""BayerPhase, by the tile."""
_AREA = struct.Struct(">8I2I4dI")
"""Top, left, bottom, right, plane, planes, row and column pitch; nodes down and across, spacing, origin; map planes."""
MOST_NODES = 1 << 20
"""Of one map."""
MOST_DEFECTS = 1 / 2
"""Of the pixels: more are no list of defects."""
LISTS = ("OpcodeList1", "OpcodeList2")


class GainMap(NamedTuple):
    """One GainMap: a table, and the pixels that it counts for.

    Attributes:
        area: top, left, bottom, right.
        pitch: every so manieth row and column of them.
        origin, spacing: of the nodes, down and across, in shares of the image.
        table: rows of gains, of the first plane.
    """

    area: tuple[int, int, int, int]
    pitch: tuple[int, int]
    origin: tuple[float, float]
    spacing: tuple[float, float]
    table: Table


def opcode_lists(raw: Raw) -> dict[str, bytes]:
    """OpcodeList1 and OpcodeList2 of a frame, those that are not empty.

    Raises:
        ValueError: defects that the frame does not have, gains that are not finite and above 0.
    """
    lists, (height, width) = {}, raw.counts.shape
    for top, left, bottom, right in raw.defects:
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            expected = f"expected top, left, bottom, right within {height} × {width}"
            raise ValueError(f"defects has {(top, left, bottom, right)}; {expected}")
    if raw.shading is not None and not all(
        0 < gain < math.inf for table in raw.shading.gains for row in table for gain in row
    ):
        raise ValueError("shading has gains that are not finite and above 0; expected such")
    if raw.defects:
        lists["OpcodeList1"] = _list([(_LIST, _bad_pixels(raw.defects, raw.cfa))])
    if raw.shading is not None:
        lists["OpcodeList2"] = _list([(_GAIN_MAP, one) for one in _gain_maps(raw.shading, *raw.counts.shape)])
    return lists


def _list(opcodes: Sequence[tuple[int, bytes]]) -> bytes:
    heads = (struct.pack(">I4sII", number, _VERSION, _OPTIONAL, len(content)) for number, content in opcodes)
    parts = (head + content for head, (_, content) in zip(heads, opcodes, strict=True))
    return struct.pack(">I", len(opcodes)) + b"".join(parts)


def _bad_pixels(defects: Defects, cfa: str) -> bytes:
    """FixBadPixelsList: single pixels as points, others as rectangles."""
    points = [(top, left) for top, left, bottom, right in defects if (bottom - top, right - left) == (1, 1)]
    rectangles = [each for each in defects if (each[2] - each[0], each[3] - each[1]) != (1, 1)]
    numbers = [number for each in (*points, *rectangles) for number in each]
    return struct.pack(f">3I{len(numbers)}I", _PHASES[cfa], len(points), len(rectangles), *numbers)


def _gain_maps(shading: Shading, height: int, width: int) -> Iterator[bytes]:
    """GainMap of each pixel of the tile."""
    for place, table in enumerate(shading.gains):
        nodes = (len(table), len(table[0]))
        area = (place // 2, place % 2, height, width, 0, 1, 2, 2)
        gains = [gain for row in table for gain in row]
        yield _AREA.pack(*area, *nodes, *shading.spacing, *shading.origin, 1) + struct.pack(f">{len(gains)}f", *gains)


def opcodes_of(content: bytes, name: str) -> list[tuple[int, bytes]]:
    """Numbers and parameters of an opcode list.

    Args:
        content: of the tag.
        name: of the tag, for the sentence.

    Raises:
        ValueError: it ends before its opcodes do.
    """
    if len(content) < 4:
        raise ValueError(f"{name} has {len(content)} bytes; expected the number of its opcodes in 4")
    (count,), at, found = struct.unpack_from(">I", content), 4, []
    for number in range(count):
        if at + 16 > len(content):
            raise ValueError(f"{name} ends before opcode {number + 1} of {count}")
        opcode, _, _, size = struct.unpack_from(">I4sII", content, at)
        at += 16
        if at + size > len(content):
            raise ValueError(f"{name}: opcode {number + 1} has {len(content) - at} bytes; expected {size}")
        found.append((opcode, content[at : at + size]))
        at += size
    return found


def defects_of(content: bytes, counts: np.ndarray) -> Defects:
    """Defective pixels by an OpcodeList1, of the mosaic as stored.

    Raises:
        ValueError: an opcode is damaged, or lists pixels that the mosaic does not have, or too many.
    """
    defects: list[tuple[int, int, int, int]] = []
    for opcode, one in opcodes_of(content, "OpcodeList1"):
        if opcode == _LIST:
            defects += _listed(one, counts.shape)
        elif opcode == _CONSTANT:
            if len(one) != 8:
                raise ValueError(f"FixBadPixelsConstant has {len(one)} bytes; expected 8")
            (constant,) = struct.unpack_from(">I", one)
            rows, columns = np.nonzero(counts == constant)
            _not_too_many(len(rows), counts.size)
            defects += [(y, x, y + 1, x + 1) for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    return tuple(defects)


def _not_too_many(found: int, pixels: int) -> None:
    if found > MOST_DEFECTS * pixels:
        raise ValueError(f"OpcodeList1 lists {found} of {pixels} pixels as defective; expected half of them at most")


def _listed(one: bytes, shape: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Rectangles of a FixBadPixelsList."""
    points, rectangles = struct.unpack_from(">4x2I", one) if len(one) >= 12 else (0, 0)
    if len(one) != 12 + 8 * points + 16 * rectangles:
        raise ValueError(f"FixBadPixelsList has {len(one)} bytes; expected {points} points, {rectangles} rectangles")
    numbers = np.frombuffer(one, ">u4", offset=12).astype(np.int64)
    corners = numbers[: 2 * points].reshape(-1, 2)
    found = np.concatenate([np.hstack([corners, corners + 1]), numbers[2 * points :].reshape(-1, 4)])
    height, width = shape
    wrong = (found[:, :2] >= found[:, 2:]).any(axis=1) | (found[:, 2] > height) | (found[:, 3] > width)
    if wrong.any():
        what = f"{found[wrong][0].tolist()}; expected top, left, bottom, right within {height} × {width}"
        raise ValueError(f"FixBadPixelsList has {what}")
    _not_too_many(int(((found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])).sum()), height * width)
    return [(top, left, bottom, right) for top, left, bottom, right in found.tolist()]


def shading_of(content: bytes, height: int, width: int) -> Shading | None:
    """Lens shading by an OpcodeList2, of the mosaic within ActiveArea; None: it has no GainMap.

    Several maps for a pixel of the tile multiply.

    Raises:
        ValueError: a map is damaged, covers a part of the mosaic, or has another grid of nodes than the first.
    """
    maps = [gain_map(one) for opcode, one in opcodes_of(content, "OpcodeList2") if opcode == _GAIN_MAP]
    if not maps:
        return None
    first = maps[0]
    gains = [np.ones((len(first.table), len(first.table[0]))) for _ in range(4)]
    for one in maps:
        if (one.origin, one.spacing, np.shape(one.table)) != (first.origin, first.spacing, gains[0].shape):
            raise ValueError("GainMaps of several grids of nodes; expected one")
        for place in _places(one, height, width):
            gains[place] = gains[place] * np.array(one.table)
    return Shading(four_tables(gains), first.origin, first.spacing)


def _places(one: GainMap, height: int, width: int) -> list[int]:
    """Which pixels of the tile a map counts for."""
    top, left, bottom, right = one.area
    down, across = one.pitch
    # The last rows and columns may be left out where nothing of the map's places lies in them.
    whole = top < down <= 2 and left < across <= 2 and bottom > height - down and right > width - across
    if not whole or bottom > height or right > width or 0 in one.pitch:
        raise ValueError(f"GainMap covers {one.area} by {one.pitch}; expected the whole mosaic of {height} × {width}")
    rows, columns = ([0, 1] if pitch == 1 else [start] for pitch, start in ((down, top), (across, left)))
    return [2 * row + column for row in rows for column in columns]


def gain_map(one: bytes) -> GainMap:
    """A GainMap's parameters.

    Raises:
        ValueError: they are shorter or longer than they say, or hold no gains above 0.
    """
    if len(one) < _AREA.size:
        raise ValueError(f"GainMap has {len(one)} bytes; expected {_AREA.size} and its gains")
    top, left, bottom, right, _, _, row_pitch, column_pitch, *rest = _AREA.unpack_from(one)
    rows, columns, down, across, origin_down, origin_across, planes = rest
    if not (0 < rows * columns * planes <= MOST_NODES and len(one) == _AREA.size + 4 * rows * columns * planes):
        raise ValueError(f"GainMap has {len(one)} bytes; expected {rows} × {columns} gains of {planes} plane(s)")
    # A single node has no spacing; what stands there is not read.
    spacing = (down if rows > 1 else 1.0, across if columns > 1 else 1.0)
    gains = np.frombuffer(one, ">f4", offset=_AREA.size).reshape(rows, columns, planes)[..., 0].astype(np.float64)
    origin = (origin_down, origin_across)
    if not all(map(math.isfinite, (*spacing, *origin))) or min(spacing) <= 0:
        raise ValueError(f"GainMap has nodes at {origin} and every {spacing}; expected finite numbers, spacing above 0")
    if not (np.isfinite(gains).all() and gains.min() > 0):
        raise ValueError("GainMap has gains that are 0, below, or no numbers; expected gains above 0")
    table = tuple(map(tuple, gains.tolist()))
    return GainMap((top, left, bottom, right), (row_pitch, column_pitch), origin, spacing, table)
