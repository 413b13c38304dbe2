"""Networks of any make: files that torch loads without the code that made them."""

from pathlib import Path

import torch
from torch import nn


def load_foreign(path: Path, named: str) -> nn.Module:
    """A TorchScript network (`.pt`) or an exported program (`.pt2`), on the CPU.

    Args:
        path: of the file.
        named: what a complaint calls it.

    Raises:
        ValueError: torch cannot load it; the first sentence of why.
    """
    try:
        if path.suffix == ".pt":
            network: nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
            return network
        return torch.export.load(path).module()
    except Exception as fault:  # both loaders raise whatever they meet
        said = str(fault).strip()
        first = said.splitlines()[0].split(". ")[0] if said else type(fault).__name__
        raise ValueError(f"{named}: torch cannot load it: {first}") from None
