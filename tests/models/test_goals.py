"""Several goals: which settings beat which, the search and its record, the command with its front and pictures."""

import json

import numpy as np
import pytest
import yaml

from isp_sim.quality.chart import Quality
from models import measure_quality, tune_isp
from models.runs.goal_tuning import goals_of
from models.tuning.charts import FRAMES, shoot_chart
from models.tuning.goals import GOALS, GoalSearch, chosen, front, losses, measured
from models.tuning.judge import Seen
from models.tuning.libraw import LibRawIsp
from models.tuning.loop import tune
from models.tuning.record import Evaluation, Record
from models.tuning.tunable import defaults
from tests.models.test_tune_isp import HEIGHT, KNOBS, SHOTS, WIDTH, folder_of_dots

NAN = float("nan")
PAIR = (GOALS["recognition"], GOALS["snr_db"])


def quality(snr_db=20.0, mtf50=0.3, texture=0.8, delta_e=5.0):
    return Quality(snr_db, 8.0, mtf50, 0.0, texture, delta_e, 0.25, 0.0)


class Judges:
    """Recognition wants `a` high, SNR wants it low; `b` at 0 is best for both."""

    def __init__(self):
        self.asked = []

    def __call__(self, asked):
        for settings in asked:
            self.asked.append(settings)
            a, b = (one.share(settings[one.name]) for one in KNOBS[:2])
            off = 20 * ((1 - a) ** 2 + (b - 0.5) ** 2) ** 0.5
            joints = np.full((1, 14, 3), 50.0, np.float32)
            joints[..., 0] += off
            chart = Seen(np.zeros((0, 14, 3), np.float32), quality=quality(snr_db=30 - 20 * a - 20 * abs(b - 0.5)))
            yield [Seen(joints), Seen(joints), chart]


def test_the_front_is_what_no_other_beats():
    rows = np.array([[0, 3], [1, 1], [3, 0], [1, 1], [2, 2], [0, 4]])
    assert front(rows).tolist() == [True, True, True, False, False, False]  # of equals the first
    stream = np.random.default_rng(0)
    cloud = stream.random((60, 3))
    slow = [not any((b <= a).all() and (b < a).any() for b in cloud) for a in cloud]
    assert front(cloud).tolist() == slow


def test_what_a_chart_does_not_show_is_as_bad_as_can_be():
    found = measured(quality(snr_db=NAN, mtf50=NAN))
    assert found["snr_db"] == -20 and found["mtf50"] == 0 and found["delta_e"] == 5 and "flare" not in found
    one = Evaluation({}, 0.3, (), quality=found)
    assert losses([one], [GOALS["recognition"], GOALS["delta_e"], GOALS["snr_db"]]).tolist() == [[-0.3, 5, 20]]


def test_points_are_chosen_by_what_they_are():
    def at(n, oks, snr):
        return Evaluation({"n": n}, oks, (), quality={"snr_db": snr})

    told = [at(0, 0.20, 20), at(1, 0.40, 5), at(2, 0.30, 20), at(3, 0.25, 30), at(4, 0.35, 18), at(5, 0.1, 10)]
    names = {name: settings["n"] for name, settings in chosen(told, PAIR).items()}
    assert names == {"best recognition": 1, "best snr_db": 3, "balanced": 4, "nothing given up": 2}


def test_the_search_finds_both_ends_and_leaves_the_global_generator_alone(tmp_path):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    told = tune(GoalSearch(KNOBS, PAIR, 0), Record(tmp_path / "goals.jsonl"), Judges(), SHOTS, 120)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert told[0].settings == defaults(KNOBS)
    shares = {name: KNOBS[0].share(settings["a"]) for name, settings in chosen(told, PAIR).items()}
    assert shares["best recognition"] > 0.9 and shares["best snr_db"] < 0.1
    on = np.array(told, object)[front(losses(told, PAIR))]
    assert len(on) > 8 and np.mean([abs(one.settings["b"]) for one in on]) < 0.3


@pytest.mark.parametrize("stopped_after", [1, 12, 30])
def test_a_search_for_goals_stopped_anywhere_goes_on_to_the_same_bytes(tmp_path, stopped_after):
    whole, judges = Record(tmp_path / "whole.jsonl"), Judges()
    tune(GoalSearch(KNOBS, PAIR, 3), whole, judges, SHOTS, 40)

    def stop(reached):
        if reached > stopped_after:
            raise KeyboardInterrupt

    first, second = Judges(), Judges()
    with pytest.raises(KeyboardInterrupt):
        tune(GoalSearch(KNOBS, PAIR, 3), Record(tmp_path / "cut.jsonl"), first, SHOTS, 40, stop)
    tune(GoalSearch(KNOBS, PAIR, 3), Record(tmp_path / "cut.jsonl"), second, SHOTS, 40)
    assert (tmp_path / "cut.jsonl").read_bytes() == whole.path.read_bytes()
    assert first.asked + second.asked == judges.asked


def with_larger_rig(folder):
    """The dots' raws do not fill the rig's sensor, as photographs do not."""
    document = yaml.safe_load((folder / "rig.yaml").read_text())
    (folder / "rig.yaml").write_text(yaml.safe_dump(document | {"width_px": 240, "height_px": 160}))


def words(small, tmp_path, out, *more):
    for name, count, seed in (("learn", 2, 1), ("held", 2, 2)):
        if not (tmp_path / name).is_dir():
            with_larger_rig(folder_of_dots(tmp_path / name, small, count, seed))
    return [
        "--data", str(tmp_path / "learn"), "--held-out", str(tmp_path / "held"), "--out", str(tmp_path / out),
        "--pose", "tests.models.test_tune_isp:brightest", "--evaluations", "4", "--workers", "1",
        "--goals", *more,
    ]  # fmt: skip


def test_the_command_writes_a_front_with_pictures_the_same_for_any_workers(small, tmp_path, capsys):
    assert tune_isp.main(words(small, tmp_path, "one")) == 0
    assert tune_isp.main([*words(small, tmp_path, "two"), "--workers", "2"]) == 0
    for name in ("goals.jsonl", "settings.json", "charts.jpg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    said = json.loads((tmp_path / "one" / "settings.json").read_text())
    assert {"defaults", "best recognition", "best delta_e", "balanced"} <= set(said)
    assert 0 < said["defaults"]["quality"]["mtf50"] < 1 and said["defaults"]["gain"] == 0
    page = (tmp_path / "one" / "report.html").read_text()
    assert page.count("data:image") == 3 and "http" not in page and "best recognition" in page
    lines = capsys.readouterr().out.splitlines()
    (heading,) = {line for line in lines if "held-out" in line}
    assert [cell.strip() for cell in heading.strip("┃").split("┃")][1:3] == ["PCK", "OKS"]
    assert len(heading) < 80 and any("best recognition │" in line for line in lines)  # a line each
    asked = ["--isp", "libraw", "--rig", str(tmp_path / "learn" / "rig.yaml"), "--out", str(tmp_path / "quality")]
    assert (
        measure_quality.main([*asked, "--settings", str(tmp_path / "one" / "settings.json"), "--point", "balanced"])
        == 0
    )
    known = json.loads((tmp_path / "quality" / "quality.json").read_text())
    searched = said["balanced"]["searched"]["quality"]  # the chart of the search has the same noise
    assert known["mtf50"] == pytest.approx(searched["mtf50"]) and known["delta_e"] == pytest.approx(searched["delta_e"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["mtf50"], "--goals mtf50: expected two or more of recognition, snr_db"),
        (["mtf50", "texture", "--search", "cma"], "--search cma: is of one goal"),
    ],
)
def test_goals_that_cannot_be_searched_for_are_told(small, tmp_path, capsys, more, said):
    assert tune_isp.main(words(small, tmp_path, "out", *more)) == 1
    assert said in capsys.readouterr().err


def test_the_chart_is_shot_once_and_not_by_a_rig_too_small(small, tmp_path):
    rig = small.model_copy(update={"width_px": 240, "height_px": 160})
    chart = shoot_chart(rig, tmp_path / "chart", 1)
    before = {raw: raw.stat().st_mtime_ns for raw in chart.raws}
    assert len(before) == FRAMES and chart.size == (160, 240)
    assert {raw: raw.stat().st_mtime_ns for raw in shoot_chart(rig, tmp_path / "chart", 1).raws} == before
    isp = LibRawIsp()
    found = chart.quality(isp.develop, defaults(isp.parameters), "libraw")
    soft = chart.quality(isp.develop, defaults(isp.parameters) | {"noise_thr": 800}, "libraw")
    assert soft.snr_db > found.snr_db + 3 and soft.mtf50 < found.mtf50 and soft.texture < found.texture
    with pytest.raises(ValueError, match=r"gave \(10, 10, 3\)"):
        chart.quality(lambda raw, settings: np.zeros((10, 10, 3), np.float32), {}, "test")
    with pytest.raises(ValueError, match=f"in {WIDTH}×{HEIGHT} px: expected 240×160 or more"):
        shoot_chart(small.model_copy(update={"width_px": WIDTH, "height_px": HEIGHT}), tmp_path / "no", 1)


def test_the_usual_goals_are_all_but_the_range():
    class Asked:
        goals = ()

    assert [goal.name for goal in goals_of(Asked)] == ["recognition", "snr_db", "mtf50", "texture", "delta_e"]
