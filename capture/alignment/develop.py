"""Captured files → linear light: what `isp_sim.rectify` brings onto one arm's pixels."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from capture.captures import CapturedPair
from capture.registration.observation import Observation, of_pictures, of_raws
from isp_sim.dng import read_dng
from isp_sim.isp.develop import UNCUT, develop_raw
from isp_sim.raw import Raw
from isp_sim.transfer import srgb_decode
from isp_sim.units import Picture

Linear = Float32[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Frames:
    """A pair as read: raws, or 8-bit pictures (R first)."""

    bright: Raw | Picture
    dark: Raw | Picture

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        plane = self.bright.counts if isinstance(self.bright, Raw) else self.bright
        return plane.shape[0], plane.shape[1]

    @property
    def linear(self) -> tuple[Linear, Linear]:
        """Well-lit and low-light in linear Rec. 709, white 1, nothing clipped."""
        return linear(self.bright), linear(self.dark)

    def observation(self) -> Observation:
        """The pair as registration sees it. Raises ValueError where the arms do not fit each other."""
        if isinstance(self.bright, Raw) and isinstance(self.dark, Raw):
            return of_raws(self.bright, self.dark)
        assert not isinstance(self.bright, Raw) and not isinstance(self.dark, Raw)
        return of_pictures(self.bright, self.dark)


def read(pair: CapturedPair) -> Frames:
    """Read a pair's files.

    Raises:
        ValueError: a file is truncated or no such file as its name says.
        OSError: it cannot be read.
    """
    if pair.is_raw:
        return Frames(read_dng(pair.bright), read_dng(pair.dark))
    return Frames(_picture(pair.bright), _picture(pair.dark))


def _picture(path: Path) -> Picture:
    codes = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if codes is None:
        raise ValueError(f"{path}: is not a whole picture: empty, truncated, damaged or of another format")
    return np.ascontiguousarray(codes[..., ::-1])


def linear(frame: Raw | Picture) -> Linear:
    """Linear Rec. 709 light, white 1, nothing cut at black."""
    if not isinstance(frame, Raw):
        table = srgb_decode(torch.linspace(0, 1, 256, dtype=torch.float64)).numpy().astype(np.float32)
        return np.asarray(cv2.LUT(frame, table), np.float32)
    return np.ascontiguousarray(develop_raw(frame, UNCUT)[0].permute(1, 2, 0).numpy())
