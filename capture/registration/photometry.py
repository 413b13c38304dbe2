"""How the arms' light compares: per-channel gain and offset, and the share of light the low-light arm gets."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.special import ndtr

from capture.registration import register
from capture.registration.geometry import Alignment
from capture.registration.observation import Observation
from isp_sim import optics
from isp_sim.raw import Raw
from isp_sim.rig import Rig

Linear = Float32[np.ndarray, "height width 3"]
"""Linear Rec. 709, white 1."""

BRIGHT = 0.95
"""Linear well-lit values beyond this share of white are left out: they may be cut."""

KEPT = 0.7
"""Least share of slope and of counts that a cut at zero may leave for light to be measured: below it, black decides."""

SIGNIFICANT = 3.0
"""Standard errors a slope must lie off."""


@dataclass(frozen=True)
class Black:
    """What a raw's own tags do not state of its black.

    Attributes:
        white_dn: of one pixel; frames whose white is n² of it sum n×n pixels, each cut at zero on its own.
        bias_dn: how far a pixel's true black lies above the level of its tags, DN.
    """

    white_dn: int = 65535
    bias_dn: float = 0.0


@dataclass(frozen=True)
class Share:
    """The low-light arm's share of the well-lit arm's light, as a pair shows it.

    Attributes:
        slope: low-light counts over well-lit counts for equal gains and times; a cut at zero makes it too small.
        sigma: its standard error.
        kept: what the cut leaves of the slope at the rig's share; 1: nothing is cut.
        uncut: share of counts above the floor.
    """

    slope: float
    sigma: float
    kept: float
    uncut: float

    @property
    def value(self) -> float | None:
        """The share; None: too little light to measure it."""
        measured = self._cut_is_known and self.slope > SIGNIFICANT * self.sigma
        return self.slope / self.kept if measured else None

    @property
    def _cut_is_known(self) -> bool:
        return min(self.kept, self.uncut) > KEPT

    def refutes(self, expected: float, factor: float) -> bool:
        """The share is significantly off by that factor: too small only where the cut is known, too large even so."""
        most = (self.slope + SIGNIFICANT * self.sigma) / self.kept if self._cut_is_known else np.inf
        return most < expected / factor or self.slope - SIGNIFICANT * self.sigma > expected * factor


@dataclass(frozen=True)
class Match:
    """Per channel `well ≈ gain·low + offset`, linear light.

    Attributes:
        gain, offset: R, G, B.
    """

    gain: tuple[float, float, float]
    offset: tuple[float, float, float]

    def tint(self, image: Linear) -> Linear:
        """The low-light image without its colour cast: each channel's gain relative to green's; it stays dark."""
        gain, offset = np.array(self.gain, np.float32), np.array(self.offset, np.float32)
        return np.asarray((image * gain + offset) / gain[1])

    def level(self, image: Linear) -> Linear:
        """The low-light image at the well-lit arm's level."""
        return np.asarray(image * np.array(self.gain, np.float32) + np.array(self.offset, np.float32))


def match(well: Linear, low: Linear) -> Match:
    """Gain and offset of an aligned pair: low regressed on well, whose noise is the smaller, then turned round.

    `low = a·well + c` by least squares, so gain = 1/a and offset = −c/a.

    Raises:
        ValueError: a channel of the low-light arm does not follow the well-lit one.
    """
    fits = [_line(well[..., c], low[..., c]) for c in range(3)]
    if any(a <= 0 for a, _ in fits):
        raise ValueError("the low-light arm's light does not rise with the well-lit arm's")
    gain, offset = zip(*((1 / a, -c / a) for a, c in fits), strict=True)
    return Match(gain, offset)


def _line(well: np.ndarray, low: np.ndarray) -> tuple[float, float]:
    good = (well < BRIGHT) & np.isfinite(low)
    x, y = well[good].astype(np.float64), low[good].astype(np.float64)
    a = float(np.cov(x, y)[0, 1] / max(float(x.var(ddof=1)), 1e-30))
    return a, float(y.mean() - a * x.mean())


def measured_share(
    observation: Observation, dark: Raw, alignment: Alignment, per_light: float, expected: float, black: Black
) -> Share:
    """The low-light arm's share of the well-lit arm's light.

    Tiles of the low-light mosaic are regressed on the well-lit light they see, over its brighter half. The same
    regression of what a raw cut at zero would show of the expected light, `E[max(0, N(black + light, σ²))]` with the
    σ of the frame's noise profile, shows how much of the slope the cut leaves. The share of counts above the floor
    is given besides: the rig's black may not be the camera's.

    Args:
        observation: a pair of raws.
        dark: the low-light one.
        alignment: of its session.
        per_light: low-light over well-lit counts for equal light: both gains and times.
        expected: the rig's share.
        black: of the low-light arm.
    """
    level = observation.level(2)
    seen = register.sample(level, alignment).value
    good = np.isfinite(seen)
    good &= (seen > np.median(seen[good])) & (seen < BRIGHT)
    height, width = level.dark.shape
    tiles = observation.dark[: 2 * height, : 2 * width].reshape(height, 2, width, 2).swapaxes(1, 2)[good]
    well, low = seen[good].astype(np.float64), level.dark[good].astype(np.float64)
    rise, offset = _line(well, low)
    sigma = float(np.sqrt(np.mean((low - offset - rise * well) ** 2) / (len(well) * max(well.var(), 1e-30))))
    light = expected * per_light * well
    kept, _ = _line(light, _cut(light, dark, black))
    return Share(rise / per_light, sigma / per_light, kept, float((tiles > observation.dark.min()).mean()))


def _cut(light: np.ndarray, dark: Raw, black: Black) -> np.ndarray:
    """Mean count of pixels cut at zero each, `μ·Φ(μ/σ) + σ·φ(μ/σ)`, for light as a share of the range."""
    level = float(np.mean(dark.black_level_dn))
    summed = max(1.0, dark.white_level_dn / black.white_dn)
    mean = light + (level + summed * black.bias_dn) / (dark.white_level_dn - level)
    slope, floor = np.mean(dark.noise_profile or ((0.0, 0.0),), axis=0)
    sigma = np.sqrt(summed * (slope * light + floor)) + 1e-9  # of one of the pixels, in units of their sum
    z = mean / sigma
    return np.asarray(mean * ndtr(z) + sigma * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


def expected_share(rig: Rig) -> float:
    """The share a rig file gives the low-light arm: neutral light through both paths, green."""
    arms = [
        optics.arm_bands(arm, rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor)
        for arm in (rig.low_light, rig.well_lit)
    ]
    return float(arms[0][1].sum() / arms[1][1].sum())


def black_of(rig: Rig) -> Black:
    """What a rig file states of black beyond the level in the frames' tags."""
    return Black(rig.sensor.white_level_dn, float(np.mean(rig.sensor.black_bias_dn.value)))
