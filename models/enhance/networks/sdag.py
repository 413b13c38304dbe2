"""SDAG (Zheng et al., AAAI 2023): semantic degradation-aware guidance for enhancers that have no target.

A network learns to rebuild a picture from what a frozen recogniser's first layer sees of it. Well-lit pictures rebuild
well, dark and noisy ones worse; so the difference `|x − SDAG(x)|` tells an enhancer what the recogniser would want.

With a stem of 64 channels 176,451 parameters learn; the stem's own do not. Where the paper is silent: the stem's
convolution is taken at stride 1, so that features have the picture's size, then its norm for well-lit input and ReLU.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, WELL
from models.pose.backbone import LightingNorm
from models.recognisers.pretrained import PretrainedPose
from models.recognisers.weights import OurNetwork

BLOCKS = 3
CLAMP = 0.8
"""Largest logarithm of an invertible block's scale; ours."""
SLOPE = 0.1
DARK_EXPONENT = 1 / 0.3
NOISE = 50 / 255
DEGRADED_WEIGHT = 0.1
MARGIN = 0.5


class Stem(nn.Module):
    """The first layer of a recogniser, frozen: convolution at stride 1, norm, ReLU, of a picture in 0 … 1.

    Args:
        conv: its first convolution.
        norm: the norm behind it, in evaluation mode; None has none.
        mean, std: how the recogniser wants its input.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.Module | None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        self.channels = conv.out_channels
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        self.train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Stem":
        """Stays in evaluation mode, whatever a trainer around it asks."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, channels, height, width)`; the gradient passes to the picture."""
        x = F.conv2d(
            (image - self.mean) / self.std, self.conv.weight, self.conv.bias, padding=self.conv.kernel_size[0] // 2
        )
        return torch.relu(x if self.norm is None else self.norm(x))


def stem_of(network: OurNetwork) -> Stem:
    """A copy of the pose network's stem with its norm for well-lit input: an enhanced picture should look well-lit."""
    if isinstance(network, PretrainedPose):
        conv, norm = network.stem()
        figures: tuple[Sequence[float], ...] = (0.5,) * 3, (0.5,) * 3  # MoveNet wants 2x − 1
    else:
        conv, norm, figures = network.backbone.conv1, network.backbone.norm1, (IMAGENET_MEAN, IMAGENET_STD)
    return Stem(deepcopy(conv), deepcopy(norm.norms[WELL] if isinstance(norm, LightingNorm) else norm), *figures)


class HalfNormBlock(nn.Module):
    """`lrelu(conv(lrelu(n(conv x)))) + 1×1 x`, instance norm on half of the channels (HINet, Chen et al., CVPRW 2021).

    Args:
        incoming, outgoing: channels.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.past = nn.Conv2d(incoming, outgoing, 1)
        self.first = nn.Conv2d(incoming, outgoing, 3, padding=1)
        self.norm = nn.InstanceNorm2d(outgoing // 2, affine=True)
        self.second = nn.Conv2d(outgoing, outgoing, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outgoing, height, width)`."""
        inside = self.first(x)
        normed, plain = inside.split([self.norm.num_features, inside.shape[1] - self.norm.num_features], dim=1)
        inside = F.leaky_relu(torch.cat([self.norm(normed), plain], dim=1), SLOPE)
        out: Tensor = F.leaky_relu(self.second(inside), SLOPE) + self.past(x)
        return out


class InvertibleBlock(nn.Module):
    """`y1 = x1 + F(x2)`, `y2 = x2·exp(s(y1)) + G(y1)`, `s = c·(2σ(H(y1)) − 1)`; nothing the stem saw is lost.

    Args:
        channels: split in halves.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.halves = (channels // 2, channels - channels // 2)
        first, second = self.halves
        self.f, self.g, self.h = (HalfNormBlock(*c) for c in ((second, first), (first, second), (first, second)))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        x1, x2 = torch.split(x, list(self.halves), dim=1)
        y1 = x1 + self.f(x2)
        return torch.cat([y1, x2 * self._scale(y1) + self.g(y1)], dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """`x` of `forward(x)`."""
        y1, y2 = torch.split(y, list(self.halves), dim=1)
        x2 = (y2 - self.g(y1)) / self._scale(y1)
        return torch.cat([y1 - self.f(x2), x2], dim=1)

    def _scale(self, y1: Tensor) -> Tensor:
        return torch.exp(CLAMP * (2 * torch.sigmoid(self.h(y1)) - 1))


class Sdag(nn.Module):
    """Stem (frozen) → three invertible blocks → 1×1 to RGB.

    Args:
        stem: whose features a picture is rebuilt from.
    """

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*(InvertibleBlock(stem.channels) for _ in range(BLOCKS)))
        self.leave = nn.Conv2d(stem.channels, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        """The picture rebuilt from the stem's features, `(batch, 3, height, width)`; not cut to 0 … 1."""
        rebuilt: Tensor = self.leave(self.blocks(self.stem(image)))
        return rebuilt


def darkened(image: Tensor) -> Tensor:
    """`x^(1/0.3)`; 0 stays 0, with a gradient of 0."""
    return image.clamp(0, 1) ** DARK_EXPONENT


def noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    """`x + N(0, (50/255)²)`, drawn on the CPU, so that every device sees the same."""
    drawn = torch.randn(image.shape, generator=generator)
    return image + NOISE * drawn.to(image.device, image.dtype)


def likeness(rebuilt: Tensor, image: Tensor, over: str = "channels") -> Tensor:
    """Mean cosine of two pictures: `Σ ab / (‖a‖‖b‖)` over channels at each pixel, 0 where one is black.

    Args:
        rebuilt: `(batch, 3, height, width)`.
        image: of the same shape.
        over: `channels`, or `batch`, over which the released code's cosine runs.

    Raises:
        ValueError: another axis.
    """
    if over not in ("channels", "batch"):
        raise ValueError(f"cosine over {over!r}: expected channels or batch")
    return F.cosine_similarity(rebuilt, image, dim=1 if over == "channels" else 0, eps=1e-6).mean()


def sdag_losses(
    network: nn.Module, image: Tensor, generator: torch.Generator, cosine: str = "channels"
) -> dict[str, Tensor]:
    """`L1(rec, x) + 0.1·Σ_d L1(rec_d, x_d) + Σ_d max(0, 0.5 − cos(rec, x) + cos(rec_d, x_d))`.

    Degradations d: darkened, noisy; `rec_d` is the degraded picture `x_d` rebuilt. That the second term compares with
    `x_d`, not x, is our reading.

    Args:
        network: an `Sdag`.
        image: well-lit, `(batch, 3, height, width)`.
        generator: of the noise.
        cosine: see `likeness`.
    """
    rebuilt = network(image)
    clean = likeness(rebuilt, image, cosine)
    degraded_terms, ranks = [], []
    for degraded in (darkened(image), noisy(image, generator)):
        found = network(degraded)
        degraded_terms.append((found - degraded).abs().mean())
        ranks.append(torch.relu(MARGIN - clean + likeness(found, degraded, cosine)))
    return {
        "rebuilt": (rebuilt - image).abs().mean(),
        "degraded": DEGRADED_WEIGHT * torch.stack(degraded_terms).sum(),
        "ranking": torch.stack(ranks).sum(),
    }


def guidance_loss(enhanced: Tensor, network: nn.Module) -> Tensor:
    """`mean |enhanced − SDAG(enhanced)|`: what an enhancer adds to its own losses; the network is frozen."""
    apart: Tensor = enhanced - network(enhanced)
    return apart.abs().mean()
