"""Image → the ISP's parameters: a small convolutional network that moves them from where they start.

Ono et al., *Improving Low-Light Image Recognition Performance Based on Image-Adaptive Learnable Module*, VISAPP 2024:
six convolutions, batch normalisation after the first three, dropout after the fifth, on a 256×256 crop. The paper
gives 455 k parameters for 8 outputs; this table has 454,408.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isp_sim.isp.pipeline import Pipeline
from isp_sim.isp.raw_light import RawLight, as_picture
from isp_sim.isp.steps import TARGET_MEAN
from models.isp import evidence

CHANNELS = (32, 64, 128, 128, 128)
"""Of the five 3×3 convolutions of stride 2; the sixth is 8×8 without padding."""
NORMALISED = 3
"""How many of them, from the first, are followed by batch normalisation."""
CROP = 256
"""Side of the picture for which the sixth convolution gives one vector, pixels."""
REACH = 8
STRIDE = 32
"""Of all five together."""
FAN_IN = REACH**2 * CHANNELS[-1]
"""Numbers that each of the sixth convolution's outputs sums."""
BAND = 8
"""Rows of features computed at once when evaluated."""
DROPOUT = 0.5
"""Share of the fifth convolution's numbers set to 0 in training; the paper does not say (assumed)."""

HIDDEN = 64
"""Between what is known beside the picture and what it adds."""

Crop = Literal["random", "whole", "thumbnail"]


class Predictor(nn.Module):
    """Parameters = start + learned residual, on each parameter's own scale.

    The start is `pipeline.base`: the exposure that brings the image's mean to 0.4, mild smoothing. The last layer
    begins at zero, so an untrained predictor gives the start itself.

    Args:
        pipeline: whose parameters are predicted.
        generator: draws the first weights.
        training_crop: what it sees in training: `random`, a 256×256 crop drawn anew each time (the paper's),
            or as `crop`.
        crop: what it sees otherwise: `whole`, every 256×256 window in steps of 32, averaged; `thumbnail`, the
            image squeezed to 256×256; `random`.
        informed: whether it also sees `models.isp.evidence`: exposure, noise and histogram (ours; the paper's sees the
            picture alone).
    """

    def __init__(
        self, pipeline: Pipeline, generator: torch.Generator, training_crop: Crop = "random", crop: Crop = "whole",
        informed: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pipeline, self.training_crop, self.crop, self.informed = pipeline, training_crop, crop, informed
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in CHANNELS[:NORMALISED])
        before = 3
        for width in CHANNELS:
            layer = _convolution(before, width, 3, stride=2, padding=1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            self.convolutions.append(layer)
            before = width
        self.head = _convolution(before, pipeline.size, REACH)
        if informed:
            first, last = _linear(evidence.SIZE, HIDDEN), _linear(HIDDEN, pipeline.size)
            nn.init.kaiming_normal_(first.weight, nonlinearity="relu", generator=generator)
            self.known = nn.Sequential(first, nn.ReLU(), last)

    def forward(
        self, image: Tensor | RawLight, generator: torch.Generator | None = None, known: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """Values for the pipeline, `(batch, size)`; an image's own, whatever else is in the batch, once evaluated.

        Args:
            image: `(batch, 3, height, width)`, 1 is white; of a raw, the plain development is looked at.
            generator: on the CPU; draws crops and dropout. Needed in training and for random crops.
            known: `(batch, evidence.SIZE)`, for one that is informed.

        Raises:
            ValueError: no generator where one is needed, nothing known of the image, or an image too small to crop.
        """
        return self.each([image], generator, known)

    def each(
        self, images: Sequence[Tensor | RawLight], generator: torch.Generator | None = None,
        known: Tensor | None = None, parts: Sequence[Sequence[Tensor]] | None = None,
    ) -> Tensor:  # fmt: skip
        """As `forward`, of batches that differ in size, one after the other: `(all images, size)`.

        A predictor that looks at the whole picture cannot take batches of different sizes. Where `parts` are given,
        those of each image (then not a batch) that somebody is in, it sees these instead, and gives values for each:
        the start, and what is known, are still the image's.
        """
        crop = self.training_crop if self.training else self.crop
        if generator is None and (self.training or crop == "random"):
            raise ValueError("no generator: training and random crops draw, expected a torch.Generator")
        if self.informed and known is None:
            raise ValueError("this predictor also sees exposure, noise and histogram: expected known")
        base = torch.cat([self.pipeline.base(image) for image in images])
        seen = [as_picture(image) for image in images]
        means = torch.cat([picture.mean(dim=(1, 2, 3), keepdim=True) for picture in seen])
        gain = TARGET_MEAN / means.clamp_min(1e-6)
        if parts is not None:
            numbers = [number for number, own in enumerate(parts) for _ in own]
            base, gain, seen = base[numbers], gain[numbers], [part for own in parts for part in own]
            known = None if known is None else known[numbers]
        features = self._features(torch.cat([_cropped(one, crop, generator) for one in seen]), gain)
        if self.training:
            kept = torch.rand(features.shape, generator=generator) >= DROPOUT
            features = features * (kept.to(features) / (1 - DROPOUT))
        # Divided by √8192, so that a step of Adam moves the sum of 8192 features as it moves a weight of another layer:
        # undivided, a dozen steps of 3e-4 throw every picture to the ends of its ranges.
        residual = self.head(features / FAN_IN**0.5).mean(dim=(2, 3))  # over all places the 8×8 can stand
        if self.informed:
            residual = residual + self.known(known)
        return self.pipeline.steer(base, residual.to(base))

    def _features(self, image: Tensor, gain: Tensor) -> Tensor:
        """The five convolutions over the picture brought to mean 0.4; once evaluated, band by band to save memory.

        A feature's row sees its 32 rows of the picture and 31 above them, so a band that starts one feature early
        and drops it gives what the whole picture gives.
        """
        band = image.shape[2] if self.training else BAND * STRIDE
        parts = []
        for start in range(0, image.shape[2], band):
            early = STRIDE if start else 0
            seen = image[:, :, start - early : start + band] * gain
            seen = seen.contiguous(memory_format=torch.channels_last)  # twice as fast on the CPU
            for place in range(len(CHANNELS)):
                seen = F.relu(self._layer(place, seen), inplace=True)
            parts.append(seen[:, :, early // STRIDE :])
        return torch.cat(parts, dim=2)

    def _layer(self, place: int, seen: Tensor) -> Tensor:
        """A convolution with its normalisation; once evaluated, the two are one: `w·s`, `(b − μ)·s + β`."""
        convolution = self.convolutions[place]
        norm = self.norms[place] if place < NORMALISED else nn.Identity()
        if isinstance(norm, nn.BatchNorm2d) and self.training:
            # Running statistics start as the mean of what was seen: after a dozen steps an exponential average from
            # (0, 1) would still hold a quarter of that.
            norm.momentum = max(0.1, 1 / (int(norm.num_batches_tracked or 0) + 1))
        if self.training or place >= NORMALISED:
            normalised: Tensor = norm(convolution(seen))
            return normalised
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert convolution.bias is not None and norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = (convolution.bias - norm.running_mean) * scale + norm.bias
        return F.conv2d(seen, convolution.weight * scale[:, None, None, None], bias, stride=2, padding=1)


def _convolution(before: int, after: int, size: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution of zeros: torch's own start would draw from the global generator."""
    layer = nn.Conv2d(before, after, size, stride, padding, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _linear(before: int, after: int) -> nn.Linear:
    """As `_convolution`."""
    layer = nn.Linear(before, after, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _cropped(image: Tensor, crop: Crop, generator: torch.Generator | None) -> Tensor:
    """The part of each image that the predictor sees."""
    if crop == "thumbnail":
        return F.interpolate(image, (CROP, CROP), mode="area")
    height, width = image.shape[2:]
    if min(height, width) < CROP:
        raise ValueError(f"image of {width}×{height} pixels: expected at least {CROP}×{CROP}, or crop 'thumbnail'")
    if crop == "whole":
        return image
    parts = []
    for one in image:
        top = int(torch.randint(height - CROP + 1, (), generator=generator))
        left = int(torch.randint(width - CROP + 1, (), generator=generator))
        parts.append(one[:, top : top + CROP, left : left + CROP])
    return torch.stack(parts)
