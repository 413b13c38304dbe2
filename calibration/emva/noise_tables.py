"""Published tables of noise against gain, as ELD and PMN print them → noise segments of a sensor file.

All in 14-bit DN after black subtraction, K in DN/e⁻, logarithms natural. Both publish two laws for the read noise.
Tukey-λ is taken (`G_scale`, `sigTL`: the law's scale), for its λ follows K; the Gaussian one (`g_scale`, `sigGs`:
a standard deviation) describes the same frames without their tails. Row noise (`R_scale`, `sigR`) is Gaussian.

Three readings of the tables are this file's own:

- ELD's λ and colour biases state no gain. They come in pairs, 9 or 8 of them. Read as two frames for each doubling
  of ISO from Kmin up, the A7S2's λ stay 0.02 to 0.06 below PMN's through all seven octaves, plateau at ISO 1600 to
  3200 included. So that is the grid; what lies above Kmax is left out.
- PMN's K is exactly proportional to ISO, down to ISO 50. But in DN the noise at ISO 50, 64 and 80 is that of ISO 100,
  125 and 160, within 8 %: the native range begins at 100, below it the camera only meters differently. Left out.
- PMN's read noise falls by two thirds between ISO 1600 and 2000, row noise with it: there the A7S2 changes its
  conversion gain. One line on either side.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from isp_sim.field_errors import FieldError
from isp_sim.rigfile import load_yaml

NATIVE_ISO = 100
"""Sony, ILCE-7SM2 specification: ISO 100 to 102400, expandable down to 50."""
STEP_ISO = 2000
"""The first ISO of PMN's table at which the A7S2 converts with the higher gain."""
OCTAVE = math.log(2)

Segment = dict[str, float | list[list[float]]]
"""A `isp_sim.rig.NoiseSegment` as written in YAML."""


class Numbers(BaseModel):
    """Part of the tables: finite numbers."""

    model_config = ConfigDict(allow_inf_nan=False)


class Line(Numbers):
    """ELD: `ln σ = slope · ln K + bias + N(0, sigma)`."""

    slope: float
    bias: float
    sigma: float

    def segment(self) -> Segment:
        """The line in the rig's words."""
        return {"ln_sigma_slope": self.slope, "ln_sigma_intercept": self.bias, "ln_sigma_spread": self.sigma}


class Profile(Numbers):
    """ELD's lines of one calibration: scale of the Tukey-λ read noise, σ of the row noise."""

    read: Line = Field(alias="G_scale")
    row: Line = Field(alias="R_scale")


class EldCamera(Numbers):
    """One camera of ELD."""

    k_min: float = Field(alias="Kmin", gt=0)
    k_max: float = Field(alias="Kmax", gt=0)
    shapes: list[float] = Field(alias="lambda", min_length=2)
    color_bias: list[tuple[float, float, float, float]] = Field(min_length=1)
    profile_1: Profile = Field(alias="Profile-1")
    profile_2: Profile | None = Field(alias="Profile-2", default=None)

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.shapes) % 2:
            raise FieldError(f"lambda holds {len(self.shapes)} numbers: they must come in pairs", "lambda")
        return self

    def shapes_over_gain(self) -> list[list[float]]:
        """`[[ln K, λ], …]`: the mean of each pair, an octave apart from Kmin up to Kmax."""
        means = np.reshape(self.shapes, (-1, 2)).mean(axis=1)
        ln_k = math.log(self.k_min) + OCTAVE * np.arange(len(means))
        within = ln_k < math.log(self.k_max) + OCTAVE / 2
        return [[float(k), float(shape)] for k, shape in zip(ln_k[within], means[within], strict=True)]


class PmnRow(Numbers):
    """One ISO of PMN's table."""

    k: float = Field(alias="Kmax", gt=0)
    shape: float = Field(alias="lam")
    read: float = Field(alias="sigTL", gt=0)
    row: float = Field(alias="sigR", gt=0)
    black_dn: int = Field(alias="bl")
    bias_dn: float = Field(alias="bias")


class NoiseTables(BaseModel):
    """The JSON: ELD's cameras by name, PMN's A7S2 by ISO."""

    eld: dict[str, EldCamera] = Field(alias="ELD")
    a7s2: dict[int, PmnRow] = Field(alias="PMN_SonyA7S2_per_iso")

    @model_validator(mode="after")
    def _both_sides_of_the_step(self) -> Self:
        above = sum(iso >= STEP_ISO for iso in self.a7s2)
        below = sum(NATIVE_ISO <= iso < STEP_ISO for iso in self.a7s2)
        if min(above, below) < 2:
            sentence = f"PMN_SonyA7S2_per_iso needs two ISO from {NATIVE_ISO} and two from {STEP_ISO} up"
            raise FieldError(sentence, "PMN_SonyA7S2_per_iso")
        return self

    def native(self) -> dict[int, PmnRow]:
        """The A7S2's table from its native ISO up, in order."""
        return {iso: row for iso, row in sorted(self.a7s2.items()) if iso >= NATIVE_ISO}


def read_tables(path: Path) -> NoiseTables:
    """Read the JSON of noise parameters, which is YAML too.

    Raises:
        ValueError: a field is missing or not a number; names file, line and field.
    """
    return load_yaml(NoiseTables, path)


def two_lines(rows: dict[int, PmnRow], sigma: Callable[[PmnRow], float], shaped: bool) -> list[Segment]:
    """Least squares of ln σ over ln K below `STEP_ISO` and from there on.

    Args:
        rows: a table by ISO.
        sigma: which σ of a row, DN.
        shaped: with the row's λ.

    Returns:
        two segments; the spread is the standard deviation of the residuals.
    """
    segments = []
    for start, stop in pairwise((0, STEP_ISO, math.inf)):
        part = [row for iso, row in rows.items() if start <= iso < stop]
        ln_k, ln_sigma = np.log([row.k for row in part]), np.log([sigma(row) for row in part])
        slope, intercept = np.polyfit(ln_k, ln_sigma, 1).tolist()
        spread = float(np.std(ln_sigma - slope * ln_k - intercept))
        segment: Segment = {"from_k_dn_per_e": part[0].k} if start else {}
        segment |= Line(slope=slope, bias=intercept, sigma=spread).segment()
        if shaped:
            segment["tukey_lambda"] = [[math.log(row.k), row.shape] for row in part]
        segments.append(segment)
    return segments
