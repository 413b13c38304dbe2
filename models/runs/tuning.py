"""A tuning from end to end: shots, searches, held-out verdict, report; what `models.tune_isp` does."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isp_sim.files import write_atomically
from isp_sim.progress import Progress
from isp_sim.rigfile import load_rig
from isp_sim.workers import cores
from models.choices import BOARD, SEARCHES, TEST_SEED
from models.engine.distributed import pick_device
from models.recognisers.loading import identity as recogniser_identity
from models.recognisers.loading import load_recogniser
from models.scoring.average_precision import Protocol
from models.tuning.boards.client import BoardIsp
from models.tuning.judge import AS_SHOT, Judge, Task, judging
from models.tuning.loading import isp_file, load_isp
from models.tuning.loop import best, tune
from models.tuning.pipeline import PipelineIsp
from models.tuning.record import Evaluation, Record, open_folder
from models.tuning.report import examples, write_report
from models.tuning.search import CmaSearch, GradientSearch, Proposer, Search
from models.tuning.settings_file import read_settings
from models.tuning.shots import RawShot, digest, read_shots, shoot
from models.tuning.tunable import BlackBoxIsp, Settings, defaults
from models.tuning.verdict import Verdict, judge_all, verdicts

SEARCH_SEED = 61
"""Of the built-in scenes that a search sees; no training or test set that comes with the package uses it."""
OF_A_SCENE = 2
"""Shots of a built-in scene: two of its three to five light levels."""
DEFAULTS, AS_THE_RIG, STARTED = "defaults", "the rig's own ISP", "the start"
TUNED = "settings.json"


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What a tuning is asked for: the options of the command line.

    Attributes:
        isp: as `models.tuning.loading.load_isp` takes it.
        search: one of `SEARCHES` or `both`; None: both for a pipeline, else CMA-ES.
        goals: some of `models.tuning.goals.GOALS`, searched for at once; none of them: the usual ones; None: no.
        evaluations: of each search, over all its shots.
        pose: frozen network, as `load_recogniser` takes it, or `BOARD`.
        device: where it runs: cpu, cuda or auto.
        data, held_out: folders of `isp_sim.generate` to search and to judge on; None: the rig shoots one.
        images, judged: shots of the search, held-out shots.
        rig: that shoots where there is no data.
        flip: of all scores; see `models.recognisers.inference.heatmaps`.
        seed: of the search's draws.
        workers: processes; None: as many as cores, one for a board.
        out: folder of the tuning.
        resume: go on with what the folder holds.
        start: file of settings that the searches begin with; None: the ISP's defaults.
    """

    isp: str
    search: str | None
    goals: Sequence[str] | None = None
    evaluations: int
    pose: str
    device: str
    data: Path | None
    held_out: Path | None
    images: int
    judged: int
    rig: str
    flip: str
    seed: int
    workers: int | None
    out: Path
    resume: bool
    start: Path | None = None


def searches_of(tuning: Tuning, isp: BlackBoxIsp) -> tuple[str, ...]:
    """Which searches are asked for.

    Raises:
        ValueError: the gradient of an ISP that has none.
    """
    has_gradient = isinstance(isp, PipelineIsp)
    if tuning.search in ("gradient", "both") and not has_gradient:
        raise ValueError(f"--search {tuning.search}: --isp {tuning.isp} has no gradient, expected cma")
    if tuning.search in SEARCHES:
        return (tuning.search,)
    return tuple(SEARCHES) if has_gradient else ("cma",)


def shots_of(tuning: Tuning, workers: int) -> tuple[tuple[RawShot, ...], tuple[RawShot, ...]]:
    """The shots of the search and the held-out ones, shot first where no folder is given.

    Raises:
        ValueError: a folder cannot be used, or both are the same.
    """
    sets = []
    for folder, own, seed, count in (
        (tuning.data, tuning.out / "shots", SEARCH_SEED, tuning.images),
        (tuning.held_out, tuning.out / "held-out", TEST_SEED, tuning.judged),
    ):
        if folder is None:
            shoot(own, load_rig(tuning.rig), seed, count, OF_A_SCENE, workers)
        sets.append(read_shots(folder or own, count))
    learn, judge = sets
    if {shot.raw.resolve() for shot in learn} & {shot.raw.resolve() for shot in judge}:
        raise ValueError(f"--held-out {tuning.held_out}: has shots of the search; give another folder")
    return learn, judge


def identity(
    tuning: Tuning,
    isp: BlackBoxIsp,
    learn: tuple[RawShot, ...],
    held: tuple[RawShot, ...],
    start: Settings | None = None,
) -> dict[str, object]:
    """What makes a search this one: ISP and parameters, network, shots, seed; not how long it goes on."""
    file = isp_file(tuning.isp)
    content = [hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()] if file else []
    content += [isp.hello.board] if isinstance(isp, BoardIsp) else []
    return {
        "isp": " ".join([tuning.isp, *content]),
        "knobs": {parameter.name: f"{parameter.domain} [{parameter.default}]" for parameter in isp.parameters},
        "network": recogniser_identity(tuning.pose),
        "device": pick_device(tuning.device).type,
        "flip": tuning.flip,
        "shots": digest(learn),
        "held-out": digest(held),
        "seed": tuning.seed,
        "start": start,
    }


def search_all(
    tuning: Tuning, isp: BlackBoxIsp, learn: tuple[RawShot, ...], workers: int, start: Settings | None
) -> tuple[dict[str, list[Evaluation]], dict[str, Settings]]:
    """Every search asked for, evaluation by evaluation; and what each has found: its best trial, and its centre."""
    evaluations: dict[str, list[Evaluation]] = {}
    found: dict[str, Settings] = {}
    for kind in searches_of(tuning, isp):
        search: Search = (
            CmaSearch(isp.parameters, tuning.seed, start) if kind == "cma" else GradientSearch(isp.parameters, start)
        )
        task = Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, learn, gradients=kind == "gradient")
        name = SEARCHES[kind]
        evaluations[name] = searched(tuning, search, task, f"{kind}.jsonl", f"evaluations of {name}", workers)
        found[f"{name}, best trial"] = best(evaluations[name]).settings
        found[f"{name}, centre"] = search.centre()
    return evaluations, found


def searched(
    tuning: Tuning, search: Proposer, task: Task, file: str, words: str, workers: int
) -> list[Evaluation]:  # fmt: skip
    """Every evaluation of one search, those of its record first.

    Args:
        tuning: how many evaluations, and in which folder.
        search: proposes settings.
        task: what they are judged on.
        file: of the record, in the folder.
        words: of the progress.
        workers: processes.

    Raises:
        ValueError: the record holds more than are asked for.
    """
    record = Record(tuning.out / file)
    if len(record.lines) > tuning.evaluations:
        raise ValueError(
            f"--evaluations {tuning.evaluations}: {record.path} holds {len(record.lines)} already; "
            "expected as many or more"
        )
    with judging(task, workers) as judges, Progress(words, tuning.evaluations, len(record.lines)) as progress:
        return tune(search, record, judges, task.shots, tuning.evaluations, progress.reach)


def judge_found(
    tuning: Tuning, isp: BlackBoxIsp, evaluations: dict[str, list[Evaluation]], tuned: dict[str, Settings],
    held: tuple[RawShot, ...], workers: int,
) -> tuple[dict[str, Verdict], Path]:  # fmt: skip
    """Held-out shots under the defaults and what each search has found; the report with it."""
    candidates: dict[str, Settings] = {DEFAULTS: defaults(isp.parameters)} | tuned
    if tuning.pose != BOARD:  # which sees what the board develops, no other picture
        candidates = {AS_THE_RIG: AS_SHOT} | candidates
    task = Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, held)
    with judging(task, workers) as judges:
        seen = judge_all(candidates, tuning.out / "judged", judges)
    found = verdicts(candidates, seen, held, DEFAULTS, Protocol(flip=tuning.flip, seed=tuning.seed))
    record = {
        name: {"settings": one.settings, "oks": one.oks, "gain": one.gain, "error": one.error}
        | {"scores": {split: score.record() for split, score in one.scores.items()}}
        for name, one in found.items()
    }
    write_atomically(tuning.out / TUNED, json.dumps(record, indent=1, allow_nan=False).encode())
    shown = {name: settings for name, settings in candidates.items() if settings != AS_SHOT}
    sheet = examples(Judge(task), shown, seen, held)
    count = next(iter(evaluations.values()))
    words = [
        f"{len(held)} held-out shots with {sum(len(s.people) for s in held)} people, true boxes, flip {tuning.flip}; "
        f"searched with {len(count)} evaluations of {len(count[0].shots)} other shots.",
        "Mean OKS is what was searched for: it is smoother than AP. The best of many trials over few shots is partly "
        "luck; the centre, a mean over all evaluations, is less so.",
        "Every picture was warped onto the labels and normalised as the network wants low light, the defaults' and the "
        "tuned ones alike.",
    ]
    return found, write_report(tuning.out, tuning.isp, isp.parameters, evaluations, found, sheet, words)


def check_network(tuning: Tuning, isp: BlackBoxIsp) -> None:
    """Complain of the network before the first shot.

    Raises:
        ValueError: it cannot be loaded, or the board under test has none.
    """
    pick_device(tuning.device)
    if tuning.pose != BOARD:
        load_recogniser(tuning.pose)
    elif not (isinstance(isp, BoardIsp) and isp.has_network):
        raise ValueError(f"--pose {BOARD}: --isp {tuning.isp} has no network of its own, expected such a board")
    elif tuning.flip != "none":
        raise ValueError(f"--flip {tuning.flip}: the board's own network sees its pictures as they are, expected none")


def run(tuning: Tuning) -> tuple[dict[str, Verdict], Path]:
    """The whole command: shots, searches, verdict, report.

    Raises:
        ValueError: bad input.
        OSError: the disk, the ISP or a process failed.
    """
    isp = load_isp(tuning.isp)
    workers = checked_workers(tuning, isp)
    searches_of(tuning, isp)
    start = read_settings(tuning.start, tuning.isp, isp.parameters) if tuning.start else None
    check_network(tuning, isp)
    learn, held = shots_of(tuning, workers)
    open_folder(tuning.out, identity(tuning, isp, learn, held, start), tuning.resume)
    evaluations, found = search_all(tuning, isp, learn, workers, start)
    tuned = ({STARTED: start} if start else {}) | found
    return judge_found(tuning, isp, evaluations, tuned, held, workers)


def checked_workers(tuning: Tuning, isp: BlackBoxIsp) -> int:
    """How many processes; a board is one. Raises ValueError for counts below 1."""
    for name in ("evaluations", "images", "judged"):
        if getattr(tuning, name) < 1:
            raise ValueError(f"--{name} {getattr(tuning, name)}: expected a whole number from 1")
    if tuning.workers is not None and tuning.workers < 1:
        raise ValueError(f"--workers {tuning.workers}: expected a whole number from 1")
    return tuning.workers or (1 if isinstance(isp, BoardIsp) else cores())
