"""How the arms' light compares: per-channel gain and offset, and the share of light the low-light arm gets."""

from dataclasses import dataclass

import numpy as np

from capture import register
from capture.develop import Linear
from capture.geometry import Alignment
from capture.observation import Observation
from isp_sim import optics
from isp_sim.rig import Rig

BRIGHT = 0.95
"""Linear well-lit values beyond this share of white are left out: they may be cut."""

KEPT = 0.7
"""Share of a low-light raw's pixels above its floor from which its light can be measured."""


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


def measured_share(observation: Observation, alignment: Alignment, per_light: float) -> float | None:
    """The low-light arm's share of the well-lit arm's light.

    Tiles of the low-light mosaic are regressed on the well-lit light they see, over its brighter half. Where a raw is
    cut at zero, its mean rises with the light by the share of pixels that are not cut (the derivative of a rectified
    Gaussian's mean), so the slope is divided by that share.

    Args:
        observation: a pair of raws.
        alignment: of its session.
        per_light: low-light over well-lit counts for equal light: both gains and times.
    """
    level = observation.level(2)
    seen = register.sample(level, alignment).value
    good = np.isfinite(seen)
    good &= seen > np.median(seen[good])
    rise, _ = _line(seen[good], level.dark[good])
    height, width = level.dark.shape
    tiles = observation.dark[: 2 * height, : 2 * width].reshape(height, 2, width, 2).swapaxes(1, 2)[good]
    kept = float((tiles > observation.dark.min()).mean())
    return rise / kept / per_light if kept > KEPT else None


def expected_share(rig: Rig) -> float:
    """The share a rig file gives the low-light arm: neutral light through both paths, green."""
    arms = [
        optics.arm_bands(arm, rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor)
        for arm in (rig.low_light, rig.well_lit)
    ]
    return float(arms[0][1].sum() / arms[1][1].sum())
