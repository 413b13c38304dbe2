"""The shots on the desk, developed, read by the network and scored; what was made is kept while there is room."""

import hashlib
import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from isp_sim.dng import read_dng, write_dng
from isp_sim.isp.codes import srgb_codes
from isp_sim.isp.develop import UNCUT, develop_raw
from isp_sim.picture_files import read_picture
from isp_sim.raw import Raw
from isp_sim.rectify import crop
from isp_sim.rigfile import load_rig
from models.data.normalisation import LOW, WELL, Picture, normalise
from models.desk.heat import heat_layer
from models.desk.preview import preview
from models.desk.reshoot import Reshooting
from models.desk.rig_settings import AS_IT_IS, RigSettings
from models.desk.shots import DeskShot
from models.recognisers.crowd import poses_in
from models.recognisers.detection import Detection
from models.recognisers.inference import detect_in
from models.recognisers.person_detector import PersonDetector, load_detector
from models.recognisers.recogniser import Recogniser
from models.scoring.drawing import lifted
from models.tuning.pipeline import PipelineIsp
from models.tuning.tunable import BlackBoxIsp, Settings, defaults

Pane = Literal["as shot", "scaled", "default", "tuned", "well-lit"]
"""The rig's own 8 bits; these with each channel at a mean of 0.4; the ISP's defaults; the sliders; the other arm."""
HELD_BYTES = 600_000_000
"""Of pictures and other things that are kept."""
SURE = 0.2
"""Least score of a box that a detector found, to be shown."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class At:
    """Which picture.

    Attributes:
        shot: its number on the desk.
        settings: of the ISP, one for each parameter.
        rig: how far it is moved.
        small: a preview of at most `PREVIEW_PX`.
    """

    shot: int
    settings: Settings
    rig: RigSettings = AS_IT_IS
    small: bool = False


class Workbench:
    """An ISP under test, a frozen network and some shots. One thing is made at a time, from whichever thread.

    Args:
        isp: under test.
        isp_name: as `models.tuning.loading.load_isp` takes it.
        recogniser: frozen.
        shots: on the desk.
        scratch: folder for raws that are made here; it is emptied.
        reshooting: takes shots again when the rig is moved; a sentence: why it cannot be moved.
    """

    def __init__(
        self, isp: BlackBoxIsp, isp_name: str, recogniser: Recogniser, shots: Sequence[DeskShot], scratch: Path,
        reshooting: Reshooting | str,
    ) -> None:  # fmt: skip
        self.isp, self.isp_name, self.recogniser, self.shots = isp, isp_name, recogniser, tuple(shots)
        self.scratch = scratch
        self.reshooting = None if isinstance(reshooting, str) else reshooting
        self.fixed = reshooting if isinstance(reshooting, str) else ""
        self.defaults = defaults(isp.parameters)
        self._lock = threading.RLock()
        self._held: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / "raw").mkdir(parents=True)
        rig = self.shots[0].shot.raw.parent.parent / "rig.yaml"
        if rig.is_file():
            shutil.copyfile(rig, scratch / "rig.yaml")  # by which the pipeline demosaics
        self._camera_isp = load_rig(str(rig)).low_light.isp if rig.is_file() else UNCUT

    def stop(self) -> None:
        """Wait for what is being made; nothing is made afterwards."""
        self._lock.acquire()

    def warm_up(self) -> None:
        """Make what the page shows first, so that kernels are compiled and files are read before it asks.

        Raises:
            ValueError, OSError: see `picture`.
        """
        for small in (True, False):
            self.picture(At(0, self.defaults, small=small), "as shot")
            self.picture(At(0, self.defaults, small=small), "default")
        self.poses(At(0, self.defaults), "default")

    def picture(self, at: At, pane: Pane) -> Float32[np.ndarray, "height width 3"] | Picture:
        """What a pane shows: codes where it is an 8-bit picture, else the ISP's own, 1 is white, not cut.

        Raises:
            ValueError, OSError: the ISP or the rig cannot; one sentence.
        """
        shot = self.shots[at.shot].shot
        if pane == "well-lit":
            return self._kept(("well-lit", at.shot, at.small), lambda: self._well_lit(at))
        if pane in ("as shot", "scaled"):
            codes = self._kept(("as shot", at.shot, at.rig, at.small), lambda: self._as_shot(at))
            return codes if pane == "as shot" else lifted(codes)
        settings = self.defaults if pane == "default" else at.settings

        def develop() -> np.ndarray:
            raw, factor, size = self._raw_file(at)
            developed = self.isp.develop(raw, settings)
            if developed.shape != (*size, 3) or not np.isfinite(developed).all():
                raise ValueError(
                    f"{self.isp_name}: gave {developed.shape} for {raw.name}, expected finite numbers of {(*size, 3)}"
                )
            return crop(developed, _box(shot.box, factor))

        return self._kept(("developed", at.shot, at.rig, at.small, self._made_with(at, pane)), develop)

    def _made_with(self, at: At, pane: Pane) -> str:
        """The settings behind a pane, as text, else the pane: what its content depends on beside shot and rig."""
        if pane not in ("default", "tuned"):
            return pane
        return json.dumps(self.defaults if pane == "default" else at.settings, sort_keys=True)

    def poses(self, at: At, pane: Pane) -> list[Detection]:
        """What the network finds in the boxes of the labels, in px of the whole picture; in a lone raw, which has no
        labels, in boxes that a detector is sure of.

        Raises:
            ValueError, OSError: see `picture`.
        """
        people = self.shots[at.shot].shot.people

        def find() -> list[Detection]:
            image, lighting = self._for_the_network(at, pane)
            if self.shots[at.shot].record is not None:
                return detect_in(self.recogniser, [image], people, lighting, "none")
            found = poses_in(self.recogniser, image, (), lighting, "none", self._detector)
            return [one for one in found if one.found_in and one.found_in.score >= SURE]

        return self._kept(("poses", at.shot, at.rig, self._made_with(at, pane)), find)

    @cached_property
    def _detector(self) -> PersonDetector:
        return load_detector()

    def heat(self, at: At, pane: Pane) -> np.ndarray:
        """The network's heatmaps as a layer over a pane; see `heat_layer`.

        Raises:
            ValueError, OSError: see `picture`.
        """
        with self._lock:
            image, lighting = self._for_the_network(at, pane)
            return heat_layer(self.recogniser, image, self.shots[at.shot].shot.people, lighting)

    def _for_the_network(self, at: At, pane: Pane) -> tuple[np.ndarray, int]:
        """A whole picture normalised as the network wants it, and its lighting."""
        picture = self.picture(replace(at, small=False), pane)
        lighting = WELL if pane == "well-lit" else LOW
        codes = picture if picture.dtype == np.uint8 else 255 * picture
        return normalise(codes, self.recogniser.normalisation[lighting]), lighting

    def raw(self, at: At) -> Raw:
        """The low-light raw of a shot, whole.

        Raises:
            ValueError: see `picture`.
        """
        with self._lock:
            return self._kept(("raw", at.shot, at.rig), lambda: self._shot_again(at))

    def _shot_again(self, at: At) -> Raw:
        shot = self.shots[at.shot]
        if not at.rig.moved:
            return read_dng(shot.shot.raw)
        if self.reshooting is None or shot.record is None:
            raise ValueError(f"rig: {self.fixed or 'these shots cannot be taken again'}")
        return self.reshooting.raw(shot.record, at.rig)

    def _well_lit(self, at: At) -> Picture:
        shot = self.shots[at.shot]
        if shot.record is None:
            raise ValueError(f"{shot.shot.name}: has no well-lit picture")
        picture = read_picture(shot.shot.well_lit)
        factor = preview(self.raw(at))[1] if at.small else 1
        if factor == 1:
            return picture
        height, width = (side // factor for side in picture.shape[:2])
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))

    def _as_shot(self, at: At) -> Picture:
        file, factor, _ = self._raw_file(at)
        light = develop_raw(read_dng(file), self._camera_isp)
        codes = srgb_codes(np.ascontiguousarray(light[0].permute(1, 2, 0).numpy()))
        return crop(codes, _box(self.shots[at.shot].shot.box, factor))

    def _raw_file(self, at: At) -> tuple[Path, int, tuple[int, int]]:
        """A DNG for the ISP, by how much it is reduced, and its (height, width)."""
        shot = self.shots[at.shot].shot
        if not at.rig.moved and not at.small:
            return shot.raw, 1, shot.size

        def write() -> tuple[Path, int, tuple[int, int]]:
            raw, factor = preview(self.raw(at)) if at.small else (self.raw(at), 1)
            height, width = raw.counts.shape
            if factor == 1 and not at.rig.moved:
                return shot.raw, 1, shot.size
            key = hashlib.blake2b(repr((at.shot, at.rig, factor)).encode(), digest_size=8).hexdigest()
            path = self.scratch / "raw" / f"{key}.dng"
            if isinstance(self.isp, PipelineIsp) and at.rig.moved:
                self.isp.light.cache_clear()  # it would keep every raw that a slider of the rig went through
            write_dng(path, raw)
            return path, factor, (height, width)

        return self._kept(("raw file", at.shot, at.rig, at.small), write)

    def _kept(self, key: Hashable, make: Callable[[], Made]) -> Made:
        with self._lock, torch.inference_mode():
            if key not in self._held:
                made = make()
                self._held[key] = made, _bytes(made)
                while sum(size for _, size in self._held.values()) > HELD_BYTES and len(self._held) > 1:
                    _, (dropped, _) = self._held.popitem(last=False)
                    if isinstance(dropped, tuple) and dropped[0].parent.parent == self.scratch:
                        dropped[0].unlink(missing_ok=True)
            self._held.move_to_end(key)
            made, _ = self._held[key]  # type: ignore[assignment]
            return made


def _bytes(made: object) -> int:
    """Of what is kept; a raw file in the scratch folder counts as what ISPs keep of it."""
    if isinstance(made, np.ndarray):
        return made.nbytes
    if isinstance(made, Raw):
        return made.counts.nbytes
    if isinstance(made, tuple):
        return int(8 * np.prod(made[2]))
    return 1000


def _box(box: tuple[int, int, int, int], factor: int) -> tuple[int, int, int, int]:
    left, top, width, height = (side // factor for side in box)
    return left, top, width, height
