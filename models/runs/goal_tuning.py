"""A tuning for several goals from end to end: shots and chart, the search, the front, held-out figures, report."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from isp_sim.files import write_atomically
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from models.choices import GOALS as NAMES
from models.runs.tuning import DEFAULTS, TUNED, Tuning, check_network, checked_workers, identity, searched, shots_of
from models.scoring.average_precision import Protocol
from models.tuning.charts import shoot_chart
from models.tuning.goals import GOALS, Goal, GoalSearch, chosen
from models.tuning.judge import Judge, Task, judging
from models.tuning.loading import load_isp
from models.tuning.loop import known
from models.tuning.pareto_report import Point, write_report
from models.tuning.record import Evaluation, open_folder
from models.tuning.shots import RawShot
from models.tuning.tunable import BlackBoxIsp, Settings, defaults
from models.tuning.verdict import judge_all, poses_of, verdicts

SEARCHED, HELD_OUT = 12233, 19567
"""Seeds of the noise in the chart of the search, and in the one that judges."""


def goals_of(tuning: Tuning) -> tuple[Goal, ...]:
    """Which goals are asked for.

    Raises:
        ValueError: one alone.
    """
    names = tuning.goals or NAMES[:-1]
    if len(set(names)) < 2:
        raise ValueError(f"--goals {' '.join(names)}: expected two or more of {', '.join(NAMES)}")
    return tuple(GOALS[name] for name in NAMES if name in names)


def rig_of(tuning: Tuning) -> Rig:
    """That shoots the chart: of the folder of the search, or the one named."""
    file = (tuning.data or tuning.out / "shots") / "rig.yaml"
    return load_rig(str(file) if file.is_file() else tuning.rig)


def search_goals(
    tuning: Tuning, isp: BlackBoxIsp, goals: tuple[Goal, ...], learn: tuple[RawShot, ...], workers: int
) -> list[Evaluation]:
    """Every evaluation of the search; see `searched`."""
    chart = shoot_chart(rig_of(tuning), tuning.out / "chart", SEARCHED)
    task = Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, learn, chart=chart)
    search = GoalSearch(isp.parameters, goals, tuning.seed)
    return searched(tuning, search, task, "goals.jsonl", "evaluations", workers)


def judge_points(
    tuning: Tuning, candidates: Mapping[str, Settings], evaluations: list[Evaluation], held: tuple[RawShot, ...],
    workers: int,
) -> tuple[dict[str, Point], Judge]:  # fmt: skip
    """Held-out recognition and held-out chart of some settings; and a judge of these shots, with the chart."""
    task = Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, held)
    with judging(task, workers) as judges:
        seen = judge_all(candidates, tuning.out / "judged", judges)
    found = verdicts(candidates, seen, held, DEFAULTS, Protocol(flip=tuning.flip, seed=tuning.seed))
    chart = shoot_chart(rig_of(tuning), tuning.out / "held-out-chart", HELD_OUT)
    judge = Judge(Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, held, chart=chart))
    points = {}
    for name, settings in candidates.items():
        quality = chart.quality(judge.isp.develop, settings, tuning.isp)
        trial = known(evaluations, settings)
        assert trial is not None
        pck = poses_of(seen[name], held).pck()["LL-A"]
        points[name] = Point(settings, found[name], pck, quality, trial, tuple(seen[name]))
    return points, judge


def run_goals(tuning: Tuning) -> tuple[dict[str, Point], Path]:
    """The whole command with `--goals`.

    Raises:
        ValueError: bad input.
        OSError: the disk, the ISP or a process failed.
    """
    isp, goals = load_isp(tuning.isp), goals_of(tuning)
    workers = checked_workers(tuning, isp)
    if tuning.search is not None:
        raise ValueError(f"--search {tuning.search}: is of one goal, expected none with --goals")
    if tuning.start is not None:
        raise ValueError(f"--start {tuning.start}: is for a search of one goal, expected none with --goals")
    check_network(tuning, isp)
    learn, held = shots_of(tuning, workers)
    whole = identity(tuning, isp, learn, held) | {"goals": [goal.name for goal in goals]}
    open_folder(tuning.out, whole, tuning.resume)
    evaluations = search_goals(tuning, isp, goals, learn, workers)
    candidates = {DEFAULTS: defaults(isp.parameters)} | chosen(evaluations, goals)
    points, judge = judge_points(tuning, candidates, evaluations, held, workers)
    record = {
        name: {"settings": one.settings, "oks": one.verdict.oks, "gain": one.verdict.gain, "error": one.verdict.error}
        | {"pck": one.pck, "quality": one.quality.known(), "searched": asdict(one.searched)}
        for name, one in points.items()
    }
    write_atomically(tuning.out / TUNED, json.dumps(record, indent=1).encode())
    return points, write_report(tuning.out, tuning.isp, isp.parameters, evaluations, goals, points, judge)
