"""Zero-DCE (Guo et al., CVPR 2020) and Zero-DCE++ (Li et al., TPAMI 2021): curves that lift a picture, learned
without any target.

    x ← x + α·x·(1 − x),   eight times, α in −1 … 1 for each pixel and channel.

79,416 and 10,561 parameters. Weights of the losses, and squares where the paper has absolute values, are the released
code's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.enhance.tiles import Tileable, Window

ITERATIONS = 8
WIDTH = 32
WELL_EXPOSED = 0.6
"""Mean level that the exposure loss asks of every patch."""
WEIGHTS = {"spatial": 1.0, "colour": 5.0, "exposure": 10.0, "smoothness": 200.0}
PLUS_WEIGHTS = WEIGHTS | {"smoothness": 1600.0}
"""Zero-DCE++'s."""


class _Curves(nn.Module):
    """Seven convolutions with symmetric skips; the last gives `tanh` curve maps."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Tensor:
        """Curve maps, `(batch, maps, height, width)`."""
        x, seen = image, []
        for layer in self.layers[:3]:
            x = torch.relu(layer(x))
            seen.append(x)
        x = torch.relu(self.layers[3](x))
        for layer in self.layers[4:6]:
            x = torch.relu(layer(torch.cat([seen.pop(), x], dim=1)))
        return torch.tanh(self.layers[6](torch.cat([seen.pop(), x], dim=1)))


def _shapes(maps: int) -> list[tuple[int, int]]:
    return [(3, WIDTH), *[(WIDTH, WIDTH)] * 3, *[(2 * WIDTH, WIDTH)] * 2, (2 * WIDTH, maps)]


class ZeroDce(Tileable):
    """A curve of its own for each of the eight steps: 24 maps from 3×3 convolutions."""

    halo = 7

    def __init__(self) -> None:
        super().__init__()
        self.estimator = _Curves([nn.Conv2d(a, b, 3, padding=1) for a, b in _shapes(3 * ITERATIONS)])
        _draw(self)

    def curves(self, image: Tensor) -> Tensor:
        """α of each step, pixel and channel, `(batch, 24, height, width)`."""
        found: Tensor = self.estimator(image)
        return found

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        return lift(part, self.curves(part))


class ZeroDcePlus(Tileable):
    """One curve for all steps: 3 maps from depthwise and pointwise convolutions.

    Args:
        shrink: curves are found on a picture so many times smaller; the paper uses 12 on large ones.
    """

    halo = 7

    def __init__(self, shrink: int = 1) -> None:
        super().__init__()
        if shrink < 1:
            raise ValueError(f"shrink {shrink}: expected a whole number from 1")
        self.shrink = shrink
        self.estimator = _Curves([_separable(a, b) for a, b in _shapes(3)])
        _draw(self)

    def curves(self, image: Tensor) -> Tensor:
        """α of each pixel and channel, `(batch, 3, height, width)`."""
        if self.shrink == 1:
            found: Tensor = self.estimator(image)
            return found
        height, width = image.shape[-2:]
        small = (max(1, height // self.shrink), max(1, width // self.shrink))
        seen = self.estimator(F.interpolate(image, small, mode="bilinear", antialias=True))
        return F.interpolate(seen, (height, width), mode="bilinear")

    def glance(self, image: Tensor) -> Tensor | None:
        """The curves of the whole, where they are found on a smaller picture."""
        return self.curves(image) if self.shrink > 1 else None

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        return lift(part, self.curves(part) if glance is None else window.of(glance))


def _separable(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(incoming, incoming, 3, padding=1, groups=incoming), nn.Conv2d(incoming, outgoing, 1))


def _draw(module: nn.Module) -> None:
    """First weights N(0, 0.02²), as the released code's."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)


def lift(image: Tensor, curves: Tensor) -> Tensor:
    """`x ← x + α·x·(1 − x)` eight times; stays in 0 … 1.

    Args:
        image: `(batch, 3, height, width)`, 0 … 1.
        curves: α, `(batch, 3, …)` for all steps or `(batch, 24, …)`, three a step.
    """
    maps = curves.chunk(ITERATIONS, dim=1) if curves.shape[1] == 3 * ITERATIONS else [curves] * ITERATIONS
    for alpha in maps:
        image = image + alpha * image * (1 - image)
    return image


def spatial_loss(enhanced: Tensor, image: Tensor) -> Tensor:
    """Mean over 4×4 regions of `Σ over 4 neighbours ((Y_i − Y_j) − (I_i − I_j))²`; Y, I mean grey of a region.

    A region at the rim has the neighbours that exist.
    """
    change = F.avg_pool2d((enhanced - image).mean(dim=1, keepdim=True), 4)
    down, right = change.diff(dim=2).square(), change.diff(dim=3).square()
    return 2 * (down.sum() + right.sum()) / change.numel()


def exposure_loss(enhanced: Tensor, level: float = WELL_EXPOSED, patch: int = 16) -> Tensor:
    """Mean over patches of `(mean grey − level)²`."""
    return (F.avg_pool2d(enhanced.mean(dim=1, keepdim=True), patch) - level).square().mean()


def colour_loss(enhanced: Tensor) -> Tensor:
    """`Σ over RG, RB, GB (mean_p − mean_q)²`, mean over the batch: grey world."""
    r, g, b = enhanced.mean(dim=(2, 3)).unbind(dim=1)
    return ((r - g) ** 2 + (r - b) ** 2 + (g - b) ** 2).mean()


def smoothness_loss(curves: Tensor) -> Tensor:
    """`2·(mean of Σ_maps (∂y α)² + mean of Σ_maps (∂x α)²)`, means over neighbouring pixels."""
    down, right = curves.diff(dim=2).square().sum(dim=1), curves.diff(dim=3).square().sum(dim=1)
    return 2 * (down.mean() + right.mean())


def zero_dce_losses(
    image: Tensor, enhanced: Tensor, curves: Tensor, weights: dict[str, float] = WEIGHTS
) -> dict[str, Tensor]:
    """The weighted terms, by name.

    Args:
        image: `(batch, 3, height, width)`, 16 px a side and up.
        enhanced: of the same shape.
        curves: as the network found them.
        weights: `WEIGHTS` or `PLUS_WEIGHTS`.
    """
    terms = {
        "spatial": spatial_loss(enhanced, image),
        "colour": colour_loss(enhanced),
        "exposure": exposure_loss(enhanced),
        "smoothness": smoothness_loss(curves),
    }
    return {name: weights[name] * term for name, term in terms.items()}
