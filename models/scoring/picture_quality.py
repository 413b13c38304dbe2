"""How close a picture is to its partner: PSNR, SSIM; how well a map of classes fits: mean IoU. All by torchmetrics."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isp_sim.transfer import REC601_LUMA
from models.data.normalisation import Picture


@dataclass(frozen=True)
class QualityProtocol:
    """How PSNR and SSIM are taken.

    Attributes:
        mean_matched: the picture is first scaled so that its mean Y is its partner's, as some papers do; it hides
            wrong brightness.
        luma: of Y alone instead of R, G and B.
        bits: of the codes that are compared.
    """

    mean_matched: bool = False
    luma: bool = False
    bits: int = 8

    def __str__(self) -> str:
        """For a table's heading."""
        matched = "means matched" if self.mean_matched else "means as they are"
        return f"{self.bits} bits, {'Y' if self.luma else 'RGB'}, {matched}"


def psnr_ssim(picture: Picture, target: Picture, protocol: QualityProtocol | None = None) -> tuple[float, float]:
    """PSNR in dB, `−10·log10 mean d²` with 1 as white, and SSIM (Wang et al., 2004: 11×11 Gaussian, σ 1.5).

    Equal pictures have an infinite PSNR.

    Args:
        picture: uint8 `(height, width, 3)`, R first, 11 px a side and up.
        target: its partner.
        protocol: how.

    Raises:
        ValueError: of different sizes.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    protocol = protocol or QualityProtocol()
    if picture.shape != target.shape:
        raise ValueError(f"a picture of {picture.shape}, its partner of {target.shape}: expected equal sizes")
    ours, theirs = (
        torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None].float() / 255 for p in (picture, target)
    )
    if protocol.mean_matched:
        gain = _luma(theirs).mean() / _luma(ours).mean().clamp_min(1e-6)
        ours = (ours * gain).clamp(0, 1).mul(255).add(0.5).floor() / 255
    if protocol.luma:
        ours, theirs = _luma(ours), _luma(theirs)
    psnr = peak_signal_noise_ratio(ours, theirs, data_range=1.0)
    ssim = structural_similarity_index_measure(ours, theirs, data_range=1.0)
    assert isinstance(ssim, Tensor)
    return float(psnr), float(ssim)


def _luma(image: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", image.new_tensor(REC601_LUMA), image)[:, None]


class ClassOverlap:
    """Mean IoU over all pixels of all maps.

    Args:
        classes: how many; a class that no map and no answer holds is left out of the mean.
        void: class of pixels that are ignored.
    """

    def __init__(self, classes: int, void: int) -> None:
        from torchmetrics.classification import MulticlassJaccardIndex

        self._index = MulticlassJaccardIndex(classes, average="macro", ignore_index=void)
        self._pixels = 0

    def add(self, found: Tensor, true: Tensor) -> None:
        """Maps of whole numbers, of one shape."""
        self._index.update(found.cpu().long(), true.cpu().long())
        self._pixels += found.numel()

    def value(self) -> float:
        """Per cent; NaN before the first map."""
        return 100 * float(self._index.compute()) if self._pixels else float("nan")
