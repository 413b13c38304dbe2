"""Bodies: bones keep their lengths, joints their limits; the ray caster meets solids where they are."""

import numpy as np
import pytest

from isp_sim import streams
from isp_sim.scenes.people import materials
from isp_sim.scenes.people.bodies.body import body
from isp_sim.scenes.people.figure.clothes import draw_outfit
from isp_sim.scenes.people.figure.poses import LIBRARY, SHARES, STRIDE_M, draw_pose, gait
from isp_sim.scenes.people.figure.skeleton import ANCESTRIES, BONES, LIMITS, PAIRED, SIDES, draw_build, pose_figure
from isp_sim.scenes.people.raycast.intersect import NONE, enter, normal, pack
from isp_sim.scenes.people.raycast.trace import blocked, tree
from isp_sim.scenes.people.shapes import Builder, gather, turn_x, turn_y


def posed(name, number):
    stream = streams.generator(0, name, number)
    build, pose = draw_build(stream), draw_pose(name, stream)
    return build, pose, stream


@pytest.mark.parametrize("name", LIBRARY)
def test_bones_are_as_long_in_every_pose(name):
    for number in range(8):
        build, pose, _ = posed(name, number)
        for time_s in (0.0, 0.1):
            joints = pose_figure(build, pose.at(time_s)).joints
            for start, end, segment in BONES:
                length = np.linalg.norm(joints[end] - joints[start])
                assert length == pytest.approx(build.lengths[segment], rel=1e-9)


@pytest.mark.parametrize("name", LIBRARY)
def test_no_joint_leaves_its_limits(name):
    for number in range(20):
        _, pose, _ = posed(name, number)
        for angle, value in pose.at(0.2).items():
            side, _, base = angle.partition("_")
            low, high = LIMITS[base if side in SIDES and base in PAIRED else angle]
            assert low <= value <= high


@pytest.mark.parametrize("name", LIBRARY)
def test_feet_stand_on_the_floor_and_nothing_lies_under_it(name):
    for number in range(5):
        build, pose, stream = posed(name, number)
        figure = pose_figure(build, pose.angles)
        lowest = min(figure.joints[f"{side}_{part}"][1] for side in SIDES for part in ("toe", "heel"))
        assert lowest == pytest.approx(0, abs=1e-9)
        mesh, _ = body(build, figure, draw_outfit(build, materials.Materials(), stream), pose)
        assert mesh.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
        assert mesh.vertices[:, 1].max() < 1.75 * build.stature_m


@pytest.mark.parametrize("name", STRIDE_M)
def test_a_gait_goes_on_stride_by_stride(name):
    _, pose, _ = posed(name, 3)
    assert pose.later(0.0) == pose
    stride_s = STRIDE_M[name] / pose.pace_m_per_s
    half, whole = pose.later(stride_s / 2), pose.later(stride_s).later(stride_s)
    for angle in gait(name, 0.0):
        side, base = angle.split("_", 1)
        other = f"{'left' if side == 'right' else 'right'}_{base}"
        assert half.angles[other] == pytest.approx(pose.angles[angle], abs=1e-9)
        assert whole.angles[angle] == pytest.approx(pose.angles[angle], abs=1e-9)
    soon, after = pose.later(0.3).at(0.002), pose.later(0.302).angles
    assert all(soon[angle] == pytest.approx(after[angle], abs=0.2) for angle in soon)  # of 100 and more a second


def test_feet_of_who_walks_stay_on_the_floor_and_slide_less_than_the_body_moves():
    """The lower foot's speed over the floor; with limbs that only swing about a pose it is the pace, 1.0 of it."""
    shares = []
    for number in range(8):
        build, pose, _ = posed("walking", number)
        times = np.arange(0, 1.2, 0.02)
        feet = []
        for time_s in times:
            joints = pose_figure(build, pose.later(time_s).angles).joints
            places = [joints[f"{side}_{part}"] for side in SIDES for part in ("toe", "heel")]
            feet.append(np.array(places) + np.array([0, 0, pose.pace_m_per_s * time_s]))
        assert np.abs(np.array(feet)[..., 1].min(axis=1)).max() < 1e-9
        low = np.array(feet)[:-1, :, 1].argmin(axis=1)
        slid = np.diff(np.array(feet)[..., 2], axis=0)[np.arange(len(low)), low]
        shares.append(np.median(np.abs(slid)) / (pose.pace_m_per_s * 0.02))
    assert np.mean(shares) < 0.6


def test_a_standing_figure_is_as_tall_as_its_stature():
    for number in range(20):
        build, pose, _ = posed("standing", number)
        crown = pose_figure(build, pose.angles).joints["head"][1]
        assert crown == pytest.approx(build.stature_m, rel=0.09)


def test_every_pose_is_drawn_and_the_shares_make_one():
    assert set(SHARES) == set(LIBRARY)
    assert sum(SHARES.values()) == pytest.approx(1)


def test_skin_and_hair_and_cloth_are_reflectances():
    stream = streams.generator(1)
    tones = np.array([materials.skin({name: 1.0}, stream) for name in ANCESTRIES for _ in range(100)])
    for colours in (
        tones,
        *(np.array([draw(stream) for _ in range(300)]) for draw in (materials.hair, materials.cloth)),
    ):
        assert colours.min() > 0
        assert colours.max() < 0.96
    assert (tones[:, 0] > tones[:, 2]).all()  # skin is never bluish
    assert np.ptp(tones[:, 1]) > 0.25


def solids():
    add = Builder(0)
    add.ball(np.array([0.0, 0, 5]), turn_y(30), (0.5, 1.0, 0.4), 0)
    add.cone(np.array([2.0, 0, 5]), np.array([2.4, 1, 5.3]), (0.4, 0.2), 0, np.array([1.0, 0, 0]), 0.6)
    add.box(np.array([-2.0, 0, 5]), turn_y(20) @ turn_x(10), (0.4, 0.6, 0.3), 0)
    add.hull(np.array([0.0, 2, 5]), turn_y(50), (0.5, 0.5, 0.5), [(0.8, 0.6, 0.0, 0.9)], 0)
    return add.shapes()


def test_a_ray_enters_a_solid_on_its_surface_and_the_normal_looks_back():
    table = materials.Materials()
    table.add((0.5, 0.5, 0.5))
    shapes = solids()
    s = pack(shapes, table.table())
    low, high = shapes.bounds()
    stream = np.random.default_rng(0)
    hits = 0
    for _ in range(4000):
        aim = np.array([stream.uniform(-2.6, 2.8), stream.uniform(-1.2, 2.8), 5.0])
        for k in range(len(shapes)):
            t = enter(s, k, 0.0, 0.0, 0.0, *aim)
            if t == NONE:
                continue
            hits += 1
            point = t * aim
            assert (point > low[k] - 1e-6).all()
            assert (point < high[k] + 1e-6).all()
            nx, ny, nz, *_ = normal(s, k, *point)
            assert np.hypot(np.hypot(nx, ny), nz) == pytest.approx(1)
            assert np.array([nx, ny, nz]) @ aim < 1e-6
            inside = enter(s, k, *(point + 1e-4 * aim / np.linalg.norm(aim)), *aim)
            assert inside == NONE or inside < 2e-4  # from within there is no other entry
    assert hits > 500


def test_a_round_cone_of_equal_ends_is_a_capsule():
    add = Builder(0)
    add.cone(np.array([0.0, -1, 4]), np.array([0.0, 1, 4]), (0.5, 0.5), 0)
    table = materials.Materials()
    table.add((0.5, 0.5, 0.5))
    s = pack(add.shapes(), table.table())
    assert enter(s, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0) == pytest.approx(3.5)
    assert enter(s, 0, 0.0, 5.0, 4.0, 0.0, -1.0, 0.0) == pytest.approx(3.5)
    assert enter(s, 0, 0.6, 0.0, 0.0, 0.0, 0.0, 1.0) == NONE


def test_the_tree_blocks_what_the_list_blocks():
    table = materials.Materials()
    table.add((0.5, 0.5, 0.5))
    lots = [solids().moved(turn_y(25 * n), np.array([0.0, 0.4 * n, 0])) for n in range(9)]
    shapes = gather(lots)
    s = pack(shapes, table.table())
    nodes, order = tree(*shapes.bounds(), np.arange(len(shapes)))
    stream = np.random.default_rng(1)
    found = 0
    for _ in range(1500):
        start, way = stream.uniform(-8, 8, 3), stream.normal(size=3)
        way /= np.linalg.norm(way)
        first = min(enter(s, k, *start, *way) for k in range(len(shapes)))
        assert blocked(s, nodes, order, *start, *way, 6.0) == (first < 6.0)
        found += first < 6.0
    assert 50 < found < 1450
