"""What cameras without hardware see: simulated scenes, or the frames of a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from capture.captures import CapturedPair, find_pairs
from isp_sim.dng import read_dng
from isp_sim.pair import DualCamera
from isp_sim.raw import Raw
from isp_sim.scenes import Scene, SceneSource
from isp_sim.schedule import Shot


class Shown(Protocol):
    """A camera that can be shown a frame: a replaying or an emulated one."""

    def show(self, raw: Raw) -> None:
        """Put it before the camera."""
        ...


class SimulatedScenes:
    """Scenes before the simulated rig's own arms: the frames are those `isp_sim.generate` takes, byte for byte."""

    def __init__(self, rig: DualCamera, scenes: SceneSource, seed: int) -> None:
        self.rig, self.scenes, self.seed = rig, scenes, seed
        self._at: tuple[int, Scene] | None = None

    def show(self, shot: Shot) -> None:
        """Put a shot's scene before both arms, metered."""
        if self._at is None or self._at[0] != shot.scene:
            self._at = shot.scene, self.scenes.scene(shot.scene % len(self.scenes), shot.daylight)
        self.rig.prepare(self._at[1], shot, self.seed)


class RecordedFrames:
    """Frames of a folder before two cameras that can be shown one.

    Attributes:
        shots: what the folder holds, in the order of the names.
    """

    def __init__(self, folder: Path, bright: Shown, dark: Shown) -> None:
        pairs, faults = find_pairs(folder)
        if faults or not all(pair.is_raw for pair in pairs):
            raise ValueError("\n".join(faults) or f"{folder}: holds pictures; frames to play are DNGs")
        self.bright, self.dark = bright, dark
        self._pairs: dict[str, CapturedPair] = {pair.shot.file_name("bright"): pair for pair in pairs}
        self.shots: Sequence[Shot] = [pair.shot for pair in pairs]

    def show(self, shot: Shot) -> None:
        """Put the frames of a shot before the cameras."""
        pair = self._pairs[shot.file_name("bright")]
        self.bright.show(read_dng(pair.bright))
        self.dark.show(read_dng(pair.dark))
