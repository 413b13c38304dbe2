"""What `benchmarks/dark_blocks.py` measures on 64×64 blocks of 8-bit pictures, for R, G, B or the pairs RG, GB, RB."""

import numpy as np

BLOCK = 64
PAIRS = ((0, 1), (1, 2), (0, 2))
ROW_REACH = range(4, 48)
"""Distances at which pixels of a row are compared: beyond the reach of any demosaic, within a block."""


def blocks(picture: np.ndarray) -> list[np.ndarray]:
    """A picture in whole 64×64 blocks, as floats."""
    height, width = picture.shape[:2]
    return [
        picture[y : y + BLOCK, x : x + BLOCK].astype(float)
        for y in range(0, height - BLOCK + 1, BLOCK)
        for x in range(0, width - BLOCK + 1, BLOCK)
    ]


def lag(centred: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Autocorrelation of each channel at a shift, `(3,)`: `Σ_blocks ⟨c(y, x)·c(y + dy, x + dx)⟩ / Σ_blocks ⟨c²⟩`.

    Args:
        centred: `(blocks, 64, 64, 3)`, each block's channel mean taken off.
        dy: shift down, rows.
        dx: shift to the right, columns.
    """
    low, high = centred[:, : BLOCK - dy, : BLOCK - dx], centred[:, dy:, dx:]
    return np.asarray((low * high).mean(axis=(0, 1, 2)) / (centred**2).mean(axis=(0, 1, 2)))


def phases(stack: np.ndarray) -> np.ndarray:
    """Share of pixels above 0 at each of the four positions of the 2×2 tile over the channel's share, `(3, 4)`."""
    lit = stack > 0
    each = np.stack([lit[:, y::2, x::2].mean(axis=(0, 1, 2)) for y in (0, 1) for x in (0, 1)])
    return np.asarray((each / each.mean(axis=0)).T)


def corner_power(centred: np.ndarray) -> np.ndarray:
    """Power about (π, π) over the mean power of the blocks' periodograms, `(3,)`.

    The mean of the 9×9 bins about (π, π) without the middle one: that one is the checkerboard which the phases'
    unlike means make, and belongs to `phases`.
    """
    power = (np.abs(np.fft.fft2(centred, axes=(1, 2))) ** 2).mean(axis=0)
    half = BLOCK // 2
    about = power[half - 4 : half + 5, half - 4 : half + 5].reshape(81, 3)
    return np.asarray((about.sum(axis=0) - about[40]) / 80 / power.mean(axis=(0, 1)))


def row_covariance(centred: np.ndarray) -> np.ndarray:
    """Covariance of pixels of one row 4 to 47 columns apart over the pixel variance, `(blocks, 3)`.

    Each block counts with the variance of all blocks, so that the mean over blocks is the pooled ratio.
    """
    products = [(centred[:, :, s:] * centred[:, :, :-s]).mean(axis=(1, 2)) for s in ROW_REACH]
    return np.asarray(np.mean(products, axis=0) / (centred**2).mean(axis=(0, 1, 2)))


def describe(dark: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Every statistic over blocks: `(3,)` for R, G, B (pairs RG, GB, RB), `phases` `(3, 4)`."""
    stack = np.stack(dark)
    centred = stack - stack.mean(axis=(1, 2), keepdims=True)
    rows = row_covariance(centred)
    across = np.corrcoef(centred.reshape(-1, 3).T)
    of_rows = np.corrcoef(centred.mean(axis=2).reshape(-1, 3).T)
    return {
        "mean": stack.mean(axis=(0, 1, 2)),
        "share above 0": (stack > 0).mean(axis=(0, 1, 2)),
        "phases": phases(stack),
        "lag-1 along x": lag(centred, 0, 1),
        "lag-1 along y": lag(centred, 1, 0),
        "lag-2 along x": lag(centred, 0, 2),
        "lag-2 along y": lag(centred, 2, 0),
        "cross-channel": np.array([across[p, q] for p, q in PAIRS]),
        "power about (pi, pi)": corner_power(centred),
        "row covariance": rows.mean(axis=0),
        "... standard error": rows.std(axis=0) / np.sqrt(len(rows)),
        "row means, cross-channel": np.array([of_rows[p, q] for p, q in PAIRS]),
    }


def histogram(dark: list[np.ndarray]) -> np.ndarray:
    """Share of each 8-bit code, `(3, 256)`."""
    stack = np.stack(dark).astype(int)
    return np.stack([np.bincount(stack[..., c].ravel(), minlength=256) / stack[..., c].size for c in range(3)])


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p ‖ q) in nats for each channel; a code that q lacks counts as one pixel in a million."""
    q = np.maximum(q, 1e-6)
    return np.sum(np.where(p > 0, p * np.log(np.maximum(p, 1e-300) / q), 0), axis=1)


def split_half_floor(dark: list[np.ndarray], rounds: int = 20) -> np.ndarray:
    """KL of one random half of the blocks from the other: what no model can beat."""
    stream = np.random.default_rng(0)
    floors = []
    for _ in range(rounds):
        order = stream.permutation(len(dark))
        halves = [[dark[i] for i in part] for part in np.array_split(order, 2)]
        floors.append(divergence(histogram(halves[0]), histogram(halves[1])))
    return np.asarray(np.mean(floors, axis=0))
