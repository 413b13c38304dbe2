"""Colour: ΔE2000 of a ColorChecker's patches."""

import numpy as np
import torch
from jaxtyping import Float

from isp_sim.quality.tone import luma
from isp_sim.transfer import srgb_decode


def delta_e_2000(seen: Float[np.ndarray, "n 3"], true: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """CIE ΔE2000 between linear Rec. 709 colours under D65; what is below 0 counts as 0.

    Args:
        seen: colours.
        true: their references.
    """
    import colour  # takes 0.9 s

    white = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    xyz = [colour.RGB_to_XYZ(np.maximum(rgb, 0), "ITU-R BT.709", apply_cctf_decoding=False) for rgb in (seen, true)]
    return np.asarray(colour.delta_E(*(colour.XYZ_to_Lab(one, white) for one in xyz), method="CIE 2000"), np.float64)


def displayed_delta_e(patches: Float[np.ndarray, "n 3"], true: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """ΔE2000 of patches as an sRGB display shows them, the picture's brightness matched: `l = g·decode(p)`, g by least
    squares over the patches' luminance. So exposure does not count; tone, white balance and colour do.

    Args:
        patches: means of the developed picture, sRGB, 1 is white, not cut there.
        true: linear Rec. 709 of the patches.
    """
    linear = srgb_decode(torch.from_numpy(np.maximum(patches, 0))).numpy()
    seen, wanted = luma(linear), luma(true)
    gain = float(seen @ wanted) / max(float(seen @ seen), 1e-12)
    return delta_e_2000(gain * linear, true)
