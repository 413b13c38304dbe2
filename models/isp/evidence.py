"""What is known of a low-light picture beside its thumbnail: how it was exposed, how noisy it is, its histogram."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from isp_sim.isp.raw_light import RawLight, as_picture
from isp_sim.isp.row_noise import noise_spread
from isp_sim.isp.steps import TARGET_MEAN
from isp_sim.units import Mosaic
from models.data.samples import Exposure

EDGES = tuple(0.8 * k / 12 - 0.2 for k in range(16))
"""Of the histogram, brightness after the gain to a mean of 0.4: −0.2 … 0.8, noise below black included."""
SIZE = 4 + len(EDGES)
"""Numbers of a picture."""


def evidence(image: Tensor, exposure: Exposure) -> Tensor:
    """`(batch, SIZE)`, each number scaled to about 1; pictures of one shot, without gradients.

    With a the gain that brings the picture to a mean of 0.4: log₂ a, log₂ of the noise of a pixel (of the channels'
    mean, as `noise_spread` finds it) after that gain, log₂ of the exposure time in ms, the analogue gain in dB; then
    the share of pixels below each of `EDGES` after the gain.

    Args:
        image: `(batch, 3, height, width)`, sRGB, 1 is white, 6 px across at least.
        exposure: of the camera.
    """
    with torch.no_grad():
        light = image.mean(dim=1, keepdim=True)
        gain = TARGET_MEAN / light.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        light = gain * light
        height, width = (length // 2 * 2 for length in light.shape[2:])
        noise = noise_spread(Mosaic(light[:, :, :height, :width]))
        camera = (math.log2(max(exposure.time_us, 1.0) / 1e3) / 4, exposure.gain_db / 24)
        told = light.new_tensor(camera).expand(len(light), -1)
        below = [(light < edge).float().mean(dim=(1, 2, 3)) for edge in EDGES]
        measured = (gain.log2().flatten(1) / 8, noise.clamp_min(1e-4).log2().flatten(1) / 8)
        return torch.cat([*measured, told, torch.stack(below, dim=1)], dim=1)


def evidence_of(images: Sequence[Tensor | RawLight], exposures: Sequence[Exposure | None]) -> Tensor:
    """Of several pictures, each `(1, 3, height, width)`, or raws; they need not be of one size.

    Raises:
        ValueError: a picture whose exposure nobody knows.
    """
    known = [exposure for exposure in exposures if exposure is not None]
    if len(known) < len(images):
        raise ValueError("exposure time and gain of a picture are unknown; expected a DNG, or names as ExLPose's")
    return torch.cat([evidence(as_picture(image), exposure) for image, exposure in zip(images, known, strict=True)])
