"""The steps a pipeline may be made of: each an operator, the specs of its parameters, and settings nobody learns."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import field_validator
from torch import Tensor

from isp_sim.isp import operators
from isp_sim.isp.bilateral import WINDOWS
from isp_sim.isp.params import ParamSpec
from isp_sim.rig import Model

TARGET_MEAN = 0.4
"""To which exposure brings a picture's mean before anything is learned (Lee et al., CVPR 2023, §4)."""


class Step(Model):
    """A step and its settings.

    Attributes:
        operator: its function of `isp_sim.isp.operators`.
        param_specs: specs of the function's parameters, in their order.
    """

    operator: ClassVar[Callable[..., Tensor]]
    param_specs: ClassVar[tuple[ParamSpec, ...]]

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

    def __call__(self, image: Tensor, *params: Tensor) -> Tensor:
        """The image after the step."""
        return type(self).operator(image, *params, **self.settings)


class ChannelStep(Step):
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
    """Starts at the gain that brings the image's mean (of each channel, if each has its own) to 0.4."""

    operator = staticmethod(operators.exposure)
    param_specs = (operators.GAIN,)

    def base(self, image: Tensor) -> Tensor:
        """0.4 over the mean, as far as the range goes; a black image gets its end."""
        over = (2, 3) if self.per_channel else (1, 2, 3)
        mean = image.detach().mean(dim=over).view(image.shape[0], -1)
        (spec,) = self.specs
        return torch.where(mean > 0, TARGET_MEAN / mean, spec.high).clamp(spec.low, spec.high)


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


class WhiteBalance(Step):
    """Gains of R, G and B."""

    operator = staticmethod(operators.channel_gains)
    param_specs = (operators.GAINS,)


class ColourMatrix(Step):
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


class Saturation(Step):
    """Distance from grey."""

    operator = staticmethod(operators.saturation)
    param_specs = (operators.SATURATION,)
