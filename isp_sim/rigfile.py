"""YAML → models, with every fault of a file reported at once, by path and line."""

import contextlib
import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from isp_sim.field_errors import FieldError, Keys
from isp_sim.rig import Rig, Sensor

ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_VALUES = 100_000
"""A YAML file may hold, aliases written out: a few bytes of aliases of aliases would fill the memory."""


@dataclass(frozen=True)
class _Origin:
    file: Path
    line: int


def rigs_folder() -> Path:
    """The rigs that come with the package: `isp_sim/rigs` when installed, `rigs/` in a checkout."""
    installed = Path(str(files("isp_sim"))) / "rigs"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "rigs"


def load_rig_or(kind: str, model: type[ModelT], name: str | Path) -> Rig | ModelT:
    """Read a rig, or what another model says where the file's field `kind` is `kind`. Raises as `load_rig`."""
    path = _find(str(name), rigs_folder(), beside=None)
    document, origins = _read_extended(path)
    return _validate(model, document, origins, path) if document.get("kind") == kind else load_rig(name)


def load_rig(name: str | Path) -> Rig:
    """Read a rig: a path to a YAML file, or the name of one that comes with the package.

    Raises:
        ValueError: every fault of the file, each with path, line and what was expected.
        FileNotFoundError: neither a file nor a known name.
    """
    path = _find(str(name), rigs_folder(), beside=None)
    document, origins = _read_extended(path)
    named = document.get("sensor")
    own: dict[str, object] | None = None
    if isinstance(named, dict) and isinstance(named.get("extends"), str):
        named, own = named["extends"], {name: part for name, part in named.items() if name != "extends"}
    if isinstance(named, str):
        # A sensor that is not found stays a name, and is reported with the file's other faults; one that is extended
        # is needed to know which fields lack.
        with contextlib.nullcontext() if own is not None else contextlib.suppress(FileNotFoundError):
            written = {keys: origin for keys, origin in origins.items() if keys[:1] == ("sensor",)}
            _graft(document, origins, "sensor", _find(named, rigs_folder() / "sensors", path))
            if own is not None:
                document["sensor"] = _overlay(document["sensor"], own, ("sensor",), [])  # type: ignore[arg-type]
                origins |= written
    return _validate(Rig, document, origins, path)


def rig_of_yaml(content: bytes, where: str) -> Rig:
    """A rig that stands whole in the text of a YAML file. Raises as `load_rig`; `where` names the file."""
    document, origins = _parse(content, Path(where))
    return _validate(Rig, document, origins, Path(where))


def load_sensor(name: str | Path) -> Sensor:
    """Read a sensor file: a path, or the name of one that comes with the package. Raises as `load_rig`."""
    return load_yaml(Sensor, _find(str(name), rigs_folder() / "sensors", beside=None))


def load_yaml(model: type[ModelT], path: Path) -> ModelT:
    """Read any YAML file as a model. Raises as `load_rig`."""
    document, origins = _read(path)
    return _validate(model, document, origins, path)


def from_json(model: type[ModelT], text: str | bytes, where: str) -> ModelT:
    """JSON as a model.

    Args:
        model: of the text.
        text: JSON.
        where: the file, for the sentence.

    Raises:
        ValueError: not JSON, or its first fault.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as fault:
        raise ValueError(f"{where}: {first_fault(fault)}") from None


def first_fault(fault: ValidationError) -> str:
    """The field of a model's first fault, and what is wrong with it."""
    first = fault.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}{': ' if field else ''}{first['msg']}"


def _find(name: str, folder: Path, beside: Path | None) -> Path:
    """A YAML file by path (named in another file: beside that one), else by name in the package."""
    if name.endswith((".yaml", ".yml")):
        if beside is not None and (Path(name).is_absolute() or ".." in Path(name).parts):
            raise ValueError(f"{beside}: the file {name!r} must lie beside the rig that names it, or below")
        path = Path(name) if beside is None else beside.parent / name
        if path.is_file():
            return path
    named = folder / f"{Path(name).stem}.yaml"
    if "/" not in name.removeprefix(f"{folder.name}/") and named.is_file():
        return named
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    by = f"{beside}: " if beside is not None else ""
    raise FileNotFoundError(f"{by}{name}: no such file, and no {folder.name} file of that name; known are {known}")


def _read(path: Path) -> tuple[dict[str, object], dict[Keys, _Origin]]:
    """A YAML file's mapping and the line of every key in it."""
    return _parse(path.read_bytes(), path)


def _parse(content: bytes, path: Path) -> tuple[dict[str, object], dict[Keys, _Origin]]:
    """As `_read`, of a file's content."""
    try:
        loader = yaml.SafeLoader(content.decode())
        node = loader.get_single_node()
        found = list(itertools.islice(_walk(node, ()), MOST_VALUES + 1)) if node is not None else []
        if len(found) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values (aliases of aliases?)")
        document = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as fault:  # ValueError: no UTF-8, an impossible date …
        mark = getattr(fault, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ValueError(f"{where}: not YAML: {getattr(fault, 'problem', None) or fault}") from None
    if node is None or not isinstance(document, dict):
        raise ValueError(f"{path}: holds no mapping; such a file is `key: value` lines")
    origins: dict[Keys, _Origin] = {}
    twice = []
    for keys, line in found:
        if keys in origins:
            twice.append(f"{path}:{line}: {_dotted(keys)} is duplicated (first in line {origins[keys].line})")
        origins[keys] = _Origin(path, line)
    if twice:
        raise ValueError("\n".join(twice))
    return document, origins


def _walk(node: yaml.Node, prefix: Keys) -> Iterator[tuple[Keys, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            keys = (*prefix, str(key.value))
            yield keys, key.start_mark.line + 1
            yield from _walk(value, keys)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*prefix, index), value.start_mark.line + 1
            yield from _walk(value, (*prefix, index))


def _read_extended(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, object], dict[Keys, _Origin]]:
    """A rig file laid over the one it extends."""
    if path in seen:
        raise ValueError(f"{path}: extends itself through {' → '.join(p.name for p in seen)}")
    document, origins = _read(path)
    base_name = document.get("extends")
    if base_name is None:
        return document, origins
    if not isinstance(base_name, str):
        line = origins[("extends",)].line
        raise ValueError(f"{path}:{line}: extends = {base_name!r}: should be one rig's name or file")
    base, base_origins = _read_extended(_find(base_name, rigs_folder(), path), (*seen, path))
    replaced: list[Keys] = []
    merged = _overlay(base, document, (), replaced)
    kept = {keys: o for keys, o in base_origins.items() if not any(keys[: len(r)] == r for r in replaced)}
    return merged, kept | origins


def _overlay(base: dict[str, object], top: dict[str, object], at: Keys, replaced: list[Keys]) -> dict[str, object]:
    """`top` over `base`, block by block; a figure or a list replaces the whole one beneath it (noted in `replaced`)."""
    merged = dict(base)
    for key, value in top.items():
        beneath = base.get(key)
        if at == () and key == "sensor" and isinstance(value, dict) and isinstance(beneath, str):
            value = {"extends": beneath} | value
        if isinstance(value, dict) and isinstance(beneath, dict) and "value" not in value:
            merged[key] = _overlay(beneath, value, (*at, key), replaced)
        else:
            merged[key] = value
            replaced.append((*at, key))
    return merged


def _graft(document: dict[str, object], origins: dict[Keys, _Origin], field: str, path: Path) -> None:
    """Put another file's mapping in place of its name."""
    part, part_origins = _read(path)
    document[field] = part
    origins[(field,)] = _Origin(path, 1)
    origins |= {(field, *keys): origin for keys, origin in part_origins.items()}


def _validate(model: type[ModelT], document: dict[str, object], origins: dict[Keys, _Origin], path: Path) -> ModelT:
    try:
        return model.model_validate(document)
    except ValidationError as caught:
        faults = caught.errors(include_url=False)
        lines: list[tuple[_Origin, str]] = []
        typos = [str(f["loc"][-1]) for f in faults if f["type"] == "extra_forbidden" and len(f["loc"]) == 1]
        if "extends" in model.model_fields and difflib.get_close_matches("extends", typos):
            faults = [f for f in faults if f["type"] != "missing"]  # what the other rig would have set
        for fault in faults:
            keys = tuple(fault["loc"])
            # A list that is too short only because its items are at fault says nothing new.
            beneath = any(other["loc"][: len(keys)] == keys and other is not fault for other in faults)
            if fault["type"] == "too_short" and beneath:
                continue
            lines.append(
                (_origin_of(fault, origins, path), f"{_dotted(keys)}{_message(model, fault)}".removeprefix(": "))
            )
        lines.sort(key=lambda one: (one[0].file != path, str(one[0].file), one[0].line))  # this file's come first
        raise ValueError("\n".join(f"{origin.file}:{origin.line}: {message}" for origin, message in lines)) from None


def _origin_of(fault: ErrorDetails, origins: dict[Keys, _Origin], path: Path) -> _Origin:
    """The line of what is at fault, or of the block around it; of several fields the first that this file sets."""
    error = fault.get("ctx", {}).get("error")
    fields = error.fields if isinstance(error, FieldError) else ((),)
    known = []
    for keys in ((*fault["loc"], *field) for field in fields):
        known += [origins[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in origins][:1]
    return next((origin for origin in known if origin.file == path), known[0] if known else _Origin(path, 1))


def _dotted(keys: Keys) -> str:
    return ".".join(str(key) for key in keys)


def _message(model: type[BaseModel], fault: ErrorDetails) -> str:
    """What the fault is and what was expected, in words."""
    keys: Keys = tuple(fault["loc"])
    if fault["type"] == "extra_forbidden":
        fields = _fields_at(model, keys[:-1])
        near = difflib.get_close_matches(str(keys[-1]), fields, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        return f": unknown field;{hint} expected one of {', '.join(fields)}"
    if fault["type"] == "missing":
        return ": missing, and it has no default"
    value = "" if isinstance(fault["input"], dict | list) else f" = {fault['input']!r}"
    if fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
        if keys == ("sensor",):
            known = ", ".join(sorted(p.stem for p in (rigs_folder() / "sensors").glob("*.yaml")))
            return f"{value}: no such sensor file; known are {known}"
        fields = _fields_at(model, keys)
        return f"{value}: should be a block {{{', '.join(f'{name}: …' for name in fields or ['name'])}}}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{value}: {message}"


def _fields_at(model: type[BaseModel], keys: Keys) -> list[str]:
    """Field names of the model a path of keys leads to, through lists and fields that may be absent."""
    for key in keys:
        if isinstance(key, int):
            continue
        field = model.model_fields.get(key)
        annotation = field.annotation if field else None
        while args := [kind for kind in get_args(annotation) if kind not in (type(None), Ellipsis)]:
            annotation = args[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return list(model.model_fields) if field is None else []
        model = annotation
    return list(model.model_fields)
