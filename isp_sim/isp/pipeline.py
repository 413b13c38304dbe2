"""Steps of the ISP in any order, controlled by one vector an image: what a predictor steers and a search searches.

A file lists them, each with its settings if they are not the usual ones:

    steps:
      - exposure
      - gamma: {per_channel: true}
      - smoothing: {window: 9}

A step acts on one plane: the mosaic, linear RGB, sRGB. A pipeline all of whose steps act on sRGB takes a picture; one
that begins before takes the raw (`RawLight`) and develops it where the planes change, by `isp_sim.isp.develop`.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import torch
from pydantic import field_validator, model_validator
from torch import Tensor

from isp_sim.field_errors import FieldError
from isp_sim.isp import raw_steps, steps
from isp_sim.isp.develop import develop_linear, unclipped_srgb
from isp_sim.isp.params import ParamSpec
from isp_sim.isp.raw_light import RawLight, size_of
from isp_sim.isp.steps import PLANES, Plane, Step
from isp_sim.rig import Model
from isp_sim.rigfile import load_yaml
from isp_sim.units import LinearRgb, Mosaic

DEMOSAIC_HALO = 2
"""Pixels beyond a pixel that `isp_sim.isp.demosaic` looks at."""


class Box(NamedTuple):
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


class Entry(Model):
    """One line of the list: a single step under its name."""

    exposure: steps.Exposure | None = None
    gamma: steps.Gamma | None = None
    smoothing: steps.Smoothing | None = None
    white_balance: steps.WhiteBalance | None = None
    colour_matrix: steps.ColourMatrix | None = None
    contrast: steps.Contrast | None = None
    sharpening: steps.Sharpening | None = None
    saturation: steps.Saturation | None = None
    local_tone: steps.LocalTone | None = None
    defects: raw_steps.Defects | None = None
    row_noise: raw_steps.RowNoise | None = None
    denoising: raw_steps.Denoising | None = None
    black_point: raw_steps.BlackPoint | None = None
    lens_shading: raw_steps.LensShading | None = None
    auto_white_balance: raw_steps.AutoWhiteBalance | None = None
    chroma_denoising: raw_steps.ChromaDenoising | None = None
    desaturation: raw_steps.Desaturation | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, entry: object) -> object:
        """`exposure` and `exposure:` mean its usual settings."""
        if isinstance(entry, str):
            return {entry: {}}
        if isinstance(entry, dict) and len(entry) == 1:
            return {name: {} if step is None else step for name, step in entry.items()}
        return entry

    @model_validator(mode="after")
    def _one_step(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"{len(self.model_fields_set)} steps in one line of the list, expected one")
        return self

    @property
    def name(self) -> str:
        """The step's name."""
        return next(iter(self.model_fields_set))

    @property
    def step(self) -> Step:
        """The step."""
        step = getattr(self, self.name)
        assert isinstance(step, Step)
        return step


class Pipeline(Model):
    """An ordered list of steps. Called with an image and a vector of values, it gives the image after them.

    The vector is `(batch, size)`, laid out by `specs`; whether it learns is its owner's choice (a `Parameter`, a
    predictor's output, a plain tensor).
    """

    steps: tuple[Entry, ...] = (
        Entry(exposure=steps.Exposure()),
        Entry(gamma=steps.Gamma()),
        Entry(smoothing=steps.Smoothing()),
    )

    @field_validator("steps")
    @classmethod
    def _each_once(cls, listed: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names = [entry.name for entry in listed]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            again = names.index(twice, names.index(twice) + 1)
            raise FieldError(f"{twice} is listed {names.count(twice)} times; each step may appear once", (again,))
        if not names:
            raise ValueError("no step is listed; expected at least one")
        return listed

    @field_validator("steps")
    @classmethod
    def _in_order(cls, listed: tuple[Entry, ...]) -> tuple[Entry, ...]:
        for place, (before, entry) in enumerate(itertools.pairwise(listed), 1):
            if PLANES.index(before.step.plane) > PLANES.index(entry.step.plane):
                raise FieldError(
                    f"{entry.name} acts on {entry.step.plane}, {before.name} before it on {before.step.plane}; "
                    f"expected the order {', '.join(PLANES)}",
                    (place,),
                )
        for place, entry in enumerate(listed):
            earlier = (one for one in listed[:place] if one.step.plane == entry.step.plane)
            rescaling = (one.name for one in earlier if one.step.rescales)
            if entry.step.knows_noise and (first := next(rescaling, None)):
                sentence = f"{entry.name} compares light with the raw's noise; expected it before {first}"
                raise FieldError(sentence, (place,))
        return listed

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        """Specs of every parameter, in the order they lie in the vector."""
        return tuple(spec for entry in self.steps for spec in entry.step.specs)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every number of the vector: `smoothing.sigma_range.G`."""
        return tuple(f"{entry.name}.{name}" for entry in self.steps for spec in entry.step.specs for name in spec.names)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(spec.size for spec in self.specs)

    @property
    def halo(self) -> int:
        """How many pixels beyond a box its result depends on."""
        return sum(entry.step.halo for entry in self.steps) + (DEMOSAIC_HALO if self.takes_raw else 0)

    @property
    def takes_raw(self) -> bool:
        """Whether it begins before sRGB."""
        return self.steps[0].step.plane != "srgb"

    def split(self, vector: Tensor) -> tuple[Tensor, ...]:
        """A vector's parts, one for each spec."""
        if vector.ndim != 2 or vector.shape[1] != self.size:
            raise ValueError(f"parameters of shape {tuple(vector.shape)}: expected (batch, {self.size})")
        return torch.split(vector, [spec.size for spec in self.specs], dim=1)

    def base(self, image: Tensor | RawLight) -> Tensor:
        """Values to start from, `(batch, size)`: exposure by the image's mean, the rest as their specs say.

        A raw's mean is that of its development with no step in between, on the plane of the step.
        """
        if isinstance(image, Tensor):
            return torch.cat([entry.step.base(image) for entry in self.steps], dim=1)
        light = image.light()
        planes: dict[Plane, Tensor] = {"mosaic": image.mosaic, "linear": light, "srgb": unclipped_srgb(light)}
        return torch.cat([entry.step.base(planes[entry.step.plane]) for entry in self.steps], dim=1)

    def steer(self, base: Tensor, residual: Tensor) -> Tensor:
        """Values moved by residuals, each within its range: `ParamSpec.steer`."""
        parts = zip(self.specs, self.split(base), self.split(residual), strict=True)
        return torch.cat([spec.steer(start, by) for spec, start, by in parts], dim=1)

    def to_unit(self, values: Tensor) -> Tensor:
        """Values as shares of their ranges, for a search in the unit cube."""
        return torch.cat([s.to_unit(v) for s, v in zip(self.specs, self.split(values), strict=True)], dim=1)

    def from_unit(self, shares: Tensor) -> Tensor:
        """Inverse of `to_unit`."""
        return torch.cat([s.from_unit(v) for s, v in zip(self.specs, self.split(shares), strict=True)], dim=1)

    def __call__(self, image: Tensor | RawLight, values: Tensor) -> Tensor:
        """The image after all steps, sRGB.

        Args:
            image: `(batch, 3, height, width)`, sRGB, 1 is white; or the raw, as it must be where `takes_raw`.
            values: `(batch, size)` in their units; one of the two batches may be 1, and serves all of the other.

        Raises:
            ValueError: a picture instead of a raw, NaN in an image, or a value outside its range; the latter two name
                the image. Not checked in compiled code, where looking at numbers would break the graph.
        """
        parts = iter(self.split(values))
        raw = image if isinstance(image, RawLight) else None
        seen: Tensor = image.mosaic if isinstance(image, RawLight) else image
        if not torch.compiler.is_compiling():
            self._check(seen, values, 3 if raw is None else 1)
        if seen.shape[0] == 1:
            seen = seen.expand(values.shape[0], -1, -1, -1)
        plane: Plane = "srgb" if raw is None else "mosaic"
        for entry in self.steps:
            seen, plane = _onto(entry.step.plane, seen, plane, raw), entry.step.plane
            seen = entry.step(seen, *itertools.islice(parts, len(entry.step.specs)), raw=raw)
        return _onto("srgb", seen, plane, raw)

    def region(self, image: Tensor | RawLight, values: Tensor, box: Box) -> Tensor:
        """The part of the result inside a box, from that box and its halo alone: equal to the whole image's.

        To the bit, but for gamma and the steps before sRGB: torch rounds the last bit of a power, and of a mean, by
        where the pixel lies in memory.

        Raises:
            ValueError: the box does not lie within the image; otherwise as `__call__`.
        """
        height, width = size_of(image)
        left, top, right, bottom = box.left, box.top, box.left + box.width, box.top + box.height
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"box {tuple(box)} (left, top, width, height): must lie within {width}×{height} pixels")
        grid = max(1 if isinstance(image, Tensor) else 2, *(entry.step.grid for entry in self.steps))
        first_row, first_column = (max(start - self.halo, 0) // grid * grid for start in (top, left))
        last_row, last_column = (math.ceil((end + self.halo) / grid) * grid for end in (bottom, right))
        rows, columns = slice(first_row, last_row), slice(first_column, last_column)
        if isinstance(image, RawLight):
            result = self(image.region(rows, columns), values)
        else:
            result = self(image[:, :, rows, columns].contiguous(), values)
        return result[:, :, top - first_row : bottom - first_row, left - first_column : right - first_column]

    def _check(self, image: Tensor, values: Tensor, channels: int) -> None:
        """One look at all numbers; if something is wrong, a second one to say what."""
        if channels == 3 and self.takes_raw:
            first = self.steps[0]
            raise ValueError(f"{first.name} acts on {first.step.plane}: the pipeline takes a raw, and got a picture")
        if image.ndim != 4 or image.shape[1] != channels:
            raise ValueError(f"image of shape {tuple(image.shape)}: expected (batch, {channels}, height, width)")
        if image.shape[0] != values.shape[0] and 1 not in (image.shape[0], values.shape[0]):
            raise ValueError(f"{image.shape[0]} images and parameters for {values.shape[0]}: expected as many, or one")
        with torch.no_grad():
            nan = image.sum(dim=(1, 2, 3)).isnan()  # a sum is NaN if any of it is
            outside = [place.outside(part).any() for place, part in self._parts(values)]
            if not torch.stack([nan.any(), *outside]).any():  # the one number that a GPU is waited for
                return
            if nan.any():
                raise ValueError(f"image {int(nan.nonzero()[0])} of the batch holds NaN (or infinities of both signs)")
            for place, part in self._parts(values):
                place.check(part)

    def _parts(self, vector: Tensor) -> Iterator[tuple[ParamSpec, Tensor]]:
        return zip(self.specs, self.split(vector), strict=True)


def _onto(wanted: Plane, image: Tensor, plane: Plane, raw: RawLight | None) -> Tensor:
    """An image of one plane, developed as far as another."""
    if plane == "mosaic" != wanted and raw is not None:
        image, plane = develop_linear(Mosaic(image), raw.develop), "linear"
    if plane == "linear" and wanted == "srgb":
        image = unclipped_srgb(LinearRgb(image))
    return image


def load_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline from YAML.

    Raises:
        ValueError: every fault of the file, each with path, line and what was expected.
        FileNotFoundError: no such file.
    """
    return load_yaml(Pipeline, Path(path))
