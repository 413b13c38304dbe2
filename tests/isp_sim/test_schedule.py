"""Exposure, gain and file names."""

import math

import pytest

from isp_sim import schedule, streams


def test_the_491_real_names_come_back(shared):
    import csv

    path = shared / "exlpose" / "schedule.csv"
    with path.open() as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    shots = schedule.replay(path)
    assert len(shots) == 491
    assert [f"bright/{shot.file_name('bright')}" for shot in shots] == names


def test_the_real_splits_come_back(shared):
    shots = schedule.replay(shared / "exlpose" / "schedule.csv")
    splits = [schedule.split_of(shot.well_lit_gain_db) for shot in shots]
    assert [splits.count(s) for s in ("LL-N", "LL-H", "LL-E")] == [167, 169, 155]


def test_gain_makes_up_for_exposure_in_every_shot(exlpose):
    for scene in range(50):
        shots = schedule.scene_shots(exlpose.schedule, scene, streams.generator(0, scene))
        for shot in shots:
            assert shot.well_lit_gain_db == pytest.approx(
                shot.low_light_gain_db + 20 * math.log10(shot.ratio), abs=0.005
            )
            assert shot.exposure_us == pytest.approx(shot.base_exposure_us / shot.ratio, abs=0.5)


def test_bases_are_drawn_evenly(exlpose):
    known = schedule.bases(exlpose.schedule)
    assert len(known) == 50
    drawn = [schedule.scene_shots(exlpose.schedule, n, streams.generator(1, n))[0] for n in range(4000)]
    indoor = sum(shot.base_exposure_us == 15000 for shot in drawn)
    assert indoor == pytest.approx(4000 * 9 / 50, abs=5 * math.sqrt(4000 * 0.18 * 0.82))


@pytest.mark.parametrize("gain, split", [(0, "LL-N"), (14.99, "LL-N"), (15, "LL-H"), (23.99, "LL-H"), (24, "LL-E")])
def test_splits_begin_at_15_and_24_db(gain, split):
    assert schedule.split_of(gain) == split


def test_every_wrong_row_is_named(tmp_path):
    path = tmp_path / "shots.csv"
    path.write_text(
        "session,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us\n"
        "0101,,1,0,1,5,5,1000\n0101,,1,0,x,5,5,1000\n0101,,1,0,1,5,5,0\n"
    )
    with pytest.raises(ValueError) as fault:
        schedule.replay(path)
    assert "shots.csv:3: exposure_ratio = 'x': expected numbers from 1 to 10000" in str(fault.value)
    assert "shots.csv:4: exposure_us = '0': expected numbers from 1 to 1e+08" in str(fault.value)


def test_shots_of_a_scene_share_the_base_of_its_smallest_ratio(shared):
    bases = {}
    for shot in schedule.replay(shared / "exlpose" / "schedule.csv"):
        bases.setdefault(shot.scene, set()).add((shot.base_exposure_us, shot.base_gain_db))
    assert {len(known) for known in bases.values()} == {1}
    assert (5000.0, 4.5) in bases[0]


def test_a_place_cannot_lead_out_of_the_folder(tmp_path):
    path = tmp_path / "shots.csv"
    path.write_text(
        "\ufeffsession,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us\n"
        "0101,../x,1,0,1,5,5,1000\n"
    )
    with pytest.raises(ValueError, match=r"shots.csv:2: place = '../x': expected letters, digits"):
        schedule.replay(path)


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "shots.csv"
    path.write_text("session,place\n")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) scene, frame, exposure_ratio"):
        schedule.replay(path)
