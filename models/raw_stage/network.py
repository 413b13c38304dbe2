"""Noisy mosaic → linear RGB: a U-Net at half the mosaic's resolution, in the domain where noise is the same everywhere.

A mosaic that is white-balanced and scaled to a mean of `LEVEL`, y, has the variance `a·y + b`, known from the raw's
NoiseProfile (DNG 1.4). The square root of Anscombe, shifted so that black stays 0,

    r = √max(y + t, 0) − √t,    t = 3a/8 + b/a

has the standard deviation √a/2 for any y (Mäkitalo & Foi, IEEE TIP 2013, eq. 2, divided by 2/√a), and is √y where there
is light enough. The network sees r of the four pixels of a tile beside √a/2 of R, G and B, and adds what it learned to
the mean of r over `BASE` tiles each way; the result's square is the light.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isp_sim.isp.develop import balance
from isp_sim.isp.operators import colour_matrix, white_balance
from isp_sim.raw import Raw, normalise
from isp_sim.units import LinearRgb

LEVEL = 0.133
"""Mean of the scaled mosaic: sRGB 0.4, what Lee et al. (CVPR 2023) bring low-light pictures to."""
WIDTHS = (24, 48, 64, 96)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the mosaic's resolution."""
BASE = 16
"""Tiles each way whose mean of each colour the network starts from."""
FLIPS: dict[str, tuple[int, ...]] = {"RGGB": (), "GRBG": (3,), "GBRG": (2,), "BGGR": (2, 3)}
"""Axes along which a mosaic is mirrored so that its tile becomes RGGB."""


class RawInput(NamedTuple):
    """What the stage sees of a raw.

    Attributes:
        mosaic: `(batch, 1, height, width)`, even sides, RGGB, balanced, scaled to a mean of `LEVEL`.
        slope, offset: `(batch, 3)`, of R, G, B: the mosaic's variance is `slope·y + offset`.
        matrix: `(batch, 3, 3)`, balanced camera RGB → linear Rec. 709.
    """

    mosaic: Tensor
    slope: Tensor
    offset: Tensor
    matrix: Tensor

    def to(self, device: torch.device) -> "RawInput":
        """On a device."""
        return RawInput(*(part.to(device) for part in self))

    @staticmethod
    def joined(parts: "list[RawInput]") -> "RawInput":
        """Several as a batch."""
        return RawInput(*(torch.cat(lot) for lot in zip(*parts, strict=True)))


def as_input(raw: Raw) -> RawInput:
    """A raw by its own metadata, batch 1.

    With x the mosaic in 0 … 1, variance `S·x + O`, w the white balance and g the scale to the mean `LEVEL`,
    `y = g·w·x` has the variance `g·w·S·y + (g·w)²·O`.

    Raises:
        ValueError: no NoiseProfile, or an odd side.
    """
    if len(raw.noise_profile) != 3 or min(slope for slope, _ in raw.noise_profile) <= 0:
        raise ValueError(f"NoiseProfile {raw.noise_profile}: the raw stage needs S > 0 and O of R, G and B")
    if raw.counts.shape[0] % 2 or raw.counts.shape[1] % 2:
        raise ValueError(f"mosaic of {raw.counts.shape[1]}×{raw.counts.shape[0]} px: the raw stage needs even sides")
    gains, matrix = (torch.tensor(part, dtype=torch.float32) for part in balance(raw.neutral, raw.xyz_to_camera))
    mosaic = white_balance(normalise(raw.counts, raw.black_level_dn, raw.white_level_dn), gains[None], raw.cfa)
    scale = LEVEL / mosaic.mean().clamp_min(1e-6)
    slope, offset = torch.tensor(raw.noise_profile, dtype=torch.float32).T
    upright = (scale * mosaic).flip(FLIPS[raw.cfa])
    return RawInput(upright, (scale * gains * slope)[None], ((scale * gains) ** 2 * offset)[None], matrix[None])


def _two(before: int, after: int) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1), nn.ReLU(inplace=True),
    )  # fmt: skip


class RawNet(nn.Module):
    """The U-Net; with `WIDTHS` 0.42 M parameters.

    Args:
        widths: channels of each scale, the finest first.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.down = nn.ModuleList(_two(before, after) for before, after in zip((7, *widths), widths, strict=False))
        self.up = nn.ModuleList(
            _two(coarse + fine, fine) for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 12, 3, padding=1)
        nn.init.zeros_(self.last.weight)  # it begins as the mean of the surroundings
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: RawInput) -> LinearRgb:
        """Light in linear Rec. 709, `(batch, 3, height, width)`, scaled to a mean of about `LEVEL`, above white too.

        Args:
            seen: of raws of one size.
        """
        stable = _stabilised(seen)
        height, width = stable.shape[2:]
        several = 2 ** (len(self.widths) - 1)
        noise = (seen.slope.sqrt() / 2)[..., None, None].expand(-1, -1, height, width)
        edges = (0, -width % several, 0, -height % several)
        added = self._unet(F.pad(torch.cat([stable, noise], dim=1), edges, mode="replicate"))
        colours = torch.stack([stable[:, 0], (stable[:, 1] + stable[:, 2]) / 2, stable[:, 3]], dim=1)
        # What is added to is far coarser than any detail: from the mosaic itself the network would have to take noise
        # away, pixel by pixel.
        coarse = F.avg_pool2d(colours, BASE, ceil_mode=True, count_include_pad=False)
        base = F.interpolate(coarse, size=seen.mosaic.shape[2:], mode="bilinear")
        root = base + F.pixel_shuffle(added[:, :, :height, :width], 2)
        return colour_matrix(LinearRgb(root.clamp_min(0) ** 2), seen.matrix)

    def _unet(self, image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        kept: list[Tensor] = []
        for block in self.down:
            image = block(F.max_pool2d(image, 2) if kept else image)
            kept.append(image)
        for block, fine in zip(self.up, kept[-2::-1], strict=True):
            image = block(torch.cat([F.interpolate(image, scale_factor=2), fine], dim=1))
        added: Tensor = self.last(image)
        return added.float()


def _stabilised(seen: RawInput) -> Tensor:
    """R of the four pixels of each tile, `(batch, 4, height/2, width/2)`: R, G, G, B."""
    tile = F.pixel_unshuffle(seen.mosaic, 2)
    shift = (3 / 8 * seen.slope + seen.offset / seen.slope)[:, (0, 1, 1, 2), None, None]
    return (tile + shift).clamp_min(0).sqrt() - shift.sqrt()


def restore(network: RawNet, raw: Raw) -> LinearRgb:
    """A raw → linear Rec. 709, `(1, 3, height, width)`, on the mosaic's own pixels.

    Raises:
        ValueError: see `as_input`.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        light = network(as_input(raw).to(device))
    return LinearRgb(light.flip(FLIPS[raw.cfa]))
