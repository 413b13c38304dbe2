"""The board's side: any ISP under test behind lines of JSON; the reference for boards of other makes."""

import base64
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import isp_sim
from isp_sim.rectify import crop
from isp_sim.scenes import JOINTS, Person
from models.data.normalisation import LOW, normalise
from models.recognisers.inference import detect_in
from models.recognisers.recogniser import Recogniser
from models.tuning.boards import messages
from models.tuning.boards.messages import PROTOCOL, RAWS, Depth, Develop, Score
from models.tuning.tunable import BlackBoxIsp, ParameterEntry

LONGEST_LINE = 1 << 30
"""Bytes of a request; a 16-bit raw of 100 megapixels needs a quarter."""


class Board:
    """An ISP and, where it has one, its own network.

    Args:
        isp: what develops.
        name: what it is called, with its version.
        recogniser: its own network, frozen; None: it has none.
        depth: of its pictures' codes.
        folder: that both sides know; None: raws and pictures travel in the lines.
        rig_yaml: text of the rig that the raws come from, for a pipeline of ours; None: unknown.
    """

    def __init__(
        self, isp: BlackBoxIsp, name: str, recogniser: Recogniser | None = None, depth: Depth = "float32",
        folder: Path | None = None, rig_yaml: str | None = None,
    ) -> None:  # fmt: skip
        self.isp, self.name, self.recogniser = isp, name, recogniser
        self.depth, self.folder, self.rig_yaml = depth, folder, rig_yaml

    def answer(self, text: bytes) -> dict[str, Any]:
        """The answer to a line; what is wrong with it, or with what it asks for, is a fault of one sentence."""
        number = None
        try:
            request = messages.parsed(text)
            number = said if isinstance(said := request.get("id"), int | str) else None
            does = {"hello": self._hello, "develop": self._develop, "score": self._score}
            if (do := str(request.get("do"))) not in does:
                raise ValueError(f"do: is {do[:40]!r}; expected {', '.join(does)}")
            return {"id": number} | does[do](request)
        except (ValueError, OSError) as fault:
            return {"id": number, "fault": " ".join(str(fault).split())}

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        entries = {one.name: ParameterEntry.of(one) for one in self.isp.parameters}
        return {
            "protocol": PROTOCOL,
            "board": f"{self.name}, isp-sim {isp_sim.__version__}",
            "knobs": {name: entry.model_dump(exclude_defaults=True) for name, entry in entries.items()},
            "raws": list(RAWS),
            "joints": list(JOINTS) if self.recogniser else [],
        }

    def _develop(self, request: dict[str, Any]) -> dict[str, Any]:
        said, content = messages.of_picture(self._picture(messages.checked(Develop, request)), self.depth)
        if self.folder is None:
            return said | {"data": base64.b64encode(content).decode()}
        (self.folder / "picture").write_bytes(content)
        return said | {"file": "picture"}

    def _score(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.recogniser is None:
            raise ValueError("score: this board has no network of its own")
        asked = messages.checked(Score, request)
        nobody = ((0.0, 0.0, 0),) * len(JOINTS)
        image = normalise(255 * crop(self._picture(asked), asked.crop), self.recogniser.normalisation[LOW])
        people = [Person(nobody, box) for box in asked.boxes]
        found = [one.keypoints for one in detect_in(self.recogniser, [image], people, LOW, "none")]
        rows = [[[float(x) if math.isfinite(x) else None for x in joint] for joint in one] for one in found]
        return {"joints": rows}

    def _picture(self, asked: Develop) -> np.ndarray:
        settings = self._settings(asked)
        content = asked.raw.bytes_in(self.folder)
        with tempfile.TemporaryDirectory() as place:
            raw = Path(place) / "raw" / "frame.dng"  # the pipeline looks for its rig one folder up
            raw.parent.mkdir()
            if self.rig_yaml is not None:
                (Path(place) / "rig.yaml").write_text(self.rig_yaml, encoding="utf-8")
            messages.to_dng(asked.raw, content, raw)
            try:
                for _ in range(asked.frames):
                    picture = self.isp.develop(raw, settings)
            except (ValueError, OSError) as fault:
                raise ValueError(str(fault).replace(str(raw), "the raw")) from None
        return picture

    def _settings(self, asked: Develop) -> dict[str, Any]:
        """The settings, every one there and within its range."""
        known = {one.name: one for one in self.isp.parameters}
        for name in known.keys() ^ asked.settings.keys():
            raise ValueError(
                f"settings: {name}: {'missing' if name in known else 'unknown'}; expected {', '.join(known)}"
            )
        for name, parameter in known.items():
            value = asked.settings[name]
            if not parameter.choices and isinstance(value, bool | str):
                raise ValueError(f"settings: {name}: is {value!r}, expected a number")
            try:
                parameter.share(value)
            except ValueError as fault:
                raise ValueError(f"settings: {name}: {fault}") from None
        return asked.settings


def serve(board: Board, requests: BinaryIO, answers: BinaryIO, log: Callable[[str], object]) -> int:
    """Answer lines until there are no more.

    Args:
        board: that answers.
        requests: lines.
        answers: where theirs go.
        log: takes a sentence for each fault.

    Returns:
        How many were answered.
    """
    count = 0
    while text := requests.readline(LONGEST_LINE):
        answer = board.answer(text)
        if "fault" in answer:
            log(answer["fault"])
        answers.write(messages.line(answer))
        answers.flush()
        count += 1
    return count
