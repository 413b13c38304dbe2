"""Tone: the opto-electronic conversion function of grey patches (ISO 14524), its inverse, and veiling glare."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from isp_sim.transfer import REC709_LUMA

Array = Float[np.ndarray, "..."]
STILL_RISES = 0.002
"""Share of a curve's range that it gains in an EV, at least, where it is not clipped."""


def luma(picture: Array) -> Array:
    """`Y = Σ w_c·c` with Rec. 709's weights, of an array whose last axis is R, G, B."""
    return np.asarray(picture @ np.array(REC709_LUMA))


@dataclass(frozen=True)
class ToneCurve:
    """What a picture makes of light, from grey patches: straight lines between them, rising throughout.

    Attributes:
        light: of the patches, 1 a perfect diffuser; rising.
        level: the picture's mean there, 1 is white.
    """

    light: Float[np.ndarray, " patches"]
    level: Float[np.ndarray, " patches"]

    @classmethod
    def of(cls, light: Array, level: Array) -> "ToneCurve":
        """The curve through patches in any order.

        A level that falls against a darker patch's (noise, clipping) is raised to it.

        Raises:
            ValueError: fewer than two patches, or two with the same light.
        """
        order = np.argsort(light)
        rising = np.asarray(light, float)[order]
        if len(rising) < 2 or not (np.diff(rising) > 0).all():
            raise ValueError(f"grey patches of light {rising.tolist()}: expected two or more that differ")
        return cls(rising, np.maximum.accumulate(np.asarray(level, float)[order]))

    @property
    def clips_at(self) -> float:
        """Light from which the level rises by no more than 0.2 % of its range an EV; infinite where it never stops."""
        gained = self.level[-1] - self.level
        least = STILL_RISES * (self.level[-1] - self.level[0])
        flat = gained <= least * np.log2(self.light[-1] / self.light)
        first = int(np.flatnonzero(flat)[0])
        return float(self.light[first]) if first < len(self.light) - 1 else float("inf")

    def linear(self, picture: Array) -> Array:
        """Levels → light; beyond the patches the outermost slopes go on, so that noise keeps its mean, as far as twice
        the lightest patch's light either way.

        Where the curve is flat, light is that of the flat's darker end; a curve that is flat all along shows no light.
        """
        keep = np.concatenate([[True], np.diff(self.level) > 0])
        light, level = self.light[keep], self.level[keep]
        if len(level) < 2:
            return np.zeros_like(picture)
        values = np.interp(picture, level, light)
        low = (light[1] - light[0]) / (level[1] - level[0])
        high = (light[-1] - light[-2]) / (level[-1] - level[-2])
        values += np.minimum(picture - level[0], 0) * low + np.maximum(picture - level[-1], 0) * high
        return np.asarray(values.clip(-2 * light[-1], 2 * light[-1]))


def veiling_glare(trap: float, surround: float) -> float:
    """Flare of a lamp or a white field: light seen in a black trap over that of the bright field (ISO 9358, integral
    method; ISO 18844), 0 without any.

    Args:
        trap: mean linear light of what sends none.
        surround: mean linear light of the field.

    Raises:
        ValueError: the field is black.
    """
    if surround <= 0:
        raise ValueError(f"the bright field has light {surround:g}: expected more than 0")
    return trap / surround
