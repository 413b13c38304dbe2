"""Which pixels a picture's labels are for, where EXIF turns the picture.

A camera held upright stores its sensor's rows and notes in EXIF how a viewer has to turn them. Tools that label do
either: draw on the turned picture, or on the stored one. A picture is always read turned; its labels follow.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from isp_sim.choices import Orientation
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import check_size

ORIENTATION_TAG = 0x0112
CLOCKWISE = {1: 0, 6: 1, 3: 2, 8: 3}
"""Quarter turns from the stored rows to the upright picture, by EXIF's orientation; 2, 4, 5 and 7 mirror as well."""


@dataclass(frozen=True)
class Header:
    """What a picture's file says before it is decoded.

    Attributes:
        stored: (width, height) of the rows in the file, px.
        orientation: EXIF's, 1 … 8; 1 leaves the rows as they are.
    """

    stored: tuple[int, int]
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) as the picture is read."""
        width, height = self.stored
        return (height, width) if self.orientation >= 5 else (width, height)


def read_header(path: Path) -> Header | None:
    """A picture's size and orientation; None where Pillow does not know the format or the file is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded here
            with Image.open(path) as picture:
                # Pillow decodes a PNG to its end in search of EXIF that does not come first.
                known = picture.format != "PNG" or "exif" in picture.info
                orientation = picture.getexif().get(ORIENTATION_TAG, 1) if known else 1
                size = picture.size
                if isinstance(picture, TiffImageFile):  # whose size newer Pillows have turned already
                    size = int(picture.tag_v2[IMAGEWIDTH]), int(picture.tag_v2[IMAGELENGTH])
                return Header(size, orientation if orientation in range(1, 9) else 1)
    except (OSError, ValueError, KeyError, SyntaxError, Image.DecompressionBombError):
        return None


def meaning(
    path: Path, header: Header, labels_size: tuple[int, int] | None, requested: Orientation | None
) -> tuple[Orientation, str | None]:
    """Which pixels a picture's labels are for.

    Where EXIF turns the picture, the caller's word counts first, then the size beside the labels where it fits one
    of the two alone, then `upright`.

    Args:
        path: of the picture, for the sentences.
        header: the file's.
        labels_size: (width, height) in the annotation file; None where it has none.
        requested: what the caller knows of the labels; None: unknown.

    Returns:
        The meaning, and a sentence for the user where it was guessed.

    Raises:
        ValueError: the annotation file is for a picture of another size; or the labels are on the stored rows of a
            picture that EXIF mirrors.
    """
    upright, stored = header.upright, header.stored
    check_size(path, labels_size, upright, stored)
    if header.orientation == 1:
        return "upright", None
    fits = labels_size if upright != stored else None
    found = requested or ("stored" if fits == stored else "upright")
    if found == "stored" and header.orientation not in CLOCKWISE:
        raise ValueError(
            f"{path}: EXIF orientation {header.orientation} mirrors it and its labels are for the stored rows; "
            f"expected {', '.join(map(str, sorted(CLOCKWISE)))}, or labels on the upright picture"
        )
    if requested:
        return found, None
    because = f"because the annotations say {_size(fits)}" if fits else "though nothing says so"
    return found, (
        f"{path}: EXIF turns it ({_size(stored)} stored, {_size(upright)} upright); its labels are taken for the "
        f"{found} picture, {because}; --labels-orientation upright or stored settles it"
    )


def turned(person: Person, header: Header) -> Person:
    """A person on the stored rows, on the upright picture: a quarter turn clockwise is x' = h − 1 − y, y' = x.

    Args:
        person: stored pixels; a joint's (0, 0) is the centre of the first pixel, a box's its corner.
        header: the picture's; its orientation is one of `CLOCKWISE`.
    """
    joints, (x, y, width, height) = (*person.keypoints, *person.face), person.bbox
    columns, rows = header.stored
    for _ in range(CLOCKWISE[header.orientation]):
        joints = tuple((rows - 1 - jy, jx, v) if v else (0.0, 0.0, 0) for jx, jy, v in joints)
        x, y, width, height = rows - y - height, x, height, width
        columns, rows = rows, columns
    count = len(person.keypoints)
    return Person(joints[:count], (x, y, width, height), person.iscrowd, joints[count:])


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
