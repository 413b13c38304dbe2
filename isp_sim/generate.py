"""Command: a rig and scenes → a data set of aligned low-light / well-lit pairs.

python -m isp_sim.generate --rig rigs/exlpose.yaml
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from isp_sim.generate_options import parser
from isp_sim.photo_pairs.frames import PhotoFrames
from isp_sim.photo_pairs.pairs import photo_shots
from isp_sim.photo_pairs.rig import PhotoPairRig
from isp_sim.rig import Rig
from isp_sim.rigfile import load_any_rig
from isp_sim.run import carry_out, plan
from isp_sim.run_spec import RunSpec, digest
from isp_sim.run_summary import means_table, summary
from isp_sim.scenes import SceneSource
from isp_sim.scenes.photos import Photos
from isp_sim.scenes.sources import BUILT_IN, open_scenes
from isp_sim.schedule import DEFAULT_COUNT, Shot

DOUBTS_SHOWN = 5
"""Sentences about photographs of one run that are printed; the rest are counted."""


def _prepare(given: argparse.Namespace) -> tuple[RunSpec, list[Shot]]:
    cores = len(os.sched_getaffinity(0))
    workers = given.workers if given.workers is not None else (cores if given.device == "cpu" else 1)
    for name, value in (("workers", workers), ("count", given.count), ("scene-count", given.scene_count)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} {value}: whole numbers from 1 are allowed")
    if given.shots_per_scene is not None and (given.shots_per_scene < 1 or given.schedule):
        raise ValueError("--shots-per-scene takes whole numbers from 1, and no --schedule, which lists its own shots")
    if given.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"--device {given.device}: torch sees no CUDA device here; allowed is cpu")
    rig = load_any_rig(given.rig)
    source: SceneSource | PhotoFrames  # complains before the first picture
    if isinstance(rig, PhotoPairRig):
        source = _raw_frames(given, rig)
        shots = photo_shots(rig, len(source), DEFAULT_COUNT if given.count is None else given.count, given.seed)
    else:
        shots = plan(rig, given.schedule, given.count, given.seed, given.shots_per_scene, given.scene_count)
        source = _scenes(given, rig, shots)
    spec = RunSpec(
        rig_json=rig.model_dump_json(),
        seed=given.seed,
        scenes=given.scenes,
        scene_files=digest(*(str(path) for path in getattr(source, "files", ()))),
        schedule=digest(given.schedule.read_text(encoding="utf-8-sig")) if given.schedule else None,
        count=len(shots),
        device=given.device,
        motion_samples=given.motion_samples,
        shots_per_scene=given.shots_per_scene,
        subset=given.subset,
        labels_orientation=given.labels_orientation,
        out=given.out or Path("out") / rig.name,
        annotations=given.annotations,
        skip_unusable=given.skip_unusable,
        workers=workers,
    )
    return spec, shots


def _scenes(given: argparse.Namespace, rig: Rig, shots: list[Shot]) -> SceneSource:
    """The scenes asked for; what is doubtful in photographs' labels is told, what does not fit refused."""
    source = open_scenes(
        given.scenes, given.annotations, rig, given.seed, given.motion_samples, given.labels_orientation
    )
    if isinstance(source, Photos):
        _tell_doubts(source, shots, given.skip_unusable)
    elif given.labels_orientation is not None:
        raise ValueError(f"--labels-orientation {given.labels_orientation}: --scenes {given.scenes} has no EXIF")
    return source


def _tell_doubts(photos: Photos, shots: list[Shot], skip_unusable: bool) -> None:
    """Say what of the photographs' labels is not read or was guessed; what does not fit is refused before any shot."""
    doubts: list[str] = []
    for index in sorted({shot.scene % len(photos) for shot in shots}):
        try:
            doubt = photos.doubt(index)
        except ValueError:
            if not skip_unusable:
                raise
            continue  # left out, and told, when its turn comes
        if doubt is not None:
            doubts.append(doubt)
    for sentence in (*photos.notes, *doubts[:DOUBTS_SHOWN]):
        print(f"isp_sim.generate: {sentence}", file=sys.stderr)
    if len(doubts) > DOUBTS_SHOWN:
        print(f"isp_sim.generate: EXIF turns {len(doubts) - DOUBTS_SHOWN} more photographs like these", file=sys.stderr)


def _raw_frames(given: argparse.Namespace, rig: PhotoPairRig) -> PhotoFrames:
    for name in ("schedule", "annotations", "shots_per_scene", "scene_count", "labels_orientation"):
        if getattr(given, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')}: rig {rig.name} makes its pairs from raw files and takes none"
            )
    if given.scenes in BUILT_IN or given.device != "cpu":
        raise ValueError(f"rig {rig.name} takes raw files, on the cpu: give --scenes a raw file or a folder of them")
    return PhotoFrames(Path(given.scenes), rig.height_px, rig.width_px)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        spec, shots = _prepare(given)
        sheet = carry_out(spec, shots, given.resume)
    except (ValueError, OSError) as fault:
        print(f"isp_sim.generate: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "isp_sim.generate: stopped; the pairs that are done are whole: add --resume to go on",
            file=sys.stderr,
        )
        return 130
    if isinstance(spec.rig, Rig):
        Console().print(means_table(spec.out))
    print(summary(spec.out, sheet, "scene" if spec.scenes in BUILT_IN else "photograph"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
