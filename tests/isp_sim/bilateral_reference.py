"""The bilateral filter as its definition reads, in plain torch: autograd differentiates it. Slow; for tests alone."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bilateral_reference(
    image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int, disc: bool = False
) -> Tensor:
    """Weights of Tomasi & Manduchi over a square window, or the disc in it; outside the image they are 0."""
    batch, channels, height, width = image.shape
    reach = window // 2
    space, range_ = (s.expand(batch, channels)[..., None, None, None] for s in (sigma_space, sigma_range))

    def neighbours(plane):
        columns = F.unfold(plane, window, padding=reach)
        return columns.view(batch, channels, window * window, height, width)

    offset = torch.arange(-reach, reach + 1, dtype=image.dtype)
    distance2 = (offset[:, None] ** 2 + offset[None, :] ** 2).reshape(1, 1, -1, 1, 1)
    there, inside = neighbours(image), neighbours(torch.ones_like(image))
    if disc:
        inside = inside * (distance2 <= reach**2)
    delta = there - image[:, :, None]
    weight = inside * torch.exp(-distance2 / (2 * space**2)) * torch.exp(-(delta**2) / (2 * range_**2))
    return (weight * there).sum(2) / weight.sum(2)


def case(kind=torch.float32, size=(17, 21), seed=0):
    """Image, σs, σr and an incoming gradient; every image and channel another σ."""
    stream = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, *size, generator=stream, dtype=kind)
    sigma_space = torch.rand(2, 3, generator=stream, dtype=kind) * 2 + 0.5
    sigma_range = torch.rand(2, 3, generator=stream, dtype=kind) * 0.3 + 0.05
    gradient = torch.randn(image.shape, generator=stream, dtype=kind)
    return [leaf.requires_grad_() for leaf in (image, sigma_space, sigma_range)], gradient


def largest_difference(found, due):
    """Largest difference, as a share of the largest value where that is above 1."""
    return ((found - due).abs().max() / due.abs().max().clamp_min(1)).item()
