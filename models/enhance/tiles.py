"""A network over a picture of any size: part by part with a halo, joined without seams.

A network says what it sees of the whole (`glance`) and how far it sees round a pixel (`halo`). A part then has the
whole picture's result to the last rounding: its zeros stand where the picture ends, nowhere else.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

SIDE = 512
"""Of a part without its halo, px: GLADNet's 128 channels then need under 1 GB."""


class Window(NamedTuple):
    """A part of a picture, px."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: Tensor) -> Tensor:
        """The part of `(batch, channels, height, width)`."""
        return image[..., self.top : self.top + self.height, self.left : self.left + self.width]


class Tileable(nn.Module):
    """A network that enhances part by part.

    Attributes:
        halo: pixels round a part that its result depends on.
        multiple: parts begin at multiples of this, the network's coarsest step.
    """

    halo: int
    multiple: int = 1

    def glance(self, _image: Tensor) -> Tensor | None:
        """What the network sees of the whole picture; None where it only looks round each pixel."""
        return None

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """The part enhanced.

        Args:
            part: `(batch, 3, height, width)`, sRGB, 1 is white.
            glance: of the whole.
            window: where the part lies.
            size: (height, width) of the whole.
        """
        raise NotImplementedError

    def forward(self, image: Tensor) -> Tensor:
        """A brighter picture, 0 and up, at once: `detail` of its only part.

        Args:
            image: `(batch, 3, height, width)`, sRGB, 1 is white; any size.
        """
        height, width = image.shape[-2:]
        return self.detail(image, self.glance(image), Window(0, 0, height, width), (height, width))


def enhance_in_tiles(network: Tileable, image: Tensor, side: int = SIDE) -> Tensor:
    """A picture part by part; the same as at once but for the order of floating-point sums.

    Args:
        network: in evaluation mode.
        image: `(1, 3, height, width)`, sRGB, 1 is white.
        side: of a part, px; rounded up to the network's `multiple`.
    """
    height, width = image.shape[-2:]
    glance = network.glance(image)
    out = torch.empty_like(image)
    for inner, outer in _windows(height, width, _up(side, network.multiple), _up(network.halo, network.multiple)):
        part = network.detail(outer.of(image).contiguous(), glance, outer, (height, width))
        within = Window(inner.top - outer.top, inner.left - outer.left, inner.height, inner.width)
        inner.of(out).copy_(within.of(part))
    return out


def _windows(height: int, width: int, side: int, halo: int) -> Iterator[tuple[Window, Window]]:
    """Parts that cover the picture, each without and with its halo."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            first, start = max(0, top - halo), max(0, left - halo)
            last, end = min(height, bottom + halo), min(width, right + halo)
            yield Window(top, left, bottom - top, right - left), Window(first, start, last - first, end - start)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
