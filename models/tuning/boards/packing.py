"""A mosaic as a camera's bus carries it: MIPI CSI-2's RAW10 and RAW12 packed, or 16 bits a pixel.

The bytes are those of the MIPI Alliance's *Specification for Camera Serial Interface 2*, data formats RAW10 and RAW12:
the eight highest bits of a group's pixels, then their lowest bits in one byte, the first pixel's lowest. A row whose
width fills no whole group ends with pixels of 0. 16 bits are little-endian.
"""

from dataclasses import replace

import numpy as np

from isp_sim.raw import Raw
from isp_sim.units import Counts

GROUPS = {10: 4, 12: 2, 16: 1}
"""Pixels of a group, by bits; its bytes are bits · pixels / 8."""


def packed_size(height: int, width: int, bits: int) -> int:
    """Bytes of a packed mosaic."""
    pixels = GROUPS[bits]
    return height * -(-width // pixels) * (pixels * bits // 8)


def pack(counts: Counts, bits: int) -> bytes:
    """A mosaic as bytes.

    Args:
        counts: uint16 `(height, width)`, below 2^bits.
        bits: 10, 12 or 16.

    Raises:
        ValueError: a count needs more bits.
    """
    if counts.size and int(counts.max()) >= 1 << bits:
        raise ValueError(f"counts reach {counts.max()} DN; expected less than {1 << bits} for {bits} bits")
    if bits == 16:
        return counts.astype("<u2").tobytes()
    pixels, lowest = GROUPS[bits], bits - 8
    padded = np.pad(counts, ((0, 0), (0, -counts.shape[1] % pixels)))
    groups = padded.reshape(len(padded), -1, pixels)
    shifts = lowest * np.arange(pixels, dtype=np.uint16)
    last = ((groups & ((1 << lowest) - 1)) << shifts).sum(axis=2, dtype=np.uint16)
    return np.concatenate([groups >> lowest, last[..., None]], axis=2).astype(np.uint8).tobytes()


def unpack(data: bytes, height: int, width: int, bits: int) -> Counts:
    """Inverse of `pack`.

    Raises:
        ValueError: another number of bytes than such a mosaic has.
    """
    expected = packed_size(height, width, bits)
    if len(data) != expected:
        raise ValueError(f"{len(data)} bytes; expected {expected} for {width}×{height} pixels of {bits} bits")
    if bits == 16:
        return Counts(np.frombuffer(data, "<u2").reshape(height, width).astype(np.uint16))
    pixels, lowest = GROUPS[bits], bits - 8
    groups = np.frombuffer(data, np.uint8).reshape(height, -1, pixels + 1).astype(np.uint16)
    shifts = lowest * np.arange(pixels, dtype=np.uint16)
    counts = groups[..., :-1] << lowest | groups[..., -1:] >> shifts & ((1 << lowest) - 1)
    return Counts(np.ascontiguousarray(counts.reshape(height, -1)[:, :width]))


def shifted(raw: Raw, by: int) -> Raw:
    """A raw in more bits, or in fewer, where its lowest are lost; black and white follow.

    Args:
        raw: any.
        by: bits that are added, below 0 taken away.
    """
    black = [level * 2.0**by for level in raw.black_level_dn]
    up, down = max(by, 0), max(-by, 0)
    return replace(
        raw,
        counts=Counts(raw.counts >> down << up),
        black_level_dn=(black[0], black[1], black[2], black[3]),
        white_level_dn=raw.white_level_dn >> down << up,
    )
