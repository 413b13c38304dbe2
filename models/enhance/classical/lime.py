"""LIME (Guo, Li & Ling, IEEE TIP 2017): a picture divided by its refined illumination.

    T̂ = max over R, G, B;   minimise Σ (t − T̂)² + α Σ_d W_d·(∂_d t)²/(|∂_d T̂| + ε);   enhanced = I / t^γ

with the paper's third weights, `W_d = 1 / (|G_σ ∗ ∂_d T̂| + ε)`: the sped-up solver's one linear system,
`(1 + Σ_d D_dᵀ diag(w_d) D_d)·t = T̂`, sparse, symmetric, positive definite. The paper's denoising of the result (BM3D)
is left out.
"""

import cv2
import numpy as np

from models.data.normalisation import Picture
from models.enhance.classical.multigrid import Grid, Plane, solve

ALPHA, GAMMA, SIGMA_PX, EPSILON = 0.15, 0.8, 2.0, 1e-3


def lime(picture: Picture, alpha: float = ALPHA, exponent: float = GAMMA) -> Picture:
    """The picture lit evenly.

    Args:
        picture: uint8 `(height, width, 3)`.
        alpha: weight of smoothness.
        exponent: γ of the illumination.
    """
    image = picture.astype(np.float32) / np.float32(255)
    light = illumination(image.max(axis=2).astype(np.float64), alpha)
    lit = image / (np.maximum(light, EPSILON) ** exponent)[..., None].astype(np.float32)
    return np.asarray((np.clip(lit, 0, 1) * 255 + 0.5).astype(np.uint8))


def illumination(brightest: Plane, alpha: float = ALPHA) -> Plane:
    """The refined illumination t of T̂.

    Raises:
        ArithmeticError: the solver did not get there.
    """
    down, right = weights(brightest)
    return solve(Grid(np.ones_like(brightest), alpha * down, alpha * right), brightest, brightest)


def weights(brightest: Plane) -> tuple[Plane, Plane]:
    """`w_d = W_d / (|∂_d T̂| + ε)` between each pixel and the one below, and the one to the right; the last 0."""
    found = []
    for axis in (0, 1):
        change = np.diff(brightest, axis=axis, append=np.take(brightest, [-1], axis=axis))
        soft = np.abs(cv2.GaussianBlur(change, (0, 0), SIGMA_PX, borderType=cv2.BORDER_REFLECT))
        weight = 1 / ((soft + EPSILON) * (np.abs(change) + EPSILON))
        weight[(slice(None),) * axis + (-1,)] = 0.0
        found.append(weight)
    return found[0], found[1]
