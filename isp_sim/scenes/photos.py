"""Photographs as scenes: what a camera did to the light is undone step by step; labels are carried along.

| camera, forward           | here, inverse       |
|---------------------------|---------------------|
| highlights roll off, clip | `expand_highlights` |
| contrast curve            | `inverse_tone`      |
| sRGB curve                | `srgb_decode`       |
| 8 bits                    | 256-entry table     |

The photographer's colour matrix and white balance are not undone here: what comes out is Rec. 709 light, and
the rig's optics turn Rec. 709 light into the bands of their own sensor. What cannot be undone stays in the
light: the photograph's own noise, sharpening and JPEG blocks, and the steps of its 8 bits.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from isp_sim.choices import Orientation
from isp_sim.picture_files import ANY_DEPTH, read_linear, read_picture
from isp_sim.scenes import Person, Scene
from isp_sim.scenes.annotations import KeypointFile, LabelledImage, find_annotations, read_keypoint_file
from isp_sim.scenes.orientation import Header, meaning, read_header, turned
from isp_sim.transfer import inverse_tone, srgb_decode
from isp_sim.units import Radiance

Light = TypeVar("Light", NDArray[np.floating], torch.Tensor)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LINEAR = (".tif", ".tiff", ".png", ".exr")
"""Of pictures of linear light."""
UNREAD = (".heic", ".heif", ".avif", ".gif", ".jxl", ".jp2", ".exr")
"""Of pictures that are to be converted first."""


@dataclass(frozen=True)
class CameraCurve:
    """What the photographer's camera did after its colours were right; every value is assumed.

    Attributes:
        tone: the picture went through the contrast curve 3x² − 2x³.
        knee: linear value of a pixel's brightest channel above which highlights were rolled off.
        headroom_ev: how far above white, in EV, the light of a clipped pixel lay.
    """

    tone: bool = True
    knee: float = 0.7
    headroom_ev: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.knee < 1:
            raise ValueError(f"knee is {self.knee}; expected a number above 0 and below 1")
        if not 0 <= self.headroom_ev <= 16:
            raise ValueError(f"headroom_ev is {self.headroom_ev} EV; expected 0 … 16")


@dataclass(frozen=True)
class Limits:
    """The largest picture a source hands out.

    Attributes:
        max_height: pixels.
        max_width: pixels.
    """

    max_height: int
    max_width: int

    def __post_init__(self) -> None:
        if min(self.max_height, self.max_width) < 2:
            raise ValueError(f"max_height {self.max_height}, max_width {self.max_width} px: expected at least 2")

    def fit(self, light: NDArray[np.float32], path: Path) -> tuple[Radiance, tuple[float, float]]:
        """Average light down to the limits, keeping its aspect, and crop to even sides; never enlarge.

        Args:
            light: `(height, width, 3)`, linear: an average of light is what a larger pixel receives.
            path: where the picture is from, for the error's sentence.

        Returns:
            The light, and (scale_x, scale_y): how long one old pixel is in new pixels.
        """
        height, width = light.shape[:2]
        scale = min(1.0, self.max_height / height, self.max_width / width)
        size = (round(width * scale), round(height * scale))
        if min(size) < 2:
            raise ValueError(f"{path} would become {size[0]}×{size[1]} px; expected sides of at least 2")
        if scale < 1:
            light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
        even = light[: size[1] // 2 * 2, : size[0] // 2 * 2]
        return Radiance(np.ascontiguousarray(even)), (size[0] / width, size[1] / height)


class Photos:
    """The photographs of a folder, in the order of their names.

    Args:
        folder: holds the pictures, or holds a folder `images` that does. Nothing deeper is read.
        annotations: keypoint file; `None` takes the one in the folder, if there is one.
        max_height: pixels; a larger photograph is averaged down to fit, a smaller one keeps its size.
        max_width: pixels.
        curve: what the photographs' camera did to the light.
        labels_orientation: what the labels of photographs turned by EXIF mean; `None` takes their sizes' word for it.
        linear: the pictures hold linear light, of 16 bits or as OpenEXR, to which no camera did anything.

    Attributes:
        notes: what the user should know of the keypoint file, and of files that are not read.

    Raises:
        ValueError: the folder holds no photographs, or the annotations know none of them.
    """

    def __init__(
        self,
        folder: Path,
        annotations: Path | None,
        max_height: int,
        max_width: int,
        curve: CameraCurve = CameraCurve(),
        labels_orientation: Orientation | None = None,
        linear: bool = False,
    ) -> None:
        self._folder, self._curve, self._labels_orientation = folder, curve, labels_orientation
        self._limits, self._linear, suffixes = Limits(max_height, max_width), linear, LINEAR if linear else SUFFIXES
        self._files = list_files(folder, suffixes) or list_files(folder / "images", suffixes)
        if not self._files:
            raise ValueError(f"{folder} holds no photographs; expected files ending in {' '.join(suffixes)}")
        annotations = annotations or find_annotations(folder)
        self._labels = (annotations,) if annotations else ()
        known = read_keypoint_file(annotations) if annotations else KeypointFile({}, ())
        self._labelled = {path: image for path in self._files if (image := known.of(path))}
        self.notes = (*known.notes, *unread(self._files[0].parent, suffixes))
        if annotations and not self._labelled:
            raise ValueError(f"{annotations} lists none of the {len(self._files)} photographs of {folder}")

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files' names in order, then the labels': with them a run knows its scenes again."""
        return tuple(Path(path.name) for path in (*self._files, *self._labels))

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """Photograph `index` as light, with the people in it."""
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {self._folder}: expected 0 … {len(self) - 1}")
        path = self._files[index]
        light = read_linear(path) if self._linear else to_light(read_picture(path, ANY_DEPTH), self._curve)
        height, width = light.shape[:2]  # turned as its EXIF says
        people = self._people(path, width, height)
        for person in people:
            x, y, box_width, box_height = person.bbox
            if x >= width or y >= height or x + box_width <= 0 or y + box_height <= 0:
                raise ValueError(f"{path} is {width}×{height}, but a person's bbox is {person.bbox}; does it belong?")
        radiance, (scale_x, scale_y) = self._limits.fit(light, path)
        labels: dict[str, object] = {
            "scale": [scale_x, scale_y],
            "curve": None if self._linear else vars(self._curve),
            "status": "assumed",
        }
        moved = tuple(_scaled(person, scale_x, scale_y) for person in people)
        return Scene(name=path.name, radiance=radiance, people=moved, labels=labels)

    def doubt(self, index: int) -> str | None:
        """What was guessed about photograph `index`'s labels, as a sentence; from its header alone.

        Raises:
            ValueError: the labels are for a picture of another size.
        """
        path = self._files[index]
        image, header = self._labelled.get(path), read_header(path)
        if image is None or header is None or not image.people:
            return None
        return meaning(path, header, image.size, self._labels_orientation)[1]

    def _people(self, path: Path, width: int, height: int) -> tuple[Person, ...]:
        """The people of a photograph that was read as `width`×`height` px, on these pixels."""
        image = self._labelled.get(path, LabelledImage((), None))
        if not image.people:
            return ()
        header = read_header(path)
        if header is None or header.upright != (width, height):
            header = Header((width, height))
        meant, _ = meaning(path, header, image.size, self._labels_orientation)
        return image.people if meant == "upright" else tuple(turned(person, header) for person in image.people)


def list_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of a folder that end so, by name; hidden ones are passed over, a missing folder is empty."""
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in files if path.suffix.lower() in suffixes and not path.name.startswith("."))


def unread(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[str]:
    """A sentence about a folder's pictures whose format has to be converted first; none where there are none."""
    files = list_files(folder, tuple(suffix for suffix in UNREAD if suffix not in suffixes))
    if not files:
        return []
    kinds = " ".join(sorted({path.suffix for path in files}))
    how = "convert them to PNG (magick mogrify -format png)"
    return [f"{folder}: {len(files)} files ending in {kinds} are not read; {how}"]


def to_light(codes: NDArray[np.integer], curve: CameraCurve) -> Radiance:
    """Integer sRGB → light: decode, undo the contrast curve, then expand highlights by the brightest channel.

    A gain common to a pixel's three channels keeps its hue; it is 1 below the knee.

    Args:
        codes: uint8 or uint16 `(height, width, 3)`, R, G, B.
        curve: what the camera did.

    Returns:
        float32 linear Rec. 709 of the same shape, 0 … 2^headroom.
    """
    top = np.iinfo(codes.dtype).max
    linear = srgb_decode(torch.linspace(0, 1, top + 1, dtype=torch.float64))
    table = (inverse_tone(linear) if curve.tone else linear).numpy()
    light = _look_up(table, codes)
    brightest = np.asarray(cv2.max(cv2.max(codes[..., 0], codes[..., 1]), codes[..., 2]), codes.dtype)
    if table[brightest.max()] > curve.knee:
        gain = expand_highlights(table, curve) / np.maximum(table, np.finfo(np.float64).tiny)
        light *= _look_up(gain, brightest)[..., None]
    return Radiance(light)


def expand_highlights(value: Light, curve: CameraCurve) -> Light:
    """What light a rolled-off value stood for: a clipped white is only a lower bound.

    `L = v` for `v ≤ k`, else `L = v + (2^N − 1)·t²` with `t = (v − k)/(1 − k)`, knee `k`, headroom `N` EV:
    value and slope are continuous at the knee, the curve rises throughout, and white becomes `2^N`.
    """
    t = (value - curve.knee).clip(min=0) / (1 - curve.knee)
    return value + (2**curve.headroom_ev - 1) * t * t


def _look_up(table: NDArray[np.float64], codes: NDArray[np.integer]) -> NDArray[np.float32]:
    entries = table.astype(np.float32)
    if codes.dtype == np.uint8:
        return np.asarray(cv2.LUT(codes, entries), dtype=np.float32)  # SIMD, but for 8 bits only
    return np.take(entries, codes)


def _scaled(person: Person, scale_x: float, scale_y: float) -> Person:
    """A person in the averaged picture: `x' = (x + ½)·s − ½` for joints, `x' = x·s` for the box's edges."""
    keypoints, face = (
        tuple(((x + 0.5) * scale_x - 0.5, (y + 0.5) * scale_y - 0.5, v) if v else (0.0, 0.0, 0) for x, y, v in joints)
        for joints in (person.keypoints, person.face)
    )
    x, y, width, height = person.bbox
    return Person(keypoints, (x * scale_x, y * scale_y, width * scale_x, height * scale_y), person.iscrowd, face)
