"""What others made: networks in files that torch loads without their code, and whatever a factory of theirs makes."""

import importlib
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


def made_by(factory: str, named: str) -> object:
    """What a call of `package.module:factory` gives.

    Args:
        factory: its name.
        named: what a complaint calls it.

    Raises:
        ValueError: it cannot be imported or called, with what it raised.
    """
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)()
    except Exception as fault:  # another's code raises whatever it likes; the user is told, not shown a traceback
        raise ValueError(f"{named}: {type(fault).__name__}: {fault}") from None
