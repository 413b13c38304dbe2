"""AP and PCK of the shots on the desk, with the ISP's defaults and with what the sliders say; in the background."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.desk.workbench import At, Pane, Workbench
from models.recognisers.detection import Detection
from models.scoring.average_precision import Protocol, or_null
from models.scoring.poses import LOW_SPLITS, Poses
from models.tuning.judge import Seen
from models.tuning.loop import each_oks
from models.tuning.verdict import paired

BEFORE_AND_AFTER: tuple[Pane, Pane] = ("default", "tuned")


class Scoring:
    """One pass over all shots at a time; a new one ends the one that goes on.

    Args:
        bench: with the shots.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._lock, self._number = threading.Lock(), 0
        self.progress: dict[str, Any] = {"done": 0, "total": 0}

    def start(self, at: At) -> None:
        """Begin; `at.shot` does not matter.

        Raises:
            ValueError: nobody is labelled.
        """
        labelled = [n for n, one in enumerate(self._bench.shots) if one.shot.people]
        if not labelled:
            raise ValueError("scores: nobody is labelled in these shots")
        with self._lock:
            self._number += 1
            self.progress = {"done": 0, "total": 2 * len(labelled)}
            arguments = (self._number, at, labelled)
        threading.Thread(target=self._score, args=arguments, daemon=True).start()

    def _score(self, number: int, at: At, labelled: Sequence[int]) -> None:
        found: dict[Pane, list[list[Detection]]] = {pane: [] for pane in BEFORE_AND_AFTER}
        try:
            for shot in labelled:
                for pane in BEFORE_AND_AFTER:
                    if number != self._number:
                        return
                    found[pane].append(self._bench.poses(At(shot, at.settings, at.rig), pane))
                    self._tell(number, {"done": self.progress["done"] + 1, "total": 2 * len(labelled)})
            self._tell(number, self.progress | {"scores": self._scores(labelled, found)})
        except Exception as fault:  # an ISP may raise anything; the page says what
            self._tell(number, self.progress | {"fault": str(fault) or type(fault).__name__})

    def _tell(self, number: int, progress: dict[str, Any]) -> None:
        with self._lock:
            if number == self._number:
                self.progress = progress

    def _scores(self, labelled: Sequence[int], found: dict[Pane, list[list[Detection]]]) -> dict[str, Any]:
        shots = [self._bench.shots[n].shot for n in labelled]
        splits: dict[str, Any] = {split: {} for split in LOW_SPLITS}
        each = {}
        for pane, whole in found.items():
            poses = Poses()
            for shot, one in zip(shots, whole, strict=True):
                poses.add_low_light(shot.split, shot.name, shot.people, one)
            scores, near = poses.scores(Protocol(flip="none"), LOW_SPLITS), poses.pck()
            for split in LOW_SPLITS:
                splits[split][pane] = {"ap": or_null(scores[split].ap), "pck": or_null(near[split])}
                splits[split]["people"] = scores[split].people
            seen = [Seen(np.array([d.keypoints for d in one], np.float32)) for one in whole]
            each[pane] = [each_oks(one, shot) for one, shot in zip(seen, shots, strict=True)]
        gain, error = paired(each["tuned"], each["default"])
        means = {pane: float(np.concatenate(each[pane]).mean()) for pane in BEFORE_AND_AFTER}
        return {"splits": splits, "oks": means, "gain": gain, "error": error, "shots": len(shots)}
