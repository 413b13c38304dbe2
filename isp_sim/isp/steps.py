"""The steps a pipeline may be made of: each an operator, the specs of its parameters, and settings nobody learns."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from isp_sim.isp import operators, raw_operators
from isp_sim.isp.bilateral import WINDOWS
from isp_sim.isp.params import ParamSpec
from isp_sim.isp.raw_light import RawLight
from isp_sim.rig import Model

TARGET_MEAN = 0.4
"""To which exposure brings a picture's mean before anything is learned (Lee et al., CVPR 2023, §4)."""
LINEAR_TARGET_MEAN = 0.133
"""The same of linear light: sRGB 0.4."""
Plane = Literal["mosaic", "linear", "srgb"]
PLANES: tuple[Plane, ...] = ("mosaic", "linear", "srgb")
"""What a step may act on (`isp_sim.units`), in the order in which light passes them."""


class Step(Model):
    """A step and its settings.

    Attributes:
        plane: it acts on.
        operator: its function of `isp_sim.isp.operators`, `raw_operators`, `defects` or `non_local`.
        param_specs: specs of the function's parameters, in their order.
        grid: a region's borders lie at multiples of so many pixels, so that its blocks are the whole picture's.
        knows_noise: whether it compares with the raw's noise, which nothing may have rescaled.
        rescales: whether it does that.
    """

    plane: Plane
    operator: ClassVar[Callable[..., Tensor]]
    param_specs: ClassVar[tuple[ParamSpec, ...]]
    grid: ClassVar[int] = 1
    knows_noise: ClassVar[bool] = False
    rescales: ClassVar[bool] = False

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        """`param_specs`, with these settings."""
        return self.param_specs

    @property
    def settings(self) -> dict[str, int]:
        """What the function takes beside its parameters."""
        return {}

    @property
    def halo(self) -> int:
        """How many pixels beyond a pixel the function looks."""
        return 0

    def base(self, image: Tensor) -> Tensor:
        """Values to start from, `(batch, size)`: the specs' own, unless the image gives better ones."""
        start = [value for spec in self.specs for value in spec.initial]
        return image.new_tensor(start).expand(image.shape[0], -1)

    def __call__(self, image: Tensor, *params: Tensor, raw: RawLight | None = None) -> Tensor:
        """The image after the step.

        Args:
            image: of the plane.
            params: one for each spec.
            raw: whose light it is; steps of sRGB need none.
        """
        return type(self).operator(image, *params, **self.settings, **({} if raw is None else self.known(raw)))

    def known(self, raw: RawLight) -> dict[str, object]:
        """What the function takes of the raw beside the image."""
        return {}


class ColourStep(Step):
    """A step of three channels, in sRGB unless it is put on linear light."""

    plane: Literal["linear", "srgb"] = "srgb"
    rescales = True


class ChannelStep(ColourStep):
    """A step with one number for all channels, or one each for R, G and B."""

    per_channel: bool = False

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        """`param_specs`, for the channels if they have their own."""
        return tuple(spec.for_channels() for spec in self.param_specs) if self.per_channel else self.param_specs


class WindowStep(ChannelStep):
    """A step that looks at a square of neighbours, `window` pixels wide."""

    window: int

    @field_validator("window")
    @classmethod
    def _window_is_known(cls, window: int) -> int:
        if window not in WINDOWS:
            raise ValueError(f"expected one of {', '.join(map(str, WINDOWS))} pixels")
        return window

    @property
    def settings(self) -> dict[str, int]:
        """The window."""
        return {"window": self.window}

    @property
    def halo(self) -> int:
        """Half the window."""
        return self.window // 2


class Exposure(ChannelStep):
    """Starts at the gain that brings the image's mean (of each channel, if each has its own) to 0.4, in linear light
    to 0.133.
    """

    operator = staticmethod(operators.exposure)
    param_specs = (operators.GAIN,)

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        """Linear light, below sRGB's curve, may need more."""
        (spec,) = self.param_specs if self.plane == "srgb" else (operators.LINEAR_GAIN,)
        return (spec.for_channels() if self.per_channel else spec,)

    def base(self, image: Tensor) -> Tensor:
        """The target over the mean, as far as the range goes; a black image gets its end."""
        target = TARGET_MEAN if self.plane == "srgb" else LINEAR_TARGET_MEAN
        over = (2, 3) if self.per_channel else (1, 2, 3)
        mean = image.detach().mean(dim=over).view(image.shape[0], -1)
        (spec,) = self.specs
        return torch.where(mean > 0, target / mean, spec.high).clamp(spec.low, spec.high)


class Gamma(ChannelStep):
    """Power curve."""

    operator = staticmethod(operators.gamma)
    param_specs = (operators.GAMMA,)


class Smoothing(WindowStep):
    """Bilateral filter; each channel has its own σs, as in Ono et al. (VISAPP 2024), unless set otherwise."""

    operator = staticmethod(operators.smoothing)
    param_specs = (operators.SIGMA_SPACE, operators.SIGMA_RANGE)
    per_channel: bool = True
    window: int = 7


class WhiteBalance(ColourStep):
    """Gains of R, G and B."""

    operator = staticmethod(operators.channel_gains)
    param_specs = (operators.GAINS,)


class ColourMatrix(ColourStep):
    """Mixing of the channels."""

    operator = staticmethod(operators.colour_matrix)
    param_specs = (operators.MATRIX,)


class Contrast(ChannelStep):
    """S-shaped tone curve."""

    operator = staticmethod(operators.contrast)
    param_specs = (operators.CONTRAST,)


class Sharpening(WindowStep):
    """Unsharp mask."""

    operator = staticmethod(operators.sharpening)
    param_specs = (operators.SHARPENING, operators.RADIUS)
    window: int = 9


class Saturation(ColourStep):
    """Distance from grey."""

    operator = staticmethod(operators.saturation)
    param_specs = (operators.SATURATION,)


class LocalTone(ColourStep):
    """Brightness by the surroundings."""

    operator = staticmethod(raw_operators.local_tone)
    param_specs = (raw_operators.TONE,)
    grid = raw_operators.COARSE

    @property
    def halo(self) -> int:
        """Two boxes and an interpolation."""
        return raw_operators.COARSE * (2 * raw_operators.TONE_REACH + 2)
