"""RUAS (Liu et al., *Retinex-Inspired Unrolling with Cooperative Prior Architecture Search*, CVPR 2021): the
illumination t in three unrolled stages, each with a searched cell of its own; a searched denoiser may follow.

    t̂₁ = max(y),   t̂ₖ = max(uₖ₋₁) − ½·(uₖ₋₁ − y);   tₖ = clamp(σ(cellₖ(t̂ₖ)), 0.001, 1);   uₖ = clamp(y / tₖ, 0, 1)

with max over 2×2 pixels from each one on, channel by channel. 1,161 parameters, 3,438 with the denoiser. The cells are
those that the authors' search found and their code fixes. Weights of the losses and σ are the released code's. Two
things of it are not followed: YCbCr made of a batch's memory, channel by channel, as if it were RGB triples (ours
converts each pixel, as for SCI); and the weights the denoiser starts from, which are released without a licence: ours
starts by taking nothing away.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.enhance.networks.sci import SIGMA, TO_YCBCR, neighbours
from models.enhance.tiles import Tileable, Window

STAGES = 3
DARKEST = 1e-3
"""Lowest illumination that a picture is divided by."""
SLOPE = 0.05
"""Of the cells' leaky ReLUs below 0."""
ENHANCE_CELL = ("skip", "residual 1×1", "residual dilated 3×3", "3×3", "3×3", "skip", "3×3")
DENOISE_CELL = ("residual 1×1", "residual 1×1", "residual dilated 3×3", "skip", "residual 1×1", "residual 1×1", "skip")
"""What the search put on the seven edges: side and main of each of three steps, and what follows them."""
DENOISE_WIDTH = 6
FIDELITY_WEIGHT = 0.5
DENOISE_FIDELITY_WEIGHT = 1e-7
DENOISE_SHARE = 0.001 / 0.015 / 50
"""Of the denoiser's losses beside the illumination's: the released code steps it at a fifteenth of the rate, every
fiftieth time; the same in the mean for gradient descent."""


class Edge(nn.Module):
    """One operation between a cell's features.

    Args:
        kind: of the two cells above.
        channels: in and out.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        side, dilation = 3 if "3×3" in kind else 1, 2 if "dilated" in kind else 1
        padding = (side // 2) * dilation
        conv = None if kind == "skip" else nn.Conv2d(channels, channels, side, padding=padding, dilation=dilation)
        self.conv, self.residual = conv, "residual" in kind

    def forward(self, x: Tensor) -> Tensor:
        """`conv(x)`, `conv(x) + x` or x."""
        if self.conv is None:
            return x
        out: Tensor = self.conv(x)
        return out + x if self.residual else out


class Cell(nn.Module):
    """Three steps that each leave a side result and pass on; 1×1 joins the sides and the end.

    Args:
        kinds: `ENHANCE_CELL` or `DENOISE_CELL`.
        channels: in and out.
    """

    def __init__(self, kinds: tuple[str, ...], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(Edge(kind, channels) for kind in kinds)
        self.join = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`side = act(e(x))`, `x ← act(e'(x) + x)`, three times; then `act(e(x))`."""
        seen = []
        for side, main in zip(self.edges[:6:2], self.edges[1:6:2], strict=True):
            seen.append(F.leaky_relu(side(x), SLOPE))
            x = F.leaky_relu(main(x) + x, SLOPE)
        seen.append(F.leaky_relu(self.edges[6](x), SLOPE))
        joined: Tensor = self.join(torch.cat(seen, dim=1))
        return joined


class Denoiser(nn.Module):
    """What is taken away from an enhanced picture: 3×3 to six channels, three cells, 3×3 back. 2,277 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, DENOISE_WIDTH, 3, padding=1)
        self.cells = nn.Sequential(*(Cell(DENOISE_CELL, DENOISE_WIDTH) for _ in range(STAGES)))
        self.leave = nn.Conv2d(DENOISE_WIDTH, 3, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, enhanced: Tensor) -> Tensor:
        """The picture without its noise."""
        left: Tensor = enhanced - self.leave(self.cells(self.enter(enhanced)))
        return left


class Ruas(Tileable):
    """Illumination in three stages, and the denoiser.

    Args:
        denoise: whether there is one; the released pictures of MIT-Adobe FiveK and DarkFace have none, those of LOL do.
    """

    def __init__(self, denoise: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Cell(ENHANCE_CELL, 3) for _ in range(STAGES))
        self.denoiser = Denoiser() if denoise else None
        self.halo = 3 * STAGES + (2 * STAGES + 2 if denoise else 0)

    def unrolled(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Enhanced picture and illumination of each stage; the last is used.

        Args:
            image: `(batch, 3, height, width)`, 0 … 1.
        """
        found: list[tuple[Tensor, Tensor]] = []
        for cell in self.stages:
            guess = largest_2x2(found[-1][0]) - 0.5 * (found[-1][0] - image) if found else largest_2x2(image)
            light = torch.sigmoid(cell(guess)).clamp(DARKEST, 1)
            found.append(((image / light).clamp(0, 1), light))
        return found

    def denoised(self, enhanced: Tensor) -> Tensor:
        """Without noise, where there is a denoiser."""
        left: Tensor = enhanced if self.denoiser is None else self.denoiser(enhanced)
        return left

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        return self.denoised(self.unrolled(part)[-1][0])


def largest_2x2(image: Tensor) -> Tensor:
    """The largest of each pixel, the one below, the one to the right and the one between; 0 beyond the picture."""
    return F.max_pool2d(F.pad(image, (0, 1, 0, 1)), 2, stride=1)


def mean_weighted_smoothness(image: Tensor, illumination: Tensor, sigma: float = SIGMA) -> Tensor:
    """`Σ over 24 neighbours in 5×5 of mean w · mean |L_i − L_j|`, `w = exp(−‖I_i − I_j‖²/2σ²)`, I in YCbCr.

    The released code multiplies each weight by the mean of all differences; its `−σ²/2` with σ = 0.1 is σ = 10 here.

    Args:
        image: guides.
        illumination: L, `(batch, 3, height, width)`, 5 px a side and up.
        sigma: of the weights.
    """
    seen = torch.einsum("ij,bjhw->bihw", image.new_tensor(TO_YCBCR), image)
    total = image.new_zeros(len(image))
    for alike, apart in zip(neighbours(seen), neighbours(illumination), strict=True):  # each pair once
        weight = torch.exp(-alike.square().sum(dim=1) / (2 * sigma**2))
        total = total + 2 * weight.mean(dim=(1, 2)) * apart.abs().mean(dim=(1, 2, 3))
    return total.mean()


def ruas_losses(image: Tensor, illumination: Tensor, sigma: float = SIGMA) -> dict[str, Tensor]:
    """`½·mean (t − y)²` and the smoothness of the last stage's t."""
    fidelity = FIDELITY_WEIGHT * (illumination - image).square().mean()
    return {"fidelity": fidelity, "smoothness": mean_weighted_smoothness(image, illumination, sigma)}


def denoise_loss(denoised: Tensor, enhanced: Tensor) -> Tensor:
    """`10⁻⁷·mean (v − u)² + 2·(mean (∂y v)² + mean (∂x v)²)`."""
    variation = denoised.diff(dim=2).square().mean() + denoised.diff(dim=3).square().mean()
    return DENOISE_FIDELITY_WEIGHT * (denoised - enhanced).square().mean() + 2 * variation
