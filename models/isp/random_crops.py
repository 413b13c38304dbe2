"""Ono et al.'s evaluation (VISAPP 2024): the predictor looks at a random crop, so the score is the mean of several."""

from collections.abc import Iterable

import numpy as np
import torch

from isp_sim import streams
from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.isp.learned import LearnedIsp
from models.isp.learner import Input, taken_by
from models.isp.predictor import CROP
from models.recognisers.inference import detect_in
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import Protocol
from models.scoring.poses import LOW_SPLITS, Poses


def check_croppable(sample: PairSample, per_person: bool) -> None:
    """To be asked before a training that `random_crop_poses` shall judge.

    Args:
        sample: of the shots that judge.
        per_person: whether everybody has parameters of their own.

    Raises:
        ValueError: a picture smaller than a crop, or parameters that no crop of the picture gives.
    """
    height, width = sample.low_light.shape[:2]
    if min(height, width) < CROP:
        raise ValueError(f"random crops: {sample.name} has {width}×{height} px, expected {CROP}×{CROP} and more")
    if per_person:
        raise ValueError("random crops: expected a predictor of one setting a picture")


def random_crop_poses(
    isp: LearnedIsp, recogniser: Recogniser, samples: Iterable[PairSample], what: Input, flip: str, draws: int = 3
) -> list[Poses]:
    """What the recogniser finds behind the ISP whose predictor saw one random 256×256 crop of each shot, `draws` times.

    Args:
        isp: learned, with one setting a picture.
        recogniser: frozen.
        samples: shots of 256 px a side and up.
        what: of a shot is developed.
        flip: see `models.recognisers.inference.heatmaps`.
        draws: a crop's place is drawn by (draw, number of the shot) alone.

    Raises:
        ValueError: a predictor of each person's own parameters, or none: neither looks at a crop of the picture.
    """
    predictor = isp.predictor
    if predictor is None or isp.per_person:
        raise ValueError("random crops: expected a predictor of one setting a picture")
    device = next(recogniser.parameters()).device
    isp = isp.to(device).eval()
    kept, predictor.crop = predictor.crop, "random"
    found = [Poses() for _ in range(draws)]
    try:
        for number, sample in enumerate(samples):
            if not sample.labelled:
                continue
            image = taken_by(isp.pipeline, sample, what, device)
            for draw, poses in enumerate(found):
                drawn = streams.torch_generator("cpu", streams.key_words(draw, number), "evaluation crop")
                with torch.inference_mode():
                    seen = isp(image, generator=drawn, exposure=sample.exposure)[0].permute(1, 2, 0).cpu().numpy()
                detections = detect_in(recogniser, [np.ascontiguousarray(seen)], sample.labelled, LOW, flip)
                poses.add_low_light(sample.split, sample.name, sample.labelled, detections)
    finally:
        predictor.crop = kept
    return found


def random_crop_lines(found: list[Poses], protocol: Protocol) -> list[str]:
    """For each split, mean and standard deviation of AP and PCK over the draws, in words."""
    lines = []
    for split in LOW_SPLITS:
        if found[0].truth[split]:
            ap = [poses.scores(protocol, [split])[split].ap for poses in found]
            pck = [poses.pck()[split] for poses in found]
            spread = [f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "" for values in (ap, pck)]
            lines.append(f"{split}: AP {np.mean(ap):.1f}{spread[0]}, PCK@0.2 {np.mean(pck):.1f}{spread[1]}")
    return lines
