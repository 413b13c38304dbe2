"""Pairs → batches of patches, the same of both pictures; what is drawn depends on (seed, epoch, group) alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data.normalisation import NormalisationName, normalise
from models.data.patches import patch_batches
from models.data.samples import PairSample, PairSource
from models.enhance.networks.sllen_losses import VOID


@dataclass(frozen=True)
class PatchBatch:
    """Patches of both pictures.

    Attributes:
        low_light, well_lit: `(patches, 3, height, width)`, sRGB, 0 … 1.
        classes: `(patches, height, width)`, uint8; `VOID` where a scene has no semantic map.
        key: seeds what a loss draws: (seed, epoch, number of the batch).
    """

    low_light: Tensor
    well_lit: Tensor
    classes: Tensor
    key: tuple[int, int, int]


class Patches:
    """Epochs of batches, in an order drawn anew each epoch; what is left over is not used.

    Args:
        source: of the pairs.
        side: of a patch, px.
        batch: patches in one.
        each: patches of one picture.
        scaling: of the whole low-light picture, before the patch; what it lifts above white is cut.
        seed: of order, places and turns.
        device: where the batches go.
        rank, processes: of a distributed training.
    """

    def __init__(
        self, source: PairSource, side: int, batch: int, each: int, scaling: NormalisationName, seed: int,
        device: torch.device, rank: int = 0, processes: int = 1,
    ) -> None:  # fmt: skip
        self.source, self.side, self.batch, self.each, self.scaling = source, side, batch, each, scaling
        self.seed, self.device, self.rank, self.processes = seed, device, rank, processes

    def __call__(self, epoch: int) -> Iterator[tuple[float, PatchBatch]]:
        """The epoch's batches, each with the share of the groups that are used up."""
        drawn = patch_batches(
            self.source, self.patches, self.batch, "patches", "patches", self.seed, epoch, self.rank, self.processes
        )
        for number, (share, chosen) in enumerate(drawn):
            low, well, classes = (torch.from_numpy(np.stack(planes)) for planes in zip(*chosen, strict=True))
            key = (self.seed, epoch, number)
            yield share, PatchBatch(low.to(self.device), well.to(self.device), classes.to(self.device), key)

    def patches(self, shot: PairSample, stream: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Patches of one shot: low-light, well-lit, classes, each mirrored and transposed in one of eight ways.

        Raises:
            ValueError: the picture is smaller than a patch.
        """
        height, width = shot.low_light.shape[:2]
        if min(height, width) < self.side:
            raise ValueError(f"{shot.name}: {width}×{height} px; patches of {self.side} px need larger pictures")
        low = normalise(shot.low_light, self.scaling)
        semantic = np.full((height, width), VOID, np.uint8) if shot.semantic is None else shot.semantic
        found = []
        for _ in range(self.each):
            top, left = (int(stream.integers(n - self.side + 1)) for n in (height, width))
            at = (slice(top, top + self.side), slice(left, left + self.side))
            steps = tuple(int(step) for step in stream.choice((1, -1), 2))
            axes = (0, 1) if stream.integers(2) else (1, 0)
            planes = (low[at].clip(0, 1), shot.well_lit[at] / np.float32(255), semantic[at])
            turned = [plane[:: steps[0], :: steps[1]] for plane in planes]
            first = [np.ascontiguousarray(p.transpose(2, *axes), np.float32) for p in turned[:2]]
            found.append((first[0], first[1], np.ascontiguousarray(turned[2].transpose(axes))))
        return found
