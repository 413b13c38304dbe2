"""What has been found of a sensor → the text of a sensor file, checked against the model that reads it."""

from pydantic import ValidationError

from calibration.output import Document, yaml_text
from isp_sim.rig import Sensor


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
    """Floats to six significant digits, everywhere within."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
