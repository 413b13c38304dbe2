"""SDAG (Zheng et al., AAAI 2023): semantic degradation-aware guidance for enhancers that have no target.

A network learns to rebuild an enhanced low-light picture from what a frozen recogniser's first layers see of it, better
than it rebuilds the same picture darkened or noisy; so the difference `|x − SDAG(x)|` tells an enhancer what the
recogniser would want.

With a stem of 64 channels 176,451 parameters learn; the stem's own do not. The released stem is VGG16's first two
convolutions (`vgg_stem`, from a file of yours); `stem_of`, ours, is the frozen pose network's first convolution.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, WELL
from models.engine.weights_file import fill, read_torch_tensors
from models.pose.backbone import LightingNorm
from models.recognisers.pretrained import PretrainedPose
from models.recognisers.weights import OurNetwork

BLOCKS = 3
CLAMP = 0.8
"""Largest logarithm of an invertible block's scale."""
SLOPE = 0.2
"""Of the leaky ReLUs."""
DARK_EXPONENT = 1 / 0.3
NOISE = 50 / 255
DEGRADED_WEIGHT = 0.1
MARGIN = 0.5


class Stem(nn.Module):
    """The first layers of a recogniser, frozen, of a picture in 0 … 1; their convolutions at stride 1.

    Args:
        layers: convolutions, norms (in evaluation mode) and ReLUs.
        mean, std: how the recogniser wants its input.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, layers: nn.Sequential, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.layers = deepcopy(layers)
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        for conv in convolutions:
            conv.stride = (1, 1)
        self.channels = convolutions[-1].out_channels
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        self.train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Stem":
        """Stays in evaluation mode, whatever a trainer around it asks."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, channels, height, width)`; the gradient passes to the picture."""
        seen: Tensor = self.layers((image - self.mean) / self.std)
        return seen


def stem_of(network: OurNetwork) -> Stem:
    """The pose network's convolution, norm for well-lit input (an enhanced picture should look well-lit) and ReLU."""
    if isinstance(network, PretrainedPose):
        conv, norm = network.stem()
        figures: tuple[Sequence[float], ...] = (0.5,) * 3, (0.5,) * 3  # MoveNet wants 2x − 1
        last: nn.Module = nn.ReLU6()
    else:
        conv, norm = network.backbone.conv1, network.backbone.norm1
        figures, last = (IMAGENET_MEAN, IMAGENET_STD), nn.ReLU()
    with torch.random.fork_rng(devices=[]):  # the drawn weights are replaced; MoveNet's own pads as its framework does
        side = conv.kernel_size[0]
        plain = nn.Conv2d(3, conv.out_channels, side, padding=side // 2, bias=conv.bias is not None)
    plain.load_state_dict(conv.state_dict())
    return Stem(nn.Sequential(plain, norm.norms[WELL] if isinstance(norm, LightingNorm) else norm, last), *figures)


def vgg_stem(path: Path) -> Stem:
    """The released code's: VGG16's first convolution, ReLU and second convolution, of torchvision's file of weights.

    Raises:
        ValueError: not such a file; torch's own format is read by its weights-only loader.
    """
    tensors = read_torch_tensors(path)
    names = {f"features.{n}.{kind}": (n, kind) for n in (0, 2) for kind in ("weight", "bias")}
    if not names.keys() <= tensors.keys():
        raise ValueError(f"{path}: has no {' and '.join(sorted(names))}; expected torchvision's VGG16")
    with torch.random.fork_rng(devices=[]):
        layers = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
    fill(layers, {f"{n}.{kind}": tensors[name].float() for name, (n, kind) in names.items()}, path)
    return Stem(layers)


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
        rebuilt: Tensor = self.leave(self.blocks(self.stem(image))) * self.stem.std + self.stem.mean
        return rebuilt


def darkened(image: Tensor) -> Tensor:
    """`x^(1/0.3)`; 0 stays 0, with a gradient of 0."""
    return image.clamp(0, 1) ** DARK_EXPONENT


def noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    """`x + N(0, (50/255)²)`, drawn on the CPU, so that every device sees the same."""
    drawn = torch.randn(image.shape, generator=generator)
    return image + NOISE * drawn.to(image.device, image.dtype)


def likeness(rebuilt: Tensor, image: Tensor, over: str = "batch") -> Tensor:
    """Cosines of two batches of pictures: `Σ ab / (‖a‖‖b‖)`, 0 where one is black.

    Args:
        rebuilt: `(batch, 3, height, width)`.
        image: of the same shape.
        over: `batch`, at each pixel and channel, as in the released code; or `channels`, at each pixel.

    Raises:
        ValueError: another axis.
    """
    if over not in ("channels", "batch"):
        raise ValueError(f"cosine over {over!r}: expected channels or batch")
    return F.cosine_similarity(rebuilt, image, dim=1 if over == "channels" else 0)


def sdag_losses(
    network: nn.Module, image: Tensor, generator: torch.Generator, cosine: str = "batch"
) -> dict[str, Tensor]:
    """`L1(rec, x) + 0.1·Σ_d L1(rec_d, x_d) + mean Σ_d max(0, 0.5 − cos(rec, x) + cos(rec_d, x_d))`.

    Degradations d: darkened, noisy; `rec_d` is the degraded picture `x_d` rebuilt.

    Args:
        network: an `Sdag`.
        image: enhanced, `(batch, 3, height, width)`.
        generator: of the noise.
        cosine: see `likeness`.
    """
    rebuilt = network(image)
    clean = likeness(rebuilt, image, cosine)
    degraded_terms, ranks = [], []
    for degraded in (darkened(image), noisy(image, generator)):
        found = network(degraded)
        degraded_terms.append((found - degraded).abs().mean())
        ranks.append(torch.relu(MARGIN - clean + likeness(found, degraded, cosine)).mean())
    return {
        "rebuilt": (rebuilt - image).abs().mean(),
        "degraded": DEGRADED_WEIGHT * torch.stack(degraded_terms).sum(),
        "ranking": torch.stack(ranks).sum(),
    }


def guidance_loss(enhanced: Tensor, network: nn.Module) -> Tensor:
    """`mean |enhanced − SDAG(enhanced)|`: what an enhancer adds to its own losses; the network is frozen."""
    apart: Tensor = enhanced - network(enhanced)
    return apart.abs().mean()
