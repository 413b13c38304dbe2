"""People's crops out of a picture that an ISP develops only round them; gradients flow to its parameters.

What `models.data.crops.crop` does in OpenCV, in torch: the crop's part of the picture with a margin, developed with
the pipeline's own halo, blurred if it shrinks, warped. At full resolution, at the cost of the boxes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from isp_sim.isp.pipeline import Box, Pipeline
from models.data.crops import Affine, seen_part


def developed_crop(
    pipeline: Pipeline, picture: Tensor, values: Tensor, affine: Affine, size: tuple[int, int]
) -> Tensor:
    """One person's crop of one picture, developed with one setting or several.

    Args:
        pipeline: the ISP.
        picture: `(1, 3, height, width)`, before it.
        values: `(settings, pipeline.size)`.
        affine: picture px → crop px.
        size: (height, width) of the crop.

    Returns:
        `(settings, 3, *size)`; black outside the picture.
    """
    height, width = picture.shape[2:]
    *box, sigma = seen_part(affine, size, (height, width))
    developed = pipeline.region(picture, values, Box(*box))

    def seen(developed: Tensor) -> Tensor:
        return warped(blurred(developed, sigma) if sigma > 0 else developed, affine, (box[0], box[1]), size)

    # Blur and warp are cheap to compute again and would keep six planes of the region for the backward pass.
    return checkpoint(seen, developed, use_reentrant=False, preserve_rng_state=False)  # type: ignore[no-any-return]


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur over `±4σ`, mirrored at the border without repeating the edge pixel.

    Args:
        image: `(batch, channels, height, width)`.
        sigma: px.
    """
    reach = round(4 * sigma)
    at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = image.shape[1]
    for axis, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        mode = "reflect" if image.shape[axis] > reach else "replicate"
        shape = (channels, 1, -1, 1) if axis == 2 else (channels, 1, 1, -1)
        weights = kernel.expand(channels, -1).reshape(shape)
        image = F.conv2d(F.pad(image, pad, mode=mode), weights, groups=channels)
    return image


def warped(image: Tensor, affine: Affine, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Bilinear warp to a crop; black outside.

    Args:
        image: `(batch, channels, height, width)`, a part of the picture.
        affine: picture px → crop px.
        corner: (left, top) of the part in the picture.
        size: (height, width) of the crop.
    """
    height, width = image.shape[2:]
    back = np.linalg.inv(np.vstack([affine, (0, 0, 1)]))[:2]
    back[:, 2] -= corner
    # grid_sample's units: −1 … 1 from the first to the last pixel's centre, in and out.
    scale = np.array([2 / max(width - 1, 1), 2 / max(height - 1, 1)])[:, None]
    half = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    linear = back[:, :2] * half * scale
    shift = (back[:, :2] @ half + back[:, 2]) * scale[:, 0] - 1
    theta = image.new_tensor(np.column_stack([linear, shift]))[None]
    grid = F.affine_grid(theta, [1, image.shape[1], *size], align_corners=True)
    return F.grid_sample(
        image, grid.expand(len(image), -1, -1, -1), mode="bilinear", padding_mode="zeros", align_corners=True
    )


def developed_crops(
    pipeline: Pipeline,
    pictures: Sequence[Tensor],
    values: Tensor,
    affines: Sequence[Sequence[Affine]],
    size: tuple[int, int],
) -> Tensor:
    """Crops of all people of several pictures, in their order: `(people, 3, *size)`.

    Args:
        pipeline: the ISP.
        pictures: each `(3, height, width)`; they need not be of one size.
        values: `(pictures, pipeline.size)`.
        affines: of each picture's people.
        size: (height, width) of a crop.
    """
    crops = [
        developed_crop(pipeline, picture[None], values[n : n + 1], affine, size)
        for n, picture in enumerate(pictures)
        for affine in affines[n]
    ]
    return torch.cat(crops)
