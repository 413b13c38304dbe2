"""Companding: a sensor sends codes of fewer bits, finer in the dark, and a table gives the linear counts back.

Straight pieces between knots `[code, linear]`; `table[code] = round(linear)` is DNG's LinearizationTable. A count goes
as the code whose table value is nearest: at most half a step off, and a step `Δ` adds `Δ²/12` to the variance.
"""

import numpy as np
from jaxtyping import UInt16

from isp_sim.units import Counts

Knots = tuple[tuple[int, int], ...]
Table = UInt16[np.ndarray, " codes"]


def checked_knots(knots: Knots) -> Knots:
    """The knots, if a table can have them.

    Raises:
        ValueError: they do not begin at [0, 0], do not rise, or leave 16 bits.
    """
    if len(knots) < 2 or knots[0] != (0, 0):
        raise ValueError(f"knots are {[list(one) for one in knots]}: expected [0, 0] first, and one more at least")
    if not (np.diff(knots, axis=0) > 0).all() or max(knots[-1]) > 65535:
        raise ValueError(f"knots are {[list(one) for one in knots]}: expected rising codes and counts up to 65535")
    if (np.diff(knots, axis=0) @ (1, -1) > 0).any():
        raise ValueError(f"knots are {[list(one) for one in knots]}: expected no piece with more codes than counts")
    return knots


def table_of(knots: Knots) -> Table:
    """Linear count of every code."""
    codes, linear = zip(*knots, strict=True)
    return np.asarray(np.round(np.interp(np.arange(codes[-1] + 1), codes, linear)).astype(np.uint16))


def codes_of(counts: Counts, table: Table) -> Counts:
    """The nearest code of every count; of two as near the larger."""
    middles = (table[:-1].astype(np.uint32) + table[1:] + 1) // 2
    every = np.searchsorted(middles, np.arange(int(counts.max(initial=0)) + 1), side="right")
    return Counts(every.astype(np.uint16)[counts])


def companded(counts: Counts, table: Table) -> Counts:
    """Counts as they come back: through the nearest code."""
    return Counts(table[codes_of(counts, table)])
