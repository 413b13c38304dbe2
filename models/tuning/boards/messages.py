"""What a board and its client say to each other: a JSON object a line, one answer for each request.

    → {"id": 1, "do": "hello"}
    ← {"id": 1, "protocol": 1, "board": "name and version", "knobs": {…}, "raws": ["dng"], "joints": []}
    → {"id": 2, "do": "develop", "raw": {"format": "dng", "data": "…"}, "settings": {…}, "frames": 1}
    ← {"id": 2, "height": 300, "width": 480, "depth": "uint16", "data": "…"}
    → {"id": 3, "do": "score", "raw": …, "settings": …, "frames": 1, "crop": [0, 0, 480, 300], "boxes": [[x, y, w, h]]}
    ← {"id": 3, "joints": [[[x, y, score], …]]}
    ← {"id": 3, "fault": "one sentence"}

`data` is base64; `file` in its place is the name of a file in the folder that both know. Fields that are not known are
left alone, so that a later version may add some.
"""

import base64
import binascii
import hashlib
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isp_sim.dng import read_dng, write_dng
from isp_sim.files import json_object
from isp_sim.raw import Defects, Raw
from isp_sim.rig import Finite
from isp_sim.rigfile import first_fault
from isp_sim.shading import Shading
from models.tuning.boards.packing import pack, shifted, unpack
from models.tuning.tunable import ParameterEntry, Setting

PROTOCOL = 1
RawFormat = Literal["dng", "raw16", "raw12", "raw10"]
"""How a raw travels: as the file, or packed, with its metadata as JSON."""
RAWS = get_args(RawFormat)
Depth = Literal["uint8", "uint16", "float32"]
"""Of a picture's codes; the largest whole number, or 1, is white."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,200}")
"""Of a file in the common folder: no way out of it, no option of a command."""
Side = Annotated[int, Field(ge=1, le=100_000)]
MessageT = TypeVar("MessageT", bound=BaseModel)


class Message(BaseModel):
    """A part of a line."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Content(Message):
    """Bytes, in the line or in a file.

    Attributes:
        data: base64.
        file: its name in the common folder.
    """

    data: str | None = None
    file: Annotated[str, Field(pattern=f"^{NAME.pattern}$")] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.data is None) == (self.file is None):
            raise ValueError("expected data or file, one of them")
        return self

    def bytes_in(self, folder: Path | None) -> bytes:
        """The bytes.

        Args:
            folder: that both know; None: there is none.

        Raises:
            ValueError: not base64, no such file, or no folder.
        """
        if self.data is not None:
            try:
                return base64.b64decode(self.data, validate=True)
            except (binascii.Error, ValueError) as fault:
                raise ValueError(f"data is not base64: {fault}") from None
        assert self.file is not None
        if folder is None or not (folder / self.file).is_file():
            raise ValueError(f"file {self.file}: not there, or no folder was agreed on")
        return (folder / self.file).read_bytes()


class RawFields(Message):
    """`isp_sim.raw.Raw` without its counts."""

    cfa: str
    black_level_dn: tuple[Finite, Finite, Finite, Finite]
    white_level_dn: int
    exposure_us: Finite
    gain_db: Finite
    iso: int
    neutral: tuple[Finite, Finite, Finite]
    xyz_to_camera: tuple[tuple[Finite, Finite, Finite], ...]
    noise_profile: tuple[tuple[Finite, Finite], ...] = ()
    make: str = ""
    model: str = ""
    serial: str = ""
    provenance: dict[str, object] = {}
    shading: Shading | None = Field(None, exclude_if=lambda shading: shading is None)
    defects: Defects = Field((), exclude_if=lambda defects: not defects)


class RawMessage(Content):
    """A raw.

    Attributes:
        format: of the bytes.
        height, width: of a packed mosaic.
        lost: lowest bits that a packed mosaic lacks, whose counts, black and white are those without them.
        fields: of a packed mosaic: its camera and exposure.
    """

    format: RawFormat
    height: Side = 1
    width: Side = 1
    lost: Annotated[int, Field(ge=0, le=8)] = 0
    fields: RawFields | None = None


class PictureMessage(Content):
    """A picture, rows from the top, R G B; little-endian."""

    height: Side
    width: Side
    depth: Depth


class Hello(Message):
    """What a board is.

    Attributes:
        board: its name and version; a search is not resumed on another.
        knobs: what may be set.
        raws: formats that it takes.
        joints: of its own network, as annotation files spell them; empty: it has none.
    """

    protocol: Literal[1]
    board: Annotated[str, Field(min_length=1, max_length=200)]
    knobs: Annotated[dict[str, ParameterEntry], Field(min_length=1)]
    raws: Annotated[tuple[RawFormat, ...], Field(min_length=1)]
    joints: tuple[str, ...] = ()


class Develop(Message):
    """A request for a picture; `frames` of the same raw are developed, and the last one counts."""

    raw: RawMessage
    settings: dict[str, Setting]
    frames: Annotated[int, Field(ge=1, le=1000)] = 1


class Score(Develop):
    """A request for what the board's own network sees; boxes and joints are in px of the cropped picture."""

    crop: tuple[int, int, int, int]
    boxes: tuple[tuple[Finite, Finite, Finite, Finite], ...]


class Scored(Message):
    """Joints of each box: x, y, score; null where the network does not know one."""

    joints: tuple[tuple[tuple[Finite | None, Finite | None, Finite | None], ...], ...]


def line(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


def checked(model: type[MessageT], message: dict[str, Any]) -> MessageT:
    """A message's object as its model.

    Raises:
        ValueError: its first fault.
    """
    try:
        return model.model_validate(message)
    except ValidationError as fault:
        raise ValueError(f"not a {model.__name__}: {first_fault(fault)}") from None


def parsed(text: bytes) -> dict[str, Any]:
    """The object of a line. Raises ValueError: it is none."""
    return json_object(text, f"{text[:60]!r}")


@cache
def _warn_of_loss(how: str, white_dn: int, lost: int) -> None:
    """Once for each kind of raw: low light lies in the lowest bits."""
    print(
        f"note: raw: {how} leaves out the lowest {lost} bits of raws whose white is {white_dn}, where low light lies; "
        "raw16 and dng keep them",
        file=sys.stderr,
    )


def of_raw(path: Path, how: RawFormat) -> tuple[dict[str, Any], bytes]:
    """A raw file as a message without its content, and the content.

    Raises:
        ValueError: not a DNG.
    """
    if how == "dng":
        return {"format": how}, path.read_bytes()
    raw, bits = read_dng(path), int(how[3:])
    lost = max(0, raw.white_level_dn.bit_length() - bits)
    if lost:
        _warn_of_loss(how, raw.white_level_dn, lost)
    raw = shifted(raw, -lost)
    height, width = raw.counts.shape
    said = RawFields.model_validate(raw, from_attributes=True).model_dump(mode="json")
    message = {"format": how, "height": height, "width": width, "lost": lost, "fields": said}
    return message, pack(raw.counts, bits)


def to_dng(message: RawMessage, content: bytes, path: Path) -> None:
    """Write a raw that came as a DNG.

    Raises:
        ValueError: it is not what it says.
    """
    if message.format == "dng":
        path.write_bytes(content)
        return
    counts = unpack(content, message.height, message.width, int(message.format[3:]))
    if message.fields is None:
        raise ValueError(f"raw: {message.format} without fields; expected cfa, black and white level …")
    write_dng(path, shifted(Raw(counts=counts, **dict(message.fields)), message.lost))


def of_picture(picture: Float32[np.ndarray, "height width 3"], depth: Depth) -> tuple[dict[str, Any], bytes]:
    """A picture as a message without its content, and the content."""
    codes = picture
    if depth != "float32":
        white = np.iinfo(depth).max
        codes = np.round(picture.clip(0, 1) * white)
    height, width, _ = picture.shape
    return {"height": height, "width": width, "depth": depth}, codes.astype(np.dtype(depth).newbyteorder("<")).tobytes()


def to_picture(message: PictureMessage, content: bytes) -> Float32[np.ndarray, "height width 3"]:
    """Inverse of `of_picture`.

    Raises:
        ValueError: another number of bytes.
    """
    kind = np.dtype(message.depth).newbyteorder("<")
    expected = message.height * message.width * 3 * kind.itemsize
    if len(content) != expected:
        said = f"{message.width}×{message.height}, {message.depth}"
        raise ValueError(f"picture: {len(content)} bytes; expected {expected} for {said}")
    codes = np.frombuffer(content, kind).reshape(message.height, message.width, 3)
    white = 1 if message.depth == "float32" else np.iinfo(message.depth).max
    return codes.astype(np.float32) / np.float32(white)


def name_of(content: bytes, ending: str) -> str:
    """Name of a file in the common folder: the same bytes have the same."""
    return hashlib.blake2b(content, digest_size=12).hexdigest() + ending
