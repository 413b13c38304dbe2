"""A shot's low-light raw again, by a rig that was moved: the same scene, the same random numbers."""

import copy
from collections import OrderedDict
from pathlib import Path

from pydantic import BaseModel

from isp_sim import light, optics
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.choices import BUILT_IN, FROZEN, Orientation
from isp_sim.manifest import PairRecord
from isp_sim.pair import seen_while_open
from isp_sim.raw import Raw
from isp_sim.rigfile import from_json, load_rig
from isp_sim.scenes.sources import open_scenes
from isp_sim.schedule import SUNLIT_BASE_US
from models.desk.rig_settings import RigSettings, filter_factor, gain_db, sensor_with

HELD_SCENES = 6
"""Scenes that are kept before the arm; one of 1920×1200 has 28 MB."""


class _Run(BaseModel):
    """What is needed of a folder's `run.json`."""

    seed: int
    scenes: str
    motion_samples: int = FROZEN
    labels_orientation: Orientation | None = None
    linear: bool = False
    backgrounds: str | None = None
    backgrounds_share: float = 1.0

    @property
    def folder(self) -> str | None:
        """Of the pictures that the scenes are made of; None: they are built in."""
        return self.backgrounds or (None if self.scenes in BUILT_IN else self.scenes)


class Reshooting:
    """The low-light arm of a folder's rig before the folder's scenes.

    The light on a scene stays the one that was metered when it was shot first, times the desk's factor.

    Args:
        folder: that `isp_sim.generate` wrote, or `models.tuning.shots.shoot`.
        scenes: folder of pictures that its scenes may be made of: a file in a data set does not say what is opened.

    Raises:
        ValueError: it does not say what was shot, by which rig, or the scenes are no longer there.
    """

    def __init__(self, folder: Path, scenes: Path | None = None) -> None:
        for name in ("run.json", "rig.yaml"):
            if not (folder / name).is_file():
                raise ValueError(f"{folder}: has no {name}, so it cannot be shot again")
        run = from_json(_Run, (folder / "run.json").read_bytes(), str(folder / "run.json"))
        if run.folder and (scenes is None or scenes.resolve() != Path(run.folder).resolve()):
            raise ValueError(f"these shots are of {run.folder}: add --scenes {run.folder} to take them again")
        self.rig, self.seed, samples = load_rig(str(folder / "rig.yaml")), run.seed, run.motion_samples
        backgrounds = Path(run.backgrounds) if run.backgrounds else None
        self.scenes = open_scenes(
            run.scenes, None, self.rig, run.seed, samples, run.labels_orientation, run.linear, backgrounds,
            run.backgrounds_share,
        )  # fmt: skip
        self._moving = samples != FROZEN
        self._arm = SimulatedArm(self.rig, self.rig.low_light)
        self._before: OrderedDict[tuple[int, float, float | None], SimulatedArm] = OrderedDict()

    def raw(self, record: PairRecord, settings: RigSettings) -> Raw:
        """A shot of the folder, by the moved rig.

        Args:
            record: the shot's line of the manifest.
            settings: how far the rig is moved.

        Raises:
            ValueError: the scene cannot be used, or was not shot by a simulated rig.
        """
        if record.photons_per_us_at_white is None or "shot" not in record.key:
            raise ValueError(f"{record.dark}: was not shot by a simulated rig, so it cannot be shot again")
        exact = record.base_exposure_us / record.ratio
        start = exact if round(exact) == record.exposure_us else record.exposure_us  # a replayed shot has its own
        exposure_us = max(1, round(start * settings.exposure))
        arm = self._arm_before(record, exposure_us)
        arm.light = record.photons_per_us_at_white * settings.light * filter_factor(self.rig, settings)
        arm.sensor = sensor_with(self.rig.sensor, settings)
        number = int(record.key["shot"])
        arm.next_frame = Frame(self.seed, record.scene_number, number)
        arm.start_s = light.begins(self.rig.light, record.at_s, self.seed, record.scene_number, number)
        return arm.grab(exposure_us, gain_db(self.rig, record.low_light_gain_db, settings))

    def _arm_before(self, record: PairRecord, exposure_us: float) -> SimulatedArm:
        """The arm before a shot's scene; where people move, each exposure sees another mean of it."""
        key = record.scene_number, exposure_us if self._moving else 0.0, record.at_s
        if key not in self._before:
            night = self.rig.schedule.night
            daylight = 0.0 if night else SUNLIT_BASE_US / (record.base_exposure_us * 10 ** (record.base_gain_db / 20))
            scene = self.scenes.scene(record.scene_number % len(self.scenes), daylight)
            moment = scene.at(record.at_s) if scene.at and record.at_s else scene
            radiance = light.coloured(seen_while_open(moment, exposure_us, self.rig), self.rig.light)
            arm = copy.copy(self._arm)  # shares the fixed maps
            pitch_um = self.rig.sensor.pixel_pitch_um.value * self.rig.binning
            arm.look_at(optics.through_lens(radiance, self.rig.lens, pitch_um))
            self._before[key] = arm
            if len(self._before) > HELD_SCENES:
                self._before.popitem(last=False)
        self._before.move_to_end(key)
        return self._before[key]
