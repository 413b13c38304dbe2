"""Settings of an ISP under test as a file: what the desk exports, a search starts from and a picture is made with.

isp: libraw
settings:
  noise_thr: 100
  gamma_power: 2.5
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import Field

from isp_sim.files import read_json, write_atomically
from isp_sim.rig import Finite, Model
from isp_sim.rigfile import load_yaml
from models.choices import PROGRAMS
from models.tuning.tunable import Setting, Settings, TunableParameter


class SettingsFile(Model):
    """One setting for each parameter of an ISP.

    Attributes:
        isp: as `models.tuning.loading.load_isp` takes it.
        settings: by the parameter's name.
        rig: how far the desk's rig was moved, which the desk alone reads: `rig.yaml` beside it is for the commands.
    """

    isp: str
    settings: dict[str, bool | int | Finite | str] = Field(min_length=1)
    rig: dict[str, Finite] = Field(default_factory=dict)


def checked(parameters: Sequence[TunableParameter], settings: Mapping[str, object], where: str) -> Settings:
    """Settings, each known, within its range, none missing.

    Args:
        parameters: of the ISP.
        settings: by name, from outside.
        where: they come from, for the sentence.

    Raises:
        ValueError: which parameter, its value and what was expected.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in sorted(settings.keys() ^ known.keys()):
        fault = "is missing" if name in known else f"is not a parameter; expected {', '.join(known)}"
        raise ValueError(f"{where}: settings: {name} {fault}")
    return {name: _checked(one, settings[name], where) for name, one in known.items()}


def _checked(parameter: TunableParameter, value: object, where: str) -> Setting:
    usual = isinstance(value, bool | int | float | str) and (
        bool(parameter.choices) or not isinstance(value, bool | str)
    )
    if not usual:
        raise ValueError(f"{where}: settings: {parameter.name}: is {value!r}, expected {parameter.domain}")
    assert isinstance(value, bool | int | float | str)
    try:
        parameter.share(value)
    except ValueError:
        message = f"{where}: settings: {parameter.name}: is {value!r}, expected {parameter.domain}"
        raise ValueError(message) from None
    if parameter.choices:
        return parameter.choices[parameter.choices.index(value)]
    return float(value)


def read_settings(path: Path, isp: str | None, parameters: Sequence[TunableParameter]) -> Settings:
    """Settings of one ISP.

    Args:
        path: of a `SettingsFile`.
        isp: whose; None: whoever the file names.
        parameters: of that ISP.

    Raises:
        ValueError: every fault of the file, or it is another ISP's.
    """
    file = load_settings(path)
    if isp is not None and file.isp != isp:
        raise ValueError(f"{path}: isp: is {file.isp!r}, expected {isp!r}")
    return checked(parameters, file.settings, str(path))


def load_settings(path: Path) -> SettingsFile:
    """The file, its settings not yet held against an ISP.

    Raises:
        ValueError: every fault of the file, or there is none.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return load_yaml(SettingsFile, path)


def named_isp(path: Path) -> str:
    """The ISP that a file's settings are for, if it comes with the package: other names can be any program's.

    Raises:
        ValueError: it does not, or see `load_settings`.
    """
    name = load_settings(path).isp
    if name not in ("libraw", "pipeline", *PROGRAMS):
        raise ValueError(f"{path}: isp: names {name}, which can run any program; add --isp {name} if you mean it")
    return name


def write_settings(path: Path, isp: str, settings: Settings, rig: Mapping[str, float]) -> None:
    """Write a `SettingsFile`."""
    document = {"isp": isp, "settings": settings} | ({"rig": dict(rig)} if rig else {})
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())


def found_settings(path: Path, isp: str, parameters: Sequence[TunableParameter]) -> dict[str, Settings]:
    """Named settings: those of one `SettingsFile`, or all that a search's `settings.json` holds.

    Raises:
        ValueError: neither, or of another ISP.
    """
    if path.suffix != ".json":
        return {path.stem: read_settings(path, isp, parameters)}
    found = {}
    for name, line in read_json(path).items():
        settings = line.get("settings") if isinstance(line, dict) else None
        if not isinstance(settings, dict):
            raise ValueError(f"{path}: {name}: is {json.dumps(line)[:40]}, expected a search's settings.json")
        if settings:
            found[name] = checked(parameters, settings, f"{path}: {name}")
    return found
