"""Aligned pairs and what is known about their maps onto the disk: ExLPose's layout and `alignment.json`."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import isp_sim
from capture.alignment import develop, session_fit
from capture.alignment.labels import Labels, common_crop, placed, placed_plane
from capture.alignment.session_fit import AlignSettings, SessionMap
from capture.captures import CapturedPair
from capture.registration import geometry
from capture.registration.photometry import Linear
from capture.registration.residuals import Check
from isp_sim.dataset import DatasetWriter, write_plane, write_png
from isp_sim.files import read_json, write_atomically
from isp_sim.isp.codes import srgb_codes
from isp_sim.manifest import AlignmentRecord, PairRecord, shot_fields
from isp_sim.raw import Raw
from isp_sim.rectify import ArmName, Box, on_one_arm
from isp_sim.run_spec import RunSpec
from isp_sim.scenes.annotations import check_size
from isp_sim.schedule import Shot, split_of
from isp_sim.transfer import srgb_encode
from isp_sim.units import Picture


@dataclass(frozen=True, kw_only=True)
class AlignRun(RunSpec):
    """What identifies an alignment: the captures, their labels, and how they are aligned.

    Attributes:
        labels_digest: hash of the file that labels the frames; None: none does.
    """

    onto: str
    resampler: str
    match: str
    limit_px: float
    distortion: bool
    reference: str | None
    summed: int
    labels_digest: str | None


@dataclass(frozen=True)
class Done:
    """A pair that is on disk.

    Attributes:
        check: it against its session's map.
        share: the low-light arm's measured share of the light, where it can be measured.
        record: its line of the manifest.
    """

    check: Check
    share: float | None
    record: PairRecord


@dataclass
class Outcome:
    """What became of a session.

    Attributes:
        expected: how many pairs it has; or how many files without a pair there are.
        found: its map; None: refused.
        done: its aligned pairs.
        faults: a sentence for everything that was not.
    """

    name: str
    expected: int
    found: SessionMap | None = None
    done: list[tuple[CapturedPair, Done]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def missed(self) -> int:
        """How many of its pairs are not aligned."""
        return self.expected - len(self.done)


def align_pair(
    number: int, pair: CapturedPair, labels: Labels, found: SessionMap, settings: AlignSettings, writer: DatasetWriter
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
    check, share = session_fit.judge(pair, frames, found, settings)
    box = common_crop(labels, found.arms, settings.onto)
    shot = _shot(pair, frames.bright, frames.dark)
    pictures = _pictures(frames, found, settings, box)
    record = _record(number, pair, shot, found, settings.onto, box, frames, pictures).model_copy(
        update={
            "people": placed(labels, found.arms, settings.onto, box),
            "planes": {name: f"{name}/{shot.file_name('bright')}" for name in labels.planes},
            "labels": labels.labels,
            "alignment": _alignment(check, share),
        }
    )
    out = writer.folder
    for name, picture in zip((record.bright, record.dark), pictures, strict=True):
        write_png(out / name, picture)
    for raw_name, file in ((record.raw_bright, pair.bright), (record.raw_dark, pair.dark)):
        if raw_name is not None:
            write_atomically(out / raw_name, file.read_bytes())
    for name, path in labels.planes.items():
        (out / name).mkdir(exist_ok=True)
        write_plane(out / record.planes[name], placed_plane(path, labels, found.arms, settings.onto, box))
    writer.record(number, record)
    return Done(check, share, record)


def done_before(record: PairRecord) -> Done:
    """What the record holds of a pair that a stopped run had finished."""
    assert record.alignment is not None
    known = record.alignment
    sigma = math.inf if known.sigma_px is None else known.sigma_px
    return Done(Check(known.residual_px, sigma, None), known.share_of_light, record)


def _alignment(check: Check, share: float | None) -> AlignmentRecord:
    sigma = check.sigma_px if math.isfinite(check.sigma_px) else None
    return AlignmentRecord(residual_px=check.left_px, sigma_px=sigma, share_of_light=share)


def _pictures(frames: develop.Frames, found: SessionMap, settings: AlignSettings, box: Box) -> tuple[Picture, Picture]:
    """Both arms on the crop, in 16 bits where the pictures had them; one that is only cropped keeps its codes."""
    well, low = on_one_arm(frames.linear(settings.isps), found.arms, settings.onto, box, settings.resampler)
    if settings.match != "none":
        low = found.match.tint(low) if settings.match == "tint" else found.match.level(low)
    if any(not isinstance(frame, Raw) and frame.dtype == np.uint16 for frame in (frames.bright, frames.dark)):
        return _codes_of_16_bits(well), _codes_of_16_bits(low)
    return srgb_codes(well), srgb_codes(low)


def _codes_of_16_bits(light: Linear) -> np.ndarray:
    """`⌊65535·srgb_encode(l) + ½⌋` of linear light, clipped to 0 … 1."""
    encoded = srgb_encode(torch.from_numpy(np.nan_to_num(light).astype(np.float64).clip(0, 1))).numpy()
    return np.asarray(np.floor(65535 * encoded + 0.5), np.uint16)


def _mean_level(picture: np.ndarray) -> float:
    """Mean of a picture's codes, on the scale of 8 bits."""
    return float(np.mean(picture)) * 255 / float(np.iinfo(picture.dtype).max)


def _shot(pair: CapturedPair, bright: Raw | Picture, dark: Raw | Picture) -> Shot:
    """The settings: of the DNG where the name states none."""
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


def _record(
    number: int,
    pair: CapturedPair,
    shot: Shot,
    found: SessionMap,
    onto: ArmName,
    box: Box,
    frames: develop.Frames,
    pictures: tuple[Picture, Picture],
) -> PairRecord:
    is_raw = isinstance(frames.bright, Raw)
    raws = {f"raw_{arm}": f"raw/{Path(shot.file_name(arm)).stem}.dng" for arm in ("bright", "dark") if is_raw}
    return PairRecord(
        id=number + 1,
        bright=f"bright/{shot.file_name('bright')}",
        dark=f"dark/{shot.file_name('dark')}",
        **raws,
        scene=pair.name,
        split=split_of(shot.well_lit_gain_db),
        width=box[2],
        height=box[3],
        frame_width=frames.size[1],
        frame_height=frames.size[0],
        **shot_fields(shot),
        key=frames.bright.provenance if isinstance(frames.bright, Raw) else {},
        onto=onto,
        crop=box,
        low_to_well=found.arms.low_to_well.tolist(),
        distortion=found.arms.distortion,
        mean_well_lit=_mean_level(pictures[0]),
        mean_low_light=_mean_level(pictures[1]),
        people=(),
        aligned_as=found.name,
    )


def write_alignments(folder: Path, outcomes: list[Outcome], settings: AlignSettings) -> None:
    """`alignment.json`: everything about every session that was decided."""
    document = {
        "isp_sim": isp_sim.__version__,
        "settings": asdict(settings)
        | {"reference": str(settings.reference) if settings.reference else None}
        | {"isps": {arm: isp.model_dump() for arm, isp in vars(settings.isps).items()}},
        "sessions": [_session_json(o) for o in outcomes],
    }
    write_atomically(folder / "alignment.json", json.dumps(document, indent=1, allow_nan=False).encode())


def forget_refusals(folder: Path) -> None:
    """Take away what a run left that aligned nothing: its `alignment.json`, and pages of its sessions."""
    file = folder / "alignment.json"
    if not file.is_file() or (folder / "run.json").exists():
        return
    left = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if all(path == file or path.match("report-*.html") for path in left) and _aligned_nothing(file):
        for path in left:
            path.unlink()


def _pair_json(pair: CapturedPair, done: Done) -> dict[str, Any]:
    found = _alignment(done.check, done.share)
    return {"pair": pair.name} | found.model_dump()


def _aligned_nothing(path: Path) -> bool:
    try:
        document = read_json(path)
        return "isp_sim" in document and not any(session["aligned"] for session in document["sessions"])
    except (ValueError, KeyError, TypeError):  # not ours
        return False


def _session_json(outcome: Outcome) -> dict[str, Any]:
    outline: dict[str, Any] = {"session": outcome.name, "aligned": len(outcome.done), "refused": outcome.faults}
    found = outcome.found
    if found is None:
        return outline
    fit, grid = found.fit, found.grid
    return outline | {
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
        "pairs": [_pair_json(pair, done) for pair, done in outcome.done],
    }
