"""Several processes train one module: `torchrun --nproc-per-node N -m models.train_pose …`."""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from isp_sim import streams


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one; under torchrun each process has its own card.

    Raises:
        ValueError: unknown, or not there.
    """
    cuda = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--device {name}: expected auto, cpu or cuda")
    if name == "cuda" and not cuda:
        raise ValueError("--device cuda: torch finds no CUDA device, expected cpu")
    if name == "cpu" or not cuda:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def leads() -> bool:
    """Whether this process is the one that judges and writes: alone, or torchrun's first."""
    return int(os.environ.get("RANK", "0")) == 0


def order_of_epoch(groups: int, seed: int, epoch: int, rank: int = 0, processes: int = 1) -> list[int]:
    """Numbers of the groups that a process learns from in an epoch, shuffled; equally many for each process.

    Args:
        groups: of the source.
        seed: of the training.
        epoch: from 0.
        rank: of the process.
        processes: that share the groups.
    """
    order: list[int] = streams.generator(seed, "order", epoch).permutation(groups).tolist()
    return order[rank : groups // processes * processes : processes]


class Processes:
    """This process among those that share a training; alone unless `join` found more.

    Attributes:
        rank: of this one.
        count: of all.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank, self.count = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)

    @staticmethod
    def join(device: torch.device) -> "Processes":
        """Join the others that torchrun started; alone without it. NCCL on CUDA, gloo on the CPU."""
        if device.type == "cuda":
            torch.cuda.set_device(device)  # else each process holds memory on the first card, and NCCL speaks there
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return Processes()

    @property
    def first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        """End together: gloo can abort at exit when one is gone earlier."""
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()

    def all(self, here: bool) -> bool:
        """Whether it is true in all of them."""
        if self.count == 1:
            return here
        agreed = torch.tensor(float(here), device=_device())
        dist.all_reduce(agreed, dist.ReduceOp.MIN)
        return bool(agreed > 0)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Every gradient becomes the mean over the processes; one that a process lacks counts as 0."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= self.count

    def agree(self, module: nn.Module) -> None:
        """Parameters as the first has them; running statistics become the mean over all."""
        if self.count == 1:
            return
        for parameter in module.parameters():
            dist.broadcast(parameter.data, 0)
        for buffer in module.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= self.count
            else:
                dist.broadcast(buffer, 0)


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
