"""Pictures with semantic maps in PASCAL VOC's layout, as shots that a segmenter learns from."""

from pathlib import Path

import cv2
import numpy as np
import torch

from isp_sim.picture_files import read_picture
from isp_sim.transfer import srgb_decode, srgb_encode
from models.data.normalisation import Picture
from models.data.samples import PairSample
from models.enhance.networks.sllen_losses import VOID

PICTURES, MAPS = "JPEGImages", "SegmentationClass"
VOC_CLASSES = 21
"""VOC's own twenty and the background."""


class VocPictures:
    """`JPEGImages/NAME.jpg` (or .png) with `SegmentationClass/NAME.png`, a group a picture.

    Args:
        folder: holds both.
        darken_ev: what the low-light picture lacks of the picture's linear light, rounded to 8 bits; 0: it is dark
            already.
        classes: maps with a class from here on are refused.

    Raises:
        ValueError: no picture with a map.
    """

    def __init__(self, folder: Path, darken_ev: float = 0.0, classes: int = VOC_CLASSES) -> None:
        self.folder, self.darken_ev, self.classes = folder, darken_ev, classes
        stems = {path.stem: path for path in sorted((folder / PICTURES).glob("*")) if path.suffix in (".jpg", ".png")}
        maps = sorted((folder / MAPS).glob("*.png"))
        self._files = [(stems[path.stem], path) for path in maps if path.stem in stems]
        if not self._files:
            raise ValueError(f"{folder}: no {PICTURES}/NAME.jpg with {MAPS}/NAME.png; expected VOC's layout")

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._files)

    def names(self, index: int) -> list[str]:
        """Name of picture `index`."""
        return [self._files[index][0].name]

    def group(self, index: int) -> list[PairSample]:
        """Picture `index`.

        Raises:
            ValueError: a file cannot be read, sizes differ, or a class is too high.
        """
        file, beside = self._files[index]
        picture, semantic = read_picture(file), read_map(beside)
        if picture.shape[:2] != semantic.shape:
            raise ValueError(f"{beside}: {semantic.shape} px, its picture has {picture.shape[:2]}")
        top = int(semantic[semantic != VOID].max(initial=0))
        if top >= self.classes:
            raise ValueError(f"{beside}: class {top}; expected 0 … {self.classes - 1} or {VOID} (void)")
        return [PairSample(file.name, darkened(picture, self.darken_ev), picture, (), "LL-N", None, semantic)]


def darkened(picture: Picture, ev: float) -> Picture:
    """Linear light times `2^−ev`, as sRGB of 8 bits."""
    if ev == 0:
        return picture
    linear = srgb_decode(torch.from_numpy(picture).float() / 255) * 2.0**-ev
    return np.asarray((srgb_encode(linear) * 255 + 0.5).to(torch.uint8).numpy())


def read_map(path: Path) -> np.ndarray:
    """Classes of a map: grey values, or VOC's palette undone.

    The palette spreads a class's bits over R, G, B, from the highest bit of each: bit `3j + c` is bit `7 − j` of
    colour c. OpenCV gives colours where a file has a palette.

    Raises:
        ValueError: not a readable map.
    """
    codes = read_picture(path, cv2.IMREAD_UNCHANGED)
    if codes.dtype != np.uint8:
        raise ValueError(f"{path}: has {8 * codes.itemsize} bits, expected a map of 8")
    if codes.ndim == 2:
        return codes
    classes = np.zeros(codes.shape[:2], np.uint16)
    for j in range(3):
        for c in range(3):
            classes |= ((codes[..., c].astype(np.uint16) >> (7 - j)) & 1) << (3 * j + c)
    return (classes & 255).astype(np.uint8)
