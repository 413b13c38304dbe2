"""Exposure that follows the light of a sequence, and the frames of a scene that moves."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isp_sim import generate, streams
from isp_sim.auto_exposure import ExposureControl, Setting, exposure_factor, setting_of
from isp_sim.generate import main
from isp_sim.generate_options import parser
from isp_sim.pair import DualCamera, seen_while_open
from isp_sim.rig import AutoExposure, Figure, Light
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Scene
from isp_sim.scenes.charts import Charts
from isp_sim.scenes.people.source import People
from isp_sim.schedule import sequence_shots
from isp_sim.units import Radiance

STEP_AT = 5
"""Frame before which the light changes."""


def small(**parts):
    """The small rig, smaller still."""
    return load_rig("exlpose-small").model_copy(update={"height_px": 96, "width_px": 160, **parts})


def lit(factor, fps=25.0):
    """The small rig, whose light changes between two frames by a factor, at once."""
    moment = (STEP_AT - 0.5) / fps
    level = Figure(value=((moment - 1e-4, 1.0), (moment, factor)), status="assumed", source="a test")
    return small(light=Light(level=level))


def shots_of(rig, frames=12, fps=25.0):
    return sequence_shots(rig.schedule, 0, frames, fps, streams.generator(0, 0, "schedule"))


@pytest.mark.parametrize("delay", [1, 2, 4])
@pytest.mark.parametrize("factor", [0.25, 0.5, 1.6])
def test_the_level_is_right_when_the_delay_is_over(factor, delay):
    rig = lit(factor)
    camera = DualCamera(rig)
    scene = Charts(rig.height_px, rig.width_px).scene(0)
    pairs = list(camera.film(scene, shots_of(rig), 0, AutoExposure(delay_frames=delay)))
    factors = [exposure_factor(pair.well_lit_raw, camera.well_lit) for pair in pairs]
    settled = [*range(delay, STEP_AT), *range(STEP_AT + delay, len(pairs))]
    assert max(abs(factors[n] - 1) for n in settled) < 0.03
    for n in range(STEP_AT, STEP_AT + delay):  # until then the frame is off by the light's change
        assert factors[n] * factor == pytest.approx(1, abs=0.1 if factor > 1 else 0.04)


def test_both_arms_follow_and_the_ratio_stays():
    rig = lit(0.25)
    scene = Charts(rig.height_px, rig.width_px).scene(3)
    pairs = list(DualCamera(rig).film(scene, shots_of(rig), 0, AutoExposure()))
    for pair in pairs:
        shot = pair.shot
        assert pair.well_lit_raw.exposure_us == pair.low_light_raw.exposure_us == shot.exposure_us
        assert shot.well_lit_gain_db - shot.low_light_gain_db == pytest.approx(20 * np.log10(shot.ratio), abs=0.006)
    sums = [one.shot.exposure_us * 10 ** (one.shot.low_light_gain_db / 20) for one in pairs]
    assert sums[-1] / sums[2] == pytest.approx(4, rel=0.03)


def test_a_clipped_frame_is_left_step_by_step():
    rig = lit(16.0)
    camera = DualCamera(rig)
    scene = Charts(rig.height_px, rig.width_px).scene(0)
    pairs = list(camera.film(scene, shots_of(rig, 24), 0, AutoExposure(delay_frames=1)))
    last = exposure_factor(pairs[-1].well_lit_raw, camera.well_lit)
    assert last == pytest.approx(1, abs=0.03)


def test_a_slow_controller_goes_its_share_of_the_way_and_never_beyond():
    rig = lit(0.25)
    camera = DualCamera(rig)
    scene = Charts(rig.height_px, rig.width_px).scene(0)
    rule = AutoExposure(delay_frames=1, speed=0.5)
    pairs = list(camera.film(scene, shots_of(rig, 16), 0, rule))
    off = [np.log(exposure_factor(p.well_lit_raw, camera.well_lit)) for p in pairs[STEP_AT:]]
    for before, after in itertools.pairwise(off[:5]):
        assert after == pytest.approx(before / 2, abs=0.03)


@pytest.mark.parametrize(
    ("light_sum", "rule", "due"),
    [
        (500.0, AutoExposure(), Setting(500, 0.0)),
        (60_000.0, AutoExposure(longest_us=30_000), Setting(30_000, 6.02)),
        (0.2, AutoExposure(), Setting(1, 0.0)),
        (25_000.0, AutoExposure(flicker_hz=100), Setting(20_000, 1.94)),
        (30_000.0, AutoExposure(flicker_hz=100), Setting(30_000, 0.0)),
        (9_000.0, AutoExposure(flicker_hz=100), Setting(9_000, 0.0)),
        (1e9, AutoExposure(), Setting(30_000, 24.0)),
    ],
)
def test_exposure_first_then_gain(light_sum, rule, due):
    assert setting_of(light_sum, rule, 24.0) == due


def test_whole_periods_take_the_flicker_away():
    noted = {"status": "assumed", "source": "a test"}
    flicker = {"frequency_hz": {"value": 100.0, **noted}, "depth": {"value": 0.6, **noted}}
    rig = small(light=Light.model_validate({"flicker": flicker}))
    scene = Charts(rig.height_px, rig.width_px).scene(0)
    shots = [
        replace(one, ratio=1.0, base_exposure_us=25_000.0, base_gain_db=6.0, exposure_us=25_000,
                well_lit_gain_db=6.0, low_light_gain_db=6.0)
        for one in shots_of(rig, 10, fps=27.0)
    ]  # fmt: skip
    spread = {}
    for hz in (None, 100.0):
        pairs = list(
            DualCamera(rig).film(scene, shots, 0, AutoExposure(delay_frames=2, flicker_hz=hz, longest_us=25_000))
        )
        levels = [
            pair.well_lit_raw.counts.astype(float).mean() - 60 for pair in pairs[4:]
        ]  # the first were taken as they flickered
        spread[hz] = np.ptp(levels) / np.mean(levels)
    assert spread[100.0] < 0.01 < 0.05 < spread[None]


def test_control_takes_the_frame_it_was_shown():
    rig = small()
    camera = DualCamera(rig)
    shot = shots_of(rig)[0]
    camera.prepare(Charts(rig.height_px, rig.width_px).scene(0), shot, 0)
    raw = camera.well_lit.grab(shot.exposure_us, shot.well_lit_gain_db)
    control = ExposureControl(AutoExposure(delay_frames=3), camera.well_lit, Setting(7, 1.0), 20.0)
    for _ in range(3):
        assert control.setting == Setting(7, 1.0)
        control.look_at(raw)
    sums = control.setting.exposure_us * 10 ** (control.setting.gain_db / 20)
    assert sums == pytest.approx(
        raw.exposure_us * 10 ** (raw.gain_db / 20), rel=0.08
    )  # it was metered, without its noise


def test_frames_of_people_move_on_and_labels_with_them():
    rig = small()
    people = People(96, 160, seed=4)
    scene = next(one for one in map(people.scene, range(20)) if one.people)
    later = scene.at(0.5)
    assert scene.at(0.0).radiance.tobytes() == scene.radiance.tobytes()
    assert later.name == scene.name and later.radiance.tobytes() != scene.radiance.tobytes()
    pairs = list(DualCamera(rig).film(scene, shots_of(rig, 2, fps=2.5), 0))
    first, last = (np.array([one.keypoints for one in pair.people], float) for pair in pairs)
    assert first.shape != last.shape or np.abs(first - last)[..., :2].max() > 1
    assert [pair.shot.at_s for pair in pairs] == [0.0, 0.4]


def test_a_rolling_shutter_leans_what_runs():
    """A bar that runs 1 px/ms to the right: each row sees it where it is when that row is read."""

    def during(exposure_s, after_s):
        light = np.full((64, 96, 3), 0.02, np.float32)
        left = round(40 + 1000 * after_s)
        light[:, left : left + 6] += 0.1
        return Radiance(light)

    plain = load_rig("ideal").model_copy(update={"height_px": 64, "width_px": 96})
    row_time = Figure(value=500.0, status="assumed", source="a test")
    rolling = plain.model_copy(update={"sensor": plain.sensor.model_copy(update={"row_time_us": row_time})})
    scene = Scene("bar", during(0.0, 0.0), during=during)
    seen = seen_while_open(scene, 100.0, rolling)
    centres = [np.flatnonzero(row > 0.05).mean() for row in seen[..., 1]]
    rows_ms = 0.5 * rolling.binning * (np.arange(64) - 31.5)
    assert np.abs(np.array(centres) - 42.5 - rows_ms).max() <= 1.5 + 64 / 16 / 2 * 0.5 * rolling.binning
    assert seen_while_open(scene, 100.0, plain).tobytes() == during(0.0, 0.0).tobytes()


@pytest.mark.parametrize(("more", "noted"), [([], True), (["--motion-samples", "2"], False), (None, False)])
def test_a_rolling_shutter_that_nothing_shows_is_noted(more, noted, tmp_path, capsys):
    row_time = "sensor: {row_time_us: {value: 20, status: assumed, source: a test}}\n"
    (tmp_path / "rig.yaml").write_text(
        "extends: exlpose-small\nname: small\nwidth_px: 96\nheight_px: 64\n" + row_time, encoding="utf-8"
    )
    asked = ["--rig", str(tmp_path / "rig.yaml"), "--count", "1", "--workers", "1", "--out", str(tmp_path / "out")]
    generate._prepare(parser().parse_args([*asked, *([] if more is None else ["--frames", "1", *more])]))
    assert ("add --motion-samples 8" in capsys.readouterr().err) == noted


def made(out, *more):
    arguments = (
        f"--rig exlpose-small --scenes charts --frames 3 --fps 20 --auto-exposure --workers 1 --seed 3 --out {out}"
    )
    assert main([*arguments.split(), *more]) == 0
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_command_films_and_a_stopped_sequence_ends_with_the_same_bytes(tmp_path, capsys):
    whole = made(tmp_path / "a", "--scene-count", "2")
    lines = [json.loads(line) for line in whole[Path("manifest.jsonl")].splitlines()]
    assert [line["at_s"] for line in lines] == [0.0, 0.05, 0.1] * 2
    assert json.loads(whole[Path("run.json")])["frames"] == 3
    made(tmp_path / "b", "--scene-count", "2")
    for name in ("dark", "raw"):  # the second frame of the second scene is lost
        lost = next(
            path for path in (tmp_path / "b" / name).iterdir() if "vid000001" in path.name and "_000001" in path.name
        )
        lost.unlink()
    assert made(tmp_path / "b", "--scene-count", "2", "--resume") == whole


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--auto-exposure"], "belong to sequences; expected --frames N"),
        (["--frames", "2", "--shots-per-scene", "1"], "expected no --schedule or --shots-per-scene"),
        (["--frames", "2", "--fps", "0"], "expected a number from 0.01"),
        (["--frames", "0"], "--frames 0: expected a whole number from 1"),
    ],
)
def test_sequences_that_cannot_be_are_refused(options, told, tmp_path, capsys):
    assert main(["--rig", "exlpose-small", "--out", str(tmp_path / "x"), *options]) != 0
    assert told in capsys.readouterr().err and not (tmp_path / "x").exists()
