"""Damage to files, by seed: bytes, values of JSON and YAML, cells of CSV, tags and chunks of pictures."""

import copy
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    None,
    "",
    "x",
    "../../x",
    "/x",
    "a\\b",
    "\0",
    "é\u2028\udcff"[:2],
    "y" * 5000,
    "1e999",
    "nan",
    True,
    0,
    -1,
    1,
    2,
    3,
    0.5,
    -0.5,
    255,
    65536,
    10**9,
    2**31,
    2**63,
    10**30,
    -(10**12),
    1e-300,
    1e30,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    [],
    {},
    [None],
    [[]],
    [0, 0],
    [float("nan")] * 4,
    {"x": 1},
    [{}],
)
"""What a value is replaced by."""
CELLS = (
    "",
    "x",
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "1e30",
    "99999999999",
    "../x.dng",
    "/x.png",
    '"',
    "\0",
    "é",
    "y" * 3000,
)
HOW = ("empty", "cut", "cut", "flip", "flip", "flip", "drop", "twice", "noise", "encoding", "nested")
DEPTH = 100_000
"""Of brackets in brackets."""


@dataclass(frozen=True)
class Mutation:
    """A damaged file.

    Attributes:
        name: what was done.
        content: of the file.
        broken: whether no reader may take it for a whole file.
    """

    name: str
    content: bytes
    broken: bool = False


def mutated(content: bytes, kind: str, stream: random.Random) -> Mutation:
    """One mutation of a file of a kind: a key of `STRUCTURED`, `text` or `binary`."""
    own = STRUCTURED.get(kind)
    if own is not None and stream.random() < 0.65:
        return own(content, stream)
    return _of_bytes(content, kind, stream)


def _of_bytes(content: bytes, kind: str, stream: random.Random) -> Mutation:
    is_text = kind in ("json", "jsonl", "yaml", "csv", "text")
    place = stream.randrange(len(content))
    length = min(stream.choice((1, 2, 4, 16, 256)), len(content) - place)
    what = stream.choice(HOW)
    if what == "empty":
        return Mutation("empty", b"", broken=True)
    if what == "cut":
        whole_lines = (kind == "jsonl" and content[:place][-1:] in (b"\n", b"")) or content[place : place + 1] == b"\n"
        broken = kind in ("json", "safetensors") or (kind == "jsonl" and not whole_lines)
        return Mutation(
            f"cut to {place} bytes", content[:place], broken or (not is_text and place < 0.9 * len(content))
        )
    if what == "flip":
        damaged = bytearray(content)
        for _ in range(stream.choice((1, 1, 2, 8))):
            damaged[stream.randrange(len(damaged))] ^= 1 << stream.randrange(8)
        return Mutation("bits flipped", bytes(damaged))
    if what == "drop":
        return Mutation(f"{length} bytes from {place} dropped", content[:place] + content[place + length :])
    if what == "twice":
        return Mutation(f"{length} bytes from {place} twice", content[: place + length] + content[place:])
    if what == "noise":
        noise = stream.randbytes(length) if stream.random() < 0.5 else bytes([stream.choice((0, 255))]) * length
        return Mutation(f"noise at {place}", content[:place] + noise + content[place + length :])
    if what == "encoding" and is_text:
        if stream.random() < 0.5:
            return Mutation("as UTF-16", content.decode().encode("utf-16"))  # which JSON may be
        return Mutation("not UTF-8", content[:place] + b"\xff\xfe" + content[place:], broken=True)
    if what == "nested" and is_text:
        return Mutation("brackets in brackets", b"[" * DEPTH, broken=True)
    return Mutation("noise alone", stream.randbytes(max(8, length)), broken=True)


def _places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys to every value of a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*at, key)
        yield from _places(value, (*at, key))


def changed(document: Any, stream: random.Random) -> tuple[str, Any]:
    """A document with one value dropped, replaced, repeated or renamed, and what was done."""
    document = copy.deepcopy(document)
    places = list(_places(document))
    if not places or stream.random() < 0.03:
        value = stream.choice(VALUES)
        return f"all of it is {value!r:.40}", value
    depth = stream.choice(sorted({len(one) for one in places}))  # else the many numbers of one list are hit, always
    *way, key = stream.choice([one for one in places if len(one) == depth])
    parent = document
    for step in way:
        parent = parent[step]
    where = ".".join(map(str, (*way, key)))
    what = stream.choice(("drop", "replace", "replace", "replace", "replace", "repeat", "rename", "nest"))
    if what == "drop":
        del parent[key]
        return f"{where} dropped", document
    if what == "repeat" and isinstance(parent, list):
        parent[key:key] = [parent[key]] * stream.choice((1, 1, 3, 1000))
        return f"{where} repeated", document
    if what == "rename" and isinstance(parent, dict):
        name = stream.choice(("x", "", f"{key}x", f"../{key}", f"{key}\\", "y" * 3000))
        parent[name] = parent.pop(key)
        return f"{where} renamed {name!r:.40}", document
    if what == "nest":
        parent[key] = stream.choice(([parent[key]], {"x": parent[key]}))
        return f"{where} nested", document
    value = copy.deepcopy(stream.choice(VALUES))
    if isinstance(parent[key], int | float) and stream.random() < 0.5:
        value = stream.choice((-parent[key], parent[key] * 1000, parent[key] + 1, str(parent[key]), float(parent[key])))
    parent[key] = value
    return f"{where} = {value!r:.40}", document


def _json(content: bytes, stream: random.Random) -> Mutation:
    name, document = changed(json.loads(content), stream)
    return Mutation(name, json.dumps(document).encode(), broken=not isinstance(document, dict))


def _jsonl(content: bytes, stream: random.Random) -> Mutation:
    lines = content.splitlines()
    number = stream.randrange(len(lines))
    name, document = changed(json.loads(lines[number]), stream)
    lines[number] = json.dumps(document).encode()
    return Mutation(f"line {number + 1}: {name}", b"\n".join(lines) + b"\n", broken=not isinstance(document, dict))


def _yaml(content: bytes, stream: random.Random) -> Mutation:
    text = content.decode()
    if stream.random() < 0.1:
        bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
        value = stream.choice(
            (
                bomb,
                f"{text}\n{text}",
                "a: &a [*a]\n",
                f"? {{x: 1}}\n: 1\n{text}",
                "- 1\n",
                "x: !!python/object:os.system {}\n",
            )
        )
        return Mutation("YAML of another kind", value.encode(), broken=True)
    name, document = changed(yaml.safe_load(text), stream)
    return Mutation(
        name,
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode(errors="replace"),
        broken=not isinstance(document, dict),
    )


def _csv(content: bytes, stream: random.Random) -> Mutation:
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = stream.randrange(len(rows))
    column = stream.randrange(len(rows[row]))
    what = stream.choice(("cell", "cell", "cell", "column", "row", "rows"))
    if what == "cell":
        rows[row][column] = stream.choice(CELLS)
    elif what == "column":
        rows = [one[:column] + one[column + 1 :] for one in rows]
    elif what == "row":
        del rows[row]
    else:
        rows[row:row] = [rows[row]] * stream.choice((1, 1000))
    text = "\n".join(",".join(one) for one in rows) + "\n"
    return Mutation(
        f"{what} {column} of line {row + 1}: {rows[min(row, len(rows) - 1)] if rows else ''!r}"[:100], text.encode()
    )


def _safetensors(content: bytes, stream: random.Random) -> Mutation:
    """The header's JSON changed, most often that in its metadata; the length before it fits."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.get("__metadata__", {})
    inner = [name for name, text in metadata.items() if text[:1] in ("{", "[")]
    if inner and stream.random() < 0.6:
        field = stream.choice(inner)
        name, document = changed(json.loads(metadata[field]), stream)
        metadata[field] = json.dumps(document)
        name = f"metadata {field}: {name}"
    else:
        name, header = changed(header, stream)
    text = json.dumps(header).encode()
    return Mutation(name, struct.pack("<Q", len(text)) + text + content[8 + length :])


NUMBERS = (0, 1, 2, 3, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def _tiff(content: bytes, stream: random.Random) -> Mutation:
    """Tag, type, count or value of an entry of IFD0."""
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    entry = at + 2 + 12 * stream.randrange(entries)
    damaged = bytearray(content)
    (tag,) = struct.unpack_from("<H", content, entry)
    offset, kind = stream.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I"), (8, "H"), (8, "f")))
    value = stream.choice(NUMBERS) if kind != "H" else stream.choice(NUMBERS) % 65536
    struct.pack_into("<" + kind, damaged, entry + offset, value)
    return Mutation(f"tag {tag}: byte {offset} = {value}", bytes(damaged))


def _png(content: bytes, stream: random.Random) -> Mutation:
    """A chunk dropped, repeated or changed, its checksum right."""
    chunks, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = stream.randrange(len(chunks))
    kind, data = chunks[number]
    what = stream.choice(("drop", "twice", "change", "change", "change"))
    if what == "drop":
        del chunks[number]
    elif what == "twice":
        chunks.insert(number, chunks[number])
    elif data:
        changed_ = bytearray(data)
        for _ in range(stream.choice((1, 4))):
            changed_[stream.randrange(len(changed_))] = stream.choice((0, 1, 2, 127, 255))
        chunks[number] = (kind, bytes(changed_))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    broken = what == "drop" and kind in (b"IHDR", b"IDAT")
    return Mutation(f"chunk {kind.decode()}: {what}", content[:8] + b"".join(packed), broken)


STRUCTURED: dict[str, Callable[[bytes, random.Random], Mutation]] = {
    "json": _json,
    "jsonl": _jsonl,
    "yaml": _yaml,
    "csv": _csv,
    "safetensors": _safetensors,
    "tiff": _tiff,
    "png": _png,
}
