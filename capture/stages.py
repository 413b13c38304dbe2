"""What stands before cameras that are not real: simulated scenes, or the frames of a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from capture.captures import CapturedPair, find_pairs
from isp_sim import optics
from isp_sim.camera import Frame
from isp_sim.dng import read_dng
from isp_sim.pair import DualCamera
from isp_sim.raw import Raw
from isp_sim.scenes import SceneSource
from isp_sim.schedule import Shot


class Shown(Protocol):
    """A camera that can be shown a frame: a replaying or an emulated one."""

    def show(self, raw: Raw) -> None:
        """Put it before the camera."""
        ...


class SimulatedStage:
    """Scenes before the simulated rig's own arms: the frames are those `isp_sim.generate` takes, byte for byte."""

    def __init__(self, rig: DualCamera, scenes: SceneSource, seed: int) -> None:
        self.rig, self.scenes, self.seed = rig, scenes, seed
        self._at: int | None = None
        self._light = 0.0

    def show(self, number: int, shot: Shot) -> None:
        """Put a shot's scene before both arms, metered; `number` is the shot's within its scene."""
        arms = (self.rig.well_lit, self.rig.low_light)
        if self._at != shot.scene:
            scene = self.scenes.scene(shot.scene % len(self.scenes))
            lens, sensor = self.rig.rig.lens, self.rig.rig.sensor
            image = optics.through_lens(scene.radiance, lens, sensor.pixel_pitch_um.value * self.rig.rig.binning)
            for arm in arms:
                arm.look_at(image)
            self._light, self._at = self.rig.meter(scene, shot), shot.scene
        for arm in arms:
            arm.light, arm.next_frame = self._light, Frame(self.seed, shot.scene, number)


class FolderStage:
    """Frames of a folder before two cameras that can be shown one.

    Attributes:
        shots: what the folder holds, in the order of the names: (0, shot).
    """

    def __init__(self, folder: Path, bright: Shown, dark: Shown) -> None:
        pairs, faults = find_pairs(folder)
        if faults or not all(pair.is_raw for pair in pairs):
            raise ValueError("\n".join(faults) or f"{folder}: holds pictures; frames to play are DNGs")
        self.bright, self.dark = bright, dark
        self._pairs: dict[str, CapturedPair] = {pair.shot.file_name("bright"): pair for pair in pairs}
        self.shots: Sequence[tuple[int, Shot]] = [(0, pair.shot) for pair in pairs]

    def show(self, number: int, shot: Shot) -> None:
        """Put the frames of a shot before the cameras."""
        pair = self._pairs[shot.file_name("bright")]
        self.bright.show(read_dng(pair.bright))
        self.dark.show(read_dng(pair.dark))
