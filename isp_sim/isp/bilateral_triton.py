"""The bilateral filter's kernels for the GPU: a tile of pixels a program, its neighbours read through the cache.

Equations stand in `isp_sim.isp.bilateral`. Sums over a plane are added up tile by tile, without atomics, so the
same input gives the same bits.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
TILE_ROWS, TILE_COLUMNS = 4, 128


def forward(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Filtered planes O and sums of weights W of `(planes, height, width)`."""
    out, weight = torch.empty_like(image), torch.empty_like(image)
    space, slope, _ = _falloff(sigma_space, sigma_range)
    with _on(image):
        _forward[_grid(image)](
            image, out, weight, space, slope, *image.shape[1:], window // 2, TILE_ROWS, TILE_COLUMNS, num_warps=4
        )
    return out, weight


def backward(
    h: Tensor, image: Tensor, out: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the planes, and for each plane Σ h w (f−O) |d|² and Σ h w (f−O) δ²; h is gradient / W."""
    gradient = torch.empty_like(image)
    planes, rows, columns = grid = _grid(image)
    sums = torch.empty((2, planes, rows * columns), dtype=image.dtype, device=image.device)
    with _on(image):
        _backward[grid](
            h,
            image,
            out,
            gradient,
            sums,
            *_falloff(sigma_space, sigma_range),
            *image.shape[1:],
            window // 2,
            TILE_ROWS,
            TILE_COLUMNS,
            num_warps=4,
        )
    by_space, by_range = sums.double().sum(dim=2)
    return gradient, by_space, by_range


def _falloff(sigma_space: Tensor, sigma_range: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`log2(e)/(2σ²)` of both σ and `1/σr²`, one number a plane."""
    space, range_ = (sigma.reshape(-1).double() ** -2 for sigma in (sigma_space, sigma_range))
    constants = (space * (LOG2_E / 2), range_ * (LOG2_E / 2), range_)
    return tuple(constant.to(sigma_space.dtype) for constant in constants)  # type: ignore[return-value]


def _grid(image: Tensor) -> tuple[int, int, int]:
    planes, height, width = image.shape
    return planes, triton.cdiv(height, TILE_ROWS), triton.cdiv(width, TILE_COLUMNS)


def _on(image: Tensor) -> AbstractContextManager[object]:
    return torch.cuda.device(image.device) if image.is_cuda else nullcontext()


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    image,
    out,
    weight,
    space,
    slope,
    height,
    width,
    REACH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    plane = tl.program_id(0)
    y = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    start = plane.to(tl.int64) * height * width
    at = start + y * width + x
    inside = (y < height) & (x < width)
    a, b = tl.load(space + plane), tl.load(slope + plane)
    here = tl.load(image + at, inside, 0.0)
    total = tl.zeros_like(here)
    weights = tl.zeros_like(here)
    for dy in range(-REACH, REACH + 1):
        for dx in tl.static_range(-REACH, REACH + 1):
            there_y, there_x = y + dy, x + dx
            seen = inside & (there_y >= 0) & (there_y < height) & (there_x >= 0) & (there_x < width)
            there = tl.load(image + at + dy * width + dx, seen, 0.0)
            delta = there - here
            w = tl.where(seen, tl.exp2(-a * (dx * dx + dy * dy) - b * delta * delta), 0.0)
            weights += w
            total += w * there
    tl.store(out + at, total / tl.maximum(weights, 1.0), inside)
    tl.store(weight + at, weights, inside)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    h,
    image,
    out,
    gradient,
    sums,
    space,
    slope,
    precision,
    height,
    width,
    REACH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    plane = tl.program_id(0)
    y = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    start = plane.to(tl.int64) * height * width
    at = start + y * width + x
    inside = (y < height) & (x < width)
    a, b, c = tl.load(space + plane), tl.load(slope + plane), tl.load(precision + plane)
    here = tl.load(image + at, inside, 0.0)
    h_here = tl.load(h + at, inside, 0.0)
    out_here = tl.load(out + at, inside, 0.0)
    total = tl.zeros_like(here)
    by_space = tl.zeros_like(here)
    by_range = tl.zeros_like(here)
    for dy in range(-REACH, REACH + 1):
        for dx in tl.static_range(-REACH, REACH + 1):
            there_y, there_x = y + dy, x + dx
            seen = inside & (there_y >= 0) & (there_y < height) & (there_x >= 0) & (there_x < width)
            step = dy * width + dx
            there = tl.load(image + at + step, seen, 0.0)
            h_there = tl.load(h + at + step, seen, 0.0)
            out_there = tl.load(out + at + step, seen, 0.0)
            delta = there - here
            w = tl.where(seen, tl.exp2(-a * (dx * dx + dy * dy) - b * delta * delta), 0.0)
            own = w * h_here * (there - out_here)
            theirs = w * h_there
            total += theirs + delta * c * (theirs * (here - out_there) + own)
            by_space += own * (dx * dx + dy * dy)
            by_range += own * delta * delta
    tl.store(gradient + at, total, inside)
    tiles = tl.num_programs(1) * tl.num_programs(2)
    tile = tl.program_id(1) * tl.num_programs(2) + tl.program_id(2)
    tl.store(sums + plane * tiles + tile, tl.sum(by_space))
    tl.store(sums + (tl.num_programs(0) + plane) * tiles + tile, tl.sum(by_range))
