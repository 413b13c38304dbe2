"""How a whole picture is normalised before a person is cut out of it, for NumPy and for torch.

Low-light pictures are brought to a mean of 0.4, each channel over the whole picture; well-lit ones get a mean and a
standard deviation, ours ImageNet's (the released ExLPose code, Lee et al., CVPR 2023).
"""

from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from torch import Tensor

LOW, WELL = 0, 1
"""The two lightings: low-light and well-lit."""
LOW_LIGHT_MEAN = 0.4
_DARKEST = 1e-6
"""Least mean of a channel that is divided by."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Picture = UInt8[np.ndarray, "height width 3"]


class MeanStd(BaseModel):
    """`(x − mean) / std` for each channel, x = code / 255, R first.

    Attributes:
        mean: three finite numbers.
        std: three, each above 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: Annotated[tuple[FiniteFloat, ...], Field(min_length=3, max_length=3)]
    std: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=3, max_length=3)]


IMAGENET = MeanStd(mean=IMAGENET_MEAN, std=IMAGENET_STD)
NormalisationName = Literal["mean-0.4", "imagenet", "none"]
Normalisation = NormalisationName | MeanStd
NORMALISATION: dict[int, NormalisationName] = {LOW: "mean-0.4", WELL: "imagenet"}
"""How our networks are trained on each lighting; for well-lit pictures the released code has figures of its own."""


class Levels(NamedTuple):
    """A line for each channel: `scale · code + offset`."""

    scale: Float32[np.ndarray, " 3"]
    offset: Float32[np.ndarray, " 3"]

    def __call__(self, codes: np.ndarray) -> Float32[np.ndarray, "height width 3"]:
        """Codes, or a part of them, on the line."""
        return np.asarray(codes * self.scale + self.offset)


def levels(picture: Picture, how: Normalisation) -> Levels:
    """How the whole picture is normalised, from `x = code / 255`.

    `mean-0.4`: `0.4 · x_c / mean(x_c)`, not clipped, no further statistics; a channel that is black throughout stays
    black. A `MeanStd`: `(x − mean) / std`; `imagenet` is that with ImageNet's figures. `none`: x.
    """
    nothing = np.zeros(3, np.float32)
    if how == "mean-0.4":
        means = np.array(cv2.mean(picture)[:3]) / 255
        return Levels((LOW_LIGHT_MEAN / np.maximum(means, _DARKEST) / 255).astype(np.float32), nothing)
    if how == "none":
        return Levels(np.full(3, 1 / 255, np.float32), nothing)
    figures = IMAGENET if how == "imagenet" else how
    mean, std = np.array(figures.mean, np.float32), np.array(figures.std, np.float32)
    return Levels(1 / (255 * std), -mean / std)


def normalise(picture: Picture, how: Normalisation) -> Float32[np.ndarray, "height width 3"]:
    """The whole picture as a network wants it; see `levels`."""
    return levels(picture, how)(picture)


def normalise_tensor(image: Tensor, how: Normalisation) -> Tensor:
    """As `normalise`, of `(batch, 3, height, width)` in which 1 is white; gradients flow through the mean too."""
    if how == "mean-0.4":
        return image * (LOW_LIGHT_MEAN / image.mean(dim=(2, 3), keepdim=True).clamp_min(_DARKEST))
    if how == "none":
        return image
    figures = IMAGENET if how == "imagenet" else how
    mean, std = (image.new_tensor(three)[:, None, None] for three in (figures.mean, figures.std))
    return (image - mean) / std
