"""Enhancers side by side: closeness to the well-lit partner, naturalness, poses a frozen network finds, cost."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.enhance.enhancer import Enhancer, as_image, as_picture
from models.isp.learned import LearnedIsp
from models.isp.table import Method
from models.recognisers.inference import detect
from models.recognisers.recogniser import Recogniser
from models.scoring.niqe import Pristine, niqe
from models.scoring.no_reference import ceiq_features, lightness_order_error
from models.scoring.picture_quality import QualityProtocol, psnr_ssim
from models.scoring.poses import LOW_SPLITS, Poses

NOT_ENHANCED, MEAN_SCALED = str(Method.NONE), str(Method.MEAN_SCALED)
OURS = "learned ISP (Ono)"
PLAIN, MATCHED = QualityProtocol(), QualityProtocol(mean_matched=True)
MEASURES = ("PSNR", "SSIM", "PSNR matched", "SSIM matched", "NIQE", "LOE", "CEIQ similarity", "CEIQ entropy")
PROTOCOL = (
    f"PSNR, SSIM: {PLAIN}; matched: {MATCHED}. NIQE: the published pristine model, bicubic halving. "
    "LOE: largest of RGB, shorter side 50 px, against the low-light input. CEIQ: two of its features, no score. "
    "PCK@0.2 of the torso, true boxes: the frozen network takes the enhanced picture, 8 bits, as its low-light input."
)


@dataclass
class EnhancedRow:
    """Figures of one enhancer so far.

    Attributes:
        parameters: learned ones.
        measures: a list a measure, a figure a picture.
        seconds, processor_seconds: of each picture.
        poses: found behind it.
    """

    parameters: int
    measures: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    poses: Poses = field(default_factory=Poses)

    def means(self) -> dict[str, float]:
        """Each measure's mean over pictures, infinite PSNRs of equal pictures left out; NaN where none was taken."""
        return {
            name: float(np.mean(values)) if (values := [v for v in self.measures.get(name, ()) if np.isfinite(v)])
            else float("nan")
            for name in MEASURES
        }  # fmt: skip

    def pck(self) -> dict[str, float]:
        """PCK@0.2 of each low-light split; empty where no poses were detected."""
        return {k: v for k, v in self.poses.pck().items() if k in LOW_SPLITS} if self.poses.truth["LL-A"] else {}


def inputs() -> list[Enhancer]:
    """What enhancers must beat: the picture itself, and each channel brought to a mean of 0.4, cut at white."""
    device = torch.device("cpu")
    scaled = Enhancer(MEAN_SCALED, lambda picture: as_picture(as_image(picture, "mean-0.4", device)))
    return [Enhancer(NOT_ENHANCED, lambda picture: picture), scaled]


def of_isp(isp: LearnedIsp) -> Enhancer:
    """The learned ISP, on the CPU, as an enhancer: its picture cut to 0 … 1 and rounded to 8 bits."""
    isp = isp.eval()

    def develop(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return as_picture(isp(as_image(picture, "none", torch.device("cpu"))))

    return Enhancer(OURS, develop, sum(p.numel() for p in isp.parameters()))


def compare_enhancers(
    enhancers: Sequence[Enhancer],
    samples: Iterable[PairSample],
    pristine: Pristine | None = None,
    recogniser: Recogniser | None = None,
    flip: str = "none",
) -> Mapping[str, EnhancedRow]:
    """Every enhancer over the same held-out pairs.

    Args:
        enhancers: with names of their own.
        samples: pairs nobody was trained on.
        pristine: for NIQE; without it NIQE is left out.
        recogniser: frozen; without it, or without labelled people, no poses are detected.
        flip: see `models.recognisers.inference.heatmaps`.
    """
    rows = {one.name: EnhancedRow(one.parameters) for one in enhancers}
    for sample in samples:
        people = sample.labelled
        for enhancer in enhancers:
            row = rows[enhancer.name]
            wall, processor = time.perf_counter(), time.process_time()
            picture = enhancer.enhance(sample.low_light)
            row.seconds.append(time.perf_counter() - wall)
            row.processor_seconds.append(time.process_time() - processor)
            for name, value in measured(picture, sample, pristine).items():
                row.measures.setdefault(name, []).append(value)
            if recogniser is not None and people:
                found = detect(recogniser, picture, people, LOW, flip)
                row.poses.add_low_light(sample.split, sample.name, people, found)
    return rows


def measured(picture: np.ndarray, sample: PairSample, pristine: Pristine | None) -> dict[str, float]:
    """Every measure of one enhanced picture."""
    ceiq = ceiq_features(picture)
    values = (
        *psnr_ssim(picture, sample.well_lit, PLAIN),
        *psnr_ssim(picture, sample.well_lit, MATCHED),
        niqe(picture, pristine) if pristine else float("nan"),
        lightness_order_error(picture, sample.low_light),
        ceiq.similarity,
        ceiq.entropy,
    )
    return dict(zip(MEASURES, values, strict=True))
