"""Pairs from raw photographs: the open pipeline against closed forms, its noise, the command, the layout."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from isp_sim.dng import read_dng, write_dng
from isp_sim.generate import main
from isp_sim.manifest import read_manifest
from isp_sim.photo_pairs.frames import PhotoFrames, open_frame, shrunk
from isp_sim.photo_pairs.pairs import clipped, dimmed, draw, even, finish, key_of, lower_contrast, saturate
from isp_sim.photo_pairs.rig import load_any_rig
from isp_sim.raw import Raw
from isp_sim.raw_files import through_libraw
from isp_sim.rigfile import load_rig
from isp_sim.transfer import srgb_encode, tone
from models.data.samples import FolderPairs

NEUTRAL = (0.5, 1.0, 0.75)
IDENTITY = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.204, 1.057))  # XYZ → Rec. 709


def grey_raw(level, side=24, noise_profile=()):
    """A neutral frame of `level`, 0 … 1 of the range, of a camera that sees white as `NEUTRAL`."""
    counts = np.empty((side, side), np.uint16)
    for place, colour in enumerate("RGGB"):
        counts[place // 2 :: 2, place % 2 :: 2] = round(600 + level * NEUTRAL["RGB".index(colour)] * 15000)
    camera = tuple(tuple(NEUTRAL[c] * v for v in IDENTITY[c]) for c in range(3))
    return Raw(
        counts, "RGGB", (600.0,) * 4, 15600, 1000.0, 0.0, 100, NEUTRAL, camera, noise_profile, "", "", "", {}
    )  # fmt: skip


@pytest.fixture(scope="module")
def rig():
    return load_any_rig("gladnet")


def with_numbers(rig, **changes):
    figures = {
        name: getattr(rig, name).model_copy(update={"value": value}) if hasattr(getattr(rig, name), "value") else value
        for name, value in changes.items()
    }
    return rig.model_copy(update=figures)


def test_a_grey_stays_grey_and_is_what_the_curves_make_of_it(rig):
    picture = finish(rig, grey_raw(0.4), None, "colour")
    grey = torch.tensor(0.4)
    wanted = 255 * float(srgb_encode((grey + tone(grey)) / 2))
    assert np.abs(picture.astype(float) - wanted).max() <= 1


@pytest.mark.parametrize("ev", [0.0, -1.0, -5.0])
def test_exposure_scales_what_is_above_black(ev):
    low = dimmed(grey_raw(0.8), ev, None, np.random.default_rng(0))
    wanted = (grey_raw(0.8).counts.astype(float) - 600) * 2**ev + 600
    assert np.abs(low.counts - wanted).max() <= 0.5


def test_no_exposure_and_no_contrast_change_nothing(rig):
    raw = grey_raw(0.3)
    drawn = replace(draw(rig, 0, 0, 0), kind="colour", exposure_ev=0.0, contrast=0.0, saturation=1.0)
    assert np.array_equal(finish(rig, dimmed(raw, 0.0, None, np.random.default_rng(0)), drawn, "colour"),
                          finish(rig, raw, None, "colour"))  # fmt: skip


def test_contrast_keeps_black_and_its_line_goes_about_the_pivot():
    x = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2)
    slope, pivot = 0.5, 0.4
    before_black = pivot + slope * (x - pivot)
    black = pivot * (1 - slope)
    assert torch.allclose(lower_contrast(x, slope, pivot), (before_black - black) / (1 - black))
    assert lower_contrast(x, slope, pivot).flatten()[0] == 0
    assert torch.equal(lower_contrast(x, 1.0, pivot), x)


def test_the_key_is_the_log_mean():
    image = torch.tensor([0.1, 0.4]).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert key_of(image) == pytest.approx(math.sqrt(0.101 * 0.401) - 0.001, rel=1e-4)


def test_saturation_of_zero_is_the_luma_and_of_one_the_picture():
    image = torch.tensor([0.9, 0.5, 0.1]).reshape(1, 3, 1, 1)
    assert saturate(image, 0.0).flatten().tolist() == pytest.approx([0.299 * 0.9 + 0.587 * 0.5 + 0.114 * 0.1] * 3)
    assert torch.allclose(saturate(image, 1.0), image)


def test_noise_at_the_lower_exposure_has_the_variance_of_a_real_frame_there():
    """A raw with noise S·x + O, dimmed: S·x' + O. 40,000 pixels: the variance's standard error is √(2/n) = 0.7 %."""
    shot, read, x, ev = 1e-4, 1e-5, 0.5, -2.0
    stream = np.random.default_rng(1)
    side, gain = 400, 2.0**ev
    noisy = x + math.sqrt(shot * x + read) * stream.standard_normal((side, side))
    flat = replace(grey_raw(0.5, side), counts=np.rint(600 + noisy * 15000).astype(np.uint16), neutral=(1.0, 1.0, 1.0))
    low = dimmed(flat, ev, ((shot, read),) * 3, stream)
    found = ((low.counts[::2, 1::2].astype(float) - 600) / 15000).var()
    rounding = (1 + gain**2) / 12 / 15000**2
    assert found == pytest.approx(shot * x * gain + read + rounding, rel=4 * math.sqrt(2 / 40_000))


def test_highlights_are_cut_where_they_stay_neutral_and_even_frames_are_black_or_white(rig):
    white = finish(rig, even(grey_raw(0.5), "white"), None, "white")
    black = finish(rig, even(grey_raw(0.5), "black"), None, "black")
    assert white.min() == 255 and black.max() == 0
    burnt = replace(grey_raw(0.5), counts=np.full((24, 24), 15600, np.uint16))
    assert finish(rig, clipped(burnt), None, "colour").min() == 255


def test_drawn_numbers_keep_to_the_rig_and_to_their_key(rig):
    lots = [draw(rig, 0, n, 0) for n in range(4000)]
    assert lots[7] == draw(rig, 0, 7, 0) and lots[7] != draw(rig, 1, 7, 0)
    assert all(-5 <= d.exposure_ev <= 0 and -100 <= d.contrast <= 0 and 0 <= d.saturation <= 1 for d in lots)
    kinds = [d.kind for d in lots]
    for kind, share in (("black", 0.02), ("white", 0.02), ("grey", 0.1)):
        assert kinds.count(kind) / 4000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))
    weak = [d.saturation < 1 for d in lots if d.kind == "colour"]
    assert np.mean(weak) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(weak)))


def test_shrinking_takes_the_mean_of_each_colour():
    raw = grey_raw(0.4, 24, ((4e-4, 4e-6),) * 3)
    small = shrunk(raw, 3)
    scale = 65535 // 15600
    assert small.counts.shape == (8, 8) and small.white_level_dn == 15600 * scale
    assert np.array_equal(small.counts, grey_raw(0.4, 8).counts * scale)
    assert small.noise_profile[0] == pytest.approx((4e-4 / 9, 4e-6 / 9))
    assert shrunk(raw, 1) is raw


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    """Three DNG, one of them a low-light arm's, which is no source of well-lit pictures."""
    folder = tmp_path_factory.mktemp("raws")
    stream = np.random.default_rng(0)
    for n in range(2):
        counts = np.clip(grey_raw(0.4, 96).counts * stream.uniform(0.2, 1.5, (96, 96)), 600, 15600).astype(np.uint16)
        write_dng(folder / f"photo{n}.dng", replace(grey_raw(0.4, 96), counts=counts))
    write_dng(folder / "imgs_0101_sim_vid000000_exp100_dark_000000__gain_0.00_exposure_10.dng", grey_raw(0.1, 96))
    return folder


def test_the_command_makes_pairs_that_training_reads_whatever_the_workers(raws, tmp_path):
    asked = ["--rig", "gladnet", "--scenes", str(raws), "--count", "10", "--seed", "3"]
    assert main([*asked, "--workers", "1", "--out", str(tmp_path / "one")]) == 0
    assert main([*asked, "--workers", "2", "--out", str(tmp_path / "two")]) == 0
    lines = list(read_manifest(tmp_path / "one"))
    assert [line.scene for line in lines] == ["photo0.dng", "photo1.dng"] * 5
    for line in lines:
        for name in line.files:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        well, low = (cv2.imread(str(tmp_path / "one" / name)).astype(int) for name in (line.bright, line.dark))
        if line.labels["kind"] == "grey":
            assert np.ptp(well, axis=2).max() <= 1 and np.ptp(low, axis=2).max() <= 1
        elif line.labels["kind"] in ("black", "white"):
            assert np.array_equal(well, low) and np.ptp(well) == 0
        assert low.mean() <= well.mean()
        raw = read_dng(tmp_path / "one" / line.raw_dark)
        assert raw.provenance["exposure_ev"] == line.labels["exposure_ev"]
    assert len(FolderPairs(tmp_path / "one")) == 10
    assert main([*asked, "--workers", "1", "--out", str(tmp_path / "one"), "--resume"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "folder of them"),
        (["--scenes", "nowhere"], "no such folder or raw file"),
        (["--scenes", "RAWS", "--shots-per-scene", "2"], "takes none"),
    ],
)
def test_what_the_rig_cannot_take_is_told(arguments, told, raws, tmp_path, capsys):
    given = [str(raws) if word == "RAWS" else word for word in arguments]
    assert main(["--rig", "gladnet", *given, "--out", str(tmp_path / "run")]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_raws_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds no raw files"):
        PhotoFrames(tmp_path, 100, 100)


def test_a_rig_of_one_kind_is_not_taken_for_the_other():
    with pytest.raises(ValueError, match="kind"):
        load_rig("gladnet")
    assert load_any_rig("exlpose").name == "exlpose"


def test_a_fault_in_the_rig_is_told_with_its_line(tmp_path):
    from isp_sim.rigfile import rigs_folder

    text = (rigs_folder() / "gladnet.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("value: [-5, 0]", "value: [-5, 1]"))
    with pytest.raises(ValueError, match=r"exposure_ev: is \[-5.0, 1.0\]"):
        load_any_rig(str(tmp_path / "mine.yaml"))


def test_a_headerless_mosaic_and_libraw_give_the_same_picture_of_a_real_camera(shared, rig, tmp_path):
    """The development raw as a headerless file, and as the DNG that LibRaw opens."""
    raw = open_frame(shared / "raw" / "DSC_1339_768x512_rggb.raw")
    assert raw.counts.shape == (512, 768) and raw.neutral[1] == 1.0
    write_dng(tmp_path / "same.dng", raw)
    again = through_libraw(tmp_path / "same.dng")
    ours, theirs = (finish(rig, clipped(r), None, "colour").astype(int) for r in (raw, again))
    assert 20 < ours.mean() < 200
    assert np.abs(ours - theirs).mean() < 1
