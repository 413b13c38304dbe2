"""Shots → batches of patches: whatever a network's patches are, drawn by (seed, epoch, group) alone."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from isp_sim import streams
from models.data.samples import PairSample, PairSource
from models.engine.distributed import order_of_epoch

Patch = TypeVar("Patch")


def patch_batches(
    source: PairSource, draw: Callable[[PairSample, np.random.Generator], list[Patch]], batch: int,
    stream: str, what: str, seed: int, epoch: int, rank: int = 0, processes: int = 1,
) -> Iterator[tuple[float, list[Patch]]]:  # fmt: skip
    """An epoch's batches, in an order drawn anew each epoch; what is left over is not used.

    Args:
        source: of the shots.
        draw: patches of one shot, by its group's random numbers.
        batch: patches in one.
        stream: name of the random numbers.
        what: a batch is made of, for the sentence when there are too few.
        seed: of them and of the order.
        epoch: from 0.
        rank: of the process.
        processes: that share the groups.

    Yields:
        The share of the groups that are used up, and the batch.

    Raises:
        ValueError: not enough for a single batch.
    """
    order = order_of_epoch(len(source), seed, epoch, rank, processes)
    waiting: list[Patch] = []
    some = False
    for place, group in enumerate(order, start=1):
        random = streams.generator(seed, stream, epoch, group)
        for shot in source.group(group):
            waiting += draw(shot, random)
        while len(waiting) >= batch:
            yield place / len(order), waiting[:batch]
            waiting, some = waiting[batch:], True
    if not some:
        raise ValueError(f"fewer than {batch} {what} in {len(order)} groups of pairs")
