"""Our own pipeline as an ISP under test: the same knobs to a black-box search, and the slope of the pose loss."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

from isp_sim.camera import REC709_TO_XYZ
from isp_sim.dng import read_dng
from isp_sim.isp.develop import DevelopParams, develop_linear, encode_srgb
from isp_sim.isp.params import ParamSpec
from isp_sim.isp.pipeline import Pipeline
from isp_sim.raw import Raw, normalise
from isp_sim.transfer import SRGB_SLOPE
from models.isp_learner import pose_loss
from models.pose.backbone import LOW
from models.pose.crops import LOW_LIGHT_MEAN, joints_in_crop, seen_part
from models.pose.recogniser import Recogniser, imagenet
from models.pose.regions import blurred, warped
from models.tuning.knobs import Knob, Setting
from models.tuning.shots import RawShot

DEMOSAIC = "malvar2004"
HELD_RAWS = 64
"""Pictures before the pipeline that a process keeps."""


class PipelineIsp:
    """The differentiable pipeline behind a plain development of the raw by its own metadata.

    A setting is that of a picture whose start (`Pipeline.base`) is the spec's `init`; another picture's moves with its
    start, by as much of the range: `exposure.gain` 2 is twice what brings the picture to a mean of 0.4.

    Args:
        pipeline: its steps.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self.pipeline = pipeline or Pipeline()
        self.light = lru_cache(HELD_RAWS)(_light)

    @cached_property
    def knobs(self) -> Sequence[Knob]:
        """One for each number of the pipeline's vector."""
        numbers = [(spec, start) for spec in self.pipeline.specs for start in spec.initial]
        return tuple(
            Knob(ParamSpec(name, spec.low, spec.high, start, spec.scale, spec.unit, spec.says))
            for name, (spec, start) in zip(self.pipeline.names, numbers, strict=True)
        )

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """See `BlackBoxIsp`; not cut at white, and noise below black is kept."""
        with torch.inference_mode():
            picture = self._develop(self.light(raw), self.shares(settings))
        return np.ascontiguousarray(picture[0].permute(1, 2, 0).numpy())

    def shares(self, settings: Mapping[str, Setting]) -> Tensor:
        """Settings as shares of their ranges, `(1, size)`."""
        values = torch.tensor([[float(settings[name]) for name in self.pipeline.names]])
        return self.pipeline.to_unit(values)

    def _develop(self, light: Tensor, shares: Tensor) -> Tensor:
        start = self.pipeline.base(light)
        usual = torch.tensor([[value for spec in self.pipeline.specs for value in spec.initial]])
        moved = shares + self.pipeline.to_unit(start) - self.pipeline.to_unit(usual)
        return self.pipeline(light, self.pipeline.from_unit(moved))

    def slope(
        self, recogniser: Recogniser, shot: RawShot, settings: Mapping[str, Setting]
    ) -> Float[np.ndarray, " size_and_1"]:
        """Pose loss of a shot summed over its people, and its derivative by each knob's share of its range.

        Args:
            recogniser: frozen.
            shot: with people.
            settings: where.
        """
        shares = self.shares(settings).requires_grad_()
        aligned = onto_well_lit(self._develop(self.light(shot.raw), shares), shot)
        picture = _normalised(aligned, recogniser.normalisation[LOW])
        size, crops, joints = recogniser.input_size, [], []
        for person in shot.people:
            affine = recogniser.affine(person.bbox)
            left, top, width, height, sigma = seen_part(affine, size, picture.shape[2:])
            part = picture[:, :, top : top + height, left : left + width]
            crops.append(warped(blurred(part, sigma) if sigma > 0 else part, affine, (left, top), size))
            joints.append(joints_in_crop(person, affine, size, False))
        loss = len(crops) * pose_loss(recogniser, torch.cat(crops), torch.from_numpy(np.stack(joints)), "heatmaps")
        (gradient,) = torch.autograd.grad(loss, shares)
        return np.array([loss.item(), *gradient[0].tolist()])


def onto_well_lit(image: Tensor, shot: RawShot) -> Tensor:
    """A picture of the low-light arm on the shot's labelled picture, bilinear, differentiable.

    Args:
        image: `(1, 3, height, width)`, of the whole mosaic.
        shot: its warp and crop.
    """
    height, width = image.shape[2:]
    x, y, w, h = shot.box
    back = np.linalg.inv(np.array(shot.low_to_well))
    points = np.stack(np.meshgrid(np.arange(x, x + w), np.arange(y, y + h)), -1).astype(float)
    seen = np.concatenate([points, np.ones((h, w, 1))], axis=2) @ back.T
    at = 2 * seen[..., :2] / seen[..., 2:] / (width - 1, height - 1) - 1  # −1 … 1 from the first to the last pixel
    grid = torch.from_numpy(at.astype(np.float32))[None]
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def _normalised(image: Tensor, how: str) -> Tensor:
    """`models.pose.crops.normalise` in torch."""
    if how == "mean-0.4":
        return image * (LOW_LIGHT_MEAN / image.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6))
    if how == "none":
        return image
    return imagenet(image)


def _light(raw: Path) -> Tensor:
    """A raw as sRGB before the pipeline, `(1, 3, height, width)`; noise below black follows the curve's straight part.

    Raises:
        ValueError: not a DNG that is read.
    """
    frame = read_dng(raw)
    with torch.inference_mode(False), torch.no_grad():
        mosaic = normalise(frame.counts, frame.black_level_dn, frame.white_level_dn)
        linear = develop_linear(mosaic, _from_metadata(frame))
        return encode_srgb(linear) + SRGB_SLOPE * linear.clamp_max(0)


def _from_metadata(frame: Raw) -> DevelopParams:
    """White balance and colour matrix as a DNG tells them (AsShotNeutral, ColorMatrix1)."""
    gains = 1 / np.array(frame.neutral)
    mixing = gains[:, None] * np.array(frame.xyz_to_camera) @ np.array(REC709_TO_XYZ)
    inverse = np.linalg.inv(mixing)
    inverse /= inverse.sum(axis=1, keepdims=True)  # white stays white
    as_batch = (torch.tensor(numbers[None], dtype=torch.float32) for numbers in (gains, inverse))
    return DevelopParams(frame.cfa, DEMOSAIC, *as_batch)
