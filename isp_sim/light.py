"""What the scene's light does beyond the scene: its colour, and how bright it is while each row is exposed.

    light(t) = level(t) · (1 + d·cos(2π·f·t))

A row's exposure sees the mean of both factors over its own window: `1 + d·sinc(f·T)·cos(2π·f·(t + T/2))` of the
flicker, so nothing is left of it where T is a whole number of its periods. The level is taken to be constant within a
period.
"""

import numpy as np
from jaxtyping import Float32, Float64

from isp_sim import streams
from isp_sim.rig import Light
from isp_sim.transfer import D65_K, REC709_TO_XYZ
from isp_sim.units import Radiance


def coloured(radiance: Radiance, light: Light | None) -> Radiance:
    """Radiance under the light's colour: `colour_c · L_c`."""
    if light is None or light.colour is None:
        return radiance
    return Radiance(radiance * np.array(light.colour.value, np.float32))


def colour_temperature_k(light: Light | None) -> float:
    """Correlated colour temperature of the light, K: daylight's, or that of its colour by McCamy's cubic.

    `T = 449 n³ + 3525 n² + 6823.3 n + 5520.33`, `n = (x − 0.3320)/(0.1858 − y)` (McCamy, *Color Research & Application*
    17, 1992); a few kelvin from the truth on the Planckian locus, cut to 1000 … 40000.
    """
    if light is None or light.colour is None:
        return D65_K
    tristimulus = np.array(REC709_TO_XYZ) @ light.colour.value
    x, y = tristimulus[:2] / tristimulus.sum()
    n = (x - 0.3320) / (0.1858 - y)
    return float(np.clip(((449 * n + 3525) * n + 6823.3) * n + 5520.33, 1000, 40000))


def begins(light: Light | None, at_s: float | None, seed: int, scene: int, shot: int) -> float:
    """When a shot's exposure begins in the time of the light, s: anywhere in a period of the flicker.

    Args:
        light: the rig's.
        at_s: of a sequence's frame: so long after its first, whose moment is drawn; None: each shot's is.
        seed: of the run.
        scene: its number.
        shot: its number within the scene.
    """
    drawn = 0.0
    if light is not None and light.flicker is not None:
        stream = streams.generator(seed, scene, shot if at_s is None else 0, "flicker")
        drawn = float(stream.uniform(0, 1 / light.flicker.frequency_hz.value))
    return drawn + (at_s or 0.0)


def row_levels(
    light: Light, start_s: float, exposure_us: float, rows: int, row_time_us: float
) -> Float32[np.ndarray, " rows"]:
    """Mean light over each row's exposure, 1 where nothing changes.

    Args:
        light: the rig's.
        start_s: when the first row's exposure begins.
        exposure_us: how long each takes.
        rows: of the frame.
        row_time_us: from one row's beginning to the next one's.
    """
    begins = start_s + np.arange(rows) * (row_time_us * 1e-6)
    exposure_s = exposure_us * 1e-6
    seen = np.ones(rows)
    if light.level is not None:
        seen *= (_until(light, begins + exposure_s) - _until(light, begins)) / exposure_s
    if light.flicker is not None:
        frequency, depth = light.flicker.frequency_hz.value, light.flicker.depth.value
        wave = np.cos(2 * np.pi * frequency * (begins + exposure_s / 2))
        seen *= 1 + depth * np.sinc(frequency * exposure_s) * wave
    return seen.astype(np.float32)


def _until(light: Light, moments: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Integral of the level from its first moment, exact: it is made of straight lines."""
    assert light.level is not None
    times, shares = np.array(light.level.value, float).T
    steps = np.concatenate([[0.0], np.cumsum(np.diff(times) * (shares[1:] + shares[:-1]) / 2)])
    within = np.clip(moments, times[0], times[-1])
    place = np.clip(np.searchsorted(times, within, side="right") - 1, 0, len(times) - 1)
    since = within - times[place]
    inside = steps[place] + since * (shares[place] + np.interp(within, times, shares)) / 2
    return np.asarray(
        inside + np.minimum(moments - times[0], 0) * shares[0] + np.maximum(moments - times[-1], 0) * shares[-1]
    )
