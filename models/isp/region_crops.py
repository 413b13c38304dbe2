"""People's crops out of a picture that an ISP develops only round them; gradients flow to its parameters.

What `models.data.crops.crop` does in OpenCV, in torch: the crop's part of the picture with a margin, developed with
the pipeline's own halo, blurred if it shrinks, resampled. At full resolution, at the cost of the boxes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from isp_sim.isp.pipeline import Box, Pipeline
from isp_sim.isp.raw_light import RawLight, size_of
from models.data.crops import Affine, Part, seen_part


def developed_crop(
    pipeline: Pipeline, picture: Tensor | RawLight, values: Tensor, affine: Affine, size: tuple[int, int]
) -> Tensor:
    """One person's crop of one picture, developed with one setting or several.

    Args:
        pipeline: the ISP.
        picture: `(1, 3, height, width)`, before it; or the raw.
        values: `(settings, pipeline.size)`.
        affine: picture px → crop px; scaled, shifted, mirrored, not turned.
        size: (height, width) of the crop.

    Returns:
        `(settings, 3, *size)`; black outside the picture.
    """
    part = seen_part(affine, size, size_of(picture))
    return cropped(pipeline.region(picture, values, Box(*part[:4])), part, affine, size)


def cropped(developed: Tensor, part: Part, affine: Affine, size: tuple[int, int]) -> Tensor:
    """The crop of a picture's part, blurred if it shrinks: `A_y · picture · A_xᵀ`, each A blur and interpolation.

    Both are separable while nothing is turned, so that two small matrix products do what a convolution and a warp
    would, and autograd keeps nothing of the picture for them.

    Args:
        developed: `(batch, channels, part.height, part.width)`.
        part: of the picture, as `models.data.crops.seen_part` gives it.
        affine: picture px → crop px.
        size: (height, width) of the crop.

    Raises:
        ValueError: the affine turns.
    """
    if affine[0, 1] or affine[1, 0]:
        raise ValueError(f"affine {affine.tolist()}: turns the picture; expected scale, shift and mirror alone")
    across = _resampling(affine[0, 0], affine[0, 2], size[1], part.left, part.width, part.sigma)
    down = _resampling(affine[1, 1], affine[1, 2], size[0], part.top, part.height, part.sigma)
    return torch.from_numpy(down).to(developed) @ developed @ torch.from_numpy(across).to(developed).T


def _resampling(
    zoom: float, shift: float, count: int, first: int, length: int, sigma: float
) -> Float32[np.ndarray, "count length"]:
    """Along one axis: the Gaussian over `±4σ`, mirrored at the border without repeating its pixel, then interpolation.

    Args:
        zoom: crop px = zoom · picture px + shift.
        shift: likewise.
        count: crop px.
        first: where the part begins, picture px.
        length: of the part, picture px.
        sigma: of the blur, px; 0 for none.
    """
    at = (np.arange(count) - shift) / zoom - first
    before = np.floor(at).astype(int)
    reach = round(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2)) if reach else np.ones(1)
    mirrored = np.pad(np.arange(length), reach, mode="reflect")
    matrix = np.zeros((count, length), np.float32)
    for pixel, share in ((before, before + 1 - at), (before + 1, at - before)):
        inside = np.flatnonzero((pixel >= 0) & (pixel < length))  # beyond them is black
        seen = mirrored[pixel[inside, None] + offsets + reach]
        np.add.at(matrix, (inside[:, None], seen), share[inside, None] * weights / weights.sum())
    return matrix


def developed_crops(
    pipeline: Pipeline,
    pictures: Sequence[Tensor | RawLight],
    values: Tensor,
    affines: Sequence[Sequence[Affine]],
    size: tuple[int, int],
) -> Tensor:
    """Crops of all people of several pictures, in their order: `(people, 3, *size)`.

    Args:
        pipeline: the ISP.
        pictures: each `(1, 3, height, width)`, or a raw; they need not be of one size.
        values: `(people, pipeline.size)`.
        affines: of each picture's people.
        size: (height, width) of a crop.
    """
    everybody = [(picture, affine) for picture, near in zip(pictures, affines, strict=True) for affine in near]
    crops = [
        developed_crop(pipeline, picture, value[None], affine, size)
        for (picture, affine), value in zip(everybody, values, strict=True)
    ]
    return torch.cat(crops)


def person_seen(picture: Tensor, affine: Affine, size: tuple[int, int], side: int) -> Tensor:
    """What a crop sees of an undeveloped picture, squeezed to a square: `(1, channels, side, side)`.

    Args:
        picture: `(1, channels, height, width)`.
        affine: picture px → crop px.
        size: (height, width) of the crop.
        side: of the square, px.
    """
    squeezed = np.diag([side / size[1], side / size[0]]) @ affine
    part = seen_part(squeezed, (side, side), (picture.shape[2], picture.shape[3]))
    region = picture[:, :, part.top : part.top + part.height, part.left : part.left + part.width]
    return cropped(region, part, squeezed, (side, side))
