"""Third-party code: networks in files that torch loads without their source, and objects made by a factory.

Such a file is a program. `torch.export.load` unpickles what it cannot load as weights and evaluates the expressions of
symbolic sizes; TorchScript has operators that write files. So neither is loaded from a file that is not trusted.
"""

import hashlib
import importlib
import os
import sys
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from models.choices import TRUST

Kind = TypeVar("Kind")


def load_module(path: Path, named: str) -> nn.Module:
    """A TorchScript network (`.pt`) or an exported program (`.pt2`), on the CPU; its digest goes to stderr.

    Args:
        path: of the file.
        named: what an error message calls it.

    Raises:
        ValueError: it is not trusted, or torch cannot load it; the first sentence of why.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if os.environ.get(TRUST) != "1":
        raise ValueError(
            f"{named}: is a program that can run any code; add --trust ({TRUST}=1 in Python) if you trust where it "
            f"comes from, or give .safetensors; SHA-256 {digest}"
        )
    print(f"{named}: trusted, SHA-256 {digest}", file=sys.stderr)
    try:
        if path.suffix == ".pt":
            network: nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
            return network
        return torch.export.load(path).module()
    except Exception as fault:  # both loaders raise whatever they meet
        message = str(fault).strip()
        first = message.splitlines()[0].split(". ")[0] if message else type(fault).__name__
        raise ValueError(f"{named}: torch cannot load it: {first}") from None


def from_factory(factory: str, option: str, kind: type[Kind]) -> Kind:
    """The object that a call of `package.module:factory` gives.

    Args:
        factory: its name.
        option: of the command line that took the name; error messages begin with both.
        kind: expected; a protocol must be `runtime_checkable`.

    Raises:
        ValueError: it cannot be imported or called, with what it raised, or gives something else.
    """
    module, _, name = factory.partition(":")
    try:
        made: object = getattr(importlib.import_module(module), name)()
        fits = isinstance(made, kind)  # looks a protocol's properties up, and so runs their code
    except Exception as fault:  # third-party code may raise anything; the user gets a sentence, not a traceback
        raise ValueError(f"{option} {factory}: {type(fault).__name__}: {fault}") from None
    if not fits:
        raise ValueError(
            f"{option} {factory}: gave a {type(made).__name__}, expected {kind.__module__}.{kind.__qualname__}"
        )
    return made  # type: ignore[return-value]
