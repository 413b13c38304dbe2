"""The well-lit arm's meter: how much light a scene has."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from isp_sim import readout, sensor
from isp_sim.camera import SimulatedArm
from isp_sim.isp.develop import encode_srgb
from isp_sim.isp.operators import colour_matrix
from isp_sim.scenes import Scene
from isp_sim.schedule import Shot
from isp_sim.units import LinearRgb, Srgb

STRIDE_PX = 6
"""The meter looks at every sixth pixel each way."""
PHOTONS_PER_LX = 4.1e15
"""Photons each second on a square metre that one lux brings into one band: those of 1/683 W at 555 nm. As if a colour's
band were as wide as the eye's sensitivity (107 nm): assumed."""
WHITE_AT_FULL_SCALE = 0.5
"""An unmetered scene's white fills half the well-lit arm's range at the base exposure."""
TOLERANCE = 1e-4
"""Of the meter, in ln light."""


def meter(arm: SimulatedArm, scene: Scene, shot: Shot) -> float:
    """The scene's light: photons per µs of a perfect diffuser, before the splitter.

    The meter is content when the arm's noise-free picture has the rig's mean 8-bit level at the shot's base exposure
    and gain; found by bisection in ln light. A scene that is not metered gets the light at which white fills half the
    range, one whose lux are known what the lens makes of them (`photons_per_us`).

    Args:
        arm: the well-lit one, with the scene before it.
        scene: its name, and whether it is metered.
        shot: base exposure and gain.

    Raises:
        ValueError: a black scene, or one that cannot be brought to the target.
    """
    if scene.white_lx is not None:
        return photons_per_us(arm, scene.white_lx)
    base = at_base(arm, shot)
    if not scene.metered:
        return base.full
    planes = arm.sight[::STRIDE_PX, ::STRIDE_PX]
    seen = torch.from_numpy((planes * base.share).astype(np.float32)).permute(2, 0, 1)[None]
    try:
        return metered(arm, seen, base)
    except ValueError as fault:
        raise ValueError(f"{scene.name}: {fault}") from None


class Base(NamedTuple):
    """What an arm's range is at a shot's base exposure and gain, in shares of it.

    Attributes:
        share: what one photon per µs gives R, G and B.
        top: where wells or ADC end.
        bias: of black.
        full: photons per µs of a perfect diffuser at which white fills half the range.
    """

    share: Float64[np.ndarray, " 3"]
    top: float
    bias: float
    full: float


def at_base(arm: SimulatedArm, shot: Shot) -> Base:
    """The arm's range at a shot's base exposure and gain."""
    chip = sensor.numbers(arm.sensor, shot.base_exposure_us, arm.rig.temperature_c.value)
    k = readout.system_gain(arm.sensor, shot.base_gain_db)
    pixels = arm.binning**2
    range_dn = pixels * (arm.sensor.white_level_dn - arm.sensor.black_level_dn.value)
    share = np.array(chip.efficiency) * shot.base_exposure_us * k / range_dn
    bias = float(np.mean(arm.sensor.black_bias_dn.value)) * pixels / range_dn
    full = float(WHITE_AT_FULL_SCALE / (share * arm.view.bands.sum(axis=1)).max())
    return Base(share, min(1.0, pixels * chip.full_well_e * k / range_dn), bias, full)


def metered(arm: SimulatedArm, seen: torch.Tensor, base: Base) -> float:
    """Photons per µs of a perfect diffuser at which the noise-free picture has the rig's mean level.

    Args:
        arm: whose colours.
        seen: `(1, 3, height, width)`, share of the range for one photon per µs.
        base: see `at_base`.

    Raises:
        ValueError: there is no such light.
    """

    def exposed(ln_light: float) -> torch.Tensor:
        return (seen * math.exp(ln_light)).clamp_max(base.top) + base.bias

    low, high, target = math.log(base.full) - 14, math.log(base.full) + 14, arm.rig.meter_target.value
    if not level(arm, exposed(low)) < target < level(arm, exposed(high)):
        raise ValueError(f"no light brings the picture to a mean of {target}; is it all black, or holds it NaN?")
    return math.exp(at_target(arm, exposed, low, high))


def at_target(arm: SimulatedArm, exposed: Callable[[float], torch.Tensor], low: float, high: float) -> float:
    """Where from `low` to `high` a picture's level is the rig's, to 10⁻⁴, by bisection: `exposed` rises there."""
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        below = level(arm, exposed(middle)) < arm.rig.meter_target.value
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def photons_per_us(arm: SimulatedArm, lux: float) -> float:
    """Photons per µs on axis to a frame's pixel, before the splitter, of a perfect diffuser under so many lux:
    `E·A·n / (4 N²)`, E illuminance, A the pixel's area, n `PHOTONS_PER_LX`, N the f-number (far things, no loss).
    """
    pitch_m = arm.sensor.pixel_pitch_um.value * arm.binning * 1e-6
    return lux * pitch_m**2 * PHOTONS_PER_LX * 1e-6 / (4 * arm.rig.lens.f_number.value**2)


def level(arm: SimulatedArm, exposed: torch.Tensor) -> float:
    """Mean 8-bit level of a noise-free picture, see `noise_free`."""
    return 255 * float(noise_free(arm, exposed).mean())


def noise_free(arm: SimulatedArm, exposed: torch.Tensor) -> Srgb:
    """A noise-free picture from its camera RGB at every pixel: cut, balance, mix, encode.

    Args:
        arm: whose colours.
        exposed: `(1, 3, height, width)`, share of the range.
    """
    gains, matrix = (torch.from_numpy(a).to(exposed) for a in arm.colours)
    balanced = (exposed.clamp(0, 1) * gains[:, None, None]).clamp_max(1.0)
    return encode_srgb(colour_matrix(LinearRgb(balanced), matrix[None]))
