"""Fixed patterns that repeat along the rows or the columns of a mean dark: lines in the spectrum of its profile."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.emva.confidence import Array, Estimate, around
from calibration.emva.nonuniformity import Nonuniformity

FALSE_ALARM = 1e-4
"""Chance that a white profile is taken for a wave."""
TREND = 4
"""Order of the polynomial taken off a profile: glow and shading are no waves."""


@dataclass(frozen=True)
class FixedWave:
    """`amplitude · sin(2π·place/period + φ)`, the same in every frame.

    Attributes:
        along: `rows`: it goes down the image, whole rows are alike; `columns`: across it.
        amplitude_dn: DN.
        period: rows or columns.
    """

    along: Literal["rows", "columns"]
    amplitude_dn: Estimate
    period: Estimate


def fixed_waves(image: Array) -> tuple[FixedWave, ...]:
    """The strongest wave down and the strongest across a mean dark, where there is one.

    Args:
        image: `(height, width)`, DN, temporal noise averaged away as far as frames do.
    """
    middle = np.median(image)
    spread = 6 * 1.4826 * float(np.median(np.abs(image - middle))) + 1e-6
    calm = np.clip(image, middle - spread, middle + spread)  # a hot pixel is no row
    waves = (_wave("rows", calm.mean(axis=1)), _wave("columns", calm.mean(axis=0)))
    return tuple(wave for wave in waves if wave is not None)


def _wave(along: Literal["rows", "columns"], profile: Array) -> FixedWave | None:
    """The strongest line of a profile's power spectrum `|F|²/n`: a wave of amplitude A has `A²n/4`, above the floor."""
    count = len(profile)
    place = np.linspace(-1, 1, count)
    rest = profile - np.polynomial.Polynomial.fit(place, profile, TREND)(place)
    power = (np.abs(np.fft.rfft(rest)) ** 2 / count)[TREND:-1]
    if len(power) < 8:
        return None
    at = int(power.argmax())
    floor = float(np.median(power)) / math.log(2)  # of exponential powers, whose mean that is
    if power[at] <= floor * math.log(len(power) / FALSE_ALARM):
        return None
    amplitude = math.sqrt(4 * (float(power[at]) - floor) / count)
    period = count / (at + TREND)
    return FixedWave(
        along, around(amplitude, math.sqrt(2 * floor / count)), Estimate.within(period, 0.5 / count * period**2)
    )


def without_waves(dsnu_e: Nonuniformity, waves: tuple[FixedWave, ...], k: float) -> Nonuniformity:
    """DSNU whose rows and columns no longer hold the waves' `A²/2`, which are not white and not to be drawn as such."""
    taken: dict[str, float] = {wave.along: (wave.amplitude_dn.value / k) ** 2 / 2 for wave in waves}
    row, column = (one.squared().less(taken.get(along, 0.0)).root() for along, one in
                   (("rows", dsnu_e.row), ("columns", dsnu_e.column)))  # fmt: skip
    total = dsnu_e.total.squared().less(sum(taken.values())).root()
    return replace(dsnu_e, row=row, column=column, total=total)
