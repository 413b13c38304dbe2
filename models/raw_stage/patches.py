"""Pairs → batches of patches, mosaic and well-lit picture; what is drawn depends on (seed, epoch, group) alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.data.patches import patch_batches
from models.data.samples import PairSample, PairSource
from models.raw_stage.network import FLIPS, RawInput, as_input


class RawPatches(NamedTuple):
    """Patches of both pictures.

    Attributes:
        low_light: of the mosaics, scaled over the whole picture.
        well_lit: `(patches, 3, height, width)`, sRGB, 0 … 1.
    """

    low_light: RawInput
    well_lit: Tensor


class Patches:
    """Epochs of batches, in an order drawn anew each epoch; what is left over is not used.

    Args:
        source: of the pairs, with their raws.
        side: of a patch, px, even.
        batch: patches in one.
        each: patches of one picture.
        seed: of order, places and mirrors.
        device: where the batches go.
        rank, processes: of a distributed training.

    Raises:
        ValueError: when called: not enough for a single batch.
    """

    def __init__(
        self, source: PairSource, side: int, batch: int, each: int, seed: int, device: torch.device,
        rank: int = 0, processes: int = 1,
    ) -> None:  # fmt: skip
        self.source, self.side, self.batch, self.each, self.seed = source, side, batch, each, seed
        self.device, self.rank, self.processes = device, rank, processes

    def __call__(self, epoch: int) -> Iterator[tuple[float, RawPatches]]:
        """The epoch's batches, each with the share of the groups that are used up."""
        what = f"patches of {self.side} px"
        for share, chosen in patch_batches(
            self.source, self.patches, self.batch, "raw patches", what, self.seed, epoch, self.rank, self.processes
        ):
            low = RawInput.joined([patch.low_light for patch in chosen]).to(self.device)
            well = torch.cat([patch.well_lit for patch in chosen]).to(self.device)
            yield share, RawPatches(low, well)

    def patches(self, shot: PairSample, stream: np.random.Generator) -> list[RawPatches]:
        """Patches of one shot, each mirrored or not on each axis; none of a picture that is smaller than a patch.

        A mirrored patch begins one pixel later, so that its tile is RGGB again.

        Raises:
            ValueError: no raw.
        """
        if shot.raw is None:
            raise ValueError(f"{shot.name}: has no raw; the raw stage learns from raws")
        seen = as_input(shot.raw)
        height, width = seen.mosaic.shape[2:]
        picture = torch.from_numpy(shot.well_lit[:height, :width]).permute(2, 0, 1)[None]
        well = picture.flip(FLIPS[shot.raw.cfa])
        if min(height, width) < self.side + 2:
            return []
        found = []
        for _ in range(self.each):
            top, left = (2 * int(stream.integers((length - self.side) // 2)) for length in (height, width))
            down, across = (bool(stream.integers(2)) for _ in range(2))
            rows, columns = (slice(at + turn, at + turn + self.side) for at, turn in ((top, down), (left, across)))
            axes = [axis for axis, turned in ((2, down), (3, across)) if turned]
            mosaic = seen.mosaic[:, :, rows, columns].flip(axes)
            target = well[:, :, rows, columns].flip(axes).float() / 255
            found.append(RawPatches(seen._replace(mosaic=mosaic), target))
        return found
