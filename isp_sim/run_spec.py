"""What a run is: the values that identify it, which `run.json` keeps, and those that only carry it out."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from isp_sim.choices import BUILT_IN, FPS, FROZEN, PAIRS_A_SHARD, Format, Orientation, RawFormat, Subset
from isp_sim.manifest import VERSION
from isp_sim.photo_pairs.rig import PhotoPairRig, any_rig_of
from isp_sim.rig import Rig
from isp_sim.stores import remote

CARRIES_OUT = ("rig_json", "out", "annotations", "skip_unusable", "workers", "part")
"""Fields that are not in `run.json`: no byte of a pair depends on them (of the rig it keeps name and digest)."""
ABSENT: dict[str, object] = {
    "linear": False, "format": "folder", "raw": "dng", "pairs_a_shard": PAIRS_A_SHARD, "frames": None, "fps": FPS,
    "auto_exposure": False,
}  # fmt: skip
"""What fields mean that are not in `run.json`, as in runs from before there was such a choice."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """A run. The same `identity` gives the same bytes.

    Attributes:
        rig_json: the rig; as text, because pydantic's generic models do not travel between processes.
        scenes: `people`, `charts` or a path; see `isp_sim.scenes.sources.open_scenes`.
        scene_files: digest of the names of the scenes' files, labels included.
        schedule: digest of the CSV that is replayed; None: shots are drawn from the rig's schedule.
        count: of pairs.
        device: `cpu` or the kind of device; kinds draw different numbers from the same distribution.
        motion_samples: sub-frames over each exposure.
        shots_per_scene: of each scene; None means all.
        version: of the manifest.
        subset: what the data set is for; names the annotation files.
        labels_orientation: what the labels of pictures turned by EXIF mean; None: unknown.
        linear: the pictures hold linear light.
        backgrounds: folder of pictures behind built-in people; None: built-in worlds.
        backgrounds_share: of the scenes that have one.
        frames: of each scene's sequence; None: single shots.
        fps: frames a second.
        auto_exposure: the sequence's exposure follows its light; see `isp_sim.auto_exposure`.
        format: of the data set: files in folders, or tar shards (`isp_sim.shards`).
        raw: of both arms' raws; `none` leaves them out.
        pairs_a_shard: at most, but a scene's pairs stay together, even where they are more.
        out: the data set's folder; of shards any address that fsspec opens.
        annotations: file of the pictures' labels; None: the one beside them.
        skip_unusable: a scene that cannot be read or metered is reported and left out; otherwise it stops the run.
        workers: processes that share the work.
        part: (I, N): of the run's work only every N-th share, the I-th of them, from 1; None: all of it.
    """

    rig_json: str
    seed: int
    scenes: str
    scene_files: str
    schedule: str | None
    count: int
    device: str = "cpu"
    motion_samples: int = FROZEN
    shots_per_scene: int | None = None
    version: int = VERSION
    subset: Subset = "test"
    labels_orientation: Orientation | None = None
    linear: bool = False
    backgrounds: str | None = None
    backgrounds_share: float = 1.0
    frames: int | None = None
    fps: float = FPS
    auto_exposure: bool = False
    format: Format = "folder"
    raw: RawFormat = "dng"
    pairs_a_shard: int = PAIRS_A_SHARD
    out: Path
    annotations: Path | None = None
    skip_unusable: bool = False
    workers: int = 1
    part: tuple[int, int] | None = None

    @property
    def rig(self) -> Rig | PhotoPairRig:
        """The rig, read from its text."""
        return any_rig_of(self.rig_json)

    @property
    def anywhere(self) -> "RunSpec":
        """The run with paths that hold in whatever folder a process works."""
        paths: dict[str, Any] = {} if remote(self.out) else {"out": self.out.resolve()}
        if self.scenes not in BUILT_IN:
            paths["scenes"] = str(Path(self.scenes).resolve())
        if self.annotations is not None:
            paths["annotations"] = self.annotations.resolve()
        return replace(self, **paths)

    @property
    def identity(self) -> dict[str, object]:
        """What `run.json` keeps, JSON-able."""
        return {name: value for name, value in self.choices.items() if ABSENT.get(name, ...) != value}

    @property
    def choices(self) -> dict[str, object]:
        """As `identity`, with the fields that `run.json` does not keep because they are as `ABSENT` says."""
        fields = {name: value for name, value in vars(self).items() if name not in CARRIES_OUT}
        scenes = self.scenes if self.scenes in BUILT_IN else str(Path(self.scenes).resolve())
        return {"rig": self.rig.name, "rig_digest": digest(self.rig_json)} | fields | {"scenes": scenes}


def digest(*texts: str) -> str:
    """BLAKE2b-128 of lines of text, hexadecimal."""
    return hashlib.blake2b("\n".join(texts).encode(errors="surrogateescape"), digest_size=16).hexdigest()


class Unpacked(BaseModel):
    """What writing folders needs of a `run.json`."""

    subset: Subset
    raw: RawFormat = "dng"


def in_folders(identity: dict[str, object]) -> dict[str, object]:
    """What `run.json` would keep of the same run with its pairs in folders."""
    return {name: value for name, value in identity.items() if name not in ("format", "pairs_a_shard")}
