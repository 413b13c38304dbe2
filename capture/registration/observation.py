"""A pair's pixels as registration sees them: well-lit planes, a low-light plane, at several scales."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import white_balance
from isp_sim.raw import Raw, normalise
from isp_sim.transfer import REC601_LUMA
from isp_sim.units import Mosaic, Picture

SATURATED = 0.98
"""Share of the range from which a well-lit pixel no longer shows the light."""


class Level(NamedTuple):
    """One scale of a pair.

    Attributes:
        bright: `(channels, height, width)`, well-lit, NaN where saturated.
        dark: `(height, width)`, low-light; a pixel of the 2×2 tile is compared with plane `channel` of `bright`.
        channel: of the tile's four pixels.
        step: pixels of the full frame a pixel spans.
        origin: (x, y) of the first pixel's centre about the frame's centre, full pixels.
    """

    bright: Float32[np.ndarray, "channels height width"]
    dark: Float32[np.ndarray, "height width"]
    channel: tuple[int, int, int, int]
    step: int
    origin: tuple[float, float]


@dataclass(frozen=True)
class Observation:
    """Both arms of one shot, black 0 and white 1.

    Attributes:
        bright, dark: mosaics `(height, width)`, or pictures as luma of their 8-bit codes.
        cfa: colours of the mosaics' tile, `""` for pictures.
        gains: white balance of the well-lit arm.
    """

    bright: Float32[np.ndarray, "height width"]
    dark: Float32[np.ndarray, "height width"]
    cfa: str
    gains: tuple[float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frame."""
        height, width = self.bright.shape
        return height, width

    def level(self, step: int) -> Level:
        """The pair at 1/step of its size; at 1 a mosaic keeps its pixels apart, else a tile's sum is a pixel."""
        if step == 1 and self.cfa:
            return self._mosaic()
        planes = [_shrunk(plane, step) for plane in (_unsaturated(self.bright), self.dark)]
        return Level(planes[0][None], planes[1], (0, 0, 0, 0), step, self._origin(step))

    def _origin(self, step: int) -> tuple[float, float]:
        height, width = self.size
        return (step - 1) / 2 - (width - 1) / 2, (step - 1) / 2 - (height - 1) / 2

    def _mosaic(self) -> Level:
        """Every pixel of the low-light mosaic against the well-lit picture of its own colour."""
        gains = torch.tensor([self.gains], dtype=torch.float32)
        balanced = white_balance(Mosaic(torch.from_numpy(self.bright)[None, None]), gains, self.cfa)
        planes = np.ascontiguousarray(demosaic(balanced, self.cfa, "malvar2004")[0].numpy())
        saturated = cv2.dilate((self.bright >= SATURATED).astype(np.uint8), np.ones((5, 5), np.uint8))
        planes[:, saturated > 0] = np.nan
        r, g, b = range(3)
        tile = [{"R": r, "G": g, "B": b}[colour] for colour in self.cfa]
        return Level(planes, self.dark, (tile[0], tile[1], tile[2], tile[3]), 1, self._origin(1))


def of_raws(bright: Raw, dark: Raw) -> Observation:
    """A pair of raws.

    Raises:
        ValueError: the arms differ in size or colour filter, or one shows nothing.
    """
    if bright.counts.shape != dark.counts.shape or bright.cfa != dark.cfa:
        raise ValueError(
            f"the arms' frames differ: {bright.counts.shape[::-1]} px {bright.cfa} and {dark.counts.shape[::-1]} px "
            f"{dark.cfa}; both need one size and one colour filter array"
        )
    planes = (
        normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)[0, 0].numpy().copy() for raw in (bright, dark)
    )
    red, green, blue = (min(bright.neutral) / share for share in bright.neutral)  # at most 1: nothing is cut
    return _with_detail(Observation(next(planes), next(planes), bright.cfa, (red, green, blue)))


def of_pictures(bright: Picture, dark: Picture) -> Observation:
    """A pair of pictures of 8 or 16 bits, R first.

    Raises:
        ValueError: they differ in size, or one shows nothing.
    """
    if bright.shape != dark.shape:
        raise ValueError(f"the arms' pictures differ: {bright.shape[1::-1]} px and {dark.shape[1::-1]} px")
    weights = np.array(REC601_LUMA, np.float32)
    lumas = (np.ascontiguousarray(one @ (weights / np.iinfo(one.dtype).max)) for one in (bright, dark))
    return _with_detail(Observation(next(lumas), next(lumas), "", (1.0, 1.0, 1.0)))


def _with_detail(pair: Observation) -> Observation:
    """A pair. Raises ValueError where an arm's frame is flat."""
    for arm, plane in (("well-lit", pair.bright), ("low-light", pair.dark)):
        if plane.min() == plane.max():
            raise ValueError(
                f"the {arm} arm's frame is all of one level, {plane.min():.3g} of white; expected a picture of the "
                "scene: is it black, saturated, or the lens capped?"
            )
    return pair


def _unsaturated(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(plane >= SATURATED, np.float32(np.nan), plane)


def _shrunk(plane: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of step×step pixels; what is left over at the right and at the bottom is cut off."""
    height, width = plane.shape[0] // step, plane.shape[1] // step
    cut = plane[: height * step, : width * step]
    return np.asarray(cut if step == 1 else cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA))
