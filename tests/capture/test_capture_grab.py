"""Taking sessions: every camera is a `Camera`, what is lost or late is taken again, nothing is mispaired."""

import json
import math
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_capture_register import misaligned

from capture import grab
from capture.devices.aravis import AravisCamera, load_aravis
from capture.devices.basler import BaslerCamera, load_pylon
from capture.devices.simulated import ReplayDevice, SimulatedDevice
from capture.trigger import Rules, take
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.dng import read_dng
from isp_sim.schedule import Shot

os.environ.setdefault("PYLON_CAMEMU", "2")  # before pylon looks for cameras
SERIALS = ("0815-0000", "0815-0001")
HEIGHT, WIDTH = 64, 96
PATIENT = Rules(apart_s=1.0)


@pytest.fixture(scope="module")
def tiny(exlpose):
    return misaligned(exlpose).model_copy(update={"height_px": HEIGHT, "width_px": WIDTH, "name": "tiny"})


@pytest.fixture(scope="module")
def arms(tiny):
    return SimulatedArm(tiny, tiny.well_lit), SimulatedArm(tiny, tiny.low_light)


@pytest.fixture
def basler(arms):
    """The two emulated Basler cameras."""
    try:
        load_pylon()
    except ValueError as reason:
        pytest.skip(str(reason))
    cameras = [
        BaslerCamera(serial, arm.describe, (HEIGHT, WIDTH), "RGGB", 12)
        for serial, arm in zip(SERIALS, arms, strict=True)
    ]
    yield cameras
    for camera in cameras:
        camera.close()


@pytest.fixture
def gige(arms):
    """Aravis's fake camera on loopback, a process of its own."""
    program = shutil.which("arv-fake-gv-camera-0.8")
    if program is None:
        pytest.skip("no Aravis fake camera: apt install aravis-tools gir1.2-aravis-0.8 python3-gi")
    try:
        load_aravis()
    except ValueError as reason:
        pytest.skip(str(reason))
    process = subprocess.Popen([program, "-i", "127.0.0.1", "-s", "GV07"], stdout=subprocess.DEVNULL)
    try:
        yield _when_there("GV07", arms[1])
    finally:
        process.terminate()
        process.wait()


def _when_there(serial, arm, patience_s=20.0):
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return AravisCamera(serial, arm.describe, (HEIGHT, WIDTH), "RGGB", 12)
        except ValueError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def shot(n=0, exposure_us=1000, gain_db=5.0, ratio=1.0):
    well = round(gain_db + 20 * math.log10(ratio), 2)
    return Shot(0, "0101", "", "000000", f"{n:06d}", ratio, exposure_us, exposure_us * ratio, gain_db, well, gain_db)


def frame(arm, stream, exposure_us=1000.0, gain_db=5.0):
    """A frame of which no two are alike."""
    counts = stream.integers(0, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    return arm.describe(counts, exposure_us, gain_db, {})


class Flaky:
    """A replaying camera that loses or delays frames as it is told."""

    def __init__(self, device, faults):
        self.device, self.faults, self.serial = device, faults, device.serial

    def prepare(self, exposure_us, gain_db):
        self.device.prepare(exposure_us, gain_db)

    def trigger(self):
        if self.faults and self.faults[0] == "late":
            time.sleep(0.05)

    def fetch(self, timeout_s):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "timeout":
            raise TimeoutError(f"camera {self.serial}: no frame")
        if fault == "lost":
            raise OSError(f"camera {self.serial}: incomplete")
        raw = self.device.fetch(timeout_s)
        return replace(raw, gain_db=raw.gain_db + 6) if fault == "gain" else raw

    def grab(self, exposure_us, gain_db):
        return self.device.grab(exposure_us, gain_db)

    def close(self):
        pass


def replaying(arms, stream, faults=((), ())):
    devices = [ReplayDevice(arm.serial) for arm in arms]
    for device, arm in zip(devices, arms, strict=True):
        device.show(frame(arm, stream))
    return [Flaky(device, list(told)) for device, told in zip(devices, faults, strict=True)]


@pytest.mark.parametrize("fault", ["timeout", "lost", "late", "gain"])
def test_what_went_wrong_is_taken_again_and_told(arms, fault):
    bright, dark = replaying(arms, np.random.default_rng(0), ((), (fault,)))
    moment = take(bright, dark, shot(), Rules(apart_s=0.03))
    assert (moment.bright.counts == bright.device.shown.counts).all()
    assert len(moment.again) >= 1
    words = {"timeout": "no frame", "lost": "incomplete", "late": "ms apart", "gain": "requested 1000 µs and 5 dB"}
    assert words[fault] in moment.again[0]


def test_a_camera_that_fails_every_time_ends_in_a_sentence(arms):
    bright, dark = replaying(arms, np.random.default_rng(0), (("lost",) * 9, ()))
    with pytest.raises(OSError, match=r"not taken in 4 tries: camera .*: incomplete$"):
        take(bright, dark, shot(), Rules(tries=4, apart_s=1.0))


def test_simulated_devices_give_the_arms_own_frames(arms):
    import cv2

    from isp_sim.units import Radiance

    grey = cv2.resize(np.random.default_rng(1).random((8, 12)).astype(np.float32), (WIDTH, HEIGHT))
    for arm in arms:
        arm.look_at(Radiance(np.repeat(grey[..., None], 3, axis=2)))
        arm.light, arm.next_frame = 50.0, Frame(0, 0, 0)
    moment = take(*(SimulatedDevice(arm) for arm in arms), shot(ratio=4.0), PATIENT)
    for arm in arms:
        arm.next_frame = Frame(0, 0, 0)
    assert (arms[0].grab(1000, shot(ratio=4.0).well_lit_gain_db).counts == moment.bright.counts).all()
    assert (arms[1].grab(1000, 5.0).counts == moment.dark.counts).all()
    with pytest.raises(TimeoutError, match="not triggered"):
        SimulatedDevice(arms[0]).fetch(0.1)


def test_emulated_basler_cameras_give_the_frame_before_them_bit_for_bit(arms, basler):
    raw = frame(arms[0], np.random.default_rng(2))
    basler[0].show(raw)
    taken = basler[0].grab(1234.0, 5.2)
    assert (taken.counts == raw.counts).all()
    assert taken.exposure_us == pytest.approx(1234.0)
    assert taken.gain_db == pytest.approx(5.2, abs=0.01)
    assert taken.provenance["device"] == "basler" and taken.provenance["serial"] == SERIALS[0]


def test_a_basler_camera_says_what_it_cannot_do(arms, basler):
    with pytest.raises(ValueError, match=r"gain 60 dB: .*smaller than or equal 48"):
        basler[0].prepare(1000.0, 60.0)
    with pytest.raises(ValueError, match=r"Basler camera 42: not found; connected are 0815-0000, 0815-0001"):
        BaslerCamera("42", arms[0].describe, (HEIGHT, WIDTH), "RGGB", 12)


@pytest.mark.slow
def test_500_pairs_with_failing_buffers_none_lost_none_mispaired(arms, basler):
    """Every frame is unlike every other; about one try in five fails, in either arm, sometimes in both or twice."""
    stream = np.random.default_rng(3)
    failed = again = 0
    for n in range(500):
        frames = [frame(arm, stream) for arm in arms]
        for camera, raw in zip(basler, frames, strict=True):
            camera.show(raw)
            failures = int(stream.choice(3, p=(0.9, 0.07, 0.03)))
            camera.fail_next(failures)
            failed += failures
        moment = take(*basler, shot(n), PATIENT)
        assert (moment.bright.counts == frames[0].counts).all()
        assert (moment.dark.counts == frames[1].counts).all()
        again += len(moment.again)
    assert failed > 50
    assert failed / 2 <= again <= failed  # both arms may fail in one try


def test_an_aravis_camera_gives_frames_with_its_true_settings_and_makes_a_session(gige, tiny, tmp_path, capsys):
    """One test: the fake camera has one port, and tests run side by side."""
    first, second = gige.grab(2000.0, 5.0), gige.grab(3000.0, 5.4)
    assert first.counts.shape == (HEIGHT, WIDTH)
    assert (first.exposure_us, first.gain_db) == (2000.0, 5.0)
    assert (second.exposure_us, second.gain_db) == (3000.0, 5.0)  # the fake camera's gain has whole steps
    assert second.provenance["timestamp"] > first.provenance["timestamp"]
    with pytest.raises(ValueError, match=r"Aravis camera GV07: gain 30: expected 0 to 10"):
        gige.grab(2000.0, 30.0)
    gige.close()
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny.model_dump(mode="json")), encoding="utf-8")
    rows = ["session,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us"]
    rows += [f"0101,lab,0,{n},1,5,5,{1000 + n}" for n in range(3)]
    (tmp_path / "shots.csv").write_text("\n".join(rows))
    asked = ["--rig", str(tmp_path / "tiny.yaml"), "--dark", "aravis:GV07", "--schedule", str(tmp_path / "shots.csv")]
    assert grab.main([*asked, "--scenes", "charts", "--apart-ms", "500", "--out", str(tmp_path / "out")]) == 0
    assert "3 pairs in" in capsys.readouterr().out
    raws = [read_dng(file) for file in sorted((tmp_path / "out" / "raw").glob("*_dark_*"))]
    assert [raw.exposure_us for raw in raws] == [1000.0, 1001.0, 1002.0]
    assert {raw.serial for raw in raws} == {"GV07"}


def test_a_session_of_the_simulated_rig_resumes_and_is_complete(tiny, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny.model_dump(mode="json")), encoding="utf-8")
    asked = ["--rig", str(tmp_path / "tiny.yaml"), "--scenes", "charts", "--apart-ms", "500"]
    out = tmp_path / "out"
    assert grab.main([*asked, "--count", "3", "--out", str(out)]) == 0
    before = {file.name: file.read_bytes() for file in (out / "raw").iterdir()}
    next((out / "raw").glob("*_dark_*")).unlink()
    assert grab.main([*asked, "--count", "3", "--out", str(out)]) == 1
    assert "holds this same session; add --resume" in capsys.readouterr().err
    assert grab.main([*asked, "--count", "5", "--out", str(out), "--resume"]) == 0
    after = {file.name: file.read_bytes() for file in (out / "raw").iterdir()}
    assert len(after) == 10
    assert {name: after[name] for name in before} == before
    assert len(json.loads((out / "session.json").read_text())["pairs"]) == 5


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--bright", "nikon:1"], "--bright nikon:1: expected one of simulated, replay, basler, aravis"),
        (["--bright", "basler"], "basler: give the camera's serial number, as basler:12345678"),
        (
            ["--bright", "replay", "--dark", "replay"],
            "--frames: replaying and emulated cameras, two of them, need a folder",
        ),
        (["--bright", "replay", "--frames", "."], "a simulated camera sees scenes, a replaying or emulated one frames"),
        (["--tries", "0"], "--tries and --count: expected whole numbers from 1"),
        (["--rig", "nosuch"], "nosuch: no such file, and no rigs file of that name"),
    ],
)
def test_bad_arguments_get_one_sentence_and_leave_nothing(tmp_path, capsys, more, told):
    assert grab.main([*more, "--out", str(tmp_path / "out")]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_loop_from_simulated_light_to_aligned_pairs(exlpose, tmp_path):
    """generate (arms apart, truth known) → emulated Basler cameras → grab → align → a data set with labels."""
    from capture import align
    from capture.registration import geometry
    from isp_sim import generate
    from isp_sim.manifest import read_manifest

    try:
        load_pylon()
    except ValueError as reason:
        pytest.skip(str(reason))
    rig = misaligned(exlpose).model_copy(update={"name": "loop"})
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump(rig.model_dump(mode="json")), encoding="utf-8")
    simulated, session, out = (tmp_path / name for name in ("simulated", "session", "aligned"))
    shot_with = ["--rig", str(tmp_path / "loop.yaml"), "--count", "7", "--workers", "1"]
    assert generate.main([*shot_with, "--out", str(simulated)]) == 0
    cameras = ["--bright", f"basler:{SERIALS[0]}", "--dark", f"basler:{SERIALS[1]}", "--apart-ms", "500"]
    assert grab.main([*cameras, "--frames", str(simulated), "--out", str(session)]) == 0
    for file in (simulated / "raw").iterdir():
        assert (read_dng(session / "raw" / file.name).counts == read_dng(file).counts).all()
    assert align.main([str(session), "--annotations", str(simulated), "--out", str(out)]) == 0
    truth = {Path(line.bright).name: line for line in read_manifest(simulated)}
    lines = list(read_manifest(out))
    assert len(lines) == 7
    for line in lines:
        known = truth[Path(line.bright).name]
        error = geometry.corner_error(np.array(line.low_to_well), np.array(known.low_to_well), 400, 640)
        assert error < 0.25  # a fifth of the pixels of the 1920×1200 frames that the 0.1 px are claimed for
        moved = np.subtract(known.crop[:2], line.crop[:2])
        for person, as_shot in zip(line.people, known.people, strict=True):
            here, there = (np.array(p.keypoints).reshape(14, 3) for p in (person, as_shot))
            both = (here[:, 2] > 0) & (there[:, 2] > 0)
            assert np.allclose(here[both, :2], there[both, :2] + moved)
        for plane in line.planes.values():
            assert (out / plane).is_file()


def test_the_simulated_cameras_take_the_frames_that_generate_takes_whatever_the_daylight(tmp_path):
    """Default scenes: outdoors and indoors follow the shot's daylight, so a session leaves none of it out."""
    from isp_sim import generate

    (tmp_path / "tiny.yaml").write_text("extends: exlpose-small\nname: tiny\nwidth_px: 128\nheight_px: 96\n")
    asked = ["--rig", str(tmp_path / "tiny.yaml"), "--count", "12"]
    assert generate.main([*asked, "--workers", "1", "--out", str(tmp_path / "run")]) == 0
    assert grab.main([*asked, "--out", str(tmp_path / "session")]) == 0
    files = sorted((tmp_path / "run" / "raw").iterdir())
    assert len(files) == 24
    for file in files:
        assert (tmp_path / "session" / "raw" / file.name).read_bytes() == file.read_bytes()
