"""One session: choose the pairs that fix its map, fit it, and refuse what does not agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from capture.alignment.develop import Frames, Isps, decoded
from capture.captures import CapturedPair
from capture.registration import coarse, geometry, photometry, register, residuals
from capture.registration.observation import Observation
from capture.registration.register import SCALES, Fit
from isp_sim.raw import Raw
from isp_sim.rectify import ArmMap, ArmName, Resampling, common_box, on_one_arm
from isp_sim.units import Picture

SHARE_FACTOR = 1.5
"""A share of light that differs from the rig's by this factor means another filter."""


@dataclass(frozen=True)
class AlignSettings:
    """How a session is aligned.

    Attributes:
        onto: the arm whose pixels the pictures lie on.
        resampler: of the other arm.
        match: `none` keeps the low-light pictures as they are; `tint` takes their colour cast out; `level` lifts
            them to the well-lit arm's level.
        limit_px: largest residual, and largest expected corner error of a map.
        distortion: fit what the arms' radial distortions differ by.
        reference: well-lit file of the one pair that fixes the map; None chooses.
        summed: most pairs summed.
        share: the low-light arm's share of the light, as the rig says.
        isps: how raws are developed, as the rig says.
        black: of the low-light arm's raws, as the rig says.
    """

    onto: ArmName
    resampler: Resampling
    match: str
    limit_px: float
    distortion: bool
    reference: Path | None
    summed: int
    share: float
    isps: Isps
    black: photometry.Black = field(default_factory=photometry.Black)


@dataclass(frozen=True)
class SessionMap:
    """A session's map and what is known about it.

    Attributes:
        pairs: names of the pairs it was fitted to, the reference first.
        size: (height, width) of their frames.
        grid: residuals of those pairs.
        match: of the reference pair.
        sigma_px: expected RMS corner error.
    """

    name: str
    pairs: tuple[str, ...]
    size: tuple[int, int]
    fit: Fit
    grid: residuals.Grid
    match: photometry.Match
    sigma_px: float

    @property
    def arms(self) -> ArmMap:
        """The map, as the pictures are warped by."""
        return self.fit.alignment.arm_map(*self.size)


def candidates(pairs: Sequence[CapturedPair], settings: AlignSettings) -> list[CapturedPair]:
    """The pairs that may fix a session's map, the best first; a reference stands alone.

    A metered well-lit arm holds the more electrons the lower its gain, and so does the low-light arm behind its filter.
    One pair a scene comes before a second one.
    """
    if settings.reference is not None:
        chosen = [pair for pair in pairs if settings.reference.name in (pair.bright.name, pair.dark.name)]
        if chosen:
            return chosen[:1]
    ranked = sorted(pairs, key=lambda pair: (pair.shot.well_lit_gain_db, pair.name))
    seen: dict[tuple[str, str], int] = {}
    turns = []
    for pair in ranked:
        scene = (pair.shot.video, pair.shot.frame)
        seen[scene] = seen.get(scene, -1) + 1
        turns.append(seen[scene])
    order = sorted(range(len(ranked)), key=lambda n: (turns[n], n))
    return [ranked[n] for n in order]


def fit_session(name: str, loaded: Sequence[tuple[CapturedPair, Frames]], settings: AlignSettings) -> SessionMap:
    """Register a session from its candidates.

    Args:
        name: of the session.
        loaded: the candidates, the best first.
        settings: of the run.

    Raises:
        ValueError: refused; the message gives the reason and the residual.
    """
    observations = [frames.observation() for _, frames in loaded]
    rough, agreeing = _anchor(observations, settings)
    _refuse_strangers(observations[agreeing[0]], rough)
    used = [observations[n] for n in agreeing]
    free = geometry.DISTORTED if settings.distortion else geometry.HOMOGRAPHY
    fit = register.register(used, free, SCALES[2:], rough.alignment)
    grid = residuals.grid(used, fit.alignment)
    size = used[0].size
    sigma_px = fit.corner_sigma_px(*size)
    if not grid.known.any():
        raise ValueError(
            "nowhere in its frames is a residual known to a pixel: too dark, or without detail; give a static pair at "
            "longer exposure as --reference, or more frames"
        )
    residual = f"residual {grid.rms_px(grid.left):.2f} px over the grid, "
    if sigma_px > settings.limit_px:
        raise ValueError(
            f"{residual}but the corners are known to {sigma_px:.2f} px only, expected {settings.limit_px:g}: its "
            "frames are too dark; give a static pair at longer exposure as --reference, or more frames"
        )
    if not fit.converged:
        raise ValueError(
            f"{residual}but the fit has not converged: its last step still moved the corners by {fit.last_step_px:.2f} "
            "px; its frames are too dark or have too little detail: give a static pair at longer exposure as "
            "--reference, or more frames"
        )
    if grid.excess_px > settings.limit_px:
        raise ValueError(
            f"{residual}{grid.excess_px:.2f} px beyond its noise, expected at most {settings.limit_px:g}: no single "
            "map brings its arms together; try --distortion, and check whether the rig moved"
        )
    pair, frames = loaded[agreeing[0]]
    arms = fit.alignment.arm_map(*size)
    well, low = on_one_arm(frames.linear(settings.isps), arms, settings.onto, common_box(arms, settings.onto), "linear")
    names = (pair.name, *(loaded[n][0].name for n in agreeing[1:]))
    return SessionMap(name, names, size, fit, grid, photometry.match(well, low), sigma_px)


def _anchor(observations: Sequence[Observation], settings: AlignSettings) -> tuple[Fit, list[int]]:
    """A rough map most of the candidates agree with, and which those are, its own pair first."""
    best: tuple[Fit, list[int]] | None = None
    for n, anchor in enumerate(observations):
        fit = register.register([anchor], scales=SCALES[:3])
        agreeing = [n]
        for m, other in enumerate(observations):
            if m != n and other.size == anchor.size:
                found = residuals.check(other, fit.alignment)
                if found.agrees(max(2.0, settings.limit_px)):
                    agreeing.append(m)
        if best is None or len(agreeing) > len(best[1]):
            best = fit, agreeing
        if 2 * len(agreeing) > len(observations):
            break
    assert best is not None
    return best


def _refuse_strangers(observation: Observation, rough: Fit) -> None:
    """Arms that show nothing in common, or one of them in a mirror."""
    axis = coarse.mirrored(observation.level(coarse.step_for(observation.size)))
    if axis is not None:
        raise ValueError(
            f"the low-light arm is mirrored {axis}; flip it in the camera's settings, or its files, before aligning"
        )
    if rough.coarse_height < coarse.SIGNIFICANT:
        raise ValueError(
            f"the arms show nothing in common (correlation peak {rough.coarse_height:.1f} σ, "
            f"expected {coarse.SIGNIFICANT:g} or more): too dark, or not one scene"
        )


def refuse_swapped(pair: CapturedPair, frames: Frames) -> None:
    """Raises ValueError where the arms' names are exchanged."""
    levels = [_level(frame) for frame in (frames.bright, frames.dark)]
    if levels[1] > levels[0]:
        raise ValueError(
            f"{pair.bright}: refused: its arms are swapped, the one named dark gets "
            f"{levels[1] / max(levels[0], 1e-9):.3g} times the light of the one named bright"
        )


def _level(frame: Raw | Picture) -> float:
    """Mean light of a frame at 0 dB, in units its partner shares."""
    if isinstance(frame, Raw):
        return (float(np.mean(frame.counts)) - float(np.mean(frame.black_level_dn))) / 10 ** (frame.gain_db / 20)
    return float(decoded(frame)[::4, ::4].mean())


def judge(
    pair: CapturedPair, frames: Frames, session: SessionMap, settings: AlignSettings
) -> tuple[residuals.Check, float | None]:
    """One pair against its session's map.

    Returns:
        The check, and the low-light arm's measured share of light (None for pictures and where it is too dark).

    Raises:
        ValueError: the pair is refused; the message gives the reason and the residual.
    """
    refuse_swapped(pair, frames)
    if frames.size != session.size:
        (height, width), (others_height, others_width) = frames.size, session.size
        raise ValueError(
            f"{pair.bright}: refused: has {width}×{height} px, the map of session {session.name} is of "
            f"{others_width}×{others_height} px: list it as another session"
        )
    observation = frames.observation()
    found = residuals.check(observation, session.fit.alignment)
    if not found.agrees(settings.limit_px):
        x, y = found.coarse or found.left_px
        raise ValueError(
            f"{pair.bright}: refused: lies ({x:.2f}, {y:.2f}) px off the map of session {session.name}, "
            f"expected at most {settings.limit_px:g}; another session's pair, or the rig moved"
        )
    if (
        not found.conclusive(settings.limit_px)
        or not isinstance(frames.bright, Raw)
        or not isinstance(frames.dark, Raw)
    ):
        return found, None
    per_light = 10 ** ((frames.dark.gain_db - frames.bright.gain_db) / 20)
    per_light *= frames.dark.exposure_us / max(frames.bright.exposure_us, 1e-9)
    share = photometry.measured_share(
        observation, frames.dark, session.fit.alignment, per_light, settings.share, settings.black
    )
    if share.refutes(settings.share, SHARE_FACTOR):
        least = "" if share.value is not None else "at least "
        raise ValueError(
            f"{pair.bright}: refused: the low-light arm gets {least}{100 * (share.value or share.slope):.2g} % of the "
            f"well-lit arm's light, by the rig {100 * settings.share:.2g} %: another ND filter, or gains other "
            "than the files state; give the right --rig"
        )
    return found, share.value
