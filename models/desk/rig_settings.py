"""What the desk moves at the rig: factors on the low-light arm's exposure, gain, filter, read noise, and on the light.

They hold the rest still: more light is more light, not a shorter exposure. A rig file has the light in its schedule,
since the meter is content with the well-lit arm at a shot's base: `rig_with` puts it there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from isp_sim.isp.params import ParamSpec
from isp_sim.rig import Mix, Rig, Sensor

SPECS = (
    ParamSpec("light", 1 / 64, 64.0, 1.0, "log", "×", "on the scene"),
    ParamSpec("exposure", 1 / 16, 16.0, 1.0, "log", "×", "exposure time of the low-light arm"),
    ParamSpec("gain", -12.0, 24.0, 0.0, "linear", "dB", "analogue gain added, kept between 0 and the sensor's maximum"),
    ParamSpec("filter", 1 / 16, 64.0, 1.0, "log", "×", "transmittance of the ND filter, at most 1 in all"),
    ParamSpec("read_noise", 1 / 16, 16.0, 1.0, "log", "×", "standard deviation of the read noise"),
)
LEAST_RATIO = 1 - 1e-9
"""A schedule's shots are never exposed longer than their base; rounding apart."""


@dataclass(frozen=True)
class RigSettings:
    """Each of `SPECS`, 1 or 0 dB being the rig as it is."""

    light: float = 1.0
    exposure: float = 1.0
    gain: float = 0.0
    filter: float = 1.0
    read_noise: float = 1.0

    @property
    def moved(self) -> bool:
        """Whether anything differs from the rig as it is."""
        return self != AS_IT_IS

    @property
    def named(self) -> dict[str, float]:
        """Those that differ from the rig as it is."""
        return {name: value for name, value in vars(self).items() if value != getattr(AS_IT_IS, name)}


AS_IT_IS = RigSettings()
"""Nothing is moved."""


def rig_settings(values: Mapping[str, object]) -> RigSettings:
    """Settings from outside; those that are not named are as the rig is.

    Raises:
        ValueError: an unknown name, or a value out of its range.
    """
    known = {spec.name: spec for spec in SPECS}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"rig: {name}: expected one of {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"rig: {name}: is {value!r}, expected a number")
        try:
            known[name].check(torch.tensor([[float(value)]], dtype=torch.float64))
        except ValueError:
            spec = known[name]
            raise ValueError(f"rig: {name}: is {value!r}, expected {spec.low:g} … {spec.high:g} {spec.unit}") from None
    return RigSettings(**{name: float(value) for name, value in values.items()})  # type: ignore[arg-type]


def filter_factor(rig: Rig, settings: RigSettings) -> float:
    """The filter's factor, as far as nothing comes to more than 1."""
    filter_ = rig.nd_filter
    most = max(*filter_.transmittance.value, filter_.near_infrared_transmittance.value)
    return min(settings.filter, 1 / most)


def gain_db(rig: Rig, base_gain_db: float, settings: RigSettings) -> float:
    """The low-light arm's gain, within the sensor's."""
    return min(max(base_gain_db + settings.gain, 0.0), rig.sensor.max_gain_db.value)


def sensor_with(sensor: Sensor, settings: RigSettings) -> Sensor:
    """The sensor with another read noise: `ln σ` moved by the factor's logarithm in every segment."""
    if settings.read_noise == 1:
        return sensor
    by = math.log(settings.read_noise)
    segments = tuple(
        one.model_copy(update={"ln_sigma_intercept": one.ln_sigma_intercept + by}) for one in sensor.read_noise.value
    )
    figure = sensor.read_noise.model_copy(update={"value": segments, **_said("read noise", settings.read_noise)})
    return sensor.model_copy(update={"read_noise": figure})


def rig_with(rig: Rig, settings: RigSettings) -> tuple[Rig, int]:
    """A rig that shoots what the desk shows, and how many shots of the schedule it had to leave out.

    With light L, exposure f and gain by g dB a base (e, G) of ratio r becomes
    `e' = e·10^((G − G')/20)/L`, `G' = G + g`, `r' = r·e'/(e·f)`: the meter then finds L times the light, and the shot's
    exposure is `e'/r' = f·e/r`. Where r' < 1, the shot would be longer than the base at which the well-lit arm is
    content, which no schedule has; where r' is large, the well-lit arm's gain would exceed the sensor's.

    Raises:
        ValueError: no shot is left.
    """
    document = rig.model_dump(mode="json")
    document["name"] = f"{rig.name}-desk"
    document["sensor"] = sensor_with(rig.sensor, settings).model_dump(mode="json")
    factor, left_out = filter_factor(rig, settings), 0
    if factor != 1:
        said, near = _said("transmittance", factor), rig.nd_filter.near_infrared_transmittance.value
        document["nd_filter"] = {
            "transmittance": {"value": [min(t * factor, 1.0) for t in rig.nd_filter.transmittance.value], **said},
            "near_infrared_transmittance": {"value": min(near * factor, 1.0), **said},
        }
    if (settings.light, settings.exposure, settings.gain) != (1, 1, 0):
        all_mixes = rig.schedule.mixes.value
        moved = [_moved(rig, mix, *base, settings) for mix in all_mixes for base in mix.bases]
        mixes = [mix for mix in moved if mix is not None]
        left_out = sum(len(mix.ratios) * len(mix.bases) for mix in all_mixes) - sum(len(mix.ratios) for mix in mixes)
        if not mixes:
            raise ValueError(
                "rig: light, exposure and gain together expose every shot beyond the base at which the well-lit arm is "
                "metered, which a rig's schedule cannot say; brighten with the filter instead"
            )
        words = f"{settings.light:g} × the light, {settings.exposure:g} × the exposure, {settings.gain:+g} dB"
        values = [mix.model_dump(mode="json") for mix in mixes]
        document["schedule"]["mixes"] = {"value": values, "status": "assumed", "source": f"set at the desk: {words}"}
    return Rig.model_validate(document), left_out


def _moved(rig: Rig, mix: Mix, exposure_us: float, base_db: float, settings: RigSettings) -> Mix | None:
    """A base of a mix, moved, with the ratios that a schedule can say; None without any."""
    gain = gain_db(rig, base_db, settings)
    base_us = exposure_us * 10 ** ((base_db - gain) / 20) / settings.light
    most = 10 ** ((rig.sensor.max_gain_db.value - gain) / 20)
    ratios = [ratio * base_us / (exposure_us * settings.exposure) for ratio in mix.ratios]
    kept = tuple(max(ratio, 1.0) for ratio in ratios if LEAST_RATIO <= ratio <= most)
    return Mix(name=mix.name, ratios=kept, bases=((base_us, gain),)) if kept else None


def _said(what: str, factor: float) -> dict[str, str]:
    return {"status": "assumed", "source": f"set at the desk: {factor:g} × the {what} of the rig it came from"}
