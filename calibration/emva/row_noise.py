"""Noise that rows or columns share, and waves across the rows, from differences of frames."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from calibration.emva.confidence import Array, Estimate, around, jackknifed, replicates
from calibration.emva.frame_statistics import SPECTRUM_FINENESS, Level

FALSE_ALARM = 1e-4
"""Chance that white row noise is taken for a wave."""


@dataclass(frozen=True)
class Rows:
    """Standard deviations, DN, and the power spectrum of a frame's row means, DN² a row (waves included)."""

    row_dn: Estimate
    column_dn: Estimate
    frequency: Array
    power: Array


@dataclass(frozen=True)
class Periodic:
    """Interference on the rows: amplitude · sin(2π·row/period + φ)."""

    amplitude_dn: Estimate
    period_rows: Estimate


def rows_of(level: Level) -> tuple[Rows, Periodic | None]:
    """Row, column and periodic noise of a setting's frames.

    The two phases of a row share its noise and nothing else: the mean product of their means is σ²_row. Likewise
    for columns.
    """
    scale = 2 * level.pairs
    frequency = np.arange(len(level.spectrum)) / (SPECTRUM_FINENESS * level.height)
    power = level.spectrum / (scale * level.height)
    wave = _wave(frequency, power, level)
    variance = replicates(level.row_products) / (scale * replicates(level.rows))
    if wave is not None:
        variance = variance - wave.amplitude_dn.value**2 / 2
    column = around(level.column_product / scale, math.sqrt(level.column_error2) / scale)
    return Rows(jackknifed(variance).root(), column.root(), frequency, power), wave


def _wave(frequency: Array, power: Array, level: Level) -> Periodic | None:
    """The strongest line of the spectrum if chance does not make one so strong.

    A wave of amplitude A raises the power of the differences' spectrum, a row, by `A²·height/4`; its phase is new in
    each frame, which lets that scatter by 1/√2 of itself a pair.
    """
    height, pairs = level.height, level.pairs
    inner = slice(2 * SPECTRUM_FINENESS, len(power) - 2)
    at = int(power[inner].argmax()) + 2 * SPECTRUM_FINENESS
    # Against what lies around it: slow drifts raise the low end of the spectrum and are no line.
    apart = np.abs(np.arange(len(power)) - at) / SPECTRUM_FINENESS
    around_it = (apart > 3) & (apart < 40) & (np.arange(len(power)) > 2 * SPECTRUM_FINENESS)
    floor = float(power[around_it].mean()) if around_it.any() else 0.0
    limit = float(stats.gamma.isf(FALSE_ALARM / (2 * height), pairs)) / pairs
    if floor <= 0 or power[at] < limit * floor:
        return None
    line = float(power[at]) - floor
    squared = 4 * line / height
    error = squared * math.sqrt((0.5 + 2 * floor / line + (floor / line) ** 2) / pairs)
    period = 1 / frequency[at]
    half = 0.5 / height * period**2
    return Periodic(around(squared, error).root(), Estimate.within(period, half))
