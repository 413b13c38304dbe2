"""Spectral sensitivities of a camera → its matrix from linear Rec. 709, as sensor files state it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isp_sim.files import read_json
from isp_sim.scenes.charts import patch_colours


def rec709_to_camera(path: Path) -> NDArray[np.float64]:
    """3×3, rows R, G, B: what a camera of these curves sees of linear Rec. 709; its largest row sum is 1.

    `min_M Σ_patches |M·rgb − c|²` with `M·(1, 1, 1) = n`, where `c = Σ_λ R·S·s` is the camera's response to a
    patch of reflectance R, n that to a perfect diffuser, S is D65 and s the sensitivities, scaled to max n = 1.

    Args:
        path: JSON in physlight's form, sensitivities relative and to energy.

    Raises:
        ValueError: the file holds no sensitivities at the patches' wavelengths.
    """
    import colour  # takes 0.9 s

    patches = colour.SDS_COLOURCHECKERS["BabelColor Average"]
    grid = next(iter(patches.values())).wavelengths
    weights = _sensitivities(path, [str(round(nm)) for nm in grid])
    weights *= np.array(colour.SDS_ILLUMINANTS["D65"][grid])[:, None]
    weights /= weights.sum(axis=0).max()
    neutral = weights.sum(axis=0)
    response = np.array([spectrum.values for spectrum in patches.values()]) @ weights
    rgb = np.array([value for _, value in patch_colours("D65")])
    two, *_ = np.linalg.lstsq(rgb[:, :2] - rgb[:, 2:], response - rgb[:, 2:] * neutral, rcond=None)
    return np.column_stack([two.T, neutral - two.sum(axis=0)])


def _sensitivities(path: Path, wavelengths: Sequence[str]) -> NDArray[np.float64]:
    """Wavelengths × (R, G, B) of a spectral file."""
    span = f"spectral_data.data.main must hold R, G, B at {wavelengths[0]}, {wavelengths[1]} … {wavelengths[-1]} nm"
    try:
        curves = read_json(path)["spectral_data"]["data"]["main"]
        values = np.array([curves[nm] for nm in wavelengths], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"{path}: {span}; {type(fault).__name__}: {fault}") from None
    if values.shape != (len(wavelengths), 3) or not np.isfinite(values).all() or values.sum() <= 0:
        raise ValueError(f"{path}: {span}, finite and not all zero")
    return values
