"""GLADNet (Wang, Wei, Yang & Liu, FG 2018 workshops): a global look at 96×96, then detail beside the picture itself.

931,523 parameters. Where the paper is silent we follow its first framework: "same" padding that puts the odd pixel
after the picture, Glorot-uniform weights, biases of 0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.enhance.tiles import Tileable, Window

GLANCE_SIDE = 96
RGB_WEIGHTS = (0.29891, 0.58661, 0.11448)
"""Of R, G, B in the loss, as the paper gives them; the released code applies them to R, G, B in the reverse order, and
takes the mean over channels where ours sums them: a third of ours, which Adam does not see."""


class GladNet(Tileable):
    """A global look, then detail.

    Nearest resize to 96×96; six stride-2 convolutions down, six up with additive skips; nearest resize to the picture's
    size, concatenated with it; four convolutions of 128 channels, one of 3; every one 3×3 with ReLU.
    """

    halo = 5

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(3 if n == 0 else 64, 64, 3, 2) for n in range(6))
        self.up = nn.ModuleList(nn.Conv2d(64, 64, 3, padding=1) for _ in range(6))
        wide = [nn.Conv2d(67 if n == 0 else 128, 128, 3, padding=1) for n in range(4)]
        self.adjust = nn.ModuleList([*wide, nn.Conv2d(128, 3, 3, padding=1)])
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.xavier_uniform_(part.weight)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def glance(self, image: Tensor) -> Tensor:
        """What the picture's light is like as a whole, `(batch, 64, 96, 96)`."""
        x = resize_nearest(image, (GLANCE_SIDE, GLANCE_SIDE))
        seen = []
        for conv in self.down:
            seen.append(x)
            x = torch.relu(conv(pad_same(x)))
        for conv in self.up:
            skip = seen.pop()
            x = torch.relu(conv(resize_nearest(x, (skip.shape[-2], skip.shape[-1]))))
            if seen:  # the last has the picture itself beside it, later
                x = x + skip
        return x

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        assert glance is not None
        x = torch.cat([resize_nearest(glance, size, window), part], dim=1)
        for conv in self.adjust:
            x = torch.relu(conv(x))
        return x


def pad_same(x: Tensor, kernel: int = 3, stride: int = 2) -> Tensor:
    """Zeros round `(batch, channels, height, width)`, so that a convolution gives `⌈n / stride⌉` pixels.

    Of `max((⌈n/stride⌉ − 1)·stride + kernel − n, 0)` zeros the first half is before, the odd one after.
    """
    (top, bottom), (left, right) = (_same(n, kernel, stride) for n in x.shape[-2:])
    return F.pad(x, (left, right, top, bottom))


def _same(count: int, kernel: int, stride: int) -> tuple[int, int]:
    zeros = max((-(-count // stride) - 1) * stride + kernel - count, 0)
    return zeros // 2, zeros - zeros // 2


def resize_nearest(x: Tensor, size: tuple[int, int], window: Window | None = None) -> Tensor:
    """Pixel `i` of n takes `⌊i·m/n⌋` of m; or only of a window of the result.

    Args:
        x: `(batch, channels, m, …)`.
        size: (height, width) of the whole result.
        window: part of the result.
    """
    top, left, height, width = window or (0, 0, *size)
    rows = torch.arange(top, top + height, device=x.device) * x.shape[-2] // size[0]
    columns = torch.arange(left, left + width, device=x.device) * x.shape[-1] // size[1]
    return x.index_select(-2, rows).index_select(-1, columns)


def weighted_l1(enhanced: Tensor, target: Tensor, weights: tuple[float, float, float] = RGB_WEIGHTS) -> Tensor:
    """`Σ_c w_c · mean |enhanced_c − target_c|`.

    Args:
        enhanced: `(batch, 3, height, width)`, sRGB, R first.
        target: of the same shape.
        weights: of R, G, B; `RGB_WEIGHTS[::-1]` is the released order.
    """
    by_channel = (enhanced - target).abs().mean(dim=(0, 2, 3))
    return (by_channel * by_channel.new_tensor(weights)).sum()
