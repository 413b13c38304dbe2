"""Tuning in the loop: knobs as shares, ISPs of three makes, labels under their pictures, searches, resuming."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from torch import nn

from isp_sim.annotation_files import AREA_SHARE
from isp_sim.dng import write_dng
from isp_sim.isp.params import ParamSpec
from isp_sim.manifest import PairRecord, PersonRecord, shot_fields, to_line
from isp_sim.raw import Raw
from isp_sim.rig import Rig
from isp_sim.scenes import Person
from isp_sim.schedule import Shot
from models import tune_isp
from models.data.search_shots import condition
from models.recognisers.recogniser import Recogniser, RecogniserFile
from models.scoring.average_precision import SIGMAS
from models.tuning.external import load_external
from models.tuning.judge import Seen
from models.tuning.libraw import DEMOSAICS, LibRawIsp
from models.tuning.loading import load_isp
from models.tuning.loop import best, tune
from models.tuning.pipeline import PipelineIsp
from models.tuning.record import Evaluation, Record
from models.tuning.search import CmaSearch, GradientSearch
from models.tuning.settings_file import write_settings
from models.tuning.shots import RawShot, read_shots, shoot
from models.tuning.tunable import TunableParameter, defaults
from models.tuning.verdict import paired

HEIGHT, WIDTH = 96, 128
ROOT = Path(__file__).resolve().parents[2]


def raw_of(counts: np.ndarray) -> Raw:
    """A mosaic of a camera whose RGB is Rec. 709's."""
    to_camera = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    matrix = tuple(tuple(row) for row in to_camera.tolist())
    return Raw(
        np.clip(counts, 0, 65535).astype(np.uint16), "RGGB", (64.0,) * 4, 65535, 1000.0, 0.0, 100, (1.0, 1.0, 1.0),
        matrix, (), "test", "test", "0",
    )  # fmt: skip


SHOT = Shot(0, "0101", "sim", "000000", "000000", 1.0, 4000, 4000.0, 4.3, 4.3, 4.3)


def shot_of(raw: Path, people=(), box=(0, 0, WIDTH, HEIGHT)) -> RawShot:
    return RawShot("a", raw, raw, raw, people, "LL-N", (HEIGHT, WIDTH), box)


def folder_of_dots(folder: Path, small: Rig, count: int, seed: int) -> Path:
    """A finished data set: bright dots in shot noise, all 14 joints of a person on one dot."""
    rig = small.model_copy(update={"width_px": WIDTH, "height_px": HEIGHT})
    for name in ("raw", "dark", "bright"):
        (folder / name).mkdir(parents=True)
    (folder / "rig.yaml").write_text(yaml.safe_dump(rig.model_dump(mode="json")))
    stream, lines = np.random.default_rng(seed), []
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(count):
        x, y = stream.uniform(40, 88), stream.uniform(30, 66)
        light = 2 + 3 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 50)
        write_dng(folder / f"raw/{number}.dng", raw_of(64 + 40 * stream.poisson(light)))
        for name in ("dark", "bright"):
            cv2.imwrite(str(folder / name / f"{number}.png"), np.full((HEIGHT, WIDTH, 3), 3, np.uint8))
        lines.append(
            PairRecord(
                id=number + 1, bright=f"bright/{number}.png", dark=f"dark/{number}.png", raw_dark=f"raw/{number}.dng",
                scene="dot", split=("LL-N", "LL-H", "LL-E")[number % 3], width=WIDTH, height=HEIGHT,
                frame_width=WIDTH, frame_height=HEIGHT, **shot_fields(SHOT), onto="low_light",
                crop=(0, 0, WIDTH, HEIGHT), low_to_well=np.eye(3).tolist(), mean_well_lit=3.0, mean_low_light=3.0,
                people=[PersonRecord(keypoints=[x, y, 2] * 14, bbox=(x - 30, y - 30, 60, 60))],
            )
        )  # fmt: skip
    (folder / "manifest.jsonl").write_text("".join(to_line(line) + "\n" for line in lines))
    return folder


class Brightest(nn.Module):
    """Every joint's heatmap is the brightness itself."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.gain * nn.functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4).expand(-1, 14, -1, -1)


def brightest():
    return Recogniser(Brightest(), RecogniserFile(height=64, width=64, stride=4))


class Slow:
    """An ISP of the user's own: a blur of the mosaic, which takes its time."""

    parameters = (
        TunableParameter(ParamSpec("sigma", 0.1, 10.0, 0.2, "log", "px", "")),
        TunableParameter.of_choices("twice", (False, True), False, ""),
    )

    def develop(self, raw, settings):
        import tifffile

        time.sleep(0.02)
        grey = cv2.GaussianBlur(tifffile.imread(raw).astype(np.float32), (0, 0), settings["sigma"])
        return np.repeat(grey[..., None], 3, 2) / 65535 * (2 if settings["twice"] else 1)


KNOBS = (
    TunableParameter(ParamSpec("a", 0.1, 10.0, 1.0, "log", "", "")),
    TunableParameter(ParamSpec("b", -1.0, 1.0, 0.0, "linear", "", "")),
    TunableParameter.of_choices("c", ("x", "y", "z"), "x", ""),
)
BEST = {"a": 4.0, "b": -0.5, "c": "z"}
SOMEONE = Person(tuple((50.0, 50.0, 2) for _ in range(14)), (0.0, 0.0, 100.0, 100.0))
SHOTS = (shot_of(Path("none"), (SOMEONE,)), shot_of(Path("none"), (SOMEONE,)))


class Judges:
    """Joints as far off as the settings are from the best, by their shares; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, asked):
        for settings in asked:
            self.asked.append(settings)
            off = sum((one.share(settings[one.name]) - one.share(BEST[one.name])) ** 2 for one in KNOBS) ** 0.5
            joints = np.full((1, 14, 3), 50.0, np.float32)
            joints[..., 0] += 20 * off
            yield [Seen(joints), Seen(joints)]


def test_a_share_sets_and_a_setting_has_its_share():
    ranged, chosen = KNOBS[0], KNOBS[2]
    assert [ranged.setting(s) for s in (0.0, 0.5, 1.0)] == [0.1, 1.0, 10.0]
    for share in (0.03, 0.4, 0.91):
        assert ranged.share(ranged.setting(share)) == pytest.approx(share, abs=1e-6)
    shares = (np.arange(3000) + 0.5) / 3000
    counts = [sum(chosen.setting(float(s)) == c for s in shares) for c in chosen.choices]
    assert counts == [1000, 1000, 1000]  # an equal stretch each
    assert [chosen.setting(chosen.share(c)) for c in chosen.choices] == ["x", "y", "z"]
    assert chosen.setting(0.0) == "x" and chosen.setting(1.0) == "z"
    assert defaults(KNOBS) == {"a": 1.0, "b": 0.0, "c": "x"}
    with pytest.raises(ValueError, match="c: is 'w', expected one of x, y, z"):
        chosen.share("w")
    with pytest.raises(ValueError, match="one the default"):
        TunableParameter.of_choices("d", (1, 2), 3, "")


def test_cma_es_finds_the_best_settings_and_leaves_the_global_generator_alone(tmp_path):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    search = CmaSearch(KNOBS, 0)
    told = tune(search, Record(tmp_path / "cma.jsonl"), Judges(), SHOTS, 150)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert told[0].settings == defaults(KNOBS)
    found = best(told)
    off = [KNOBS[n].share(found.settings[k]) - KNOBS[n].share(BEST[k]) for n, k in enumerate("abc")]
    assert found.settings["c"] == "z" and np.linalg.norm(off) < 0.05
    centre = search.centre()
    off = [KNOBS[n].share(centre[k]) - KNOBS[n].share(BEST[k]) for n, k in enumerate("abc")]
    assert centre["c"] == "z" and np.linalg.norm(off) < 0.05


def test_mean_oks_is_that_of_its_definition(tmp_path):
    (one,) = tune(CmaSearch(KNOBS, 0), Record(tmp_path / "cma.jsonl"), Judges(), SHOTS, 1)
    off = 20 * sum((k.share(k.default) - k.share(BEST[k.name])) ** 2 for k in KNOBS) ** 0.5
    expected = np.mean([np.exp(-(off**2) / (8 * AREA_SHARE * 1e4 * s**2)) for s in SIGMAS])
    assert one.oks == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("stopped_after", [0, 1, 5, 8, 13, 29])
def test_a_search_stopped_anywhere_goes_on_to_the_same_bytes_and_judges_nothing_twice(tmp_path, stopped_after):
    whole, judges = Record(tmp_path / "whole.jsonl"), Judges()
    tune(CmaSearch(KNOBS, 3), whole, judges, SHOTS, 30)
    count = 0

    def stop(_):
        nonlocal count
        count += 1
        if count > stopped_after:
            raise KeyboardInterrupt

    first, second = Judges(), Judges()
    with pytest.raises(KeyboardInterrupt):
        tune(CmaSearch(KNOBS, 3), Record(tmp_path / "cut.jsonl"), first, SHOTS, 30, stop)
    tune(CmaSearch(KNOBS, 3), Record(tmp_path / "cut.jsonl"), second, SHOTS, 30)
    assert (tmp_path / "cut.jsonl").read_bytes() == whole.path.read_bytes()
    assert first.asked + second.asked == judges.asked
    assert len({json.dumps(s) for s in judges.asked}) == len(judges.asked)


def test_a_record_of_another_search_or_damaged_is_refused(tmp_path):
    path = tmp_path / "cma.jsonl"
    tune(CmaSearch(KNOBS, 0), Record(path), Judges(), SHOTS, 12)
    with pytest.raises(ValueError, match=r"cma.jsonl:2: not the settings that this search proposes"):
        tune(CmaSearch(KNOBS, 1), Record(path), Judges(), SHOTS, 12)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"cma.jsonl:12: not an evaluation"):
        Record(path)


def test_the_paired_error_counts_shots_not_people():
    """All of a shot's people gain the same: the error is that of the mean of the shots, √(Σ(d − d̄)²/(S − 1)/S)."""
    gains = np.array([0.1, -0.2, 0.4, 0.0, 0.3])
    mean, error = paired([np.full(4, 0.5 + g) for g in gains], [np.full(4, 0.5)] * 5)
    assert mean == pytest.approx(gains.mean())
    assert error == pytest.approx(gains.std(ddof=1) / 5**0.5)


@pytest.mark.parametrize("demosaic", ["LINEAR", "AHD", "DCB"])
def test_libraw_gives_a_flat_field_its_light_whatever_the_demosaicer(tmp_path, demosaic):
    write_dng(tmp_path / "flat.dng", raw_of(np.full((HEIGHT, WIDTH), 64 + 6547)))  # a tenth of the range
    isp = LibRawIsp()
    usual = defaults(isp.parameters) | {"demosaic": demosaic, "gamma_power": 1.0, "gamma_slope": 1.0}
    for said, factor in (({}, 1), ({"bright": 4.0}, 4), ({"exp_shift": 0.5}, 0.5)):
        picture = isp.develop(tmp_path / "flat.dng", usual | said)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert picture == pytest.approx(0.1 * factor, rel=0.01)


@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_wavelets_before_any_demosaicer_leave_the_colours(tmp_path, demosaic):
    """DHT and AAHD take them to two fifths: LibRaw's issue 683."""
    counts = 64 + 40 * np.random.default_rng(0).poisson(20, (300, 480))
    write_dng(tmp_path / "noise.dng", raw_of(counts))
    isp = LibRawIsp()
    usual = defaults(isp.parameters) | {"demosaic": demosaic, "gamma_power": 1.0, "gamma_slope": 1.0}
    plain, smooth = (isp.develop(tmp_path / "noise.dng", usual | {"noise_thr": thr}) for thr in (0, 100))
    assert smooth[:75].mean(axis=(0, 1)) == pytest.approx(plain[:75].mean(axis=(0, 1)), rel=0.03)
    assert smooth[75:].mean(axis=(0, 1)) == pytest.approx(plain[75:].mean(axis=(0, 1)), rel=0.03)


def test_libraws_noise_reductions_reduce_noise(tmp_path):
    counts = 64 + 40 * np.random.default_rng(0).poisson(20, (300, 480))  # 96×128 LibRaw's wavelets leave as it is
    write_dng(tmp_path / "noise.dng", raw_of(counts))
    isp = LibRawIsp()
    usual = defaults(isp.parameters) | {"gamma_power": 1.0, "gamma_slope": 1.0}
    plain = isp.develop(tmp_path / "noise.dng", usual).std()
    for said in ({"noise_thr": 400}, {"fbdd": "full"}):
        assert isp.develop(tmp_path / "noise.dng", usual | said).std() < 0.97 * plain
    with pytest.raises(ValueError, match=r"gone.dng: no such file"):
        isp.develop(tmp_path / "gone.dng", usual)


def test_a_developed_raw_is_cropped_as_the_pair_was_and_what_is_no_picture_of_it_is_refused(tmp_path):
    shot = shot_of(tmp_path, box=(6, 4, 100, 80))
    yy, xx = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    picture = np.stack([xx, yy, xx], axis=-1)
    seen = shot.cropped(picture, "test")
    assert seen.shape == (80, 100, 3) and seen[0, 0].tolist() == [6, 4, 6] and seen[-1, -1].tolist() == [105, 83, 105]
    with pytest.raises(ValueError, match=r"test: gave \(10, 10, 3\) .* expected"):
        shot.cropped(np.zeros((10, 10, 3), np.float32), "test")
    with pytest.raises(ValueError, match="gave NaN or infinity"):
        shot.cropped(picture * np.nan, "test")


def test_pairs_on_the_well_lit_arms_pixels_are_refused(small, tmp_path):
    folder = folder_of_dots(tmp_path / "dots", small, 2, 0)
    text = (folder / "manifest.jsonl").read_text().replace('"onto":"low_light"', '"onto":"well_lit"')
    (folder / "manifest.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"manifest.jsonl:1: onto: is 'well_lit', expected 'low_light'"):
        read_shots(folder)


def test_shots_the_rig_took_come_under_their_labels_and_a_whole_folder_is_left_as_it_is(small, tmp_path):
    """LibRaw's cropped picture fits the rig's own of the same raw better than when it is moved by a pixel."""
    shoot(tmp_path / "shots", small, 7, 1, 1, 1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shots").rglob("*.*")}
    shoot(tmp_path / "shots", small, 7, 1, 1, 1)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "shots").rglob("*.*")}
    (shot,) = read_shots(tmp_path / "shots")
    isp = LibRawIsp()
    ours = shot.cropped(isp.develop(shot.raw, defaults(isp.parameters)), "libraw").mean(axis=2)
    rigs = cv2.imread(str(shot.picture), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    inside = (slice(2, -2), slice(2, -2))
    fits = {
        (dx, dy): np.corrcoef(np.roll(ours, (dy, dx), (0, 1))[inside].ravel(), rigs[inside].ravel())[0, 1]
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
    }
    assert max(fits, key=fits.__getitem__) == (0, 0) and fits[0, 0] > 0.9
    with pytest.raises(ValueError, match="holds a run with seed = 7, not 8"):
        shoot(tmp_path / "shots", small, 8, 1, 1, 1)


def test_a_few_shots_of_a_folder_are_of_every_split_and_of_other_ratios(small, tmp_path):
    shoot(tmp_path / "shots", small, 7, 10, 5, 1)  # two scenes at all their ratios
    every = read_shots(tmp_path / "shots")
    splits = {shot.split for shot in every}
    assert len(splits) > 1 and len({shot.split for shot in every[: len(splits)]}) < len(
        splits
    )  # the first are of fewer
    few = read_shots(tmp_path / "shots", len(splits))
    assert {shot.split for shot in few} == splits
    assert len({condition(shot.name)[2] for shot in few}) == len(few)
    assert [shot for shot in every if shot in few] == list(few)
    assert read_shots(tmp_path / "shots", 99) == every


def test_our_pipelines_settings_are_relative_to_each_pictures_start(tmp_path):
    for name, level in (("dim", 30), ("bright", 300)):
        write_dng(tmp_path / f"{name}.dng", raw_of(np.full((HEIGHT, WIDTH), 64 + level)))
    isp = PipelineIsp()
    usual = defaults(isp.parameters)
    assert [k.name for k in isp.parameters] == list(isp.pipeline.names)
    for name in ("dim", "bright"):
        assert isp.develop(tmp_path / f"{name}.dng", usual) == pytest.approx(0.4, rel=1e-3)
        twice = isp.develop(tmp_path / f"{name}.dng", usual | {"exposure.gain": 2.0})
        assert twice == pytest.approx(0.8, rel=1e-3)


def test_the_gradient_is_that_of_the_loss(tmp_path):
    """Against central differences of the loss in each knob's share."""
    stream = np.random.default_rng(4)
    light = 60 + 30 * np.sin(np.arange(WIDTH) / 9) + 20 * np.cos(np.arange(HEIGHT) / 7)[:, None]
    write_dng(tmp_path / "a.dng", raw_of(64 + 8 * stream.poisson(light)))
    joints = tuple((40 + 40 * a, 20 + 60 * b, 2) for a, b in stream.random((14, 2)).tolist())
    shot = shot_of(tmp_path / "a.dng", (Person(joints, (30.0, 10.0, 60.0, 80.0)),), (4, 4, 116, 86))
    isp = PipelineIsp()
    at = defaults(isp.parameters) | {"gamma.gamma": 0.8}

    def moved(one, by):
        return at | {one.name: float(one.spec.from_unit(torch.tensor(one.share(at[one.name]) + by)))}

    gradient = isp.loss_and_gradient(brightest(), shot, at)[1:]
    for one, derivative in zip(isp.parameters, gradient, strict=True):
        step = 0.01
        above, below = (isp.loss_and_gradient(brightest(), shot, moved(one, by))[0] for by in (step, -step))
        assert derivative == pytest.approx((above - below) / (2 * step), rel=0.05, abs=0.02 * np.abs(gradient).max())


def test_the_gradient_search_descends(tmp_path):
    """Loss Σ(share − goal)², its gradient exact."""
    goal = np.array([0.8, 0.3])

    def judges(asked):
        for settings in asked:
            shares = np.array([k.share(settings[k.name]) for k in KNOBS[:2]])
            joints = np.full((1, 14, 3), 50.0, np.float32)
            gradient = (float(((shares - goal) ** 2).sum()), *(2 * (shares - goal)).tolist())
            yield [Seen(joints, gradient), Seen(joints, gradient)]

    record = Record(tmp_path / "gradient.jsonl")
    told = tune(GradientSearch(KNOBS[:2]), record, judges, SHOTS, 60)
    assert told[-1].loss < 1e-3 < told[0].loss
    assert [line.loss for line in Record(record.path).lines] == [one.loss for one in told]


PROGRAM = """
import sys, cv2, numpy as np, tifffile
raw, picture, gain = sys.argv[1:4]
if gain == "3": sys.exit("three is a fault")
codes = np.clip(tifffile.imread(raw).astype(float) * float(gain), 0, 65535).astype(np.uint16)
if gain != "2": cv2.imwrite(picture, np.dstack([codes, codes * 0, codes * 0]))
"""


def external(folder: Path, **changes) -> Path:
    (folder / "isp.py").write_text(PROGRAM)
    said = {
        "command": [sys.executable, str(folder / "isp.py"), "{raw}", "{picture}", "{gain}"],
        "picture": ".png",
        "knobs": {"gain": {"choices": [1, 2, 3], "default": 1}},
    } | changes
    (folder / "isp.yaml").write_text(yaml.safe_dump(said))
    return folder / "isp.yaml"


def test_a_program_is_an_isp_and_its_faults_are_told(tmp_path):
    write_dng(tmp_path / "a.dng", raw_of(np.full((HEIGHT, WIDTH), 6554)))
    isp = load_isp(str(external(tmp_path)))
    picture = isp.develop(tmp_path / "a.dng", {"gain": 1})
    assert picture[..., 2] == pytest.approx(0.1, abs=1e-4) and picture[..., :2].max() == 0  # OpenCV's first is blue
    with pytest.raises(ValueError, match="wrote no readable picture"):
        isp.develop(tmp_path / "a.dng", {"gain": 2})
    with pytest.raises(OSError, match=r"exit status 1 .* three is a fault"):
        isp.develop(tmp_path / "a.dng", {"gain": 3})
    with pytest.raises(ValueError, match=r"\{gain\} is missing from command"):
        load_external(external(tmp_path, command=["x", "{raw}", "{picture}"]))
    with pytest.raises(ValueError, match=r"\{iso\} is not among knobs"):
        load_external(external(tmp_path, command=["x", "{raw}", "{picture}", "{gain}", "{iso}"]))
    with pytest.raises(ValueError, match="expected low, high"):
        load_external(external(tmp_path, knobs={"gain": {"low": 1, "default": 1}}))
    with pytest.raises(OSError, match="cannot be started"):
        absent = load_external(external(tmp_path, command=[str(tmp_path / "no"), "{raw}", "{picture}", "{gain}"]))
        absent.develop(tmp_path / "a.dng", {"gain": 1})
    (tmp_path / "steps.yaml").write_text("steps:\n  - exposure\n  - contrast\n")
    assert [k.name for k in load_isp(str(tmp_path / "steps.yaml")).parameters] == ["exposure.gain", "contrast.amount"]


def words(small, tmp_path, out, *more):
    for name, count, seed in (("learn", 3, 1), ("held", 3, 2)):
        if not (tmp_path / name).is_dir():
            folder_of_dots(tmp_path / name, small, count, seed)
    return [
        "--data", str(tmp_path / "learn"), "--held-out", str(tmp_path / "held"), "--out", str(tmp_path / out),
        "--pose", "tests.models.test_tune_isp:brightest", "--evaluations", "13", "--workers", "1", *more,
    ]  # fmt: skip


def test_the_command_improves_on_libraws_defaults_and_writes_its_report(small, tmp_path, capsys):
    asked = words(small, tmp_path, "out", "--evaluations", "24")
    assert tune_isp.main(asked) == 0
    said = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert list(said) == ["the rig's own ISP", "defaults", "CMA-ES, best trial", "CMA-ES, centre"]
    lines = Record(tmp_path / "out" / "cma.jsonl").lines
    assert len(lines) == 24 and best(lines).oks > lines[0].oks  # noise reduction finds the dot
    assert said["CMA-ES, best trial"]["settings"] == best(lines).settings
    assert (tmp_path / "out" / "convergence.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "noise_thr" in page and "http" not in page
    assert "settings" in capsys.readouterr().out
    assert tune_isp.main(asked) == 1
    assert "holds this same search; add --resume" in capsys.readouterr().err
    assert tune_isp.main([*asked, "--resume", "--evaluations", "4"]) == 1
    assert "cma.jsonl holds 24 already" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "settings.json").read_text()) == said
    assert tune_isp.main([*asked, "--resume", "--seed", "1"]) == 1
    assert "holds a search with seed = 0, not 1" in capsys.readouterr().err


def test_black_box_and_gradient_search_our_pipeline_from_the_same_defaults(small, tmp_path):
    asked = words(small, tmp_path, "out", "--isp", "pipeline", "--evaluations", "4")
    assert tune_isp.main(asked) == 0
    black_box, by_gradient = (Record(tmp_path / "out" / f"{kind}.jsonl").lines for kind in ("cma", "gradient"))
    assert len(black_box) == len(by_gradient) == 4
    assert black_box[0].settings == by_gradient[0].settings and black_box[0].oks == by_gradient[0].oks
    assert len(by_gradient[0].gradient) == len(by_gradient[0].settings)


def test_a_killed_command_resumes_to_the_same_files_with_any_number_of_processes(small, tmp_path):
    whole, cut = (words(small, tmp_path, name, "--isp", "tests.models.test_tune_isp:Slow") for name in ("whole", "cut"))
    assert tune_isp.main(whole) == 0
    cut[cut.index("--workers") + 1] = "2"
    command = [sys.executable, "-m", "models.tune_isp", *cut]
    surroundings = os.environ | {"PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.DEVNULL)
    record = tmp_path / "cut" / "cma.jsonl"
    for _ in range(15_000):  # five minutes at most: it imports torch three times
        if record.is_file() and len(record.read_text().splitlines()) >= 4:
            break
        assert started.poll() is None
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    reached = len(record.read_text().splitlines())
    assert 4 <= reached < 13
    subprocess.run([*command, "--resume"], cwd=ROOT, env=surroundings, stdout=subprocess.DEVNULL, check=True)
    for name in ("cma.jsonl", "settings.json", "search.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--isp", "nothing"], "--isp nothing: expected libraw, pipeline, darktable, rawtherapee, dcraw, a YAML"),
        (["--isp", "gone.yaml"], "gone.yaml: no such file"),
        (
            ["--isp", "tests.models.test_tune_isp:brightest"],
            "gave a Recogniser, expected models.tuning.tunable.BlackBoxIsp",
        ),
        (["--search", "gradient"], "--isp libraw has no gradient, expected cma"),
        (["--evaluations", "0"], "--evaluations 0: expected a whole number from 1"),
        (["--device", "tpu"], "--device tpu: expected auto, cpu or cuda"),
        (["--pose", "gone.safetensors"], "gone.safetensors"),
        (["--data", "nowhere"], "nowhere: has no manifest.jsonl"),
    ],
)
def test_bad_input_is_one_clear_sentence(small, tmp_path, capsys, more, said):
    assert tune_isp.main([*words(small, tmp_path, "out"), *more]) == 1
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and told.startswith("models.tune_isp: ")


def test_held_out_shots_must_be_others_and_somebody_must_be_there(small, tmp_path, capsys):
    asked = words(small, tmp_path, "out")
    assert tune_isp.main([*asked, "--held-out", str(tmp_path / "learn")]) == 1
    assert "has shots of the search; give another folder" in capsys.readouterr().err
    manifest = tmp_path / "held" / "manifest.jsonl"
    lines = [json.dumps(json.loads(line) | {"people": []}) for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="nobody is labelled"):
        read_shots(tmp_path / "held")
    (tmp_path / "held" / "raw" / "0.dng").unlink()
    manifest.write_text('{"people": []}\n')
    with pytest.raises(ValueError, match=r"manifest.jsonl:1: not a line of manifest version 2"):
        read_shots(tmp_path / "held")


PAGE = ROOT / "docs" / "tuning.md"


def test_the_page_lists_libraws_knobs_as_they_are():
    text = PAGE.read_text(encoding="utf-8")
    for one in LibRawIsp().parameters:
        searched = "choices" if one.choices else one.spec.scale
        assert f"| {one.name} | {one.domain} | {one.default} | {searched} | {one.spec.says} |" in text


def test_the_pages_camera_and_program_are_isps(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    given: dict[str, object] = {}
    exec(code, given)
    camera = given["my_camera"]()  # type: ignore[operator]
    write_dng(tmp_path / "a.dng", raw_of(np.full((HEIGHT, WIDTH), 6554)))
    assert camera.develop(tmp_path / "a.dng", defaults(camera.parameters)) == pytest.approx(0.2, abs=1e-3)
    (tmp_path / "program.yaml").write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert [one.name for one in load_external(tmp_path / "program.yaml").parameters] == ["noise", "gain"]


def test_a_record_gives_back_settings_of_every_kind_as_they_were(tmp_path):
    settings = {"yes": False, "count": 3, "level": 0.5, "word": "ahd"}
    Record(tmp_path / "cma.jsonl").add(Evaluation(settings, 0.5, (0.5,)))
    (read,) = Record(tmp_path / "cma.jsonl").lines
    assert [(type(value), value) for value in read.settings.values()] == [(type(v), v) for v in settings.values()]


def test_a_search_starts_from_a_file_of_settings_and_is_another_than_from_the_defaults(small, tmp_path, capsys):
    """The file is what isp-sim desk saves."""
    start = defaults(load_isp("libraw").parameters) | {"median_passes": 2, "bright": 3.0}
    write_settings(tmp_path / "start.yaml", "libraw", start, {})
    asked = words(small, tmp_path, "out", "--evaluations", "2")
    assert tune_isp.main([*asked, "--start", str(tmp_path / "start.yaml")]) == 0
    first, second = Record(tmp_path / "out" / "cma.jsonl").lines
    assert first.settings == start and second.settings != start
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["the start"]["settings"] == start
    capsys.readouterr()
    assert tune_isp.main([*asked, "--resume"]) == 1
    assert "holds a search with start = " in capsys.readouterr().err
