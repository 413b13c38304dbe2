"""Captured files → linear light: what `isp_sim.rectify` brings onto one arm's pixels."""

from dataclasses import dataclass

import numpy as np
import torch

from capture.captures import CapturedPair
from capture.registration.observation import Observation, of_pictures, of_raws
from capture.registration.photometry import Linear
from isp_sim.dng import read_dng
from isp_sim.isp.develop import develop_raw
from isp_sim.picture_files import ANY_DEPTH, read_picture
from isp_sim.raw import Raw
from isp_sim.rig import Isp, Rig
from isp_sim.transfer import srgb_decode
from isp_sim.units import Picture


@dataclass(frozen=True)
class Isps:
    """How each arm's raws are developed."""

    bright: Isp
    dark: Isp

    @classmethod
    def of(cls, rig: Rig) -> "Isps":
        """As a rig file says."""
        return cls(rig.well_lit.isp, rig.low_light.isp)


@dataclass(frozen=True)
class Frames:
    """A pair as read: raws, or pictures of 8 or 16 bits (R first)."""

    bright: Raw | Picture
    dark: Raw | Picture

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        plane = self.bright.counts if isinstance(self.bright, Raw) else self.bright
        return plane.shape[0], plane.shape[1]

    def linear(self, isps: Isps) -> tuple[Linear, Linear]:
        """Well-lit and low-light in linear Rec. 709, white 1, raws developed as their arms' ISPs do it."""
        return linear(self.bright, isps.bright), linear(self.dark, isps.dark)

    def observation(self) -> Observation:
        """The pair as registration sees it. Raises ValueError where the arms do not fit each other."""
        if isinstance(self.bright, Raw) and isinstance(self.dark, Raw):
            return of_raws(self.bright, self.dark)
        assert not isinstance(self.bright, Raw) and not isinstance(self.dark, Raw)
        return of_pictures(self.bright, self.dark)


def read(pair: CapturedPair) -> Frames:
    """Read a pair's files.

    Raises:
        ValueError: a file is truncated, or of another format than its name says.
        OSError: it cannot be read.
    """
    if pair.is_raw:
        return Frames(read_dng(pair.bright), read_dng(pair.dark))
    return Frames(read_picture(pair.bright, ANY_DEPTH), read_picture(pair.dark, ANY_DEPTH))


def linear(frame: Raw | Picture, isp: Isp) -> Linear:
    """Linear Rec. 709 light, white 1.

    Args:
        frame: a raw, or an sRGB picture of 8 or 16 bits.
        isp: of its arm; a picture is only decoded.
    """
    if isinstance(frame, Raw):
        return np.ascontiguousarray(develop_raw(frame, isp)[0].permute(1, 2, 0).numpy())
    return decoded(frame)


def decoded(picture: Picture) -> Linear:
    """An sRGB picture of 8 or 16 bits in linear light."""
    codes = np.iinfo(picture.dtype).max + 1
    table = srgb_decode(torch.linspace(0, 1, codes, dtype=torch.float64)).numpy().astype(np.float32)
    return np.asarray(table[picture])
