"""Our own pipeline as an ISP under test: tunable by a black-box search, and by the gradient of the pose loss."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from isp_sim.dng import read_dng
from isp_sim.isp.develop import develop_raw, unclipped_srgb
from isp_sim.isp.params import ParamSpec
from isp_sim.isp.pipeline import Pipeline
from isp_sim.isp.raw_light import RawLight, raw_light
from models.data.crops import joints_in_crop, seen_part
from models.data.normalisation import LOW, normalise_tensor
from models.data.samples import uncut_in
from models.isp.region_crops import cropped
from models.recognisers.losses import pose_loss
from models.recognisers.recogniser import Recogniser
from models.tuning.shots import RawShot
from models.tuning.tunable import Setting, TunableParameter

HELD_RAWS = 64
"""Pictures before the pipeline that a process keeps."""


class PipelineIsp:
    """The differentiable pipeline behind a plain development of the raw by its own metadata, or, where it begins before
    sRGB, of the raw itself.

    A setting is that of a picture whose start (`Pipeline.base`) is the spec's `init`; another picture's moves with its
    start, by as much of the range: `exposure.gain` 2 is twice what brings the picture to a mean of 0.4.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self.pipeline = pipeline or Pipeline()
        taken: Callable[[Path], Tensor | RawLight] = _raw if self.pipeline.takes_raw else _light
        self.light = lru_cache(HELD_RAWS)(taken)

    @cached_property
    def parameters(self) -> Sequence[TunableParameter]:
        """One for each number of the pipeline's vector."""
        numbers = [(spec, start) for spec in self.pipeline.specs for start in spec.initial]
        return tuple(
            TunableParameter(ParamSpec(name, spec.low, spec.high, start, spec.scale, spec.unit, spec.says))
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

    def _develop(self, light: Tensor | RawLight, shares: Tensor) -> Tensor:
        start = self.pipeline.base(light)
        usual = torch.tensor([[value for spec in self.pipeline.specs for value in spec.initial]])
        moved = shares + self.pipeline.to_unit(start) - self.pipeline.to_unit(usual)
        return self.pipeline(light, self.pipeline.from_unit(moved))

    def loss_and_gradient(
        self, recogniser: Recogniser, shot: RawShot, settings: Mapping[str, Setting]
    ) -> Float[np.ndarray, " size_and_1"]:
        """Pose loss of a shot summed over its people, and its derivative by each parameter's share of its range.

        Args:
            recogniser: frozen.
            shot: with people.
            settings: where.
        """
        shares = self.shares(settings).requires_grad_()
        left, top, width, height = shot.box
        developed = self._develop(self.light(shot.raw), shares)[..., top : top + height, left : left + width]
        picture = normalise_tensor(developed, recogniser.normalisation[LOW])
        size, crops, joints = recogniser.input_size, [], []
        for person in shot.people:
            affine = recogniser.crop_affine(person.bbox)
            part = seen_part(affine, size, picture.shape[2:])
            left, top, width, height, _ = part
            crops.append(cropped(picture[:, :, top : top + height, left : left + width], part, affine, size))
            joints.append(joints_in_crop(person, affine, size, False))
        device = next(recogniser.parameters()).device
        shown, wanted = torch.cat(crops).to(device), torch.from_numpy(np.stack(joints)).to(device)
        loss = len(crops) * pose_loss(recogniser, shown, wanted, recogniser.loss)
        (gradient,) = torch.autograd.grad(loss, shares)
        return np.array([loss.item(), *gradient[0].tolist()])


def _light(raw: Path) -> Tensor:
    """A raw as sRGB before the pipeline, `(1, 3, height, width)`; noise below black follows the curve's straight part.

    It is demosaiced as the rig of its folder says: the raw lies in `raw/`, `rig.yaml` beside that.

    Raises:
        ValueError: not a DNG that is read.
    """
    with torch.inference_mode(False), torch.no_grad():  # kept, and differentiated through later
        return unclipped_srgb(develop_raw(read_dng(raw), uncut_in(raw.parent.parent)))


def _raw(raw: Path) -> RawLight:
    """A raw before the pipeline, demosaiced later as the rig of its folder says. Raises as `_light`."""
    with torch.inference_mode(False), torch.no_grad():
        try:
            return raw_light(read_dng(raw), uncut_in(raw.parent.parent))
        except ValueError as fault:
            raise ValueError(f"{raw}: {fault}") from None
