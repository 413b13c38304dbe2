"""Figures of an enhanced picture beside its partners: closeness to the well-lit one, naturalness, lightness order."""

import numpy as np

from models.data.samples import PairSample
from models.scoring.niqe import Pristine, niqe
from models.scoring.no_reference import lightness_order_error
from models.scoring.picture_quality import QualityProtocol, psnr_ssim

PLAIN, MATCHED = QualityProtocol(), QualityProtocol(mean_matched=True)
MEASURES = ("PSNR", "SSIM", "PSNR matched", "NIQE", "LOE")
PROTOCOL = (
    f"PSNR, SSIM: {PLAIN}; matched: {MATCHED}. NIQE: the published pristine model, bicubic halving. "
    "LOE: largest of RGB, shorter side 50 px, against the low-light input."
)


def measured(picture: np.ndarray, sample: PairSample, pristine: Pristine) -> dict[str, float]:
    """Every measure of one enhanced picture; `PROTOCOL` says how.

    Args:
        picture: uint8 `(height, width, 3)`.
        sample: whose low-light picture was enhanced.
        pristine: for NIQE.
    """
    psnr, ssim = psnr_ssim(picture, sample.well_lit, PLAIN)
    matched, _ = psnr_ssim(picture, sample.well_lit, MATCHED)
    loe = lightness_order_error(picture, sample.low_light)
    return dict(zip(MEASURES, (psnr, ssim, matched, niqe(picture, pristine), loe), strict=True))
