"""A training step of the learned ISP beside the frozen pose network's own forward and backward, at the same batch.

    python benchmarks/isp_step.py [--network movenet-lightning] [--people 2] [--binning 4] [--device cpu]

Eight pictures of 1920×1200, people of 300 px, both divided by `--binning` (4: as `exlpose-small`,
what `models.train_isp` shoots), crops of the network's own size. `step` is all of `models.train_isp`:
the predictor on thumbnails, the ISP round each person at full resolution, network, loss, backward, Adam. `network`
is the frozen network on ready crops, forward and backward to its input. Memory is what autograd keeps for the backward
pass (storages counted once, parameters not). Steps alternate; the median of the repetitions. On a CPU the time is the
processor's, so that what else runs there does not count.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from isp_sim.isp.pipeline import Pipeline
from models.engine.distributed import pick_device
from models.isp.learned import LearnedIsp
from models.isp.learner import IspLearner, LowLightBatch
from models.isp.predictor import Predictor
from models.pose.network import SIZES, Cpn
from models.recognisers.loading import MOVENETS, movenet, of_ours
from models.recognisers.losses import pose_loss
from models.recognisers.recogniser import Recogniser

PICTURES, HEIGHT, WIDTH = 8, 1200, 1920
PERSON_PX = 300
TIME_ASKED, LIGHT_TIME_ASKED, MEMORY_ASKED = 1.25, 2.0, 0.10
"""Of a step over its network: of a ResNet-50, and of MoveNet, beside which the same ISP weighs more."""


def network_called(name: str) -> Recogniser:
    """A frozen network: MoveNet, or ours of a size with the weights it starts from."""
    if name in MOVENETS:
        return movenet(MOVENETS[name])
    with torch.random.fork_rng(devices=[]):
        return of_ours(Cpn(name, lsbn=True))


def batch_of(people: int, binning: int, recogniser: Recogniser, device: torch.device) -> LowLightBatch:
    """Dark noise, and people that stand anywhere in it."""
    tall, high, wide = PERSON_PX / binning, HEIGHT // binning, WIDTH // binning
    stream = np.random.default_rng(0)
    affines, joints = [], []
    for _ in range(PICTURES):
        places = stream.uniform((0, 0), (wide - tall / 2, high - tall), (people, 2))
        affines.append(tuple(recogniser.crop_affine((x, y, tall / 2, tall)) for x, y in places))
        height, width = recogniser.input_size
        joints.append(np.dstack([stream.uniform(0, (width, height), (people, 14, 2)), np.full((people, 14, 1), 2.0)]))
    pictures = torch.from_numpy(stream.poisson(3, (PICTURES, 3, high, wide)).astype(np.float32) / 255)
    labels = torch.from_numpy(np.concatenate(joints).astype(np.float32))
    return LowLightBatch(pictures.to(device).split(1), tuple(affines), labels.to(device), (0, 0, 0))


def kept_bytes(loss: Callable[[], Tensor], without: torch.nn.Module) -> int:
    """Bytes that autograd keeps until the backward pass of what `loss` computes, a module's own tensors left out."""
    own = {t.untyped_storage().data_ptr() for t in (*without.parameters(), *without.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = loss()
    del held
    return sum(kept.values())


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Time of a call: of the processor, or by the clock until a GPU's queue is empty."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def main(network_name: str, people: int, binning: int, repeat: int, device: torch.device) -> Table:
    """Measure both and compare."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    recogniser = network_called(network_name).to(device)
    stream, pipeline = torch.Generator().manual_seed(0), Pipeline()
    learner = IspLearner(LearnedIsp(Predictor(pipeline, stream, "thumbnail", "thumbnail"), pipeline), recogniser)
    learner.to(device)
    batch = batch_of(people, binning, recogniser, device)
    optimiser = torch.optim.Adam(learner.parameters(), 1e-4, fused=True)
    crops = learner.crops(batch).detach().requires_grad_()

    def network_loss() -> Tensor:
        return pose_loss(recogniser, crops, batch.joints, recogniser.loss)

    def whole_loss() -> Tensor:
        return learner.losses(batch)["pose"]

    def network() -> None:
        crops.grad = None
        network_loss().backward()  # type: ignore[no-untyped-call]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        whole_loss().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    taken = [(seconds(step, device), seconds(network, device)) for _ in range(repeat + 1)][1:]
    step_s, network_s = (statistics.median(column) for column in zip(*taken, strict=True))
    whole, alone = kept_bytes(whole_loss, recogniser), kept_bytes(network_loss, recogniser)
    of = f"{PICTURES} pictures of {WIDTH // binning}×{HEIGHT // binning}, {people} people each"
    table = Table(title=f"{of}, {network_name}, {device}; median of {repeat}")
    for heading in ("", "whole step", "network alone", "ratio", "asked"):
        table.add_column(heading, justify="left" if not heading else "right")
    ratio, share = step_s / network_s, (whole - alone) / whole
    limit = LIGHT_TIME_ASKED if network_name in MOVENETS else TIME_ASKED
    table.add_row("time", f"{step_s:.2f} s", f"{network_s:.2f} s", f"{ratio:.3f}", f"≤ {limit}")
    table.add_row("kept for backward", f"{whole / 2**20:.0f} MiB", f"{alone / 2**20:.0f} MiB", "", "")
    table.add_row("share of the ISP in it", "", "", f"{share:.3f}", f"≤ {MEMORY_ASKED}")
    return table


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--network", choices=(*SIZES, *MOVENETS), default="resnet50")
    asked.add_argument("--people", type=int, default=2, help="of a picture [%(default)s]")
    asked.add_argument("--binning", type=int, default=1, help="of the pictures and people [%(default)s]")
    asked.add_argument("--repeat", type=int, default=5)
    asked.add_argument("--device", default="auto")
    given = asked.parse_args()
    Console().print(main(given.network, given.people, given.binning, given.repeat, pick_device(given.device)))
