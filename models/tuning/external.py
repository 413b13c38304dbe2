"""Any program that develops a raw file, as an ISP under test: its command line and parameters in YAML.

    command: [dcraw_emu, -w, -W, -T, "-6", -n, "{noise}", -b, "{gain}", -Z, "{picture}", "{raw}"]
    picture: .tiff
    knobs:
      noise: {choices: [0, 100, 200, 400], default: 0, says: wavelet threshold}
      gain: {low: 0.25, high: 64, default: 1, scale: log}

A program that takes its settings from a file (darktable's XMP, RawTherapee's PP3) has that file's text as `template`
and gets its name as `{sidecar}`. A YAML file that lists `steps` is a pipeline of ours with other steps; one whose field
is `board` starts a board.
"""

import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float32
from pydantic import Field, model_validator

from isp_sim.field_errors import FieldError
from isp_sim.isp.pipeline import load_pipeline
from isp_sim.picture_files import read_unit
from isp_sim.rig import Model
from isp_sim.rigfile import load_yaml
from models.tuning.boards.client import BoardFile, BoardIsp
from models.tuning.pipeline import PipelineIsp
from models.tuning.tunable import BlackBoxIsp, ParameterEntry, Setting, TunableParameter

_PLACEHOLDER = re.compile(r"\{(\w+)(?::(d|f4|i4))?\}")
"""`{name}`; `{name:d}`: as a whole number; `{name:f4}`, `{name:i4}`: four bytes of a float or a whole number as hex,
least first, as darktable keeps its parameters."""
_FILES = ("raw", "picture", "sidecar", "folder")
"""Placeholders that are files, not parameters."""


class ExternalIsp(Model):
    """A program that reads `{raw}` and writes `{picture}`.

    Attributes:
        command: its words, started without a shell; `{raw}`, `{picture}` and each parameter's `{name}` are put in,
            `{sidecar}` for a file of settings, `{folder}` for a folder that stays between pictures.
        picture: ending of the file it writes, of 8 or 16 bits, as OpenCV reads it.
        template: text of the file of settings, with the parameters' placeholders.
        sidecar: ending of that file.
        least_bytes: a smaller raw is handed over as a copy with zeros behind it.
        timeout_s: it is stopped after.
        entries: what may be set, by name; `knobs` in the file.
    """

    command: tuple[str, ...] = Field(min_length=1)
    picture: str = Field(".tiff", pattern=r"^\.\w+$")
    template: str | None = None
    sidecar: str = Field(".txt", pattern=r"^\.\w+$")
    least_bytes: int = Field(0, ge=0)
    timeout_s: float = Field(60.0, gt=0, allow_inf_nan=False)
    entries: dict[str, ParameterEntry] = Field(alias="knobs", min_length=1)

    @model_validator(mode="after")
    def _placeholders_and_parameters_agree(self) -> Self:
        texts = [*self.command, self.template or ""]
        used = {found[1] for text in texts for found in _PLACEHOLDER.finditer(text)} - {"folder"}
        known = {"raw", "picture", *self.entries} | ({"sidecar"} if self.template is not None else set())
        for name in sorted(used ^ known):
            lacks = "is not among knobs" if name in used else "is missing from command and template"
            where = [field for field in ("template", "command") if f"{{{name}" in str(getattr(self, field))]
            sentence = f"{{{name}}} {lacks}; expected {{raw}}, {{picture}} and each of knobs there"
            raise FieldError(sentence, *where, ("knobs", name) if name in self.entries else "command")
        for name in set(_FILES) & self.entries.keys():
            raise FieldError(f"knobs: {name}: is a file's placeholder; expected another name", ("knobs", name))
        for name, entry in self.entries.items():
            try:
                entry.parameter(name)
            except ValueError as fault:
                raise FieldError(str(fault), ("knobs", name)) from None
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
            picture, sidecar = Path(folder) / f"picture{self.picture}", Path(folder) / f"settings{self.sidecar}"
            paths = (self._large_enough(raw, Path(folder)), picture, sidecar, self._kept.name)
            values = {**dict(zip(_FILES, map(str, paths), strict=True)), **settings}
            if self.template is not None:
                sidecar.write_text(filled(self.template, values), encoding="utf-8")
            self._run([filled(word, values) for word in self.command], raw)
            try:
                return read_unit(picture)
            except ValueError:
                raise ValueError(
                    f"{self.command[0]}: wrote no readable picture of 8 or 16 bits to {{picture}}, {picture.name}"
                ) from None

    @cached_property
    def _kept(self) -> tempfile.TemporaryDirectory[str]:
        """Of this process alone: darktable's first start takes seconds, and two of them would wait for a lock."""
        return tempfile.TemporaryDirectory()

    def _large_enough(self, raw: Path, folder: Path) -> Path:
        missing = self.least_bytes - raw.stat().st_size
        if missing <= 0:
            return raw.resolve()
        padded = folder / raw.name
        padded.write_bytes(raw.read_bytes() + bytes(missing))
        return padded

    def _run(self, words: Sequence[str], raw: Path) -> None:
        try:
            done = subprocess.run(words, capture_output=True, timeout=self.timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise OSError(f"{words[0]}: took longer than {self.timeout_s:g} s for {raw}") from None
        except OSError as fault:
            raise OSError(f"{words[0]}: cannot be started: {fault.strerror}") from None
        if done.returncode:
            output = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["no output"]
            raise OSError(f"{words[0]}: exit status {done.returncode} for {raw}: {output[-1]}")


def filled(text: str, values: Mapping[str, Setting]) -> str:
    """A text with its placeholders' values put in."""

    def value_of(found: re.Match[str]) -> str:
        value, kind = values[found[1]], found[2]
        if kind == "f4":
            return struct.pack("<f", float(value)).hex()
        if kind:
            whole = round(float(value))
            return str(whole) if kind == "d" else struct.pack("<i", whole).hex()
        return f"{value:g}" if isinstance(value, float) else str(value)

    return _PLACEHOLDER.sub(value_of, text)


def load_external(path: Path) -> BlackBoxIsp:
    """An external program, a board, or steps of our own pipeline, from YAML.

    Raises:
        ValueError: every fault of the file, each with path and line.
    """
    if not path.is_file():
        raise ValueError(f"--isp {path}: no such file")
    fields = re.findall(rb"^(steps|board):", path.read_bytes(), re.MULTILINE)
    if b"steps" in fields:
        return PipelineIsp(load_pipeline(path))
    if b"board" in fields:
        return BoardIsp(load_yaml(BoardFile, path), str(path))
    return load_yaml(ExternalIsp, path)
