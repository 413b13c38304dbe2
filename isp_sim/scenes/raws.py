"""Raw photographs as scenes: linear from the start, so nothing of the light has to be guessed back.

Two kinds are read: what LibRaw opens (DNG, NEF, CR2 …), and headerless mosaics `*.raw` whose shape and levels
stand in a YAML file, the `Sidecar`. Either way black is 0, a neutral is equal in R, G and B, a saturated
pixel is 1, and the light is Rec. 709.

After LibRaw has developed a picture, a process forked from this one hangs: use spawned workers or threads.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import cv2
import numpy as np
import rawpy
from numpy.typing import NDArray
from pydantic import Field, model_validator

from isp_sim.field_errors import FieldError
from isp_sim.raw import normalise
from isp_sim.raw_files import libraw, neutral_range, saturation
from isp_sim.rig import Figure, Matrix, Model, NonNegative, Positive
from isp_sim.rigfile import load_yaml, rigs_folder
from isp_sim.scenes import Scene
from isp_sim.scenes.photos import Limits, list_files
from isp_sim.units import Counts

MOSAIC = ".raw"
SUFFIXES = (MOSAIC, ".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".raf", ".rw2", ".orf", ".pef", ".srw")


class Sidecar(Model):
    """What a headerless mosaic does not say itself.

    Attributes:
        width_px, height_px: size of the mosaic.
        dtype: how a count is stored, in NumPy's words: `<u2` is 16 bits, low byte first.
        cfa: colours of the 2×2 tile, row by row.
        black_level_dn: count without light.
        white_level_dn: count of a saturated pixel.
        neutral: camera RGB of a white object, largest is 1.
        camera_to_rec709: 3×3 for white-balanced camera RGB, each row with sum 1; absent means identity.
    """

    width_px: Annotated[int, Field(ge=2, multiple_of=2)]
    height_px: Annotated[int, Field(ge=2, multiple_of=2)]
    dtype: Literal["<u2", ">u2"]
    cfa: Literal["RGGB", "BGGR", "GRBG", "GBRG"]
    black_level_dn: Figure[NonNegative]
    white_level_dn: Figure[Positive]
    neutral: Figure[tuple[Positive, Positive, Positive]]
    camera_to_rec709: Figure[Matrix] | None = None

    @model_validator(mode="after")
    def _levels_and_white_hold_together(self) -> Self:
        black, saturated = self.black_level_dn.value, self.white_level_dn.value
        if black >= saturated:
            sentence = f"black_level_dn is {black}; expected a value below white_level_dn, {saturated}"
            raise FieldError(sentence, "black_level_dn")
        if max(self.neutral.value) != 1:
            raise FieldError(f"neutral: is {self.neutral.value}; expected values of which the largest is 1", "neutral")
        if self.camera_to_rec709 is not None:
            sums = [sum(row) for row in self.camera_to_rec709.value]
            if max(abs(total - 1) for total in sums) > 1e-3:
                sentence = f"camera_to_rec709: rows sum to {sums}; expected a sum of 1 ± 0.001"
                raise FieldError(sentence, "camera_to_rec709")
        return self


def raw_files(folder_or_file: Path) -> list[Path]:
    """The raw files of a folder by name (nothing deeper is read), or a single one.

    Raises:
        ValueError: there are none.
        FileNotFoundError: there is no such folder or file.
    """
    if not folder_or_file.exists():
        raise FileNotFoundError(f"{folder_or_file}: no such folder or raw file")
    files = [folder_or_file] if folder_or_file.is_file() else list_files(folder_or_file, SUFFIXES)
    if not files or files[0].suffix.lower() not in SUFFIXES:
        raise ValueError(f"{folder_or_file} holds no raw files; expected files ending in {' '.join(SUFFIXES)}")
    return files


class Raws:
    """The raw photographs of a folder in the order of their names, or a single one.

    Args:
        folder_or_file: a folder (nothing deeper is read) or one file.
        max_height: pixels; a larger photograph is averaged down to fit, a smaller one keeps its size.
        max_width: pixels.

    Raises:
        ValueError: there are none, or a headerless mosaic's sidecar is missing, wrong or of another size.
        FileNotFoundError: there is no such folder or file.
    """

    def __init__(self, folder_or_file: Path, max_height: int, max_width: int) -> None:
        self._limits = Limits(max_height, max_width)
        self._origin, self._files = folder_or_file, raw_files(folder_or_file)
        self._sidecars = {path: read_sidecar(path) for path in self._files if path.suffix.lower() == MOSAIC}

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files' names in order: with them a run knows its scenes again."""
        return tuple(Path(path.name) for path in self._files)

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """Photograph `index` as light."""
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {self._origin}: expected 0 … {len(self) - 1}")
        path = self._files[index]
        sidecar = self._sidecars.get(path)
        light = develop_mosaic(path, sidecar) if sidecar else self._develop(path)
        radiance, _ = self._limits.fit(light, path)
        np.maximum(radiance, 0, out=radiance)
        labels: dict[str, object] = {"developed_by": "sidecar" if sidecar else "LibRaw"}
        return Scene(name=path.name, radiance=radiance, labels=labels)

    def _develop(self, path: Path) -> NDArray[np.float32]:
        """LibRaw's linear development: as-shot white balance, no scaling by content, highlights cut where neutral."""
        with libraw(path) as raw:
            sides = np.array((raw.sizes.height, raw.sizes.width))
            limits = np.array((self._limits.max_height, self._limits.max_width))
            # Either way round: the camera may have been held upright.
            scale = max((limits / sides).min(), (limits / sides[::-1]).min())
            codes = raw.postprocess(
                gamma=(1, 1),
                no_auto_bright=True,
                adjust_maximum_thr=0,
                user_sat=_clips_at(raw),
                use_camera_wb=True,
                output_bps=16,
                highlight_mode=rawpy.HighlightMode.Clip,
                output_color=rawpy.ColorSpace.sRGB,
                # A 2×2 tile becomes one pixel: no demosaicing where it would be averaged away.
                half_size=bool(scale <= 0.5),
            )
        grey = codes.shape[2] == 1  # of a camera without a filter
        return np.asarray(codes.repeat(3, axis=2) if grey else codes, np.float32) / np.float32(65535)


def _clips_at(raw: rawpy.RawPy) -> int | None:
    """Where a neutral's first channel clips, DN above black; None: where LibRaw takes it to be."""
    if raw.raw_type != rawpy.RawType.Flat or raw.num_colors != 3:
        return None
    balance = raw.camera_whitebalance if min(raw.camera_whitebalance[:3]) > 0 else raw.daylight_whitebalance
    seen, colours = raw.raw_image_visible, raw.raw_colors_visible
    present, blacks = np.unique(colours), raw.black_level_per_channel
    clips = [saturation(seen[colours == k], blacks[k], raw.white_level) for k in present]
    gains = [balance[k] or balance[1] for k in present]  # the second green has none of its own
    reach = neutral_range(clips, [blacks[k] for k in present], gains)
    return int(min(round(reach), round(raw.white_level - min(blacks))))


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of a headerless mosaic: `<stem>.yaml` beside it, or in the rigs' `mosaics`.

    Raises:
        ValueError: there is none, it is wrong, or the mosaic's size is not the one it gives.
    """
    places = [path.with_suffix(".yaml"), rigs_folder() / "mosaics" / f"{path.stem}.yaml"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ValueError(f"{path} has no header and no sidecar; expected {places[0]} or {places[1]}")
    sidecar = load_yaml(Sidecar, found)
    size, expected_size = path.stat().st_size, 2 * sidecar.width_px * sidecar.height_px
    if size != expected_size:
        shape = f"width_px {sidecar.width_px} × height_px {sidecar.height_px} × 2 bytes"
        raise ValueError(f"{path} is {size} bytes long, but {found} says {shape}; expected {expected_size} bytes")
    return sidecar


def develop_mosaic(path: Path, sidecar: Sidecar) -> NDArray[np.float32]:
    """A mosaic as Rec. 709 light, `M · demosaic(min((counts − black)/(white − black)/neutral, 1))`.

    White is balanced before demosaicing, so that the edge-aware demosaic sees no edge in a grey; highlights
    are cut where the first channel saturates, so that they stay neutral. Noise below black stays negative.
    """
    counts = np.fromfile(path, sidecar.dtype).reshape(sidecar.height_px, sidecar.width_px)
    black, white = sidecar.black_level_dn.value, sidecar.white_level_dn.value
    clips = [saturation(counts[place // 2 :: 2, place % 2 :: 2], black, white) for place in range(4)]
    gains = [1 / sidecar.neutral.value["RGB".index(colour)] for colour in sidecar.cfa]
    reach = min(neutral_range(clips, (black,) * 4, gains), white - black)
    mosaic = normalise(Counts(counts.astype(np.uint16)), (black,) * 4, black + reach).numpy()[0, 0]
    for place, colour in enumerate(sidecar.cfa):
        mosaic[place // 2 :: 2, place % 2 :: 2] /= sidecar.neutral.value["RGB".index(colour)]
    np.minimum(mosaic, 1, out=mosaic)
    # OpenCV demosaics whole numbers only: lend the mosaic 16 bits from its darkest noise to white.
    low = min(float(mosaic.min()), 0.0)
    step = (1 - low) / 65535
    codes = np.rint((mosaic - low) / step).astype(np.uint16)
    rgb = cv2.demosaicing(codes, getattr(cv2, f"COLOR_Bayer{sidecar.cfa}2RGB_EA")).astype(np.float32) * step + low
    if sidecar.camera_to_rec709 is not None:
        rgb = cv2.transform(rgb, np.array(sidecar.camera_to_rec709.value, np.float32))
    return np.asarray(rgb, np.float32)
