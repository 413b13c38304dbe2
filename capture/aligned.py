"""Aligned pairs and what is known about their maps onto the disk: ExLPose's layout and `alignment.json`."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import isp_sim
from capture import develop, geometry, session
from capture.captures import CapturedPair
from capture.labels import Labels, cropped_plane, placed
from capture.residuals import Check
from capture.session import Session, Settings
from isp_sim.dataset import DatasetWriter, Run, write_plane, write_png
from isp_sim.files import write_atomically
from isp_sim.pair import Picture
from isp_sim.raw import Raw
from isp_sim.scenes.annotations import check_size
from isp_sim.schedule import Shot, split_of


@dataclass(frozen=True, kw_only=True)
class AlignRun(Run):
    """What identifies an alignment: the captures, and what was asked of them."""

    resampler: str
    match: str
    limit_px: float
    distortion: bool
    reference: str | None
    summed: int


@dataclass(frozen=True)
class Done:
    """A pair that is on disk.

    Attributes:
        check: it against its session's map.
        share: the low-light arm's measured share of the light, where it can be measured.
        line: its manifest line.
    """

    check: Check
    share: float | None
    line: dict[str, Any]


@dataclass
class Outcome:
    """What became of a session.

    Attributes:
        asked: how many pairs it has; or how many files without a pair there are.
        found: its map; None: refused.
        done: its aligned pairs.
        faults: a sentence for everything that was not.
    """

    name: str
    asked: int
    found: Session | None = None
    done: list[tuple[CapturedPair, Done]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def missed(self) -> int:
        """How many of its pairs are not aligned."""
        return self.asked - len(self.done)


def align_pair(
    number: int, pair: CapturedPair, labels: Labels, found: Session, settings: Settings, writer: DatasetWriter
) -> Done:
    """Judge one pair, warp it, write it.

    Raises:
        ValueError: the pair is refused, or a file of it cannot be used; nothing of it is left in the folder's record.
    """
    try:
        frames = develop.read(pair)
    except OSError as fault:
        raise ValueError(f"{fault.filename}: cannot be read: {fault.strerror}") from None
    height, width = frames.size
    check_size(pair.bright, labels.size, (width, height))
    check, share = session.judge(pair, frames, found, settings)
    box = develop.common_box(found.fit.alignment, *frames.size, labels.box)
    shot = _shot(pair, frames.bright, frames.dark)
    pictures = _pictures(frames, found, settings, box)
    line = _line(number, pair, shot, found, box, frames, pictures) | {
        "people": placed(labels.people, box),
        "planes": {name: f"{name}/{shot.file_name('bright')}" for name in labels.planes},
        "labels": labels.labels,
        "alignment": _check_json(check, share),
    }
    out = writer.folder
    for arm, picture in zip(("bright", "dark"), pictures, strict=True):
        write_png(out / line[arm], picture)
        if f"raw_{arm}" in line:
            write_atomically(out / line[f"raw_{arm}"], getattr(pair, arm).read_bytes())
    for name, path in labels.planes.items():
        (out / name).mkdir(exist_ok=True)
        assert labels.box is not None
        write_plane(out / line["planes"][name], cropped_plane(path, labels.box, box))
    writer.record(number, line)
    return Done(check, share, line)


def done_before(line: dict[str, Any]) -> Done:
    """What a manifest's line tells of a pair that a stopped run had finished."""
    told = line["alignment"]
    sigma = math.inf if told["sigma_px"] is None else told["sigma_px"]
    return Done(Check(tuple(told["residual_px"]), sigma, None), told["share_of_light"], line)


def _check_json(check: Check, share: float | None) -> dict[str, Any]:
    sigma = check.sigma_px if math.isfinite(check.sigma_px) else None
    return {"residual_px": list(check.left_px), "sigma_px": sigma, "share_of_light": share}


def _pictures(frames: develop.Frames, found: Session, settings: Settings, box: develop.Box) -> tuple[Picture, Picture]:
    """Both arms on the crop, 8 bits; a well-lit picture keeps its codes."""
    low = develop.warp(develop.linear(frames.dark), found.fit.alignment, box, settings.resampler)
    if settings.match != "none":
        low = found.match.tint(low) if settings.match == "tint" else found.match.level(low)
    left, top, width, height = box
    if isinstance(frames.bright, Raw):
        well = develop.encode(develop.crop(develop.linear(frames.bright), box))
    else:
        well = np.ascontiguousarray(frames.bright[top : top + height, left : left + width])
    return well, develop.encode(low)


def _shot(pair: CapturedPair, bright: Raw | Picture, dark: Raw | Picture) -> Shot:
    """The settings: a DNG knows better than a name that does not tell them."""
    if not isinstance(bright, Raw) or not isinstance(dark, Raw) or pair.shot.exposure_us:
        return pair.shot
    return replace(
        pair.shot,
        exposure_us=round(bright.exposure_us),
        base_exposure_us=bright.exposure_us * pair.shot.ratio,
        base_gain_db=dark.gain_db,
        well_lit_gain_db=bright.gain_db,
        low_light_gain_db=dark.gain_db,
    )


def _line(
    number: int,
    pair: CapturedPair,
    shot: Shot,
    found: Session,
    box: develop.Box,
    frames: develop.Frames,
    pictures: tuple[Picture, Picture],
) -> dict[str, Any]:
    bright, dark = shot.file_name("bright"), shot.file_name("dark")
    line: dict[str, Any] = {"id": number + 1, "bright": f"bright/{bright}", "dark": f"dark/{dark}"}
    if isinstance(frames.bright, Raw):
        line |= {f"raw_{arm}": f"raw/{Path(shot.file_name(arm)).stem}.dng" for arm in ("bright", "dark")}
        line["key"] = frames.bright.provenance
    return line | {
        "scene": pair.name,
        "split": split_of(shot.well_lit_gain_db),
        "width": box[2],
        "height": box[3],
        **vars(shot) | {"scene_number": shot.scene, "scene": pair.name},
        "aligned_as": found.name,
        "crop": list(box),
        "low_to_well": found.fit.alignment.low_to_well(*frames.size).tolist(),
        "distortion": list(found.fit.alignment.distortion),
        "mean_well_lit": float(np.mean(pictures[0])),
        "mean_low_light": float(np.mean(pictures[1])),
    }


def write_alignments(folder: Path, outcomes: list[Outcome], settings: Settings) -> None:
    """`alignment.json`: everything about every session that was decided."""
    document = {
        "isp_sim": isp_sim.__version__,
        "settings": asdict(settings) | {"reference": str(settings.reference) if settings.reference else None},
        "sessions": [_session_json(o) for o in outcomes],
    }
    write_atomically(folder / "alignment.json", json.dumps(document, indent=1, allow_nan=False).encode())


def forget_refusals(folder: Path) -> None:
    """Take away what a run left that aligned nothing: its `alignment.json`, and pages of its sessions."""
    told = folder / "alignment.json"
    if not told.is_file() or (folder / "run.json").exists():
        return
    left = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if all(path == told or path.match("report-*.html") for path in left) and _aligned_nothing(told):
        for path in left:
            path.unlink()


def _aligned_nothing(told: Path) -> bool:
    try:
        document = json.loads(told.read_text(encoding="utf-8"))
        return "isp_sim" in document and not any(session["aligned"] for session in document["sessions"])
    except (ValueError, KeyError, TypeError):  # not ours
        return False


def _session_json(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"session": outcome.name, "aligned": len(outcome.done), "refused": outcome.faults}
    found = outcome.found
    if found is None:
        return told
    fit, grid = found.fit, found.grid
    return told | {
        "fitted_to": list(found.pairs),
        "size": {"width": found.size[1], "height": found.size[0]},
        "low_to_well": fit.alignment.low_to_well(*found.size).tolist(),
        "distortion": list(fit.alignment.distortion),
        "parameters_px": dict(zip(geometry.NAMES, fit.alignment.theta.tolist(), strict=True)),
        "expected_corner_error_px": found.sigma_px,
        "residual_px": {
            "before": grid.rms_px(grid.before) if grid.known.any() else None,
            "after": grid.rms_px(grid.left) if grid.known.any() else None,
            "beyond_noise": grid.excess_px,
            "patches": grid.left[grid.known].tolist(),
            "patch_centres": grid.centres[grid.known].tolist(),
            "patch_sigma": grid.sigma[grid.known].tolist(),
        },
        "convergence": {
            "converged": fit.converged,
            "iterations": [{"step": step, "iterations": n} for step, n in fit.iterations],
            "last_step_px": fit.last_step_px,
            "correlation_peak_sigma": fit.coarse_height,
        },
        "photometric": {"gain": list(found.match.gain), "offset": list(found.match.offset)},
        "pairs": [{"pair": pair.name} | done.line["alignment"] for pair, done in outcome.done],
    }
