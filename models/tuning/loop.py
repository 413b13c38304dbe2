"""The loop: a search asks, judges answer, the record keeps; what the record holds is told instead of judged again."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from models.scoring.average_precision import oks
from models.tuning.judge import Judging, Seen
from models.tuning.knobs import Settings
from models.tuning.record import Evaluation, Record
from models.tuning.search import Search
from models.tuning.shots import RawShot


def tune(
    search: Search, record: Record, judging: Judging, shots: Sequence[RawShot], evaluations: int,
    reach: Callable[[int], None] = lambda _: None,
) -> list[Evaluation]:  # fmt: skip
    """Search until so many evaluations are told.

    A search that was killed is rebuilt by asking and telling it all that the record holds: it draws the same numbers,
    so it goes on as if nothing had happened. Settings that were evaluated before are told again and count, but are not
    judged again.

    Args:
        search: a new one.
        record: of this search, empty or not.
        judging: over the same shots.
        shots: with people.
        evaluations: in all, those of the record included.
        reach: called after each with how many are told.

    Returns:
        Them, in their order.

    Raises:
        ValueError: the record is another search's.
    """
    told: list[Evaluation] = []
    while len(told) < evaluations:
        asked = search.ask()
        answered = []
        for one in _answers(asked[: evaluations - len(told)], len(told), record, judging, shots):
            answered.append(one)
            reach(len(told) + len(answered))
        told += answered
        if len(answered) == len(asked):
            search.tell(answered)
    return told


def _answers(
    asked: Sequence[Settings], told: int, record: Record, judging: Judging, shots: Sequence[RawShot]
) -> Iterator[Evaluation]:
    kept = record.lines[told : told + len(asked)]
    for number, (settings, line) in enumerate(zip(asked, kept, strict=False), start=told + 1):
        if settings != line.settings:
            raise ValueError(
                f"{record.path}:{number}: not what this search asks for (a record of another version?); "
                "give --out another folder"
            )
        yield line
    left = asked[len(kept) :]
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
    """One line of the record: figures to nine digits, so that a log gives them back."""
    people = [each_oks(one, shot) for one, shot in zip(seen, shots, strict=True)]
    mean = float(np.concatenate(people).mean())
    slopes = np.array([one.slope for one in seen]).sum(axis=0) / sum(map(len, people))
    loss, *slope = slopes.tolist() if slopes.size else [None]
    return Evaluation(
        settings,
        round(mean, 9),
        tuple(round(float(one.mean()), 9) for one in people),
        loss,
        tuple(float(f"{one:.9g}") for one in slope),
    )


def best(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The highest mean OKS; the earliest of equals."""
    return max(evaluations, key=lambda one: one.oks)
