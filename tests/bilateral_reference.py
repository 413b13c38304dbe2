"""The bilateral filter as its definition reads, in plain torch: autograd differentiates it. Slow; for tests alone."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bilateral_reference(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> Tensor:
    """Weights of Tomasi & Manduchi over a square window; what lies outside the image has weight 0."""
    batch, channels, height, width = image.shape
    reach = window // 2
    space, range_ = (s.expand(batch, channels)[..., None, None, None] for s in (sigma_space, sigma_range))

    def neighbours(plane):
        columns = F.unfold(plane, window, padding=reach)
        return columns.view(batch, channels, window * window, height, width)

    offset = torch.arange(-reach, reach + 1, dtype=image.dtype)
    distance2 = (offset[:, None] ** 2 + offset[None, :] ** 2).reshape(1, 1, -1, 1, 1)
    there, inside = neighbours(image), neighbours(torch.ones_like(image))
    delta = there - image[:, :, None]
    weight = inside * torch.exp(-distance2 / (2 * space**2)) * torch.exp(-(delta**2) / (2 * range_**2))
    return (weight * there).sum(2) / weight.sum(2)
