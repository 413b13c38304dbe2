"""SRIE (Fu et al., *A Weighted Variational Model for Simultaneous Reflectance and Illumination Estimation*, CVPR 2016).

With s = ln of the largest of R, G, B in codes, reflectance e^r and illumination e^l:

    minimise ‖r + l − s‖² + c₁·‖e^r·∇r‖₁ + c₂·‖e^l·∇l‖²   with r ≤ 0, l ≥ s;   enhanced = e^r · 255·(e^l / 255)^(1/γ)

by turns, the weights e^r and e^l those of the turn before: d = shrink(e^r·∇r + b, 1/2λ) for the reflectance's gradient,
then r and l from one linear system each, cut to their bounds, then b ← b + e^r·∇r − d. The paper solves the systems by
Fourier transforms, for which a weight must be one number of the whole picture; ours are the weighted ones. Numbers
are those of the released demonstration, whose solver is closed.
"""

import numpy as np

from models.data.normalisation import Picture
from models.enhance.classical.multigrid import Grid, Plane, solve

C1, C2, LAMBDA, GAMMA = 0.01, 0.1, 1.0, 2.2
WHITE = 255.0
SETTLED = 1e-3
"""Of its norm, reflectance and illumination change by less in the last turn."""
TURNS = 20
"""At most, ours: by turns the two settle slowly."""


def srie(picture: Picture) -> Picture:
    """The picture with its illumination's gamma corrected.

    Args:
        picture: uint8 `(height, width, 3)`; black stays black.
    """
    image = picture.astype(np.float32)
    value = picture.max(axis=2).astype(np.float64)
    reflectance, light = decomposed(value)
    lit = reflectance * WHITE * (light / WHITE) ** (1 / GAMMA)
    scale = (lit / np.maximum(value, 1)).astype(np.float32)
    return np.asarray((np.clip(image * scale[..., None], 0, 255) + 0.5).astype(np.uint8))


def decomposed(value: Plane) -> tuple[Plane, Plane]:
    """Reflectance, up to 1, and illumination, codes.

    Args:
        value: codes; below 1 counts as 1.

    Raises:
        ArithmeticError: the solver did not get there.
    """
    s = np.log(np.maximum(value, 1.0))
    r, light = np.zeros_like(s), s.copy()
    b = [np.zeros_like(s), np.zeros_like(s)]
    for _ in range(TURNS):
        before = (r, light)
        weight = np.exp(r)
        seen = [weight * one for one in gradient(r)]
        d = [shrunk(one + rest, 1 / (2 * LAMBDA)) for one, rest in zip(seen, b, strict=True)]
        wanted = [weight * (one - rest) for one, rest in zip(d, b, strict=True)]
        grid = smoothing(C1 * LAMBDA * weight**2)
        r = np.minimum(solve(grid, s - light + C1 * LAMBDA * transposed_gradient(*wanted), r), 0)
        light = np.maximum(solve(smoothing(C2 * np.exp(2 * light)), s - r, light), s)
        b = [rest + weight * one - target for rest, one, target in zip(b, gradient(r), d, strict=True)]
        if all(moved(now, then) <= SETTLED for now, then in zip((r, light), before, strict=True)):
            break
    return np.exp(r), np.exp(light)


def gradient(x: Plane) -> tuple[Plane, Plane]:
    """To the pixel below and to the right; 0 at the end."""
    return np.diff(x, axis=0, append=x[-1:]), np.diff(x, axis=1, append=x[:, -1:])


def transposed_gradient(down: Plane, right: Plane) -> Plane:
    """`Dᵀ` of both."""
    out: Plane = -down - right
    out[-1] += down[-1]
    out[:, -1] += right[:, -1]
    out[1:] += down[:-1]
    out[:, 1:] += right[:, :-1]
    return out


def smoothing(weight: Plane) -> Grid:
    """`1 + Dᵀ diag(w) D`, w of the pixel where a difference begins."""
    down, right = weight.copy(), weight.copy()
    down[-1], right[:, -1] = 0, 0
    return Grid(np.ones_like(weight), down, right)


def shrunk(x: Plane, by: float) -> Plane:
    """Nearer to 0 by so much, at most to 0."""
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - by, 0))


def moved(now: Plane, before: Plane) -> float:
    """`‖e^now − e^before‖ / ‖e^before‖`."""
    return float(np.linalg.norm(np.exp(now) - np.exp(before)) / np.linalg.norm(np.exp(before)))


def objective(r: Plane, light: Plane, s: Plane) -> float:
    """What is minimised, of logarithms."""
    edges = sum(float(np.abs(np.exp(r) * one).sum()) for one in gradient(r))
    slopes = sum(float(np.square(np.exp(light) * one).sum()) for one in gradient(light))
    return float(np.square(r + light - s).sum()) + C1 * edges + C2 * slopes
