"""What a search found, judged on held-out shots: AP for each split, mean OKS and its paired difference."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isp_sim.files import read_json, write_atomically
from models.isp.trials import detections
from models.scoring.average_precision import Protocol, Score
from models.scoring.poses import LOW_SPLITS, Poses
from models.tuning.judge import Judging, Seen
from models.tuning.loop import each_oks
from models.tuning.shots import RawShot
from models.tuning.tunable import Settings


@dataclass(frozen=True)
class Verdict:
    """One setting over the held-out shots.

    Attributes:
        settings: judged.
        scores: AP of each split.
        oks: mean over all people.
        gain, error: of mean OKS over that of the defaults, and its standard error, shots being what is drawn.
    """

    settings: Settings
    scores: Mapping[str, Score]
    oks: float
    gain: float
    error: float


def judge_all(candidates: Mapping[str, Settings], folder: Path, judging: Judging) -> dict[str, list[Seen]]:
    """What the network sees in the held-out shots under each of several settings; kept in a folder, never done twice.

    Args:
        candidates: settings by name.
        folder: of what was seen.
        judging: over these shots.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen: dict[str, list[Seen]] = {}
    for name, settings in candidates.items():
        key = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=12).hexdigest()
        file = folder / f"{key}.json"
        if not file.is_file():
            (whole,) = judging([settings])
            text = json.dumps({"settings": settings, "joints": [one.joints.tolist() for one in whole]})
            write_atomically(file, text.encode())
        joints = read_json(file)["joints"]
        seen[name] = [Seen(np.array(one, np.float32)) for one in joints]
    return seen


def verdicts(
    candidates: Mapping[str, Settings], seen: Mapping[str, Sequence[Seen]], shots: Sequence[RawShot], base: str,
    protocol: Protocol,
) -> dict[str, Verdict]:  # fmt: skip
    """A verdict for each name.

    Args:
        candidates: settings by name.
        seen: by the same names.
        shots: held out.
        base: the name that gains are over.
        protocol: travels with AP.
    """
    each = {name: [each_oks(o, s) for o, s in zip(whole, shots, strict=True)] for name, whole in seen.items()}
    result = {}
    for name, whole in seen.items():
        gain, error = paired(each[name], each[base])
        mean = float(np.concatenate(each[name]).mean())
        result[name] = Verdict(candidates[name], poses_of(whole, shots).scores(protocol, LOW_SPLITS), mean, gain, error)
    return result


def poses_of(seen: Sequence[Seen], shots: Sequence[RawShot]) -> Poses:
    """What was seen, by split."""
    poses = Poses()
    for one, shot in zip(seen, shots, strict=True):
        poses.add_low_light(shot.split, shot.name, shot.people, detections(one.joints))
    return poses


def paired(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean over people of the difference, and its standard error over shots: people of one shot are not independent.

    `error = √(S/(S − 1) · Σ_s (Σ_p (d_p − d̄))²) / N` for S shots with N people (a ratio estimate's linearised
    variance, Cochran, *Sampling Techniques*, 1977, §6.3).
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = float(np.concatenate(differences).mean())
    sums = np.array([(one - mean).sum() for one in differences])
    shots, people = len(sums), sum(map(len, differences))
    return mean, float(np.sqrt(shots / max(shots - 1, 1) * (sums**2).sum()) / people)
