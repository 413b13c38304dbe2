"""The command: layout, determinism, resume, refusal."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from isp_sim.dng import read_dng
from isp_sim.generate import main
from isp_sim.manifest import read_manifest

COUNT = 7
RIG = """extends: exlpose
name: tiny
width_px: 96
height_px: 64
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A tiny rig and a folder of photographs with people; the arguments that shoot them."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "tiny.yaml").write_text(RIG)
    photos = folder / "photos"
    photos.mkdir()
    stream = np.random.default_rng(0)
    images, annotations = [], []
    for n in range(3):
        coarse = stream.integers(0, 255, (5, 7, 3), np.uint8)
        cv2.imwrite(str(photos / f"{n}.png"), cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC))
        images.append({"file_name": f"{n}.png", "id": n, "width": 96, "height": 64})
        keypoints = [v for j in range(14) for v in (30.0 + j, 20.0 + 2 * j, 2)]
        annotations.append(
            {
                "id": n,
                "image_id": n,
                "category_id": 1,
                "iscrowd": 0,
                "num_keypoints": 14,
                "keypoints": keypoints,
                "bbox": [25.0, 15.0, 30.0, 40.0],
            }
        )
    (photos / "people.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return ["--rig", str(folder / "tiny.yaml"), "--scenes", str(photos), "--count", str(COUNT)]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*asked, "--workers", "1", "--out", str(folder)]) == 0
    return folder


def test_the_layout_is_exlposes(whole):
    lines = list(read_manifest(whole))
    assert [line.id for line in lines] == list(range(1, COUNT + 1))
    for line in lines:
        for name in line.files:
            assert (whole / name).is_file()
        assert line.dark.startswith("dark/imgs_0101_sim_vid")
        well, low = (cv2.imread(str(whole / name)) for name in (line.bright, line.dark))
        assert well.shape == low.shape == (line.height, line.width, 3)
        assert well.mean() == pytest.approx(line.mean_well_lit)
    assert (whole / "contact_sheet.png").is_file()
    assert not list(whole.rglob(".part-*")) and not (whole / ".pairs").exists()


def test_a_loader_written_for_exlpose_reads_it(whole):
    """As loaders of the released set do: `Annotations/ExLPose_test_<split>.json`, `root / file_name`, COCO ids."""
    from pycocotools.coco import COCO

    counts = {}
    for split in ("LL-N", "LL-H", "LL-E", "LL-A", "WL"):
        coco = COCO(str(whole / "Annotations" / f"ExLPose_test_{split}.json"))
        for image in coco.loadImgs(coco.getImgIds()):
            assert image["file_name"].startswith("bright/" if split == "WL" else "dark/")
            picture = cv2.imread(str(whole / image["file_name"]))
            assert picture.shape == (image["height"], image["width"], 3)
            (annotation,) = coco.loadAnns(coco.getAnnIds(image["id"]))
            assert len(annotation["keypoints"]) == 42
            assert annotation["id"] > 0
            assert annotation["num_keypoints"] == sum(v > 0 for v in annotation["keypoints"][2::3])
        counts[split] = len(coco.getImgIds())
    assert counts["LL-N"] + counts["LL-H"] + counts["LL-E"] == counts["LL-A"] == counts["WL"] == COUNT


def test_the_raws_are_unwarped_and_carry_their_keys(whole):
    for line in read_manifest(whole):
        raw = read_dng(whole / line.raw_dark)
        assert raw.counts.shape == (64, 96)
        assert raw.gain_db == line.low_light_gain_db
        assert raw.exposure_us == line.exposure_us
        assert raw.provenance == line.key


def test_the_rig_as_used_loads_again(whole):
    from isp_sim.rigfile import load_rig

    assert load_rig(whole / "rig.yaml").name == "tiny"


@pytest.mark.parametrize("workers", ["2", "3"])
def test_the_number_of_workers_changes_no_byte(asked, whole, tmp_path, workers):
    assert main([*asked, "--workers", workers, "--out", str(tmp_path / "run")]) == 0
    assert tree(tmp_path / "run") == tree(whole)


def test_another_seed_gives_other_frames(asked, whole, tmp_path):
    assert main([*asked, "--workers", "1", "--seed", "1", "--out", str(tmp_path / "run")]) == 0
    ours, theirs = (next(iter(read_manifest(f))) for f in (whole, tmp_path / "run"))
    a, b = (read_dng(f / line.raw_bright).counts for f, line in ((whole, ours), (tmp_path / "run", theirs)))
    assert a.shape != b.shape or (a != b).mean() > 0.5


@pytest.mark.slow
def test_killed_ten_times_and_resumed_equals_the_uninterrupted_run(asked, whole, tmp_path):
    """SIGKILL at ten random moments of one run, then a last resume; bytes equal. Each kill comes later than the
    last, so that kills fall before, between and after pairs."""
    command = [sys.executable, "-m", "isp_sim.generate", *asked, "--out", str(tmp_path / "run"), "--workers", "1"]
    stream = np.random.default_rng(0)
    killed = 0
    for _ in range(10):
        process = subprocess.Popen([*command, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / ".pairs").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(float(stream.uniform(0, 0.25)))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 3
    assert subprocess.run([*command, "--resume"], capture_output=True).returncode == 0
    assert tree(tmp_path / "run") == tree(whole)


def workers_of(process: subprocess.Popen, count: int) -> list[int]:
    """Numbers of its worker processes, when so many are there: children of the server it started."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
        rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines() if "forkserver" in line]
        servers = {pid for pid, parent, _ in rows if parent == str(process.pid)}
        workers = [int(pid) for pid, parent, _ in rows if parent in servers]
        if len(workers) >= count:
            return workers
        time.sleep(0.02)
    return []


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(asked, tmp_path):
    command = [sys.executable, "-m", "isp_sim.generate", *asked, "--out", str(tmp_path / "run"), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = workers_of(process, 2)
    assert len(children) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_finished_run_resumes_to_itself(asked, whole):
    before = tree(whole)
    assert main([*asked, "--workers", "1", "--resume", "--out", str(whole)]) == 0
    assert tree(whole) == before


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "holds this same run; add --resume"),
        (["--seed", "9", "--resume"], "holds a run with seed = 0, not 9"),
        (["--count", "3", "--resume"], "holds a run with count = 7, not 3"),
        (["--rig", "exlpose-small", "--resume"], "holds a run with rig = 'tiny', not 'exlpose-small'"),
    ],
)
def test_a_folder_with_another_run_is_refused(asked, whole, capsys, more, told):
    before = tree(whole)
    assert main([*asked, "--workers", "1", "--out", str(whole), *more]) == 1
    assert told in capsys.readouterr().err
    assert tree(whole) == before


def test_a_folder_of_something_else_is_refused(asked, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("x")
    assert main([*asked, "--out", str(tmp_path)]) == 1
    assert "not empty and no run of this program" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--rig", "nothing"], "nothing: no such file"),
        (["--scenes", "nowhere"], "--scenes nowhere: neither 'people' nor 'charts' nor an existing file or folder"),
        (["--schedule", "nothing.csv"], "nothing.csv"),
        (["--annotations", "nothing.json"], "nothing.json"),
        (["--scenes", "charts", "--annotations", "nothing.json"], "--scenes charts brings its own labels"),
        (["--workers", "0"], "--workers 0: expected a whole number from 1"),
        (["--count", "0"], "--count 0: expected a whole number from 1"),
    ],
)
def test_bad_arguments_get_one_sentence_and_leave_nothing(asked, tmp_path, capsys, more, told):
    assert main([*asked, "--out", str(tmp_path / "run"), *more]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_a_truncated_photograph_is_named_and_the_rest_kept(asked, tmp_path, capsys):
    photos = Path(asked[3])
    broken = tmp_path / "photos"
    broken.mkdir()
    for path in photos.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "1.png").write_bytes((photos / "1.png").read_bytes()[:-40])
    arguments = [*asked, "--scenes", str(broken), "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 1
    assert "1.png" in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob(".part-*"))
    done = len(list((tmp_path / "run" / ".pairs").glob("*.json")))
    assert done == len(list((tmp_path / "run" / "bright").iterdir())) > 0
    assert main([*arguments, "--resume", "--skip-unusable"]) == 0
    assert "left out" in capsys.readouterr().err
    assert done <= len(list((tmp_path / "run" / "bright").iterdir())) < COUNT
    (broken / "1.png").write_bytes((photos / "1.png").read_bytes())
    assert main([*arguments, "--resume"]) == 0


def test_a_full_disk_leaves_nothing_half_written(asked, whole, tmp_path, capsys, monkeypatch):
    import errno

    real = Path.write_bytes
    room = [400_000]

    def write_bytes(self, data):
        room[0] -= len(data)
        if room[0] < 0:
            real(self, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    arguments = [*asked, "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob(".part-*"))
    monkeypatch.undo()
    assert main([*arguments, "--resume"]) == 0
    assert tree(tmp_path / "run") == tree(whole)


def test_charts_need_nothing_and_replay_keeps_the_names(tmp_path, asked):
    shots = tmp_path / "shots.csv"
    shots.write_text(
        "session,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us\n"
        "0212,bulguksa,000005,000052,8,22.56,4.5,625\n0212,bulguksa,000005,000052,4,16.54,4.5,1250\n"
    )
    arguments = [*asked[:2], "--schedule", str(shots), "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    names = sorted(p.name for p in (tmp_path / "run" / "bright").iterdir())
    assert names[1] == "imgs_0212_bulguksa_vid000005_exp800_bright_000052__gain_22.56_exposure_625.png"


REPLAY = (
    "session,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us\n"
    "0212,h,5,52,8,22.56,4.5,625\n0212,h,5,52,12,26.08,4.5,417\n0212,h,5,52,4,16.54,4.5,1250\n"
    "0212,h,5,52,1,4.5,4.5,5000\n"
)


def test_a_replayed_run_resumed_in_the_middle_of_a_scene_is_the_same_run(tmp_path, asked):
    shots = tmp_path / "shots.csv"
    shots.write_text(REPLAY)
    arguments = [*asked[:4], "--schedule", str(shots), "--workers", "1"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    part = tmp_path / "part"
    assert main([*arguments, "--out", str(part)]) == 0
    (part / next(read_manifest(part)).bright).unlink()
    (part / "raw" / "imgs_0212_h_vid5_exp1200_dark_52__gain_4.50_exposure_417.dng").write_bytes(b"")
    assert main([*arguments, "--out", str(part), "--resume"]) == 0  # what a finished run has lost is made again
    assert tree(part) == tree(tmp_path / "whole")


def test_a_damaged_manifest_is_refused_and_stays(asked, whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.jsonl"
    good = manifest.read_bytes()
    arguments = [*asked, "--workers", "1", "--resume", "--out", str(tmp_path / "run")]
    for damaged, told in (
        (good[:-200], r"manifest.jsonl:7: Invalid JSON"),
        (b"\xff\xfe\0" * 50, r"manifest.jsonl:1: Invalid JSON"),
        (good.replace(b'"id":7,', b'"id":99,'), "manifest.jsonl: has a pair of id 99; expected at most 7"),
    ):
        manifest.write_bytes(damaged)
        assert main(arguments) == 1
        assert told in capsys.readouterr().err
        assert manifest.read_bytes() == damaged
    manifest.write_bytes(good)
    assert main(arguments) == 0
    assert tree(tmp_path / "run") == tree(whole)


def test_two_shots_of_one_name_are_refused(tmp_path, asked, capsys):
    shots = tmp_path / "shots.csv"
    shots.write_text(REPLAY + "0212,h,5,52,8,22.56,4.5,625\n")
    assert main([*asked[:4], "--schedule", str(shots), "--out", str(tmp_path / "run")]) == 1
    assert "shots.csv: two shots have the file name imgs_0212_h_vid5_exp800_bright_52" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_gain_beyond_the_sensor_is_found_before_the_first_picture(tmp_path, asked, capsys):
    shots = tmp_path / "shots.csv"
    shots.write_text(REPLAY.replace("26.08", "60.00"))
    assert main([*asked[:4], "--schedule", str(shots), "--out", str(tmp_path / "run")]) == 1
    assert "asks more gain than the sensor's 47.99 dB" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_from_the_start_leaves_a_folder_to_resume_in(asked, tmp_path, capsys, monkeypatch):
    import errno

    real = Path.write_bytes

    def write_bytes(self, data):
        if "run.json" not in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    arguments = [*asked, "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    assert main([*arguments, "--resume"]) == 0


def test_a_second_run_into_the_same_folder_waits_outside(asked, tmp_path, capsys):
    import fcntl

    (tmp_path / "run").mkdir()
    held = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert main([*asked, "--workers", "1", "--out", str(tmp_path / "run")]) == 1
    os.close(held)
    assert "another process is writing here" in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


def test_another_list_of_photographs_is_another_run(asked, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in Path(asked[3]).iterdir():
        (photos / path.name).write_bytes(path.read_bytes())
    arguments = [*asked, "--scenes", str(photos), "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    (photos / "0a.png").write_bytes((photos / "0.png").read_bytes())
    assert main([*arguments, "--resume"]) == 1
    assert "holds a run with scene_files" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 5)])
def test_a_photograph_too_small_to_see_is_named(asked, tmp_path, capsys, size):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "dot.png"), np.full((*size, 3), 128, np.uint8))
    arguments = [*asked[:2], "--scenes", str(photos), "--count", "1", "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "photos" in error and ("must be" in error or "expected" in error) and "Traceback" not in error


@pytest.mark.slow
def test_a_killed_worker_is_told_in_a_sentence(asked, tmp_path):
    command = [sys.executable, "-m", "isp_sim.generate", *asked, "--out", str(tmp_path / "run"), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    children = workers_of(process, 2)
    os.kill(children[0], signal.SIGKILL)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "a worker process was killed (out of memory?)" in error
    assert "Traceback" not in error


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--rig",
        "--scenes",
        "--annotations",
        "--schedule",
        "--count",
        "--seed",
        "--out",
        "--workers",
        "--device",
        "--resume",
    ):
        assert option in text
    assert "example:" in text


def photographs(asked, folder, labelled=True):
    folder.mkdir()
    for path in Path(asked[3]).iterdir():
        if labelled or path.suffix != ".json":
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_number_of_photographs_takes_all_their_shots(asked, tmp_path, capsys):
    rest = [*asked[:4], "--workers", "1"]
    assert main([*rest, "--scene-count", "2", "--out", str(tmp_path / "two")]) == 0
    lines = list(read_manifest(tmp_path / "two"))
    assert {line.scene for line in lines} == {"0.png", "1.png"}
    assert f"{len(lines)} pairs of 2 photographs, 2 labelled people in 2 of them" in capsys.readouterr().out
    again = [*rest, "--count", str(len(lines)), "--resume", "--out", str(tmp_path / "two")]
    assert main(again) == 0  # as many shots are the same run
    assert main([*rest, "--scene-count", "3", "--resume", "--out", str(tmp_path / "two")]) == 1
    assert f"holds a run with count = {len(lines)}" in capsys.readouterr().err


def test_a_number_of_photographs_goes_with_shots_per_scene_and_starts_over_at_the_last(asked, tmp_path, capsys):
    arguments = [*asked[:4], "--workers", "1", "--scene-count", "5", "--shots-per-scene", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert [line.scene for line in read_manifest(tmp_path / "run")] == ["0.png", "1.png", "2.png", "0.png", "1.png"]
    assert "5 pairs of 3 photographs, 3 labelled people in 3 of them" in capsys.readouterr().out


def test_scenes_of_a_schedule_are_counted_too(asked, tmp_path):
    shots = tmp_path / "shots.csv"
    shots.write_text(REPLAY + "0212,h,6,52,1,4.5,4.5,5000\n")
    arguments = [*asked[:4], "--schedule", str(shots), "--workers", "1", "--scene-count", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert {line.video for line in read_manifest(tmp_path / "run")} == {"5"}


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_number_of_photographs_below_one_is_refused(asked, tmp_path, capsys, number):
    assert main([*asked[:4], "--scene-count", number, "--out", str(tmp_path / "run")]) == 1
    assert f"--scene-count {number}" in capsys.readouterr().err


def test_shots_and_scenes_are_not_counted_at_once(asked, capsys):
    with pytest.raises(SystemExit):
        main([*asked, "--scene-count", "2"])
    assert "not allowed with argument --count" in capsys.readouterr().err


def test_where_nobody_is_labelled_no_poses_are_promised(asked, tmp_path, capsys):
    photos = photographs(asked, tmp_path / "photos", labelled=False)
    arguments = [*asked[:2], "--scenes", str(photos), "--count", "2", "--workers", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "2 pairs of 1 photograph, nobody in them is labelled" in said
    assert "holds the poses" not in said and "--annotations" in said


def test_training_files_are_another_run_of_the_same_pictures(asked, whole, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*asked, "--workers", "1", "--split", "train", "--out", str(out)]) == 0
    files = [tree(folder) for folder in (whole, out)]
    pictures = [{name: data for name, data in one.items() if name.endswith((".png", ".dng"))} for one in files]
    assert pictures[0] == pictures[1]
    assert not any("test" in Path(name).name for name in files[1])
    assert main([*asked, "--resume", "--out", str(out)]) == 1
    assert "holds a run with subset = 'train'" in capsys.readouterr().err


def test_doubts_about_labels_are_told_before_the_first_shot_and_settled_by_an_option(asked, tmp_path, capsys):
    from PIL import Image

    photos = photographs(asked, tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(photos / "0.png") as picture:
        picture.save(photos / "0.png", exif=exif)
    arguments = [*asked[:2], "--scenes", str(photos), "--count", "2", "--workers", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "0.png: EXIF turns it" in line]
    assert len(told) == 1 and "--labels-orientation" in told[0]
    assert main([*arguments, "--labels-orientation", "stored", "--out", str(tmp_path / "stored")]) == 0
    assert "EXIF" not in capsys.readouterr().err
    upright, stored = (next(iter(read_manifest(tmp_path / run))).people for run in ("run", "stored"))
    assert upright != stored
    assert main([*arguments, "--resume", "--out", str(tmp_path / "stored")]) == 1
    assert "holds a run with labels_orientation = 'stored'" in capsys.readouterr().err


def test_labels_of_another_size_are_refused_before_the_first_shot_or_left_out(asked, tmp_path, capsys):
    photos = photographs(asked, tmp_path / "photos")
    document = json.loads((photos / "people.json").read_text())
    document["images"][1] |= {"width": 48, "height": 32}
    (photos / "people.json").write_text(json.dumps(document))
    arguments = [*asked[:2], "--scenes", str(photos), "--scene-count", "3", "--shots-per-scene", "1", "--workers", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 1
    assert "1.png: its annotations say 48×32, the picture has 96×64 px" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*arguments, "--skip-unusable", "--out", str(tmp_path / "run")]) == 0
    assert "photos/1.png: its annotations say 48×32" in capsys.readouterr().err
    assert [line.scene for line in read_manifest(tmp_path / "run")] == ["0.png", "2.png"]


def test_only_photographs_have_labels_that_exif_turns(asked, tmp_path, capsys):
    arguments = [*asked[:2], "--labels-orientation", "stored", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--scenes", "charts"]) == 1
    assert "--labels-orientation stored: --scenes charts has no EXIF" in capsys.readouterr().err
