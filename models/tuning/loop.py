"""The loop: a search proposes, judges score, the record keeps; what the record holds is not judged again."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from models.scoring.average_precision import oks
from models.tuning.goals import measured
from models.tuning.judge import Judging, Seen
from models.tuning.record import Evaluation, Record
from models.tuning.search import Proposer
from models.tuning.shots import RawShot
from models.tuning.tunable import Settings


def tune(
    search: Proposer, record: Record, judging: Judging, shots: Sequence[RawShot], evaluations: int,
    reach: Callable[[int], None] = lambda _: None,
) -> list[Evaluation]:  # fmt: skip
    """Search until there are so many evaluations.

    A search that was killed is rebuilt by replaying the record: it draws the same numbers, so it goes on as if nothing
    had happened. Settings that were evaluated before count again, but are not judged again.

    Args:
        search: a new one.
        record: of this search, empty or not.
        judging: over the same shots.
        shots: with people.
        evaluations: in all, those of the record included.
        reach: called after each with how many there are.

    Returns:
        Them, in their order.

    Raises:
        ValueError: the record is another search's.
    """
    done: list[Evaluation] = []
    while len(done) < evaluations:
        proposed = search.ask()
        evaluated = []
        for one in _evaluated(proposed[: evaluations - len(done)], len(done), record, judging, shots):
            evaluated.append(one)
            reach(len(done) + len(evaluated))
        done += evaluated
        if len(evaluated) == len(proposed):
            search.tell(evaluated)
    return done


def _evaluated(
    proposed: Sequence[Settings], done: int, record: Record, judging: Judging, shots: Sequence[RawShot]
) -> Iterator[Evaluation]:
    kept = record.lines[done : done + len(proposed)]
    for number, (settings, line) in enumerate(zip(proposed, kept, strict=False), start=done + 1):
        if settings != line.settings:
            raise ValueError(
                f"{record.path}:{number}: not the settings that this search proposes (a record of another version?); "
                "give --out another folder"
            )
        yield line
    left = proposed[len(kept) :]
    new: list[Settings] = []
    for settings in left:
        if settings not in new and known(record.lines, settings) is None:
            new.append(settings)
    judged = zip(new, judging(new), strict=True) if new else iter(())
    for settings in left:
        line = known(record.lines, settings) or evaluation(*next(judged), shots)
        record.add(line)
        yield line


def known(lines: Sequence[Evaluation], settings: Settings) -> Evaluation | None:
    """An evaluation of the same settings, if there was one."""
    return next((line for line in lines if line.settings == settings), None)


def each_oks(seen: Seen, shot: RawShot) -> np.ndarray:
    """OKS of each person of a shot."""
    truth = np.array([person.keypoints for person in shot.people])
    areas = np.array([person.bbox[2] * person.bbox[3] for person in shot.people])
    return np.asarray(oks(truth, seen.joints, areas))


def evaluation(settings: Settings, seen: Sequence[Seen], shots: Sequence[RawShot]) -> Evaluation:
    """One line of the record: figures to nine digits, which a log gives back; a chart stands behind the shots."""
    seen, charts = seen[: len(shots)], seen[len(shots) :]
    quality = measured(charts[0].quality) if charts and charts[0].quality else {}
    people = [each_oks(one, shot) for one, shot in zip(seen, shots, strict=True)]
    mean = float(np.concatenate(people).mean())
    gradients = np.array([one.gradient for one in seen]).sum(axis=0) / sum(map(len, people))
    loss, *gradient = gradients.tolist() if gradients.size else [None]
    return Evaluation(
        settings,
        round(mean, 9),
        tuple(round(float(one.mean()), 9) for one in people),
        loss,
        tuple(float(f"{one:.9g}") for one in gradient),
        {name: float(f"{value:.9g}") for name, value in quality.items()},
    )


def best(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The highest mean OKS; the earliest of equals."""
    return max(evaluations, key=lambda one: one.oks)
