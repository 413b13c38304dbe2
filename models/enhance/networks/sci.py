"""SCI (Ma et al., *Toward Fast, Flexible, and Robust Low-Light Image Enhancement*, CVPR 2022): the illumination in
three learned stages that share weights; one stage is left for use, with 258 parameters.

    illumination = clamp(image + σ(F(image))),   enhanced = image / illumination

Cascade, losses and first weights are the released code's. One thing of it is not followed: it takes a batch's memory,
channel by channel, for RGB triples when it makes YCbCr of it; ours converts each pixel. At its σ of 10 both give
weights of about 1.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from models.enhance.tiles import Tileable, Window

STAGES = 3
DARKEST = 1e-4
"""Lowest illumination that a picture is divided by."""
FIDELITY_WEIGHT = 1.5
SIGMA = 10.0
"""Of the smoothness' colour weights, as released: every weight is then about 1. The paper's is 0.1."""
TO_YCBCR = ((0.257, 0.564, 0.098), (-0.148, -0.291, 0.439), (0.439, -0.368, -0.071))
"""BT.601, studio range, without offsets: only differences are taken."""


class Sci(Tileable):
    """Illumination from a picture: 3×3 convolutions of 3 channels, one residual block. 258 parameters."""

    halo = 3

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.leave = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid())
        draw(self)

    def illumination(self, image: Tensor) -> Tensor:
        """The picture's light, 10⁻⁴ … 1."""
        x = self.enter(image)
        x = x + self.block(x)
        light: Tensor = (image + self.leave(x)).clamp(DARKEST, 1)
        return light

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        return reflectance(part, self.illumination(part))


class Calibration(nn.Module):
    """What brings a stage's result back near the first stage's input; for training alone.

    Args:
        channels: inside.
        depth: residual blocks, which share weights.
    """

    def __init__(self, channels: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.depth = depth
        self.enter = _conv_norm(3, channels)
        self.block = nn.Sequential(*_conv_norm(channels, channels), *_conv_norm(channels, channels))
        self.leave = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.Sigmoid())
        draw(self)

    def forward(self, enhanced: Tensor) -> Tensor:
        """`enhanced − σ(F(enhanced))`, to be added to the first input."""
        x = self.enter(enhanced)
        for _ in range(self.depth):
            x = x + self.block(x)
        delta: Tensor = enhanced - self.leave(x)
        return delta


def draw(module: nn.Module) -> None:
    """First weights: convolutions N(0, 0.02²) with biases of 0, scales of norms N(1, 0.02²)."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.BatchNorm2d)):
            nn.init.normal_(part.weight, float(isinstance(part, nn.BatchNorm2d)), 0.02)
            assert part.bias is not None
            nn.init.zeros_(part.bias)


def _conv_norm(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(incoming, outgoing, 3, padding=1), nn.BatchNorm2d(outgoing), nn.ReLU())


def reflectance(image: Tensor, illumination: Tensor) -> Tensor:
    """`image / illumination`, cut to 0 … 1."""
    return (image / illumination).clamp(0, 1)


def stages(network: Sci, calibration: Calibration, image: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Input and illumination of each stage; training takes all, use takes the first.

    `x_1 = image`, `x_{t+1} = image + K(image / illumination(x_t))`: each stage divides the picture itself.
    """
    passed, seen = [], image
    for _ in range(STAGES):
        light = network.illumination(seen)
        passed.append((seen, light))
        seen = image + calibration(reflectance(image, light))
    return passed


def fidelity_loss(image: Tensor, illumination: Tensor) -> Tensor:
    """Mean `(illumination − image)²`."""
    return (illumination - image).square().mean()


def smooth_illumination_loss(image: Tensor, illumination: Tensor, sigma: float = SIGMA) -> Tensor:
    """`Σ over 24 neighbours in 5×5 of mean w·‖L_i − L_j‖₁`, `w = exp(−‖I_i − I_j‖²/2σ²)`, I in YCbCr.

    The channels' absolute differences are summed; a pixel at the rim has the neighbours that exist.

    Args:
        image: guides: across an edge of its colours the light may change.
        illumination: L, `(batch, 3, height, width)`, 5 px a side and up.
        sigma: of the weights.
    """
    seen = torch.einsum("ij,bjhw->bihw", image.new_tensor(TO_YCBCR), image)
    total = image.new_zeros(())
    for seen_apart, light_apart in zip(neighbours(seen), neighbours(illumination), strict=True):
        alike = seen_apart.square().sum(dim=1, keepdim=True)
        apart = light_apart.abs().sum(dim=1, keepdim=True)
        total = total + 2 * (torch.exp(-alike / (2 * sigma**2)) * apart).mean()
    return total


def neighbours(x: Tensor) -> Iterator[Tensor]:
    """`x[i + (dy, dx)] − x[i]` wherever both exist, for half of the 24 neighbours in 5×5: each pair once."""
    height, width = x.shape[-2:]
    for dy, dx in ((dy, dx) for dy in range(3) for dx in range(-2, 3) if dy > 0 or dx > 0):
        there = x[..., dy:, max(dx, 0) : width + min(dx, 0)]
        here = x[..., : height - dy, max(-dx, 0) : width + min(-dx, 0)]
        yield there - here


def sci_losses(passed: list[tuple[Tensor, Tensor]], sigma: float = SIGMA) -> dict[str, Tensor]:
    """`Σ over stages 1.5·fidelity + smoothness`."""
    fidelity = torch.stack([fidelity_loss(image, light) for image, light in passed]).sum()
    smooth = torch.stack([smooth_illumination_loss(image, light, sigma) for image, light in passed]).sum()
    return {"fidelity": FIDELITY_WEIGHT * fidelity, "smoothness": smooth}
