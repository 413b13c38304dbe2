"""What lies on the desk: shots of a folder of `isp_sim.generate`, or raw files of any camera."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isp_sim.dng import write_dng
from isp_sim.manifest import PairRecord, read_manifest
from isp_sim.raw_files import open_raw, with_neutral_white
from models.tuning.shots import RawShot, read_shots

NAMED_ISO = 100
"""Written where a raw does not state its sensitivity."""


@dataclass(frozen=True)
class DeskShot:
    """A shot, and what it is known to come from.

    Attributes:
        shot: raw, labels, crop; a lone raw has neither labels nor a well-lit picture.
        record: its line of the manifest; None: a lone raw.
    """

    shot: RawShot
    record: PairRecord | None = None


def of_folder(folder: Path, count: int) -> tuple[DeskShot, ...]:
    """Shots with people of a folder that `isp_sim.generate` wrote. Raises as `read_shots`."""
    shots = read_shots(folder, count)
    records = {Path(record.bright).name: record for record in read_manifest(folder)}
    return tuple(DeskShot(shot, records[shot.name]) for shot in shots)


def of_raws(raws: Sequence[Path], folder: Path) -> tuple[DeskShot, ...]:
    """Raw files of any camera, each written as a DNG that every ISP reads.

    Args:
        raws: the files.
        folder: for the DNGs; `raw/` is made in it.

    Raises:
        ValueError: not a raw file with a Bayer mosaic, or two of one name.
    """
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    shots: list[DeskShot] = []
    for path in raws:
        dng = folder / "raw" / f"{len(shots):03d}-{path.stem}.dng"
        raw = with_neutral_white(open_raw(path))
        if not (math.isfinite(raw.exposure_us) and math.isfinite(raw.gain_db)):
            raw = replace(raw, exposure_us=1.0, gain_db=0.0, iso=NAMED_ISO)
        write_dng(dng, raw)
        height, width = raw.counts.shape
        shots.append(DeskShot(RawShot(path.name, dng, dng, dng, (), "", (height, width), (0, 0, width, height))))
    return tuple(shots)
