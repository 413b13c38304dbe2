"""Exposure by what the camera itself shows: a controller that asks for the next frames' exposure and gain.

A frame n taken with the light sum `s_n = exposure · 10^(gain/20)` shows that `a_n · s_n` would bring its picture to the
meter's target. What is asked after it holds from frame `n + delay` on:

    ln s_{n+delay} = ln s_n + speed · ln a_n

s_n is what the frame had, not what was asked last: frames in between never count twice, and nothing overshoots. Where
nothing clips and speed is 1, frame `n + delay` is right.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import torch.nn.functional as F

from isp_sim.camera import SimulatedArm
from isp_sim.isp.demosaic import camera_rgb
from isp_sim.metering import at_target
from isp_sim.raw import Raw, normalise
from isp_sim.rig import AutoExposure
from isp_sim.schedule import Shot, at_ratio

BLOCK = 2
"""The meter looks at means over so many tiles each way: more would take edges for something between."""
CELLS = 30_000
"""So many of them, evenly, where there are more."""
FURTHEST_EV = 6.0
"""Least and most that one frame asks for."""


class Setting(NamedTuple):
    """Of the well-lit arm at a ratio of 1: exposure, whole µs, and gain, dB."""

    exposure_us: int
    gain_db: float

    def on(self, shot: Shot) -> Shot:
        """A frame of a sequence at this setting: the exposure shorter by the shot's ratio, the well-lit gain higher."""
        exposure_us, well_lit_gain_db = at_ratio(self.exposure_us, self.gain_db, shot.ratio)
        return replace(shot, exposure_us=exposure_us, well_lit_gain_db=well_lit_gain_db, low_light_gain_db=self.gain_db)


def exposure_factor(raw: Raw, arm: SimulatedArm) -> float:
    """By how much more light the arm's picture would have the 8-bit level that the rig's meter wants, within ±6 EV.

    Found by `isp_sim.metering.at_target` over means of tiles; what is clipped is taken for what it shows.
    """
    mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)
    tiles = F.pixel_unshuffle(mosaic, 2)
    means = F.avg_pool2d(tiles, min(BLOCK, *tiles.shape[2:]))
    stride = max(1, round(math.sqrt(means[0, 0].numel() / CELLS)))
    means = means[..., ::stride, ::stride]
    seen = camera_rgb(means, raw.cfa)
    return float(2 ** at_target(arm, lambda ev: seen * 2**ev, -FURTHEST_EV, FURTHEST_EV))


def setting_of(light_sum: float, rule: AutoExposure, most_gain_db: float) -> Setting:
    """Exposure and gain that make up a light sum: exposure first, as far as it may go, then gain.

    Under lamps that flicker an exposure of a period or more is a whole number of periods; gain makes up for the rest.

    Args:
        light_sum: µs at 0 dB.
        rule: its longest exposure, its flicker.
        most_gain_db: more is not asked for.
    """
    exposure = min(light_sum, rule.longest_us)
    if rule.flicker_hz is not None and exposure >= (period := 1e6 / rule.flicker_hz):
        exposure = math.floor(exposure / period + 1e-9) * period
    whole = max(1, round(exposure))
    gain_db = 20 * math.log10(max(light_sum / whole, 1.0))
    return Setting(whole, round(min(gain_db, most_gain_db), 2))


class ExposureControl:
    """The controller of one sequence.

    Args:
        rule: delay, speed, limits.
        arm: the metered one.
        start: setting of the first frames, until the first answer takes hold.
        most_gain_db: of a setting.
    """

    def __init__(self, rule: AutoExposure, arm: SimulatedArm, start: Setting, most_gain_db: float) -> None:
        self._rule, self._arm, self._most = rule, arm, most_gain_db
        self._asked = [start] * rule.delay_frames

    @property
    def setting(self) -> Setting:
        """The next frame's."""
        return self._asked[0]

    def look_at(self, raw: Raw) -> None:
        """Take the frame that had `setting` into account; the next one's setting takes its place."""
        had = raw.exposure_us * 10 ** (raw.gain_db / 20)
        factor = exposure_factor(raw, self._arm)
        self._asked = [*self._asked[1:], setting_of(had * factor**self._rule.speed, self._rule, self._most)]
