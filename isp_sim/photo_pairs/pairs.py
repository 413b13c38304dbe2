"""Low-light / well-lit pairs from raw photographs, as GLADNet was trained on (Wang et al., FG 2018 workshops).

The paper changed Exposure and Contrast in a photo editor. Here the same in the open, on the raw:

    mosaic − black → 2^E, noise if asked, counts → white balance, demosaic, colour matrix → tone curve → sRGB
    → contrast about a pivot, black kept → saturation → 8 bits

The well-lit picture has E = 0, C = 0 and full saturation. Beside them stand pairs that are all black, all white, and
grey (both pictures reduced to their luma): what is black or white should stay, what is grey should get no colour.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from isp_sim import streams
from isp_sim.isp.develop import develop_raw, to_8bit
from isp_sim.pair import Pair
from isp_sim.photo_pairs.frames import PhotoFrames
from isp_sim.photo_pairs.rig import CONTRAST_END, PhotoPairRig
from isp_sim.raw import Raw
from isp_sim.rig import Isp
from isp_sim.schedule import Shot
from isp_sim.transfer import REC601_LUMA, srgb_encode, tone
from isp_sim.units import Counts, Srgb

KEY_FLOOR = 1e-3
EXPOSURE_US = 100_000
"""Nominal, of the well-lit picture; file names carry the low-light one's, `2^E` times that."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn for a pair.

    Attributes:
        kind: of the pair.
        exposure_ev, contrast, saturation: of its low-light picture.
    """

    kind: Literal["black", "white", "grey", "colour"]
    exposure_ev: float
    contrast: float
    saturation: float


def draw(rig: PhotoPairRig, seed: int, scene: int, number: int) -> Drawn:
    """A pair's kind and numbers, keyed (seed, number of the raw, number of its pair)."""
    stream = streams.generator(seed, scene, number, "raw pair")
    chance = stream.random()
    edges = np.cumsum([rig.black_share.value, rig.white_share.value, rig.grey_share.value])
    kind = ("black", "white", "grey", "colour")[int(np.searchsorted(edges, chance, side="right"))]
    exposure, contrast = stream.uniform(*rig.exposure_ev.value), stream.uniform(*rig.contrast.value)
    weak = stream.random() < rig.desaturated_share.value and kind == "colour"
    saturation = stream.uniform(rig.lowest_saturation.value, 1) if weak else 1.0
    return Drawn(kind, float(exposure), float(contrast), float(saturation))  # type: ignore[arg-type]


def photo_shots(rig: PhotoPairRig, frames: int, count: int, seed: int) -> list[Shot]:
    """The shots of a run: each raw in turn, then each again with other numbers."""
    shots = []
    for pair in range(count):
        scene, number = pair % frames, pair // frames
        ev = draw(rig, seed, scene, number).exposure_ev
        exposure = max(1, round(EXPOSURE_US * 2**ev))
        shot = Shot(
            scene=scene,
            session="0101",
            place="raw",
            video=f"{scene:06d}",
            frame=f"{number:06d}",
            ratio=1.0,
            exposure_us=exposure,
            base_exposure_us=EXPOSURE_US,
            base_gain_db=0.0,
            well_lit_gain_db=0.0,
            low_light_gain_db=0.0,
            number=number,
        )
        shots.append(shot)
    return shots


def photo_pairs(rig: PhotoPairRig, frames: PhotoFrames, scene: int, shots: Sequence[Shot], seed: int) -> Iterator[Pair]:
    """The pairs of one raw, as `isp_sim.pair.DualCamera.shoot` gives those of a scene."""
    index = scene % len(frames)
    well = clipped(frames.frame(index))
    name = frames.files[index].name
    for shot in shots:
        drawn = draw(rig, seed, scene, shot.number)
        yield _pair(rig, well, name, shot, drawn, streams.generator(seed, scene, shot.number, "raw pair noise"))


def _pair(rig: PhotoPairRig, well: Raw, name: str, shot: Shot, drawn: Drawn, stream: np.random.Generator) -> Pair:
    key: dict[str, object] = vars(drawn) | {"rig": rig.name, "raw": name}
    if drawn.kind in ("black", "white"):
        well = even(well, drawn.kind)
    profile = well.noise_profile or (rig.noise.profile.value,) * 3
    low = well
    if drawn.kind in ("colour", "grey"):
        low = dimmed(well, drawn.exposure_ev, profile if rig.noise.added else None, stream)
    bright, dark = finish(rig, well, None, drawn.kind), finish(rig, low, drawn, drawn.kind)
    height, width = bright.shape[:2]
    return Pair(
        shot=shot,
        scene=name,
        well_lit_raw=replace(well, exposure_us=float(EXPOSURE_US), provenance=key),
        low_light_raw=replace(low, exposure_us=float(shot.exposure_us), provenance=key),
        well_lit=bright,
        low_light=dark,
        crop=(0, 0, width, height),
        low_to_well=np.eye(3),
        people=(),
        photons_per_us_at_white=float("nan"),
        labels=key,
    )


def even(raw: Raw, level: Literal["black", "white"]) -> Raw:
    """A frame of one level: at each pixel's black, or as white as stays neutral."""
    counts = raw.counts.copy()
    for place, black in enumerate(raw.black_level_dn):
        counts[place // 2 :: 2, place % 2 :: 2] = round(black) if level == "black" else raw.white_level_dn
    return clipped(replace(raw, counts=Counts(counts)))


def clipped(raw: Raw) -> Raw:
    """Highlights cut where the first channel saturates, so that they stay neutral: `x_c ≤ neutral_c`."""
    counts, reach = raw.counts.copy(), raw.white_level_dn - float(np.mean(raw.black_level_dn))
    for place, colour in enumerate(raw.cfa):
        top = raw.black_level_dn[place] + raw.neutral["RGB".index(colour)] * reach
        cell = counts[place // 2 :: 2, place % 2 :: 2]
        np.minimum(cell, np.uint16(min(math.ceil(top), raw.white_level_dn)), out=cell)
    return replace(raw, counts=Counts(counts))


def dimmed(
    raw: Raw, exposure_ev: float, profile: Sequence[tuple[float, float]] | None, stream: np.random.Generator
) -> Raw:
    """The counts of a shorter exposure: `black + 2^E·(counts − black)`, with noise if a profile is given.

    The raw has noise of variance `S·x + O` already, which the scaling leaves as `4^E·(S·x + O)`. A real frame at
    `x' = 2^E·x` would have `S·x' + O`. So Gaussian noise of the difference is added,

        S·x'·(1 − 2^E) + O·(1 − 4^E).

    Args:
        raw: at E = 0.
        exposure_ev: E, at most 0.
        profile: (S, O) of R, G, B; None adds none.
        stream: draws the noise.
    """
    gain = 2.0**exposure_ev
    counts = raw.counts.astype(np.float64)
    for place, colour in enumerate(raw.cfa):
        cell = counts[place // 2 :: 2, place % 2 :: 2]
        black = raw.black_level_dn[place]
        range_dn = raw.white_level_dn - black
        x = (cell - black) * gain / range_dn
        if profile is not None:
            shot, read = profile["RGB".index(colour)]
            variance = shot * np.maximum(x, 0) * (1 - gain) + read * (1 - gain**2)
            x += np.sqrt(variance) * stream.standard_normal(x.shape)
        cell[:] = x * range_dn + black
    return replace(raw, counts=Counts(np.rint(counts).clip(0, raw.white_level_dn).astype(np.uint16)))


def finish(rig: PhotoPairRig, raw: Raw, drawn: Drawn | None, kind: str) -> np.ndarray:
    """A frame as an 8-bit picture; without `drawn` the well-lit one."""
    with torch.inference_mode():
        linear = develop_raw(raw, Isp(demosaic=rig.demosaic))
        share = rig.tone_strength.value
        image = srgb_encode((1 - share) * linear + share * tone(linear))
        if drawn is not None and kind in ("colour", "grey"):
            slope = 1 + (rig.contrast_slope.value - 1) * drawn.contrast / CONTRAST_END
            pivot = rig.pivot_level.value if rig.pivot == "fixed" else key_of(image)
            image = saturate(lower_contrast(image, slope, pivot), drawn.saturation)
        if kind == "grey":
            image = saturate(image, 0.0)
        return to_8bit(Srgb(image))


def lower_contrast(image: Tensor, slope: float, pivot: float) -> Tensor:
    """`y = p + s·(x − p)`, then the black point set where black now lies, `b = p·(1 − s)`: `(y − b)/(1 − b)`.

    Together `s·x / (1 − p·(1 − s))`: black stays, white comes down.

    Args:
        image: sRGB, 0 … 1.
        slope: s, above 0 and at most 1.
        pivot: p, 0 … 1.
    """
    return image * (slope / (1 - pivot * (1 - slope)))


def key_of(image: Tensor) -> float:
    """The log-mean of a picture's luma: `exp(mean ln(Y + 0.001)) − 0.001`."""
    luma = torch.einsum("c,bchw->bhw", image.new_tensor(REC601_LUMA), image)
    return float(torch.log(luma + KEY_FLOOR).mean().exp() - KEY_FLOOR)


def saturate(image: Tensor, saturation: float) -> Tensor:
    """`Y + s·(x − Y)`, Y the luma: 1 changes nothing, 0 is grey."""
    luma = torch.einsum("c,bchw->bhw", image.new_tensor(REC601_LUMA), image)[:, None]
    return luma + saturation * (image - luma)
