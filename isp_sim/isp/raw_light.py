"""A raw as a pipeline takes it whose steps begin before sRGB: the mosaic, how it is developed, what is known of it."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from isp_sim.isp.develop import DevelopParams, develop_linear, from_metadata, unclipped_srgb
from isp_sim.isp.illuminant import thumbnail
from isp_sim.isp.row_noise import noise_spread, row_offsets
from isp_sim.raw import Raw, defect_mask, normalise
from isp_sim.rig import Isp
from isp_sim.units import LinearRgb, Mosaic, Srgb

SMALLEST = 8
"""Least side of a raw, px: rows are compared over several tiles."""


@dataclass(frozen=True)
class RawLight:
    """Raws of one camera, a batch. What is measured belongs to the whole picture, and no gradient passes through it.

    Attributes:
        mosaic: `(batch, 1, height, width)`, even sides, black 0, white 1.
        develop: how it becomes colour, one for all or one each.
        noise: `(batch, 3, 2)`, S and O of R, G and B: variance `S·x + O` of a pixel (DNG NoiseProfile).
        rows: `(batch, 1, height, 1)`, what each row is read too high (`isp_sim.isp.row_noise`).
        spread: `(batch, 1, 1, 1)`, standard deviation of a typical pixel's noise, as the picture shows it.
        mean: `(batch, 1, 1, 1)`, of the mosaic.
        thumbnail: camera RGB of blocks, `(batch, 3, rows, columns)` (`isp_sim.isp.illuminant`).
        gains: `(batch or 1, 1, height, width)`, what undoes the lens's shading; None: the raw does not say.
        listed: likewise, bool: pixels that the camera knows to be defective; None: it knows of none.
    """

    mosaic: Mosaic
    develop: DevelopParams
    noise: Tensor
    rows: Tensor
    spread: Tensor
    mean: Tensor
    thumbnail: Tensor
    gains: Tensor | None = field(default=None, kw_only=True)
    listed: Tensor | None = field(default=None, kw_only=True)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.mosaic.shape[2], self.mosaic.shape[3]

    def region(self, rows: slice, columns: slice) -> "RawLight":
        """A part that begins and ends at even rows and columns; what was measured stays."""
        part = self.mosaic[:, :, rows, columns].contiguous()
        gains, listed = (plane if plane is None else plane[:, :, rows, columns] for plane in (self.gains, self.listed))
        return replace(self, mosaic=Mosaic(part), rows=self.rows[:, :, rows], gains=gains, listed=listed)

    def light(self) -> LinearRgb:
        """Developed with no step in between: linear Rec. 709."""
        return develop_linear(self.mosaic, self.develop)

    def picture(self) -> Srgb:
        """Developed with no step in between: sRGB before quantisation."""
        return unclipped_srgb(self.light())


def raw_light(raw: Raw, isp: Isp, device: torch.device | str = "cpu") -> RawLight:
    """A raw by its own metadata, batch 1.

    Args:
        raw: as captured, with its NoiseProfile.
        isp: what no raw says, see `isp_sim.isp.develop.from_metadata`.
        device: where it is developed.

    Raises:
        ValueError: no NoiseProfile, odd sides, or fewer than 8 px across.
    """
    if len(raw.noise_profile) != 3 or min(min(pair) for pair in raw.noise_profile) < 0:
        raise ValueError(f"NoiseProfile {raw.noise_profile}: expected S and O ≥ 0 of R, G and B")
    height, width = raw.counts.shape
    if height % 2 or width % 2 or min(height, width) < SMALLEST:
        raise ValueError(f"a frame of {width}×{height} px; expected even sides of {SMALLEST} and more")
    mosaic = Mosaic(normalise(raw.counts, raw.black_level_dn, raw.white_level_dn).to(device))
    spread = noise_spread(mosaic)
    noise = torch.tensor(raw.noise_profile, dtype=torch.float32, device=device)[None]
    mean = mosaic.mean().view(1, 1, 1, 1)
    gains = torch.from_numpy(raw.shading.over(height, width)) if raw.shading else None
    listed = torch.from_numpy(defect_mask(raw.defects, height, width)) if raw.defects else None
    return RawLight(
        mosaic,
        from_metadata(raw, isp, str(device)),
        noise,
        row_offsets(mosaic, spread),
        spread,
        mean,
        thumbnail(mosaic, raw.cfa),
        gains=gains if gains is None else gains[None, None].to(device),
        listed=listed if listed is None else listed[None, None].to(device),
    )


def as_picture(image: Tensor | RawLight) -> Tensor:
    """The picture itself, or the raw's with no step in between."""
    return image.picture() if isinstance(image, RawLight) else image


def size_of(image: Tensor | RawLight) -> tuple[int, int]:
    """Height and width of a picture or a raw, px."""
    return image.size if isinstance(image, RawLight) else (image.shape[2], image.shape[3])
