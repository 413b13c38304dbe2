"""A board as an ISP under test: started, asked, started again where it breaks.

    board: [ssh, -T, board, isp-sim, isp-serve, --isp, libraw]
    raw: dng              # or raw16, raw12, raw10
    settle_frames: 0
    answer_s: 60

What a board answers depends on the raw and the settings alone, so a request that was lost is asked again.
"""

import base64
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar

import numpy as np
from jaxtyping import Float32
from pydantic import Field, model_validator

from isp_sim.field_errors import FieldError
from isp_sim.rectify import Box
from isp_sim.rig import Model
from isp_sim.scenes import JOINTS
from isp_sim.scenes.joint_names import joint_of
from models.tuning.boards import messages
from models.tuning.boards.link import GRACE_S, Link
from models.tuning.boards.messages import Hello, PictureMessage, RawFormat, Scored
from models.tuning.tunable import Setting, TunableParameter

SHORT_LINE = 1 << 20
"""Bytes of an answer that holds no picture."""
BANNER_LINES = 200
"""That a login may print before the board speaks."""
AnswerT = TypeVar("AnswerT")


class Transfer(Model):
    """Files by commands of their own, where lines are a slow way.

    Attributes:
        put, get: the words of a command, started without a shell; `{here}` and `{there}` are put in.
        folder: on the board, which names it `--folder`.
    """

    put: tuple[str, ...] = Field(min_length=1)
    get: tuple[str, ...] = Field(min_length=1)
    folder: str = Field(min_length=1)

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        for name in ("put", "get"):
            for end in ("{here}", "{there}"):
                if not any(end in word for word in getattr(self, name)):
                    raise FieldError(f"{name}: {end} is missing; expected {{here}} and {{there}}", name)
        return self


class BoardFile(Model):
    """The YAML of a board.

    Attributes:
        board: the words of the command that starts it, without a shell.
        raw: how raws travel.
        settle_frames: frames of the same raw that are developed and thrown away before the one that counts.
        start_s, answer_s: it has so long to say hello, and to answer a request, transfers apart.
        attempts: at a request, the board started anew before each but the first.
        pause_s: before it is started anew.
        transfer: of raws and pictures; without it they travel in the lines.
    """

    board: tuple[str, ...] = Field(min_length=1)
    raw: RawFormat = "dng"
    settle_frames: int = Field(0, ge=0, lt=1000)
    start_s: float = Field(120.0, gt=0, allow_inf_nan=False)
    answer_s: float = Field(60.0, gt=0, allow_inf_nan=False)
    attempts: int = Field(3, ge=1, le=100)
    pause_s: float = Field(1.0, ge=0, allow_inf_nan=False)
    transfer: Transfer | None = None


class RefusalError(Exception):
    """The board's own sentence: asking again would not help."""


class _Session:
    """One run of the board's process."""

    def __init__(self, file: BoardFile) -> None:
        self.file, self.link, self.number = file, Link(file.board), 0
        self.there: set[str] = set()
        try:
            self.hello = messages.checked(Hello, self.ask({"do": "hello"}, file.start_s, SHORT_LINE, BANNER_LINES))
        except BaseException:
            self.link.close(0)
            raise

    def ask(self, request: dict[str, Any], seconds: float, most_bytes: int, banner: int = 0) -> dict[str, Any]:
        """One line there, one back.

        Args:
            request: without its number.
            seconds: until the answer must be here.
            most_bytes: of the answer.
            banner: lines that are skipped where they are not the answer.

        Raises:
            RefusalError: the board's own sentence.
            OSError: it ended, or does not answer in time.
            ValueError: what came is not an answer to this.
        """
        self.number += 1
        deadline = time.monotonic() + seconds
        self.link.send(messages.line({"id": self.number} | request), deadline)
        while True:
            text = self.link.receive(deadline, most_bytes)
            try:
                answer = messages.parsed(text)
                if answer.get("id") != self.number:
                    raise ValueError(f"answered request {str(answer.get('id'))[:20]}, expected {self.number}")
                if "fault" in answer:
                    raise RefusalError(str(answer["fault"])[:1000])
                return answer
            except ValueError:
                banner -= 1
                if banner < 0:
                    raise


class BoardIsp:
    """See the module; the process ends with this object. Until something is developed it only says hello.

    Args:
        file: of the board.
        where: its path, for sentences.
    """

    def __init__(self, file: BoardFile, where: str) -> None:
        self.file, self.where = file, where
        self._session: _Session | None = None

    @cached_property
    def hello(self) -> Hello:
        """What the board says it is; asked once, in a run of its own, so that nobody keeps a board it does not use."""
        said = self._asked(lambda session: session.hello)
        self.close()
        return said

    @cached_property
    def parameters(self) -> Sequence[TunableParameter]:
        """What the board says may be set.

        Raises:
            ValueError: it does not take raws as the file says, or a parameter is faulty.
            OSError: it cannot be started.
        """
        if self.file.raw not in self.hello.raws:
            raise ValueError(f"{self.where}: raw: {self.file.raw}: the board takes {', '.join(self.hello.raws)}")
        try:
            return tuple(entry.parameter(name) for name, entry in self.hello.knobs.items())
        except ValueError as fault:
            raise ValueError(f"{self.where}: {self.hello.board}: {fault}") from None

    @property
    def has_network(self) -> bool:
        """Whether a network of the board's own knows a joint of ours."""
        return any(joint_of(name) in JOINTS for name in self.hello.joints)

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """See `BlackBoxIsp`.

        Raises:
            ValueError: the board refuses; its own sentence.
            OSError: it breaks at every attempt.
        """
        said, content = messages.of_raw(raw, self.file.raw)
        most = SHORT_LINE + 16 * len(content)  # a picture of floats in base64 is 16 bytes a pixel

        def ask(session: _Session) -> Float32[np.ndarray, "height width 3"]:
            answer = self._answer(session, "develop", said, content, settings, {}, most)
            picture = messages.checked(PictureMessage, answer)
            return messages.to_picture(picture, self._fetched(picture))

        return self._asked(ask)

    def score(
        self, raw: Path, settings: Mapping[str, Setting], crop: Box, boxes: Sequence[tuple[float, float, float, float]]
    ) -> Float32[np.ndarray, "people joints 3"]:
        """What the board's own network sees.

        Args:
            raw: a DNG.
            settings: one for each parameter.
            crop: (x, y, width, height) of the picture that is looked at.
            boxes: (x, y, width, height) of people, px of that picture.

        Returns:
            x, y, score of each of `JOINTS`; NaN where the network does not know one. Raises as `develop`.
        """
        said, content = messages.of_raw(raw, self.file.raw)
        more = {"crop": list(crop), "boxes": [list(map(float, box)) for box in boxes]}
        places = [JOINTS.index(joint) if joint in JOINTS else None for joint in map(joint_of, self.hello.joints)]

        def ask(session: _Session) -> Float32[np.ndarray, "people joints 3"]:
            answer = self._answer(session, "score", said, content, settings, more, SHORT_LINE)
            found = messages.checked(Scored, answer).joints
            if [len(one) for one in found] != [len(places)] * len(boxes):
                raise ValueError(f"joints of {len(found)} people; expected {len(boxes)} with {len(places)} joints each")
            joints = np.full((len(boxes), len(JOINTS), 3), (np.nan, np.nan, 0), np.float32)
            for person, points in enumerate(found):
                for place, point in zip(places, points, strict=True):
                    if place is not None and None not in point:
                        joints[person, place] = point
            return joints

        return self._asked(ask)

    def close(self, grace_s: float = GRACE_S) -> None:
        """End the process, which may let its camera go before."""
        if self._session is not None:
            self._session.link.close(grace_s)
        self._session = None

    def _asked(self, ask: Callable[[_Session], AnswerT]) -> AnswerT:
        """An answer, from a process that is started anew wherever it breaks."""
        for attempt in range(self.file.attempts):
            try:
                if attempt:
                    time.sleep(self.file.pause_s)
                return ask(self._running())
            except RefusalError as fault:
                raise ValueError(f"{self.where}: {fault}") from None
            except (ValueError, OSError) as fault:
                self.close(0)
                last = str(fault)
        raise OSError(f"{self.where}: {self.file.board[0]}: {last} (tried {self.file.attempts} times)")

    def _running(self) -> _Session:
        if self._session is None:
            self._session = session = _Session(self.file)
            weakref.finalize(self, session.link.close)
            before = self.__dict__.get("hello", session.hello)
            if session.hello != before:
                raise OSError(f"came back as {session.hello.board} with other parameters than {before.board}")
        return self._session

    def _answer(
        self, session: _Session, do: str, said: dict[str, Any], content: bytes, settings: Mapping[str, Setting],
        more: dict[str, Any], most_bytes: int,
    ) -> dict[str, Any]:  # fmt: skip
        if self.file.transfer is None:
            held = {"data": base64.b64encode(content).decode()}
        else:
            held = {"file": self._put(session, content, self.file.transfer)}
        request = {"do": do, "raw": said | held, "settings": dict(settings), "frames": 1 + self.file.settle_frames}
        return session.ask(request | more, self.file.answer_s, most_bytes)

    def _put(self, session: _Session, content: bytes, transfer: Transfer) -> str:
        name = messages.name_of(content, ".dng" if self.file.raw == "dng" else ".raw")
        if name not in session.there:
            with tempfile.TemporaryDirectory() as folder:
                here = Path(folder) / name
                here.write_bytes(content)
                self._move(transfer.put, here, PurePosixPath(transfer.folder) / name)
            session.there.add(name)
        return name

    def _fetched(self, picture: PictureMessage) -> bytes:
        if picture.file is None:
            return picture.bytes_in(None)
        if (transfer := self.file.transfer) is None:
            raise ValueError("sent a file's name; expected data, as the YAML has no transfer")
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder) / "picture"
            self._move(transfer.get, here, PurePosixPath(transfer.folder) / picture.file)
            if not here.is_file():
                raise OSError(f"{transfer.get[0]}: brought no file")
            return here.read_bytes()

    def _move(self, command: Sequence[str], here: Path, there: PurePosixPath) -> None:
        words = [word.replace("{here}", str(here)).replace("{there}", str(there)) for word in command]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.file.answer_s)
        except subprocess.TimeoutExpired:
            raise OSError(f"{words[0]}: took longer than {self.file.answer_s:g} s") from None
        if done.returncode:
            output = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
            raise OSError(f"{words[0]}: exit status {done.returncode}: {output[-1][:300]}")
