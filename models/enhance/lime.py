"""LIME (Guo, Li & Ling, IEEE TIP 2017): a picture divided by its refined illumination.

    T̂ = max over R, G, B;   minimise Σ (t − T̂)² + α Σ_d W_d·(∂_d t)²/(|∂_d T̂| + ε);   enhanced = I / t^γ

with the paper's third weights, `W_d = G_σ ∗ 1 / (|G_σ ∗ ∂_d T̂| + ε)`: the sped-up solver's one linear system,
`(1 + Σ_d D_dᵀ diag(w_d) D_d)·t = T̂`, sparse, symmetric, positive definite. The paper's denoising of the result (BM3D)
is left out.
"""

import cv2
import numpy as np
from jaxtyping import Float64
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from models.pose.crops import Picture

ALPHA, GAMMA, SIGMA_PX, EPSILON = 0.15, 0.8, 2.0, 1e-3
TOLERANCE = 1e-4
"""Of the residual, relative: a fortieth of a code of 8 bits."""
MAX_STEPS = 2000

Plane = Float64[np.ndarray, "height width"]


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
    matrix = system(*weights(brightest), alpha)
    inverse = 1 / matrix.diagonal()
    steps = LinearOperator(matrix.shape, matvec=lambda r: inverse * r.ravel())
    found, failed = cg(matrix, brightest.ravel(), brightest.ravel(), rtol=TOLERANCE, maxiter=MAX_STEPS, M=steps)
    if failed:
        raise ArithmeticError(f"LIME: the illumination has not settled after {MAX_STEPS} steps")
    return np.asarray(found.reshape(brightest.shape))


def weights(brightest: Plane) -> tuple[Plane, Plane]:
    """`w_d = W_d / (|∂_d T̂| + ε)` between each pixel and the one below, and the one to the right; the last 0."""
    found = []
    for axis in (0, 1):
        change = np.diff(brightest, axis=axis, append=np.take(brightest, [-1], axis=axis))
        soft = np.abs(cv2.GaussianBlur(change, (0, 0), SIGMA_PX, borderType=cv2.BORDER_REFLECT))
        weight = 1 / ((soft + EPSILON) * (np.abs(change) + EPSILON))
        np.put_along_axis(weight, np.full_like(np.take(weight, [0], axis), -1, dtype=np.intp), 0.0, axis)
        found.append(weight)
    return found[0], found[1]


def system(down: Plane, right: Plane, alpha: float) -> sparse.dia_array:
    """`1 + α·Σ_d D_dᵀ diag(w_d) D_d` as five diagonals.

    Args:
        down: weights between a pixel and the one below, 0 where there is none.
        right: the same to the right.
        alpha: of smoothness.
    """
    height, width = down.shape
    down, right = alpha * down, alpha * right
    centre = 1 + down + right
    centre[1:] += down[:-1]
    centre[:, 1:] += right[:, :-1]
    count, rows, columns = height * width, down.ravel(), right.ravel()
    below = np.zeros((5, count))  # a dia array's diagonal k holds element (i, i + k) at place i + k
    below[0] = centre.ravel()
    below[1, 1:], below[2, :-1] = -columns[:-1], -columns[:-1]
    below[3, width:], below[4, : count - width] = -rows[: count - width], -rows[: count - width]
    return sparse.dia_array((below, (0, 1, -1, width, -width)), shape=(count, count))
