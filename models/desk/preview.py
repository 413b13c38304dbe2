"""Raws of half the size, for pictures that follow a slider."""

from dataclasses import replace

import numpy as np

from isp_sim.raw import Raw
from isp_sim.units import Counts

PREVIEW_PX = 1_000_000
"""A preview has at most so many pixels."""
TOP = 65535


def halved(raw: Raw) -> Raw:
    """Half as wide and high: the counts of 2×2 neighbours of one colour added up.

    So every ISP develops a preview as it does the whole, whatever it is. The sum has half the noise, as has a picture
    that is shown at half its size; a filter's window covers twice as much of it. Where four times the white level
    exceeds 16 bits, the counts are averaged.
    """
    height, width = (side // 4 * 4 for side in raw.counts.shape)
    counts = raw.counts[:height, :width]
    total = np.zeros((height // 2, width // 2), np.uint32)
    for row in range(2):
        for column in range(2):
            for down in (0, 2):
                for right in (0, 2):
                    total[row::2, column::2] += counts[row + down :: 4, column + right :: 4]
    gain = 4 if 4 * raw.white_level_dn <= TOP else 1
    if gain == 1:
        total = (total + 2) // 4
    black = raw.black_level_dn
    return replace(
        raw,
        counts=Counts(np.minimum(total, TOP).astype(np.uint16)),
        black_level_dn=(gain * black[0], gain * black[1], gain * black[2], gain * black[3]),
        white_level_dn=gain * raw.white_level_dn,
        noise_profile=tuple((scale / 4, offset / 4) for scale, offset in raw.noise_profile),
    )


def preview(raw: Raw) -> tuple[Raw, int]:
    """A raw of at most `PREVIEW_PX`, and by how much it was reduced each way, a power of two."""
    factor = 1
    while raw.counts.size > PREVIEW_PX:
        raw, factor = halved(raw), 2 * factor
    return raw, factor
