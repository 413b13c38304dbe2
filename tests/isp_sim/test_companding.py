"""Companded raws: closed forms of the table, DNG's LinearizationTable there and back, LibRaw's reading of it."""

from dataclasses import replace

import numpy as np
import pytest

from isp_sim.camera import SimulatedArm
from isp_sim.companding import checked_knots, codes_of, companded, table_of
from isp_sim.dng import read_dng, write_dng
from isp_sim.raw_files import through_libraw
from isp_sim.raw_npz import decode_npz, encode_npz
from isp_sim.rig import Figure
from isp_sim.rigfile import load_rig
from isp_sim.units import Counts, Radiance

KNOTS = ((0, 0), (512, 512), (1024, 4608), (2047, 65520))
"""16 bits in 11: steps of 1, 8 and 59.5."""


def test_a_table_is_straight_between_its_knots():
    table = table_of(KNOTS)
    assert len(table) == 2048 and all(table[code] == count for code, count in KNOTS)
    assert (np.diff(table[:513]) == 1).all() and (np.diff(table[512:1025]) == 8).all()


def test_every_count_goes_as_the_nearest_code():
    counts, table = Counts(np.arange(65521, dtype=np.uint16)[None]), table_of(KNOTS)
    back = companded(counts, table)[0].astype(int)
    off = np.abs(back - np.arange(65521))
    assert off[:513].max() == 0 and off[512:4609].max() == 4 and off[4608:].max() == 30
    assert (companded(Counts(table[None]), table) == table).all()  # what has a code keeps it
    codes = codes_of(counts, table)[0].astype(int)
    assert (np.diff(codes) >= 0).all() and codes[-1] == 2047


def test_steps_add_their_variance():
    counts = np.random.default_rng(0).integers(1000, 4000, 400_000).astype(np.uint16)[None]
    error = companded(Counts(counts), table_of(KNOTS)).astype(float) - counts
    # A step of 8 over whole numbers, −4 … 3 from its middle or −3 … 4: (8² − 1)/12 and the mean's ½.
    assert error.var() == pytest.approx((64 - 1) / 12, rel=0.01)
    assert abs(error.mean()) == pytest.approx(0.5, abs=4 * error.std() / 400_000**0.5)


@pytest.mark.parametrize(
    ("knots", "told"),
    [
        (((0, 1), (5, 9)), r"expected \[0, 0\] first"),
        (((0, 0), (5, 9), (5, 12)), "expected rising codes"),
        (((0, 0), (5, 70_000)), "up to 65535"),
        (((0, 0), (9, 5)), "no piece with more codes than counts"),
    ],
)
def test_knots_that_make_no_table_are_refused(knots, told):
    with pytest.raises(ValueError, match=told):
        checked_knots(knots)


def companding_rig():
    plain = load_rig("exlpose-small")
    knots = Figure(value=KNOTS, status="assumed", source="a test")
    return plain.model_copy(update={"sensor": plain.sensor.model_copy(update={"companding": knots})})


def grabbed(rig):
    arm = SimulatedArm(rig, rig.well_lit)
    ramp = np.linspace(0.0, 1.2, 480, dtype=np.float32)[None, :, None].repeat(300, 0).repeat(3, 2)
    arm.look_at(Radiance(ramp))
    arm.light = 40.0
    return arm.grab(1000.0, 6.0)


def test_a_camera_that_compands_shows_the_same_light(tmp_path):
    plain, sent = grabbed(load_rig("exlpose-small")), grabbed(companding_rig())
    table = table_of(KNOTS)
    assert (sent.counts == companded(plain.counts, table)).all()
    assert plain.counts.max() > 4608 and len(np.unique(sent.counts)) < len(np.unique(plain.counts))
    path = tmp_path / "companded.dng"
    write_dng(path, sent)
    back = read_dng(path)
    assert (back.counts == sent.counts).all() and replace(back, counts=sent.counts) == sent
    theirs = through_libraw(path)
    assert (theirs.counts == sent.counts).all() and theirs.white_level_dn == sent.white_level_dn
    again = decode_npz(encode_npz(sent), "companded.npz")
    assert (again.counts == sent.counts).all() and replace(again, counts=sent.counts) == sent


def test_counts_between_the_table_s_are_not_written(tmp_path):
    raw = grabbed(companding_rig())
    off = raw.counts.copy()
    off[0, 0] = 4601
    with pytest.raises(ValueError, match="counts have values that linearization does not give"):
        write_dng(tmp_path / "x.dng", replace(raw, counts=Counts(off)))
    assert not (tmp_path / "x.dng").exists()


def test_a_table_that_ends_before_white_is_refused():
    rig = companding_rig()
    short = Figure(value=KNOTS[:-1], status="assumed", source="a test")
    with pytest.raises(ValueError, match=r"sensor\.companding ends at 4608 DN: expected 65520"):
        type(rig).model_validate(
            {**rig.model_dump(), "sensor": {**rig.sensor.model_dump(), "companding": short.model_dump()}}
        )
