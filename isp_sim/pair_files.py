"""A simulated pair as its record and the content of its files."""

import math
from pathlib import Path

import numpy as np

from isp_sim.choices import RawFormat
from isp_sim.dng import decode_dng, encode_dng
from isp_sim.manifest import PairRecord, PersonRecord, shot_fields
from isp_sim.pair import Pair
from isp_sim.picture_files import png
from isp_sim.raw import Raw
from isp_sim.raw_npz import decode_npz, encode_npz
from isp_sim.schedule import split_of

Content = bytes | memoryview


def record_of(number: int, pair: Pair, raw: RawFormat = "dng") -> PairRecord:
    """A simulated pair's line of the manifest; people cut to less than a pixel are left out.

    Args:
        number: of the pair in the run, from 0; its image id is one more.
        pair: what the rig gave.
        raw: what its raws are kept as.
    """
    shot = pair.shot
    height, width = pair.well_lit.shape[:2]
    frame_height, frame_width = pair.low_light_raw.counts.shape
    light = pair.photons_per_us_at_white
    bright, dark = (shot.file_name(arm) for arm in ("bright", "dark"))
    raws = [None if raw == "none" else f"raw/{Path(name).stem}.{raw}" for name in (bright, dark)]
    return PairRecord(
        id=number + 1,
        bright=f"bright/{bright}",
        dark=f"dark/{dark}",
        raw_bright=raws[0],
        raw_dark=raws[1],
        scene=pair.scene,
        split=split_of(shot.well_lit_gain_db),
        width=width,
        height=height,
        frame_width=frame_width,
        frame_height=frame_height,
        **shot_fields(shot),
        key=pair.well_lit_raw.provenance,
        photons_per_us_at_white=light if math.isfinite(light) else None,
        onto=pair.onto,
        crop=pair.crop,
        low_to_well=pair.low_to_well.tolist(),
        mean_well_lit=float(np.mean(pair.well_lit)),
        mean_low_light=float(np.mean(pair.low_light)),
        people=tuple(PersonRecord.of(p) for p in pair.people if p.bbox[2] >= 1 and p.bbox[3] >= 1),
        planes={name: f"{name}/{bright}" for name in pair.planes},
        labels=pair.labels,
    )


def encoded(pair: Pair, record: PairRecord) -> dict[str, Content]:
    """The content of a pair's files, by their names in its record and in that order.

    Raises:
        ValueError: a raw does not fit its file.
    """
    content: dict[str, Content] = {
        record.bright: png(pair.well_lit[..., ::-1], record.bright),
        record.dark: png(pair.low_light[..., ::-1], record.dark),
    }
    for name, raw in ((record.raw_bright, pair.well_lit_raw), (record.raw_dark, pair.low_light_raw)):
        if name is not None:
            content[name] = encode_dng(raw, name) if name.endswith(".dng") else encode_npz(raw)
    return content | {record.planes[name]: png(plane, record.planes[name]) for name, plane in pair.planes.items()}


def decode_raw(content: bytes, name: str) -> Raw:
    """A raw of a data set from its file's content; the name says which format it is.

    Raises:
        ValueError: it cannot be read; the sentence names it.
    """
    return decode_npz(content, name) if name.endswith(".npz") else decode_dng(content, name)
