"""Raw files of any camera as frames: DNG, what LibRaw opens, headerless mosaics; made small by adding up pixels."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from isp_sim.raw import Raw
from isp_sim.raw_files import colours_of, open_raw, with_neutral_white
from isp_sim.scenes.raws import MOSAIC, Sidecar, raw_files, read_sidecar
from isp_sim.schedule import FILE_NAME
from isp_sim.transfer import REC709_TO_XYZ
from isp_sim.units import Counts

TOP_DN = 65535


class PhotoFrames:
    """The raw files of a folder in the order of their names, or a single one; of a data set of ours the well-lit arm's.

    Args:
        folder_or_file: a folder (nothing deeper is read) or one file.
        max_height: pixels; a larger frame is made smaller by whole factors.
        max_width: pixels.

    Raises:
        ValueError: there are none, or a headerless mosaic's sidecar is missing or wrong.
        FileNotFoundError: there is no such folder or file.
    """

    def __init__(self, folder_or_file: Path, max_height: int, max_width: int) -> None:
        self.paths = [path for path in raw_files(folder_or_file) if not _is_low_light(path)]
        if not self.paths:
            raise ValueError(f"{folder_or_file} holds raws of the low-light arm alone; expected well-lit ones")
        self.max_height, self.max_width = max_height, max_width
        for path in self.paths:
            if path.suffix.lower() == MOSAIC:
                read_sidecar(path)  # complains before the first picture

    @property
    def files(self) -> tuple[Path, ...]:
        """The files' names in order: with them a run knows its scenes again."""
        return tuple(Path(path.name) for path in self.paths)

    def __len__(self) -> int:
        """How many frames."""
        return len(self.paths)

    def frame(self, index: int) -> Raw:
        """Frame `index`, no larger than the limits.

        Raises:
            ValueError: the file cannot be used; the sentence names it.
        """
        raw = open_frame(self.paths[index])
        height, width = raw.counts.shape
        return shrunk(raw, max(1, -(-height // self.max_height), -(-width // self.max_width)))


def _is_low_light(path: Path) -> bool:
    name = FILE_NAME.fullmatch(f"{path.stem}.png")
    return name is not None and name["arm"] == "dark"


def open_frame(path: Path) -> Raw:
    """One raw file, its white level where highlights stay neutral; a DNG of ours bit for bit.

    Raises:
        ValueError: no raw file with a Bayer mosaic.
    """
    raw = of_sidecar(path, read_sidecar(path)) if path.suffix.lower() == MOSAIC else open_raw(path)
    if math.isnan(raw.exposure_us + raw.gain_db):  # not stated; a pair has its own exposure
        raw = replace(raw, exposure_us=1.0, gain_db=0.0, iso=100)
    return with_neutral_white(raw)


def of_sidecar(path: Path, sidecar: Sidecar) -> Raw:
    """A headerless mosaic."""
    counts = np.fromfile(path, sidecar.dtype).reshape(sidecar.height_px, sidecar.width_px).astype(np.uint16)
    to_rec709 = np.eye(3) if sidecar.camera_to_rec709 is None else np.array(sidecar.camera_to_rec709.value)
    camera = np.diag(sidecar.neutral.value) @ np.linalg.inv(to_rec709) @ np.linalg.inv(np.array(REC709_TO_XYZ))
    neutral, xyz_to_camera = colours_of(np.array(sidecar.neutral.value), camera)
    black = sidecar.black_level_dn.value
    return Raw(
        counts=Counts(counts),
        cfa=sidecar.cfa,
        black_level_dn=(black,) * 4,
        white_level_dn=round(sidecar.white_level_dn.value),
        exposure_us=1.0,
        gain_db=0.0,
        iso=100,
        neutral=neutral,
        xyz_to_camera=xyz_to_camera,
        noise_profile=(),
        make="",
        model="",
        serial="",
        provenance={"file": path.name},
    )


def shrunk(raw: Raw, factor: int) -> Raw:
    """Every n×n pixels of one colour as their mean, on as many codes as 16 bits hold; n = 1 changes nothing.

    Variances of independent noise fall by n².
    """
    if factor == 1:
        return raw
    n, scale = factor, TOP_DN // raw.white_level_dn
    height, width = (side // (2 * n) * 2 for side in raw.counts.shape)
    tiles = raw.counts[: height * n, : width * n].reshape(height // 2, n, 2, width // 2, n, 2).astype(np.float64)
    counts = np.rint(tiles.mean(axis=(1, 4)).reshape(height, width) * scale).astype(np.uint16)
    black = tuple(level * scale for level in raw.black_level_dn)
    return replace(
        raw,
        counts=Counts(counts),
        black_level_dn=(black[0], black[1], black[2], black[3]),
        white_level_dn=raw.white_level_dn * scale,
        noise_profile=tuple((s / n**2, o / n**2) for s, o in raw.noise_profile),
        provenance=raw.provenance | {"mean_of": f"{n}x{n}"},
    )
