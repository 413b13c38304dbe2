"""Noisy mosaic → linear RGB: a U-Net that chooses over how many pixels to average, and adds what it learned.

A mosaic that is white-balanced and scaled to a mean of `LEVEL`, y, without its row noise, is averaged over 1, 2, 4, 8
and 16 tiles; in each tile the network weighs the five, once for the light and once for the colour, takes off what a
black that was clipped adds, and adds full-resolution detail to the root of it:

    v = Σ_k w_k·L_k + Σ_k u_k·(p_k − L_k) − σ·c,    light = (√max(v, 0) + detail)²

with p_k the averages, L_k the mean of their colours, σ the noise of a pixel as the picture shows it. So an average over
noise is one of the light and not of its root, colours are right before anything is learned, and chroma may be averaged
further than luma. Noise reaches the network as it is: `y/√(|y| + σ)`, a root that is linear where noise is.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isp_sim.isp.develop import balance
from isp_sim.isp.operators import colour_matrix, white_balance
from isp_sim.isp.row_noise import noise_spread, row_offsets
from isp_sim.raw import Raw, normalise
from isp_sim.units import LinearRgb, Mosaic

LEVEL = 0.133
"""Mean of the scaled mosaic: sRGB 0.4, what Lee et al. (CVPR 2023) bring low-light pictures to."""
WIDTHS = (24, 48, 64, 96)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the mosaic's resolution."""
AVERAGES = 5
"""Over 1, 2, 4, 8 and 16 tiles each way."""
FLIPS: dict[str, tuple[int, ...]] = {"RGGB": (), "GRBG": (3,), "GBRG": (2,), "BGGR": (2, 3)}
"""Axes along which a mosaic is mirrored so that its tile becomes RGGB."""
LEAST_SPREAD = 0.01
"""Added to the noise of a pixel, so that a picture without noise has a finite root at black."""


class RawInput(NamedTuple):
    """What the stage sees of a raw.

    Attributes:
        mosaic: `(batch, 1, height, width)`, even sides, RGGB, balanced, scaled to a mean of `LEVEL`, no row noise.
        spread: `(batch, 1, 1, 1)`, standard deviation of a typical pixel's noise as the picture shows it.
        read: `(batch, 1, 1, 1)`, that of a G pixel without light as the NoiseProfile says: far above `spread` where
            a sensor clips its noise at black.
        matrix: `(batch, 3, 3)`, balanced camera RGB → linear Rec. 709.
    """

    mosaic: Tensor
    spread: Tensor
    read: Tensor
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
    `y = g·w·x` has the standard deviation `g·w·√O` without light.

    Raises:
        ValueError: no NoiseProfile, an odd side, or fewer than 6 px across.
    """
    if len(raw.noise_profile) != 3 or min(offset for _, offset in raw.noise_profile) < 0:
        raise ValueError(f"NoiseProfile {raw.noise_profile}: the raw stage needs S and O ≥ 0 of R, G and B")
    height, width = raw.counts.shape
    if height % 2 or width % 2 or width < 6:
        raise ValueError(f"mosaic of {width}×{height} px: the raw stage needs even sides, 6 px at least")
    gains, matrix = (torch.tensor(part, dtype=torch.float32) for part in balance(raw.neutral, raw.xyz_to_camera))
    mosaic = white_balance(normalise(raw.counts, raw.black_level_dn, raw.white_level_dn), gains[None], raw.cfa)
    scale = LEVEL / mosaic.mean().clamp_min(1e-6)
    read = scale * gains[1] * raw.noise_profile[1][1] ** 0.5
    mosaic = Mosaic(scale * mosaic)
    spread = noise_spread(mosaic)  # along rows: their offsets are not in it
    upright = (mosaic - row_offsets(mosaic, spread)).flip(FLIPS[raw.cfa])
    return RawInput(upright, spread, read.view(1, 1, 1, 1), matrix[None])


def _two(before: int, after: int) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1), nn.ReLU(inplace=True),
    )  # fmt: skip


class RawNet(nn.Module):
    """The U-Net; with `WIDTHS` 0.47 M parameters.

    Args:
        widths: channels of each scale, the finest first.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        seen = (6, *(width + 4 for width in widths[:-1]))  # each scale sees the mosaic's own average beside features
        self.down = nn.ModuleList(_two(before, after) for before, after in zip(seen, widths, strict=True))
        self.up = nn.ModuleList(
            _two(coarse + fine, fine) for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 2 * AVERAGES + 1 + 12, 3, padding=1)
        nn.init.normal_(self.last.weight, 0, 0.003)  # it begins as the mean of all averages
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: RawInput) -> LinearRgb:
        """Light in linear Rec. 709, `(batch, 3, height, width)`, scaled to a mean of about `LEVEL`, above white too.

        Args:
            seen: of raws of one size.
        """
        height, width = seen.mosaic.shape[2:]
        tile = F.pixel_unshuffle(seen.mosaic, 2)
        several = 2 ** (len(self.widths) - 1)
        tile = F.pad(tile, (0, -tile.shape[3] % several, 0, -tile.shape[2] % several), mode="replicate")
        said = self._unet(tile, seen.spread, seen.read)
        weights, clipped, detail = torch.split(said, [2 * AVERAGES, 1, 12], dim=1)
        light = _chosen(tile, weights) - seen.spread * clipped
        root = (light.clamp_min(0) + 1e-4).sqrt() - 1e-2  # a finite slope at black
        full = F.interpolate(root, scale_factor=2, mode="bilinear") + F.pixel_shuffle(detail, 2)
        return colour_matrix(LinearRgb(full[:, :, :height, :width].clamp_min(0) ** 2), seen.matrix)

    def _unet(self, tile: Tensor, spread: Tensor, read: Tensor) -> Tensor:
        known = (spread.clamp_min(1e-3).log() / 4 + 0.8, (read / (spread + 5e-3)).clamp(0.2, 50).log() / 4)
        image = torch.cat([_rooted(tile, spread), *(one.expand(-1, -1, *tile.shape[2:]) for one in known)], dim=1)
        image = image.contiguous(memory_format=torch.channels_last)
        kept: list[Tensor] = []
        for scale, block in enumerate(self.down):
            if kept:
                own = _rooted(F.avg_pool2d(tile, 2**scale), spread / 2**scale)
                image = torch.cat([F.max_pool2d(image, 2), own.to(image.dtype)], dim=1)
            image = block(image)
            kept.append(image)
        for block, fine in zip(self.up, kept[-2::-1], strict=True):
            image = block(torch.cat([F.interpolate(image, scale_factor=2), fine], dim=1))
        said: Tensor = self.last(image)
        return said.float()


def _rooted(light: Tensor, spread: Tensor) -> Tensor:
    """`y/√(|y| + σ)`."""
    return light / (light.abs() + spread + LEAST_SPREAD).sqrt()


def _chosen(tile: Tensor, weights: Tensor) -> Tensor:
    """Each tile's mixture of R, G, B over 1, 2, 4, … tiles each way, of light and of colour apart:
    `(batch, 3, height, width)`. One average after the other, so that no more than two are held without gradients.
    """
    of_light, of_colour = (part.softmax(dim=1) for part in torch.split(weights, AVERAGES, dim=1))
    colours = torch.stack([tile[:, 0], (tile[:, 1] + tile[:, 2]) / 2, tile[:, 3]], dim=1)
    mixed = torch.zeros_like(colours)
    for k in range(AVERAGES):
        average = _average(colours, k)
        light = average.mean(dim=1, keepdim=True)
        colour_share = of_colour[:, k : k + 1]
        mixed = torch.addcmul(mixed, colour_share, average)  # w·L + u·(p − L) = u·p + (w − u)·L
        mixed = torch.addcmul(mixed, of_light[:, k : k + 1] - colour_share, light)
    return mixed


def _average(colours: Tensor, k: int) -> Tensor:
    """Over `2^k` tiles each way, on every tile."""
    if k == 0:
        return colours
    wider = F.avg_pool2d(colours, 2**k, ceil_mode=True, count_include_pad=False)
    return F.interpolate(wider, size=colours.shape[2:], mode="bilinear")


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself; where it doesn't, float32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch has no public question for it
    return device.type == "cpu" and asked is not None and bool(asked())


def restore(network: RawNet, raw: Raw, bf16: bool | None = None) -> LinearRgb:
    """A raw → linear Rec. 709, `(1, 3, height, width)`, on the mosaic's own pixels.

    Args:
        network: the stage; as it was trained, in bfloat16 too (light and its averages stay in float32).
        raw: of the low-light arm.
        bf16: convolutions in bfloat16; None: where the device does that natively.

    Raises:
        ValueError: see `as_input`.
    """
    device = next(network.parameters()).device
    half = native_bfloat16(device) if bf16 is None else bf16
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        light = network(as_input(raw).to(device))
    return LinearRgb(light.flip(FLIPS[raw.cfa]))
