"""A search's evaluations, a line each, whole at any moment; a search that was stopped is rebuilt from them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from isp_sim.files import refuse_other, remove_remnants, write_atomically
from isp_sim.rig import Finite
from isp_sim.rigfile import first_fault
from models.tuning.tunable import Settings

IDENTITY = "search.json"


@dataclass(frozen=True)
class Evaluation:
    """Settings and how they did over the shots of the search.

    Attributes:
        settings: that were tried.
        oks: mean over all people; what is searched for.
        shots: mean over the people of each shot.
        loss: mean pose loss over all people; where the search needs it.
        gradient: of that loss, by each parameter's share of its range.
        quality: figures of the chart developed alike, by name; where the search has more goals than recognition.
    """

    settings: Settings
    oks: Finite
    shots: tuple[Finite, ...]
    loss: Finite | None = None
    gradient: tuple[Finite, ...] = ()
    quality: dict[str, Finite] = field(default_factory=dict)


_LINE = TypeAdapter(Evaluation)


class Record:
    """A search's evaluations on disk, a JSON line for each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = list(_read(path)) if path.is_file() else []
        if path.is_file() and not self.lines:
            raise ValueError(f"{path}: is empty; expected a line for each evaluation: delete it and --resume")

    def add(self, one: Evaluation) -> None:
        """Append; the file is whole before and after."""
        self.lines.append(one)
        text = "".join(json.dumps(asdict(line), separators=(",", ":")) + "\n" for line in self.lines)
        write_atomically(self.path, text.encode())


def _read(path: Path) -> Iterator[Evaluation]:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            yield _LINE.validate_json(line)
        except ValidationError as fault:
            wrong = first_fault(fault)
            raise ValueError(f"{path}:{number}: not an evaluation ({wrong}); delete the line and --resume") from None


def open_folder(folder: Path, identity: Mapping[str, object], resume: bool) -> None:
    """Make or re-enter the folder of a search.

    Args:
        folder: of the search.
        identity: what makes it this one and no other; JSON-able.
        resume: whether a search that is there goes on.

    Raises:
        ValueError: the folder holds another search, or this one and `resume` is not set.
    """
    refuse_other(folder, IDENTITY, identity, "search", resume, alone=False)  # shots of the rig may lie there
    folder.mkdir(parents=True, exist_ok=True)
    remove_remnants(folder)
    write_atomically(folder / IDENTITY, json.dumps(identity, indent=1).encode())
