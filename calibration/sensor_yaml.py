"""What has been found of a sensor → the text of a sensor file, checked against the model that reads it."""

from pydantic import ValidationError

from calibration.emva.confidence import Estimate
from calibration.output import Document, yaml_text
from isp_sim.rig import Sensor

DIGITS = 6
"""Significant ones of a figure, where its interval does not ask for more."""


class Exact(float):
    """A number that is written with all the digits it has."""


def within(value: float, interval: Estimate) -> Exact:
    """A figure with as many digits, six or more, as keep it inside its own interval.

    Args:
        value: the interval's, or it in another unit.
        interval: of it.
    """
    scale = abs(value / interval.value) if interval.value else 1.0
    room = scale * max(0.0, min(interval.value - interval.low, interval.high - interval.value))
    digits = next((n for n in range(DIGITS, 17) if abs(float(f"{value:.{n}g}") - value) <= room), 17)
    return Exact(f"{value:.{digits}g}")


def sensor_yaml(document: Document) -> str:
    """A sensor file in the model's order, six significant digits.

    Raises:
        ValueError: a field is missing, unknown or out of range; names it.
    """
    ordered = {field: _rounded(document[field]) for field in Sensor.model_fields if field in document}
    try:
        Sensor.model_validate(ordered)
    except ValidationError as faults:
        messages = (f"{'.'.join(map(str, f['loc']))} = {f['input']!r}: {f['msg']}" for f in faults.errors())
        raise ValueError("\n".join(f"{document['name']}: {line}" for line in messages)) from None
    return yaml_text(ordered)


def _rounded(value: object) -> object:
    """Floats to six significant digits, everywhere within; `Exact` ones as they are."""
    if isinstance(value, float):
        return float(value) if isinstance(value, Exact) else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
