"""The command: layout, labels, accuracy over a session, and one sentence for each thing that can be wrong."""

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from conftest import change
from test_capture_register import HEIGHT, WIDTH, fractal, misaligned

from capture.align import SOME_REFUSED, main
from capture.alignment import develop
from capture.alignment.develop import linear
from capture.alignment.writer import _codes_of_16_bits
from capture.registration import geometry, photometry, register
from capture.registration.observation import Observation
from isp_sim import generate
from isp_sim.dng import read_dng, write_dng
from isp_sim.isp.codes import srgb_codes
from isp_sim.manifest import read_manifest
from isp_sim.pair import DualCamera
from isp_sim.picture_files import ANY_DEPTH, read_picture
from isp_sim.raw import Raw
from isp_sim.rectify import crop
from isp_sim.rig import Isp
from isp_sim.rigfile import load_rig
from isp_sim.scenes import JOINTS, Scene
from isp_sim.schedule import Shot

RATIOS = (1.0, 2.0, 4.0)


def shots(scene, session="0212", ratios=RATIOS):
    return [
        Shot(scene, session, "lab", f"{scene:06d}", "000001", ratio, round(5000 / ratio), 5000.0, 5.2,
             round(5.2 + 20 * math.log10(ratio), 2), 5.2, n)
        for n, ratio in enumerate(ratios)
    ]  # fmt: skip


def shoot(folder, rig, scenes, session="0212", ratios=RATIOS):
    """Raw pairs of fractal scenes, a rig file beside them; returns the true map."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    camera = DualCamera(rig)
    for scene in scenes:
        for pair in camera.shoot(Scene(f"fractal {scene}", fractal(scene)), shots(scene, session, ratios), 0):
            for arm, raw in (("bright", pair.well_lit_raw), ("dark", pair.low_light_raw)):
                write_dng(folder / "raw" / Path(pair.shot.file_name(arm)).with_suffix(".dng").name, raw)
    return pair.low_to_well


@pytest.fixture(scope="module")
def rig(exlpose):
    return misaligned(exlpose)


@pytest.fixture(scope="module")
def captured(rig, tmp_path_factory):
    """Two scenes, three ratios each; and the true map."""
    folder = tmp_path_factory.mktemp("captured")
    truth = shoot(folder, rig, (40, 41))
    (folder / "rig.yaml").write_text(yaml.safe_dump(rig.model_dump(mode="json")), encoding="utf-8")
    return folder, truth


@pytest.fixture
def copy(captured, tmp_path):
    """The session's files once more, to be spoilt."""
    folder = tmp_path / "captures"
    (folder / "raw").mkdir(parents=True)
    for file in captured[0].rglob("*.*"):
        (folder / file.relative_to(captured[0])).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def aligned(captured, tmp_path_factory):
    out = tmp_path_factory.mktemp("aligned") / "out"
    assert main([str(captured[0]), "--out", str(out)]) == 0
    return out


def bright(folder, number):
    return sorted((folder / "raw").glob("*_bright_*.dng"))[number]


def partner(file):
    (found,) = [f for f in file.parent.glob("*_dark_*") if f.name.split("_dark_")[0] == file.name.split("_bright_")[0]]
    return found


def test_the_session_is_aligned_to_the_truth(captured, aligned):
    document = json.loads((aligned / "alignment.json").read_text())
    (session,) = document["sessions"]
    error = geometry.corner_error(np.array(session["low_to_well"]), captured[1], HEIGHT, WIDTH)
    assert error < 0.1
    assert session["aligned"] == 6 and session["refused"] == []
    assert session["residual_px"]["before"] > 10 > 0.5 > session["residual_px"]["after"]
    assert session["convergence"]["converged"] is True
    assert document["isp_sim"]


def test_the_layout_is_exlposes_and_a_loader_reads_it(aligned):
    from pycocotools.coco import COCO

    lines = list(read_manifest(aligned))
    assert len(lines) == 6
    for line in lines:
        pictures = [cv2.imread(str(aligned / name)) for name in (line.bright, line.dark)]
        assert pictures[0].shape == pictures[1].shape == (line.height, line.width, 3)
        assert read_dng(aligned / line.raw_dark).counts.shape == (HEIGHT, WIDTH)
    assert len({(line.width, line.height) for line in lines}) == 1  # one crop a session
    assert len(COCO(str(aligned / "Annotations" / "ExLPose_test_LL-A.json")).getImgIds()) == 6


def test_the_pictures_lie_on_each_other(captured, aligned):
    """At ratio 1 the aligned low-light picture follows the well-lit one better than the mosaics did as captured."""
    line = min(read_manifest(aligned), key=lambda one: one.ratio)
    well, low = (cv2.imread(str(aligned / name)).astype(float) for name in (line.bright, line.dark))

    def correlation(a, b):
        return np.corrcoef(cv2.GaussianBlur(a, (0, 0), 2).ravel(), cv2.GaussianBlur(b, (0, 0), 2).ravel())[0, 1]

    x, y, w, h = line.crop
    raws = [
        read_dng(captured[0] / "raw" / Path(name).name).counts.astype(float)
        for name in (line.raw_bright, line.raw_dark)
    ]
    before = correlation(*(raw[y : y + h, x : x + w] for raw in raws))
    assert 1 - correlation(np.sqrt(well), np.sqrt(low)) < 0.6 * (1 - before)


def test_any_number_of_workers_gives_the_same_bytes(captured, aligned, tmp_path):
    assert main([str(captured[0]), "--out", str(tmp_path / "out"), "--workers", "3"]) == 0
    for line in read_manifest(aligned):
        assert (tmp_path / "out" / line.dark).read_bytes() == (aligned / line.dark).read_bytes()
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == (aligned / "manifest.jsonl").read_bytes()


def test_a_run_that_lost_files_resumes_to_the_same_data_set(captured, aligned, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(captured[0]), "--out", str(out)]) == 0
    lines = list(read_manifest(out))
    (out / lines[2].dark).unlink()
    kept = (out / lines[0].dark).stat().st_mtime_ns
    assert main([str(captured[0]), "--out", str(out)]) == 1
    assert "holds this same run; add --resume" in capsys.readouterr().err
    assert main([str(captured[0]), "--out", str(out), "--resume"]) == 0
    assert (out / lines[0].dark).stat().st_mtime_ns == kept
    for name in ("manifest.jsonl", "alignment.json", lines[2].dark):
        assert (out / name).read_bytes() == (aligned / name).read_bytes()


def test_a_resumed_run_refuses_other_labels(captured, tmp_path, capsys):
    image = {"id": 7, "file_name": bright(captured[0], 0).name, "width": WIDTH, "height": HEIGHT}
    labels, out = tmp_path / "labels.json", tmp_path / "out"
    run = [str(captured[0]), "--out", str(out), "--annotations", str(labels), "--resume"]
    for x in (300, 310):
        person = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [280, 150, 60, 120], "keypoints": [x, 200, 2] * 14}
        labels.write_text(json.dumps({"images": [image], "annotations": [person], "categories": []}))
        status = main(run)
        assert status == (0 if x == 300 else 1), capsys.readouterr().err
    (message,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("capture.align: "))
    assert f"{out}: holds a run with labels_digest = " in message and "give --out another folder" in message


def test_the_page_opens_offline(aligned):
    page = (aligned / "report-0212_lab.html").read_text(encoding="utf-8")
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert page.count("data:image/jpeg;base64,") >= 10 and page.count("<svg") == 2


@pytest.mark.parametrize("onto", ["low-light", "well-lit"])
def test_labels_of_the_well_lit_frame_come_onto_the_pictures(captured, tmp_path, capsys, onto):
    file = bright(captured[0], 0)
    x, y = 300.25, 200.5
    annotation = {
        "id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "num_keypoints": 2, "bbox": [280.0, 150.0, 60.0, 120.0],
        "keypoints": [x, y, 2, 0.0, 0.0, 2, *[0.0, 0.0, 0] * 12],
    }  # fmt: skip
    image = {"id": 7, "file_name": file.with_suffix(".png").name, "width": WIDTH, "height": HEIGHT}
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": [image], "annotations": [annotation], "categories": []}))
    out = tmp_path / "out"
    assert main([str(captured[0]), "--out", str(out), "--annotations", str(labels), "--onto", onto]) == 0
    assert "are an ExLPose data set for models" in capsys.readouterr().out
    (record,) = [one for one in read_manifest(out) if Path(one.raw_bright).name == file.name]
    assert record.onto == onto.replace("-", "_")
    left, top, width, height = record.crop
    assert [side % 2 for side in record.crop] == [0, 0, 0, 0]  # the mosaic's tile stays
    (person,) = record.people
    points = np.array([[x, y], [0.0, 0.0]])
    if onto == "low-light":
        points = cv2.perspectiveTransform(points[None], np.linalg.inv(captured[1]))[0]
    wanted, corner = points - (left, top)
    assert person.keypoints[:3] == pytest.approx([*wanted, 2], abs=0.15 if onto == "low-light" else 1e-9)
    inside = -0.5 <= corner[0] < width - 0.5 and -0.5 <= corner[1] < height - 0.5
    assert (person.keypoints[5] == 0) == (not inside)
    corners = np.array([(280.0, 150.0), (340.0, 150.0), (280.0, 270.0), (340.0, 270.0)])
    if onto == "low-light":
        corners = cv2.perspectiveTransform(corners[None], np.linalg.inv(captured[1]))[0]
    assert person.bbox[2:] == pytest.approx(np.ptp(corners, axis=0), abs=0.2)


@pytest.mark.parametrize("onto", ["low-light", "well-lit"])
def test_the_arm_that_is_kept_is_cropped_and_nothing_more(captured, tmp_path, onto):
    out = tmp_path / "out"
    assert main([str(captured[0]), "--out", str(out), "--onto", onto]) == 0
    for record in list(read_manifest(out))[:2]:
        raw, picture = ("raw_dark", "dark") if onto == "low-light" else ("raw_bright", "bright")
        isps = develop.Isps.of(load_rig(captured[0] / "rig.yaml"))
        developed = srgb_codes(develop.linear(read_dng(out / getattr(record, raw)), getattr(isps, picture)))
        kept = cv2.imread(str(out / getattr(record, picture)))[..., ::-1]
        assert (kept == crop(developed, record.crop)).all()


def test_a_generated_session_comes_back_with_the_simulators_own_low_light_pictures(rig, tmp_path):
    """Arms that develop unlike each other and unlike the shipped rig: the rig that is given says how."""
    bilinear = rig.low_light.model_copy(update={"isp": Isp(demosaic="bilinear", white_balance="before_demosaic")})
    uneven = rig.model_copy(update={"name": "uneven", "low_light": bilinear})
    file = tmp_path / "uneven.yaml"
    file.write_text(yaml.safe_dump(uneven.model_dump(mode="json")), encoding="utf-8")
    made, out = tmp_path / "made", tmp_path / "out"
    assert generate.main(["--rig", str(file), "--count", "3", "--out", str(made)]) == 0
    (made / "rig.yaml").unlink()
    assert main([str(made), "--rig", str(file), "--out", str(out)]) == 0
    truth = {record.dark: record for record in read_manifest(made)}
    records = list(read_manifest(out))
    assert len(records) == 3
    for record in records:
        x, y, width, height = common = overlap(record.crop, truth[record.dark].crop)
        assert width > 0.9 * WIDTH and height > 0.9 * HEIGHT
        ours, own = (
            crop(cv2.imread(str(folder / record.dark)), (x - at[0], y - at[1], width, height))
            for folder, at in ((out, record.crop), (made, truth[record.dark].crop))
        )
        assert own.std() > 0 and np.array_equal(ours, own), common


def overlap(one, other):
    """The box that two boxes share."""
    left, top = (max(one[n], other[n]) for n in range(2))
    right, bottom = (min(one[n] + one[n + 2], other[n] + other[n + 2]) for n in range(2))
    return left, top, right - left, bottom - top


def test_labels_for_frames_of_another_size_are_refused_and_unread_joints_are_told(captured, tmp_path, capsys):
    file = bright(captured[0], 0)
    joints = [*JOINTS, "chin"]
    person = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [280, 150, 60, 120], "keypoints": [300, 200, 2] * 15}
    image = {"id": 7, "file_name": f"captures\\{file.name}", "width": WIDTH // 2, "height": HEIGHT // 2}
    labels = tmp_path / "labels.json"
    categories = [{"id": 1, "name": "person", "keypoints": joints}]
    labels.write_text(json.dumps({"images": [image], "annotations": [person], "categories": categories}))
    out = tmp_path / "out"
    asked = [str(captured[0]), "--out", str(out), "--annotations", str(labels), "--split", "train"]
    assert main(asked) == SOME_REFUSED
    said = capsys.readouterr().err
    assert said.count("labels.json: category person: joints that are not read: chin") == 1
    size = f"{WIDTH // 2}×{HEIGHT // 2}, the picture has {WIDTH}×{HEIGHT} px"
    assert f"{file.name}: its annotations say {size}" in said
    assert (out / "Annotations" / "ExLPose_train_WL.json").is_file()
    assert not (out / "Annotations" / "ExLPose_test_WL.json").exists()


def test_pictures_with_exlposes_names_are_aligned_too(rig, captured, tmp_path):
    """8-bit pictures of both arms, as cameras give them."""
    camera, folder = DualCamera(rig), tmp_path / "captures"
    for arm, device in (("bright", camera.well_lit), ("dark", camera.low_light)):
        (folder / arm).mkdir(parents=True)
        for file in (captured[0] / "raw").glob(f"*_{arm}_*.dng"):
            picture = camera.develop(read_dng(file), device)
            cv2.imwrite(str(folder / arm / file.with_suffix(".png").name), picture[..., ::-1])
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    (session,) = json.loads((tmp_path / "out" / "alignment.json").read_text())["sessions"]
    assert session["aligned"] == 6
    assert geometry.corner_error(np.array(session["low_to_well"]), captured[1], HEIGHT, WIDTH) < 0.3
    assert next(iter(read_manifest(tmp_path / "out"))).raw_bright is None


def test_pictures_of_16_bits_keep_them(rig, captured, tmp_path):
    """The low-light arm is cropped and nothing more: its 16-bit codes are those of the file."""
    folder, seen = tmp_path / "captures", {}
    for arm, isp in (("bright", rig.well_lit.isp), ("dark", rig.low_light.isp)):
        (folder / arm).mkdir(parents=True)
        for file in sorted((captured[0] / "raw").glob(f"*_{arm}_*.dng"))[:2]:
            codes = _codes_of_16_bits(linear(read_dng(file), isp))
            seen[file.stem] = codes
            cv2.imwrite(str(folder / arm / f"{file.stem}.png"), codes[..., ::-1])
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    records = list(read_manifest(tmp_path / "out"))
    for record in records:
        low, well = (read_picture(tmp_path / "out" / name, ANY_DEPTH) for name in (record.dark, record.bright))
        x, y, width, height = record.crop
        assert low.dtype == well.dtype == np.uint16
        assert np.array_equal(low, seen[Path(record.dark).stem][y : y + height, x : x + width])
        assert record.mean_low_light == pytest.approx(low.mean() / 257) and record.mean_low_light < 30
    assert len(records) == 2 and len(np.unique(low)) > 256


def test_a_csv_names_pairs_and_sessions(captured, tmp_path, capsys):
    rows = ["bright,dark,session"]
    for n in range(3):
        file = bright(captured[0], n)
        rows.append(f"{file},{partner(file)},mine")
    rows.append(f"{tmp_path / 'gone.dng'},{partner(file)},mine")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    asked = [str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "out")]
    assert main(asked) == 1 and "--anywhere" in capsys.readouterr().err
    assert main([*asked, "--anywhere"]) == SOME_REFUSED
    said = capsys.readouterr().out
    assert "3 pairs aligned, 1 without partner or refused" in said
    assert "no people are labelled" in said and "--annotations FILE" in said and "data set for models" not in said
    sessions = json.loads((tmp_path / "out" / "alignment.json").read_text())["sessions"]
    assert [(s["session"], s["aligned"]) for s in sessions] == [("-", 0), ("mine", 3)]
    assert "pairs.csv:5: no such file" in sessions[0]["refused"][0]


def test_match_lifts_the_low_light_arm(captured, aligned, tmp_path):
    assert main([str(captured[0]), "--out", str(tmp_path / "out"), "--match", "level"]) == 0
    for plain, lifted in zip(read_manifest(aligned), read_manifest(tmp_path / "out"), strict=True):
        if plain.ratio == 1:
            assert plain.mean_low_light < 20
            assert lifted.mean_low_light == pytest.approx(lifted.mean_well_lit, rel=0.35)


# What can be wrong: one sentence each, the good pairs still done


def refused(folder, tmp_path, capsys, expected, *more):
    """Run, and give stderr's sentences; `expected` pairs must be done."""
    status = main([str(folder), "--out", str(tmp_path / "out"), *more])
    messages = [line for line in capsys.readouterr().err.splitlines() if line.startswith("capture.align: ")]
    assert status == ((SOME_REFUSED if messages else 0) if expected else 1)
    if expected:
        assert len(list(read_manifest(tmp_path / "out"))) == expected
    return messages


def swap_arms(folder, n):
    """The raws of pair `n` under each other's names; gives the well-lit file."""
    one = bright(folder, n)
    other = partner(one)
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)
    return one


def test_swapped_arms(copy, tmp_path, capsys):
    one = swap_arms(copy, 0)
    (message,) = refused(copy, tmp_path, capsys, 5)
    assert one.name in message and "arms are swapped, the one named dark gets" in message


def test_swapped_arms_of_all_the_best_pairs_leave_the_others(copy, tmp_path, capsys):
    for n in (0, 3):  # ratio 1 of both scenes; with --summed 1 and 2 no other would be looked at first
        swap_arms(copy, n)
    messages = refused(copy, tmp_path, capsys, 4, "--summed", "2")
    assert len(messages) == 2 and all("arms are swapped" in sentence for sentence in messages)


def test_a_session_refused_as_a_whole_leaves_its_reasons_and_can_be_run_again(copy, tmp_path, capsys):
    for n in range(6):
        swap_arms(copy, n)
    out = tmp_path / "out"
    for _ in range(2):  # the second time as the first
        messages = refused(copy, tmp_path, capsys, 0)
        assert sum("arms are swapped" in sentence for sentence in messages) == 6
        assert [path.name for path in out.iterdir()] == ["alignment.json"]
        (session,) = json.loads((out / "alignment.json").read_text())["sessions"]
        assert session["aligned"] == 0
        assert [f"capture.align: {sentence}" for sentence in session["refused"]] == messages
    for n in range(6):
        swap_arms(copy, n)
    assert refused(copy, tmp_path, capsys, 6) == []


def test_a_folder_with_another_alignment_is_left_alone(captured, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "alignment.json").write_text('{"sessions": []}')
    (message,) = refused(captured[0], tmp_path, capsys, 0)
    assert "not empty and no run of this program" in message
    assert (tmp_path / "out" / "alignment.json").read_text() == '{"sessions": []}'


def test_a_fit_that_has_not_converged_is_told_as_such(captured, tmp_path, capsys, monkeypatch):
    fitted = register.register

    def register_badly(*arguments, **more):
        return replace(fitted(*arguments, **more), converged=False, last_step_px=3.25)

    monkeypatch.setattr(register, "register", register_badly)
    (message,) = refused(captured[0], tmp_path, capsys, 0)
    assert "the fit has not converged: its last step still moved the corners by 3.25 px" in message
    assert "no single map" not in message and ".dng" in message


@pytest.mark.parametrize("arm", ["bright", "dark"])
def test_a_black_frame_and_one_of_another_size_leave_the_others(copy, tmp_path, capsys, arm):
    black, small = bright(copy, 0), bright(copy, 1)
    raw = read_dng(black if arm == "bright" else partner(black))
    write_dng(black if arm == "bright" else partner(black), replace(raw, counts=raw.counts * 0 + 64))
    for file in (small, partner(small)):
        raw = read_dng(file)
        write_dng(file, replace(raw, counts=np.ascontiguousarray(raw.counts[:-32])))
    told, size = sorted(refused(copy, tmp_path, capsys, 4), key=lambda message: "px, the map" in message)
    assert black.name in told
    name = "well-lit" if arm == "bright" else "low-light"
    assert f"the {name} arm's frame is all of one level" in told or "its arms are swapped" in told
    assert f"{small.name}: refused: has {WIDTH}×{HEIGHT - 32} px, the map of session" in size


def test_a_mirrored_arm(copy, tmp_path, capsys):
    for file in (copy / "raw").glob("*_dark_*"):
        raw = read_dng(file)
        write_dng(file, replace(raw, counts=np.ascontiguousarray(raw.counts[:, ::-1])))
    (message,) = refused(copy, tmp_path, capsys, 0)
    assert "session 0212_lab: refused: the low-light arm is mirrored left to right" in message


def test_a_wrong_nd_filter(copy, rig, tmp_path, capsys):
    (copy / "raw").rename(copy / "right")
    wrong = rig.model_copy(update={"nd_filter": change(rig.nd_filter, transmittance=(0.03, 0.03, 0.03))})
    shoot(copy, wrong, (41,))
    for file in (copy / "right").glob("*vid000040*"):
        file.rename(copy / "raw" / file.name)
    messages = refused(copy, tmp_path, capsys, 3)
    assert len(messages) == 3
    for sentence in messages:
        assert "vid000041" in sentence
        assert "% of the well-lit arm's light, by the rig 1 %: another ND filter" in sentence


def test_raws_cut_at_zero_too_dark_to_tell_their_filter_are_aligned(rig, tmp_path):
    """Sums of 3×3 pixels that are cut one by one: their counts are above zero and still tell too little light."""
    small = rig.model_copy(update={"binning": 3})
    shoot(tmp_path / "captures", small, (40,), ratios=(1.0, 2.0, 4.0, 8.0, 12.0))
    (tmp_path / "captures" / "rig.yaml").write_text(yaml.safe_dump(small.model_dump(mode="json")), encoding="utf-8")
    assert main([str(tmp_path / "captures"), "--out", str(tmp_path / "out")]) == 0
    shares = {line.ratio: line.alignment.share_of_light for line in read_manifest(tmp_path / "out")}
    assert shares[1.0] == pytest.approx(0.01, rel=0.05)
    assert len(shares) == 5 and shares[12.0] is None


@pytest.mark.parametrize("binning", [1, 4])
def test_the_share_of_light_is_told_through_the_cut_or_not_at_all(binning):
    """Gaussian counts cut at zero pixel by pixel and summed: the share is what went in, as far as it is known."""
    height, width, bias_dn, sigma_dn, white_dn = 200, 320, -1.5, 1.4, 4095
    stream, n = np.random.default_rng(5), binning
    well = np.kron(stream.uniform(0.02, 0.6, (height // 2, width // 2)), np.ones((2, 2))).astype(np.float32)
    shares = []
    for per_light in (1.0, 0.25, 0.08, 0.02):
        light = np.kron(0.01 * per_light * well * white_dn, np.ones((n, n)))
        pixels = np.maximum(light + bias_dn + sigma_dn * stream.standard_normal(light.shape), 0)
        sums = pixels.reshape(height, n, width, n).sum(axis=(1, 3)) / (n**2 * white_dn)
        profile = ((0.0, (sigma_dn / (n * white_dn)) ** 2),) * 3
        dark = Raw(
            np.zeros((2, 2), np.uint16), "RGGB", (0.0,) * 4, white_dn * n**2, 1.0, 0.0, 100, (1.0,) * 3, (), profile,
            "", "", "",
        )  # fmt: skip
        observation = Observation(well, sums.astype(np.float32), "RGGB", (1.0, 1.0, 1.0))
        level = geometry.start((0.0, 0.0), height, width)
        share = photometry.measured_share(
            observation, dark, level, per_light, 0.01, photometry.Black(white_dn, bias_dn)
        )
        assert not share.refutes(0.01, 1.5)
        shares.append(share.value)
        if share.value is not None:
            assert share.value == pytest.approx(0.01, abs=4 * share.sigma / share.kept)
            assert share.refutes(0.03, 1.5) and share.refutes(0.0033, 1.5)
    assert shares[0] is not None and shares[-1] is None


def test_a_missing_partner(copy, tmp_path, capsys):
    file = bright(copy, 2)
    partner(file).unlink()
    (message,) = refused(copy, tmp_path, capsys, 5)
    assert message.endswith(f"{file}: its dark partner is missing")


def test_a_truncated_dng(copy, tmp_path, capsys):
    file = bright(copy, 1)
    file.write_bytes(file.read_bytes()[:100_000])
    (message,) = refused(copy, tmp_path, capsys, 5)
    assert str(file) in message and "truncated" in message


def test_two_sessions_under_one_name(copy, rig, exlpose, tmp_path, capsys):
    """The rig was bumped: the smaller part lies off the map of the larger one."""
    bumped = misaligned(exlpose, shift_px=(-6.0, 9.0), rotation_deg=0.1)
    shoot(copy, bumped, (42,))
    messages = refused(copy, tmp_path, capsys, 6)
    assert len(messages) == 3
    for sentence in messages:
        assert "vid000042" in sentence and "px off the map of session 0212_lab, expected at most 0.5" in sentence


def test_two_sessions_of_two_names_have_a_map_each(copy, rig, exlpose, tmp_path, capsys):
    truth = shoot(copy, misaligned(exlpose, shift_px=(-6.0, 9.0), rotation_deg=0.1), (42,), session="0213")
    assert refused(copy, tmp_path, capsys, 9) == []
    first, second = json.loads((tmp_path / "out" / "alignment.json").read_text())["sessions"]
    assert [first["session"], second["session"]] == ["0212_lab", "0213_lab"]
    assert geometry.corner_error(np.array(second["low_to_well"]), truth, HEIGHT, WIDTH) < 0.15


def test_a_session_too_dark_to_register_is_refused_with_what_it_knows(rig, tmp_path, capsys):
    black = rig.model_copy(update={"nd_filter": change(rig.nd_filter, transmittance=(1e-5, 1e-5, 1e-5))})
    shoot(tmp_path / "captures", black, (40,))
    (message,) = refused(tmp_path / "captures", tmp_path, capsys, 0)
    assert "session 0212_lab: refused: " in message and ("too dark" in message or "nothing in common" in message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--workers", "0"], "capture.align: --workers 0: expected a whole number from 1\n"),
        (["--summed", "-1"], "capture.align: --summed -1: expected a whole number from 1\n"),
        (["--limit-px", "nan"], "capture.align: --limit-px nan: expected a number above 0\n"),
        (["--annotations", "nosuch"], "capture.align: --annotations nosuch: no such file or folder\n"),
        (["--reference", "other.dng"], "--reference other.dng: not one of the pairs of"),
        (["--rig", "nosuch"], "nosuch: no such file, and no rigs file of that name"),
    ],
)
def test_bad_arguments_get_one_sentence_and_leave_nothing(captured, tmp_path, capsys, more, message):
    assert main([str(captured[0]), "--out", str(tmp_path / "out"), *more]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_options_are_told_before_a_demonstration_is_shot(tmp_path, capsys):
    for words, said in (
        (("--workers", "0"), "--workers 0: expected a whole number from 1"),
        (("--rig", "nothing"), "nothing: no such file, and no rigs file of that name"),
        (("--annotations", "x.json"), "--annotations x.json: the demonstration has its own; name captures"),
    ):
        assert main([*words, "--out", str(tmp_path / "out")]) == 1
        out, error = capsys.readouterr()
        assert out == "" and error.startswith("capture.align: ") and said in error
    assert not list(tmp_path.iterdir())


def test_a_folder_of_nothing_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "holds neither raw/*.dng nor bright/ and dark/" in capsys.readouterr().err
    assert main([str(tmp_path / "gone")]) == 1
    assert "no such folder or CSV of pairs" in capsys.readouterr().err
