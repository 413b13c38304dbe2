"""How well a frozen pose network sees what an ISP under test makes of low-light raws; shared out over processes.

The network gets every ISP's picture the same way, LibRaw's defaults and what a search found alike: warped and cropped
as the pair was, then normalised as the recogniser wants low light (for ours each channel to a mean of 0.4). So nothing
is gained by brightness alone; what counts is noise, detail and the shape of the curve.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from isp_sim.picture_files import read_picture
from isp_sim.quality.chart import Quality
from isp_sim.scenes import JOINTS
from isp_sim.workers import spawned
from models.choices import BOARD
from models.data.normalisation import LOW, normalise
from models.engine.distributed import pick_device
from models.recognisers.inference import detect_in
from models.recognisers.loading import load_recogniser
from models.tuning.boards.client import BoardIsp
from models.tuning.charts import ChartShots
from models.tuning.loading import load_isp
from models.tuning.pipeline import PipelineIsp
from models.tuning.shots import RawShot
from models.tuning.tunable import Settings

AS_SHOT: Settings = {}
"""Instead of settings: the rig's own development, 8 bits."""


@dataclass(frozen=True)
class Task:
    """All a judging process needs to know.

    Attributes:
        isp: name of the ISP under test, as `load_isp` takes it.
        pose: name of the recogniser, as `load_recogniser` takes it, or `BOARD`: the network of the board under test.
        device: where the recogniser runs.
        flip: see `models.recognisers.inference.heatmaps`.
        shots: that are judged.
        gradients: whether the pose loss and its gradient are computed too.
        chart: developed and measured too, as if it were one more shot behind the others.
    """

    isp: str
    pose: str
    device: str
    flip: str
    shots: tuple[RawShot, ...]
    gradients: bool = False
    chart: ChartShots | None = None

    @property
    def numbers(self) -> range:
        """Of the shots, and of the chart."""
        return range(len(self.shots) + (self.chart is not None))


@dataclass(frozen=True)
class Seen:
    """What the network saw in one shot, or what a chart showed.

    Attributes:
        joints: `(people, joints, 3)`: x, y in the cropped picture's pixels, peak of the heatmap.
        gradient: pose loss summed over the people, then its derivative by each parameter's share; if computed.
        quality: of the chart; None for a shot.
    """

    joints: Float32[np.ndarray, "people joints 3"]
    gradient: tuple[float, ...] = ()
    quality: Quality | None = None


class Judge:
    """A process's own ISP and network; one thread, so that a score does not depend on how many processes share it."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self.task = task
        self.isp = load_isp(task.isp)
        if task.pose != BOARD:
            self.recogniser = load_recogniser(task.pose).to(pick_device(task.device))

    def see(self, settings: Settings, number: int) -> Seen:
        """Shot `number` developed with settings, and what the network finds in it.

        Raises:
            ValueError, OSError: the ISP cannot; one sentence.
        """
        if self.task.chart and number == len(self.task.shots):
            quality = self.task.chart.quality(self.isp.develop, settings, self.task.isp)
            return Seen(np.zeros((0, len(JOINTS), 3), np.float32), quality=quality)
        shot = self.task.shots[number]
        if self.task.pose == BOARD:
            assert isinstance(self.isp, BoardIsp)
            return Seen(self.isp.score(shot.raw, settings, shot.box, [person.bbox for person in shot.people]))
        how = self.recogniser.normalisation[LOW]
        codes = (
            read_picture(shot.picture) if settings == AS_SHOT else 255 * self.picture(settings, shot)
        )  # normalise takes codes
        found = detect_in(self.recogniser, [normalise(codes, how)], shot.people, LOW, self.task.flip)
        gradient: tuple[float, ...] = ()
        if self.task.gradients and settings != AS_SHOT:
            assert isinstance(self.isp, PipelineIsp)
            gradient = tuple(self.isp.loss_and_gradient(self.recogniser, shot, settings).tolist())
        return Seen(np.array([one.keypoints for one in found], np.float32), gradient)

    def picture(self, settings: Settings, shot: RawShot) -> np.ndarray:
        """A shot's developed picture under its labels, 1 is white."""
        return shot.cropped(self.isp.develop(shot.raw, settings), self.task.isp)


def _seeing(task: Task) -> Callable[[tuple[Settings, int]], Seen]:
    judge = Judge(task)
    return lambda call: judge.see(*call)


Judging = Callable[[Sequence[Settings]], Iterator[list[Seen]]]
"""Each of several settings over all shots, in their order, as they are done."""


@contextlib.contextmanager
def judging(task: Task, workers: int) -> Iterator[Judging]:
    """Judge here (one worker) or in spawned processes; the result does not depend on how many.

    Raises:
        OSError: a process was killed.
    """
    shots = task.numbers
    if workers == 1:
        judge = Judge(task)
        yield lambda candidates: ([judge.see(settings, n) for n in shots] for settings in candidates)
        return
    with spawned(workers, functools.partial(_seeing, task)) as carry_out:

        def judge_all(candidates: Sequence[Settings]) -> Iterator[list[Seen]]:
            seen: dict[int, Seen] = {}
            results = carry_out((settings, n) for settings in candidates for n in shots)
            for number in range(len(candidates)):
                own = range(number * len(shots), (number + 1) * len(shots))
                while not seen.keys() >= set(own):
                    place, one = next(results)
                    seen[place] = one
                yield [seen.pop(n) for n in own]

        yield judge_all
