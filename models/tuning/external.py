"""Any program that develops a raw file, as an ISP under test: its command line and parameters in YAML.

    command: [dcraw_emu, -w, -W, -T, "-6", -n, "{noise}", -b, "{gain}", -Z, "{picture}", "{raw}"]
    picture: .tiff
    knobs:
      noise: {choices: [0, 100, 200, 400], default: 0, says: wavelet threshold}
      gain: {low: 0.25, high: 64, default: 1, scale: log}

A YAML file that lists `steps` is a pipeline of ours with other steps.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
from jaxtyping import Float32
from pydantic import Field, model_validator

from isp_sim.isp.params import ParamSpec
from isp_sim.isp.pipeline import load_pipeline
from isp_sim.picture_files import read_unit
from isp_sim.rig import Finite, Model
from isp_sim.rigfile import load_yaml
from models.tuning.pipeline import PipelineIsp
from models.tuning.tunable import BlackBoxIsp, Setting, TunableParameter

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class ParameterEntry(Model):
    """One tunable parameter: `low`, `high` and `default` inside them, or `choices` and a `default` among them."""

    default: bool | int | Finite | str
    low: Finite | None = None
    high: Finite | None = None
    scale: Literal["log", "linear"] = "linear"
    choices: tuple[bool | int | Finite | str, ...] = ()
    unit: str = ""
    says: str = ""

    def parameter(self, name: str) -> TunableParameter:
        """The tunable parameter.

        Raises:
            ValueError: neither a range nor choices, or the default does not fit.
        """
        if self.choices and self.low is None and self.high is None:
            return TunableParameter.of_choices(name, self.choices, self.default, self.says)
        if self.choices or self.low is None or self.high is None or isinstance(self.default, str):
            raise ValueError(f"knobs: {name}: expected low, high and a number as default, or choices and one of them")
        return TunableParameter(
            ParamSpec(name, self.low, self.high, float(self.default), self.scale, self.unit, self.says)
        )


class ExternalIsp(Model):
    """A program that reads `{raw}` and writes `{picture}`.

    Attributes:
        command: its words, started without a shell; `{raw}`, `{picture}` and each parameter's `{name}` are put in.
        picture: ending of the file it writes, of 8 or 16 bits, as OpenCV reads it.
        timeout_s: it is stopped after.
        entries: what may be set, by name; `knobs` in the file.
    """

    command: tuple[str, ...] = Field(min_length=1)
    picture: str = Field(".tiff", pattern=r"^\.\w+$")
    timeout_s: float = Field(60.0, gt=0, allow_inf_nan=False)
    entries: dict[str, ParameterEntry] = Field(alias="knobs", min_length=1)

    @model_validator(mode="after")
    def _placeholders_and_parameters_agree(self) -> Self:
        used = {name for word in self.command for name in _PLACEHOLDER.findall(word)}
        known = {"raw", "picture", *self.entries}
        for name in sorted(used ^ known):
            fault = "is not among knobs" if name in used else "is missing from command"
            raise ValueError(f"{{{name}}} {fault}; expected {{raw}}, {{picture}} and each of knobs there")
        _ = self.parameters
        return self

    @cached_property
    def parameters(self) -> Sequence[TunableParameter]:
        """As the file lists them."""
        return tuple(entry.parameter(name) for name, entry in self.entries.items())

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """See `BlackBoxIsp`.

        Raises:
            ValueError: the program writes no picture that OpenCV reads.
            OSError: it cannot be started, fails, or takes too long.
        """
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / f"picture{self.picture}"
            values = {"raw": str(raw.resolve()), "picture": str(picture)}
            values |= {
                name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in settings.items()
            }
            words = [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in self.command]
            try:
                done = subprocess.run(words, capture_output=True, timeout=self.timeout_s, check=False)
            except subprocess.TimeoutExpired:
                raise OSError(f"{words[0]}: took longer than {self.timeout_s:g} s for {raw}") from None
            except OSError as fault:
                raise OSError(f"{words[0]}: cannot be started: {fault.strerror}") from None
            if done.returncode:
                output = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["no output"]
                raise OSError(f"{words[0]}: exit status {done.returncode} for {raw}: {output[-1]}")
            try:
                return read_unit(picture)
            except ValueError:
                raise ValueError(
                    f"{words[0]}: wrote no readable picture of 8 or 16 bits to {{picture}}, {picture.name}"
                ) from None


def load_external(path: Path) -> BlackBoxIsp:
    """An external program, or steps of our own pipeline, from YAML.

    Raises:
        ValueError: every fault of the file, each with path and line.
    """
    if not path.is_file():
        raise ValueError(f"--isp {path}: no such file")
    if re.search(rb"^steps:", path.read_bytes(), re.MULTILINE):
        return PipelineIsp(load_pipeline(path))
    return load_yaml(ExternalIsp, path)
