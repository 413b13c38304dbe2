"""A whole session: load its best pairs, fit the map, then every pair through judgement and warp onto the disk."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from capture.alignment import develop, session_fit
from capture.alignment.labels import Labels
from capture.alignment.report import write_report
from capture.alignment.session_fit import AlignSettings
from capture.alignment.writer import Done, Outcome, align_pair, done_before
from capture.captures import CapturedPair
from isp_sim.dataset import DatasetWriter


def align_session(
    outcome: Outcome,
    numbered: list[tuple[int, CapturedPair]],
    labels: dict[str, Labels],
    settings: AlignSettings,
    writer: DatasetWriter,
    workers: int,
    finished: set[int],
) -> Iterator[None]:
    """Fit a session's map, then judge, warp and write its pairs; yields as each is done or refused."""
    loaded, lost = _load(outcome, session_fit.candidates([pair for _, pair in numbered], settings), settings.summed)
    try:
        if not loaded:
            raise ValueError("none of its pairs can be used")
        torch.set_num_threads(workers)
        outcome.found = session_fit.fit_session(outcome.name, loaded, settings)
    except ValueError as fault:
        seen = f" (its best pair: {loaded[0][0].bright})" if loaded else ""
        outcome.faults.append(f"session {outcome.name}: refused: {fault}{seen}")
        yield from (None for _ in numbered)
        return
    found = outcome.found
    reference = loaded[[pair.name for pair, _ in loaded].index(found.pairs[0])][0]
    del loaded
    torch.set_num_threads(1)  # the pairs share the cores out

    def one(entry: tuple[int, CapturedPair]) -> Done | str:
        number, pair = entry
        if number in finished:
            return done_before(writer.recorded(number))
        try:
            return align_pair(number, pair, labels.get(pair.bright.stem, Labels()), found, settings, writer)
        except ValueError as fault:
            return _named(pair, fault)

    left = [entry for entry in numbered if entry[1] not in lost]
    with ThreadPoolExecutor(workers) as pool:
        try:
            for (_, pair), result in zip(left, pool.map(one, left), strict=True):
                if isinstance(result, Done):
                    outcome.done.append((pair, result))
                else:
                    outcome.faults.append(result)
                yield None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    yield from (None for _ in lost)
    write_report(
        writer.folder / f"report-{_plain(outcome.name)}.html",
        found,
        settings,
        reference,
        outcome.done,
        outcome.faults,
    )


def _load(
    outcome: Outcome, ranked: list[CapturedPair], most: int
) -> tuple[list[tuple[CapturedPair, develop.Frames]], set[CapturedPair]]:
    """The first pairs of a list that can be used, and those before them that cannot, which are noted as faults."""
    loaded: list[tuple[CapturedPair, develop.Frames]] = []
    lost = set()
    for pair in ranked:
        if len(loaded) == most:
            break
        try:
            frames = develop.read(pair)
            session_fit.refuse_swapped(pair, frames)
            frames.observation()  # both arms of one size and kind
            loaded.append((pair, frames))
        except (ValueError, OSError) as fault:
            outcome.faults.append(_named(pair, fault))
            lost.add(pair)
    return loaded, lost


def _named(pair: CapturedPair, fault: Exception) -> str:
    """A fault's sentence, with the pair it is about."""
    message = str(fault)
    names_it = str(pair.bright) in message or str(pair.dark) in message
    return message if names_it else f"{pair.bright}: refused: {message}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
