"""The bilateral filter as one differentiable step: `torch.ops.isp_sim.bilateral`, kernels in numba and Triton.

For a pixel p and its neighbours q inside the window and inside the image, channel by channel
(Tomasi & Manduchi, *Bilateral filtering for gray and color images*, ICCV 1998):

    w_pq = exp(−|p − q|²/(2σs²)) · exp(−(f_p − f_q)²/(2σr²)),   W_p = Σ_q w_pq,   O_p = Σ_q w_pq f_q / W_p

Nothing lies beyond the border, so weights there are renormalised. Weights are symmetric, so the gradient too is a
sum over neighbours; with g the incoming gradient and h = g/W it needs f, O and W alone, whatever the window:

    ∂L/∂f_q = Σ_p w [h_p (1 + (f_q − O_p)(f_p − f_q)/σr²) + h_q (f_p − O_q)(f_p − f_q)/σr²],   its own p = q being h_q
    ∂L/∂σs  = Σ_pq h_p w (f_q − O_p) |p − q|²/σs³
    ∂L/∂σr  = Σ_pq h_p w (f_q − O_p) (f_p − f_q)²/σr³
"""

from typing import Any

import torch
from torch import Tensor

from isp_sim.isp import bilateral_numba

WINDOWS = (3, 5, 7, 9, 11, 13, 15)
"""Widths of the window, pixels."""


def bilateral(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int = 7) -> Tensor:
    """Smooth each channel, but not across its edges; differentiable once in the image and both σ.

    Args:
        image: `(batch, channels, height, width)`; half precision is computed and given back in float32.
        sigma_space: `(batch, channels)`, or `(batch, 1)` shared by the channels; pixels, above 0.
        sigma_range: likewise, in the image's unit.
        window: width of the square of neighbours, odd, 3 … 15 pixels.

    Raises:
        ValueError: a window or a shape that does not fit; on the CPU also a σ that is not above 0.
    """
    if window not in WINDOWS:
        raise ValueError(f"bilateral window {window}: expected one of {', '.join(map(str, WINDOWS))} pixels")
    if image.ndim != 4:
        raise ValueError(f"bilateral image of shape {tuple(image.shape)}: (batch, channels, height, width) is expected")
    batch, channels = image.shape[:2]
    for name, sigma in (("sigma_space", sigma_space), ("sigma_range", sigma_range)):
        if sigma.ndim != 2 or sigma.shape[0] not in (1, batch) or sigma.shape[1] not in (1, channels):
            raise ValueError(f"{name} of shape {tuple(sigma.shape)}: ({batch}, {channels}) or ({batch}, 1) is expected")
    kind = torch.promote_types(image.dtype, torch.float32)
    sigmas = (sigma.to(kind).expand(batch, channels) for sigma in (sigma_space, sigma_range))
    out: Tensor = torch.ops.isp_sim.bilateral(image.to(kind), *sigmas, window)[0]
    return out


@torch.library.custom_op("isp_sim::bilateral", mutates_args=(), device_types="cpu")
def _bilateral(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> tuple[Tensor, Tensor]:
    for name, sigma in (("sigma_space", sigma_space), ("sigma_range", sigma_range)):
        wrong = (~(sigma > 0)).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            raise ValueError(f"{name} of image {place[0]}, channel {place[1]} is {sigma[place]:g}: must be above 0")
    law = bilateral_numba.falloff(sigma_space.numpy(), sigma_range.numpy())
    out, weight = bilateral_numba.forward(_planes(image).numpy(), law, window)
    return torch.from_numpy(out).view(image.shape), torch.from_numpy(weight).view(image.shape)


@torch.library.custom_op("isp_sim::bilateral_backward", mutates_args=(), device_types="cpu")
def _bilateral_backward(
    gradient: Tensor, image: Tensor, sigma_space: Tensor, sigma_range: Tensor, out: Tensor, weight: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    law = bilateral_numba.falloff(sigma_space.numpy(), sigma_range.numpy())
    h, f, o = (_planes(plane).numpy() for plane in (gradient / weight, image, out))
    by_image, by_space, by_range = (torch.from_numpy(by) for by in bilateral_numba.backward(h, f, o, law, window))
    return by_image.view(image.shape), _by_sigma(by_space, sigma_space), _by_sigma(by_range, sigma_range)


@_bilateral.register_kernel("cuda")
def _bilateral_cuda(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> tuple[Tensor, Tensor]:
    from isp_sim.isp import bilateral_triton  # triton is there where CUDA is

    out, weight = bilateral_triton.forward(_planes(image), sigma_space, sigma_range, window)
    return out.view(image.shape), weight.view(image.shape)


@_bilateral_backward.register_kernel("cuda")
def _bilateral_backward_cuda(
    gradient: Tensor, image: Tensor, sigma_space: Tensor, sigma_range: Tensor, out: Tensor, weight: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    from isp_sim.isp import bilateral_triton

    h, f, o = (_planes(plane) for plane in (gradient / weight, image, out))
    by_image, by_space, by_range = bilateral_triton.backward(h, f, o, sigma_space, sigma_range, window)
    return by_image.view(image.shape), _by_sigma(by_space, sigma_space), _by_sigma(by_range, sigma_range)


def _planes(image: Tensor) -> Tensor:
    """Every channel of every image a plane of its own, rows one after the other in memory."""
    return image.detach().contiguous().view(-1, *image.shape[2:])


def _by_sigma(sums: Tensor, sigma: Tensor) -> Tensor:
    """A σ's gradient: sums over the pixels of each plane, float64, divided by σ³."""
    return (sums.view(sigma.shape) / sigma.double() ** 3).to(sigma.dtype)


@_bilateral.register_fake
def _shapes(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> tuple[Tensor, Tensor]:
    return image.new_empty(image.shape), image.new_empty(image.shape)


@_bilateral_backward.register_fake
def _backward_shapes(
    gradient: Tensor, image: Tensor, sigma_space: Tensor, sigma_range: Tensor, out: Tensor, weight: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(like.new_empty(like.shape) for like in (image, sigma_space, sigma_range))  # type: ignore[return-value]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    image, sigma_space, sigma_range, ctx.window = inputs
    ctx.save_for_backward(image, sigma_space, sigma_range, *output)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, gradient: Tensor, _weight: Tensor) -> tuple[Tensor | None, ...]:
    found = torch.ops.isp_sim.bilateral_backward(gradient, *ctx.saved_tensors, ctx.window)
    return (*found, None)


def _refuse(ctx: Any, *_gradients: Tensor) -> tuple[Tensor | None, ...]:
    raise NotImplementedError("bilateral: a second derivative is not offered; differentiate once (no gradgradcheck)")


_bilateral.register_autograd(_differentiate, setup_context=_keep)
_bilateral_backward.register_autograd(_refuse)
for _device in ("cpu", "cuda"):
    _bilateral.register_autocast(_device, torch.float32)
