"""Scenes with people: the same on every machine, labelled by what the picture shows."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from isp_sim.pair import DualCamera
from isp_sim.scenes import JOINTS, Scene
from isp_sim.scenes.people import crowd, layout
from isp_sim.scenes.people.bodies.body import joint_slack
from isp_sim.scenes.people.figure.skeleton import BONES
from isp_sim.scenes.people.labels import SLACK_M, depths_under_skin
from isp_sim.scenes.people.layout import HALL_REACH_M, UnplaceableError, lay_out
from isp_sim.scenes.people.places import indoor, outdoor
from isp_sim.scenes.people.semantics import CEILING, CLASSES, FLOOR, GROUND
from isp_sim.scenes.people.shapes import BALL, CONE, HULL
from isp_sim.scenes.people.source import SCENES, People, picture
from isp_sim.schedule import Shot

SIZE = (200, 320)
INDOORS, OUTDOORS = indoor.KINDS, outdoor.KINDS


@pytest.fixture(scope="module")
def scenes():
    source = People(*SIZE)
    return [source.scene(index) for index in range(24)]


def test_a_scene_is_light_and_planes_of_the_size_asked_for(scenes):
    for scene in scenes:
        assert scene.radiance.shape == (*SIZE, 3)
        assert scene.radiance.dtype == np.float32
        assert np.isfinite(scene.radiance).all()
        assert scene.radiance.min() >= 0
        for name, kind in (("semantic", np.uint8), ("instances", np.uint16), ("depth", np.uint16)):
            assert scene.planes[name].shape == SIZE
            assert scene.planes[name].dtype == kind
        assert scene.people


def test_light_spans_more_than_a_thousand_to_one_in_some_scenes(scenes):
    spans = [np.percentile(s.radiance, 99.9) / np.percentile(s.radiance[s.radiance > 0], 0.1) for s in scenes]
    # About a fifth of all scenes do (18 of 96 counted): that none of 24 does has a chance of 0.7 %.
    assert any(span > 1e3 for span in spans)


def test_a_scene_depends_on_its_number_alone(scenes):
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            again = People(*SIZE).scene(7)
            assert again.radiance.tobytes() == scenes[7].radiance.tobytes()
            assert again.people == scenes[7].people
            assert again.labels == scenes[7].labels
            for name, plane in again.planes.items():
                assert (plane == scenes[7].planes[name]).all()
    finally:
        torch.set_num_threads(threads)


def test_another_seed_is_another_scene(scenes):
    assert People(*SIZE, seed=1).scene(7).radiance.tobytes() != scenes[7].radiance.tobytes()


def test_the_composition_does_not_depend_on_the_resolution(scenes):
    twice = People(2 * SIZE[0], 2 * SIZE[1]).scene(3)
    assert len(twice.people) == len(scenes[3].people)
    for large, small in zip(twice.people, scenes[3].people, strict=True):
        for (x, y, _), (u, v, seen) in zip(large.keypoints, small.keypoints, strict=True):
            if seen:
                assert ((x - 0.5) / 2, (y - 0.5) / 2) == pytest.approx((u, v), abs=1e-6)
        (x, y, wide, high), (u, v, across, tall) = np.array(large.bbox) / 2, small.bbox
        if sum(seen == 2 for _, _, seen in small.keypoints) >= 12:
            assert (x, y, wide, high) == pytest.approx((u, v, across, tall), abs=2)
        # Of somebody hidden, finer pixels may show slivers that coarser ones miss; they never show less.
        assert x <= u + 2 and y <= v + 2 and x + wide >= u + across - 2 and y + high >= v + tall - 2


def test_the_global_generators_are_left_alone():
    before = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist())  # noqa: NPY002
    People(*SIZE).scene(2)
    after = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist())  # noqa: NPY002
    assert before == after


def test_a_visible_joint_lies_just_under_the_surface_and_a_hidden_one_behind_something():
    assert sum(check_joints(index) for index in (0, 5, 6, 12, 13)) > 80


def check_joints(index):
    """Hold a scene's joints against its depth buffer; how many lay on their own person's surface."""
    source = People(400, 640)
    plan, scene = lay_out(0, index), source.scene(index)
    rendered, bodies = picture(plan, 400, 640, 0.0)
    camera = plan.view(400, 640)
    known = [person["instance"] for person in scene.labels["people"]]
    told = 0
    for number, person in zip(known, scene.people, strict=True):
        mesh, joints = bodies[number - 1]
        under = depths_under_skin(mesh, joints, plan.people[number - 1].build, camera)
        for (x, y, v), (u, w, depth), skin in zip(person.keypoints, camera.project(joints), under, strict=True):
            if v == 0:
                continue
            assert (x, y) == pytest.approx((u, w))
            surface, slack = rendered.depth_m[round(y), round(x)], SLACK_M + depth / camera.focal_px
            if v == 1:
                assert surface < depth - skin - slack + 1e-5
            else:
                assert surface > depth - skin - slack - 1e-5
                told += rendered.instance[round(y), round(x)] == number
    return told


def test_a_box_is_the_hull_of_its_mask(scenes):
    for scene in scenes[:8]:
        for facts, person in zip(scene.labels["people"], scene.people, strict=True):
            rows, columns = np.nonzero(scene.planes["instances"] == facts["instance"])
            x, y, width, height = person.bbox
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)


def test_the_maps_agree(scenes):
    for scene in scenes:
        person = scene.planes["semantic"] == CLASSES.index("person")
        assert (person == (scene.planes["instances"] > 0)).all()
        assert (scene.planes["depth"][scene.planes["semantic"] == CLASSES.index("sky")] == 0).all()
        assert (scene.planes["depth"][person] >= 0).all()


def test_every_class_occurs(scenes):
    found = set().union(*(set(np.unique(scene.planes["semantic"]).tolist()) for scene in scenes))
    assert {CLASSES[number] for number in found} == set(CLASSES) - {"nothing"}


def test_people_cast_a_shadow_of_their_own_size():
    """Out of doors with the sun up there is less light on the ground somewhere than anywhere without people."""
    from dataclasses import replace

    plan = next(p for p in (lay_out(0, n) for n in range(20)) if len(p.lights) == 1 and p.lights[0, 0] == 0)
    whole, _ = picture(plan, *SIZE, 0.0)
    empty, _ = picture(replace(plan, people=()), *SIZE, 0.0)
    ground = (whole.semantic == CLASSES.index("ground")) & (empty.semantic == CLASSES.index("ground"))
    ratio = whole.radiance[ground].mean(axis=1) / empty.radiance[ground].mean(axis=1)
    assert np.percentile(ratio, 98) < 1.02  # but for pixels on an outline
    assert (ratio < 0.6).any()


def test_a_scene_that_cannot_be_placed_is_drawn_again_and_counted(monkeypatch):
    draw, calls = layout._draw, []

    def balky(count, stream, daylight, last, behind):
        calls.append(last)
        if len(calls) < 4:
            raise UnplaceableError("a wall")
        return draw(count, stream, daylight, last, behind)

    monkeypatch.setattr(layout, "_draw", balky)
    assert lay_out(0, 1).redrawn == 3
    assert calls == [False] * 4


def test_the_last_draw_never_fails(monkeypatch):
    draw = layout._draw

    def refuse_all_but_the_last(count, stream, daylight, last, behind):
        if not last:
            raise UnplaceableError("a wall")
        return draw(count, stream, daylight, last, behind)

    monkeypatch.setattr(layout, "_draw", refuse_all_but_the_last)
    for index in range(5):
        plan = lay_out(0, index)
        assert plan.redrawn == 39
        assert plan.people


def test_the_number_of_people_is_exlposes_in_any_stretch():
    counts = np.array([crowd.people_in(n, 0.3) for n in range(500, 900)], float)
    shares = np.repeat(np.arange(1, 23), crowd.PEOPLE).astype(float)
    assert crowd.distance(counts, shares) < 0.01


def test_the_ks_distance_is_scipys():
    from scipy.stats import ks_2samp

    stream = np.random.default_rng(0)
    a, b = stream.integers(0, 9, 80).astype(float), stream.integers(1, 9, 50).astype(float)
    assert crowd.distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)


def test_crowds_are_like_exlposes(shared: Path):
    """People in a picture, box heights and visible joints of 80 layouts, before they are rendered."""
    import json

    document = json.loads((shared / "exlpose/annotations/ExLPose_test_LL-All.json").read_text(encoding="utf-8"))
    heights = {image["id"]: image["height"] for image in document["images"]}
    boxes = np.array([a["bbox"][3] / heights[a["image_id"]] for a in document["annotations"]])
    seen = np.array([min(sum(v > 0 for v in a["keypoints"][2::3]), 14) for a in document["annotations"]], float)
    number = np.unique([a["image_id"] for a in document["annotations"]], return_counts=True)[1].astype(float)
    plans = [lay_out(0, index) for index in range(80)]
    assert crowd.distance(np.array([len(p.people) for p in plans], float), number) < 0.10
    assert crowd.distance(np.array([one.box[3] for p in plans for one in p.people]), boxes) < 0.10
    assert crowd.distance(np.array([one.visible for p in plans for one in p.people], float), seen) < 0.10


def test_people_move_while_the_shutter_is_open():
    index = next(n for n in range(20) if any(one.pose.pace_m_per_s for one in lay_out(0, n).people))
    still = People(*SIZE).scene(index)
    moving = People(*SIZE, motion_blur_samples=3).scene(index)
    assert moving.people == still.people
    assert moving.radiance.tobytes() == still.radiance.tobytes()
    assert still.during is None
    changed = [(np.abs(moving.during(t, 0.0) - still.radiance).max(axis=2) > 1e-3).mean() for t in (0.2, 0.02, 0.0)]
    assert 0.6 > changed[0] > changed[1] > changed[2] == 0
    velocity = np.array([person["joint_velocity_m_per_s"] for person in still.labels["people"]])
    assert np.linalg.norm(velocity, axis=2).max() > 0.5


def test_each_shot_is_blurred_over_its_own_exposure(ideal):
    """A square that runs 1 px/ms: the trail's length is the exposure's, the light it brings is not changed by it."""
    rig = ideal.model_copy(update={"height_px": 64, "width_px": 96})

    def during(exposure_s, after_s=0.0):
        light = np.full((64, 96, 3), 0.02, np.float32)
        for n in range(64):
            left = round(48 + 1000 * (after_s + ((n + 0.5) / 64 - 0.5) * exposure_s)) - 4
            light[28:36, left : left + 8] += 0.1 / 64
        return light

    scene = Scene("square", during(0.0), during=during)
    shots = [
        Shot(0, "0101", "sim", "0", "0", ratio, round(32_000 / ratio), 32_000.0, 0.0, 20 * np.log10(ratio), 0.0, n)
        for n, ratio in enumerate((1.0, 4.0))
    ]
    long, short = DualCamera(rig).shoot(scene, shots, 0)
    for pair, ms in ((long, 32), (short, 8)):
        row = pair.well_lit_raw.counts[32, ::2].astype(float)  # one colour
        trail = 2 * (row > 1.1 * np.median(row)).sum()
        assert trail == pytest.approx(8 + ms, abs=4)
    frozen = DualCamera(rig).shoot(Scene("square", during(0.0)), shots, 0)
    for moved, still in zip((long, short), frozen, strict=True):
        sums = [pair.well_lit_raw.counts.astype(float).sum() for pair in (moved, still)]
        assert sums[0] == pytest.approx(sums[1], rel=0.01)


@pytest.mark.parametrize(("daylight", "worlds"), [(1.0, OUTDOORS), (1 / 10, OUTDOORS), (1 / 100, INDOORS)])
def test_where_a_scene_is_follows_the_light(daylight, worlds):
    plans = [lay_out(0, index, daylight) for index in range(16)]
    placed = [plan for plan in plans if max(one.z for one in plan.people) < HALL_REACH_M]
    assert len(placed) >= 8
    assert {plan.name for plan in placed} <= set(worlds)
    if daylight == 1.0:  # nobody needs 1 ms at 0 dB under a closed sky
        assert all(len(plan.lights) for plan in placed)


def test_maps_lie_on_the_warped_picture(exlpose):
    geometry = exlpose.well_lit.geometry
    turned = geometry.model_copy(
        update={
            "rotation_deg": geometry.rotation_deg.model_copy(update={"value": 1.5}),
            "shift_px": geometry.shift_px.model_copy(update={"value": (6.0, -4.0)}),
        }
    )
    well = exlpose.well_lit.model_copy(update={"geometry": turned})
    rig = exlpose.model_copy(update={"height_px": 300, "width_px": 480, "well_lit": well})
    plan, scene = lay_out(0, 2), People(300, 480).scene(2)
    shot = Shot(0, "0101", "sim", "000000", "000000", 1.0, 10_000, 10_000.0, 6.0, 6.0, 6.0)
    (pair,) = DualCamera(rig).shoot(scene, [shot], 0)
    inside = 0
    for facts, person in zip(scene.labels["people"], pair.people, strict=True):
        one = plan.people[facts["instance"] - 1]
        px_per_m = plan.view(300, 480).focal_px / one.z
        mask = pair.planes["instances"] == facts["instance"]
        assert pair.planes["instances"].shape == pair.well_lit.shape[:2]
        ys, xs = np.nonzero(mask)
        for (x, y, v), radius in zip(person.keypoints, joint_slack(one.build, JOINTS), strict=True):
            if v == 2 and 0.08 * px_per_m > 1:  # thinner than a pixel, a limb may have none
                assert np.hypot(xs - x, ys - y).min() <= max(radius * px_per_m, 1.0) + 1
                inside += 1
    assert inside > 20


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"height": 31, "width": 64}, "height is 31 px"),
        ({"height": 64, "width": 65}, "width is 65 px"),
        ({"height": 64, "width": 64, "motion_blur_samples": 0}, "motion_blur_samples is 0"),
    ],
)
def test_what_does_not_do_is_refused_by_name(arguments, told):
    with pytest.raises(ValueError, match=told):
        People(**arguments)


@pytest.mark.parametrize("index", [-1, SCENES])
def test_a_scene_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match="0 … 999999"):
        People(64, 64).scene(index)


def inside(shapes, points):
    """Which points lie inside which solids, by the definition of each kind in its own frame: `(points, solids)`."""
    turn = np.linalg.inv(shapes.frame[:, :, :3])
    own = np.einsum("kij,pkj->pki", turn, points[:, None] - shapes.frame[:, :, 3])
    h, a, b = shapes.size[:, 0], shapes.size[:, 1], shapes.size[:, 2]
    along = np.clip(own[..., 1] / np.maximum(h, 1e-9), 0, 1)
    cone = np.hypot(own[..., 0], own[..., 2]) < a + (b - a) * along
    cone &= (own[..., 1] > 0) & (own[..., 1] < h)
    box = (np.abs(own) < 1).all(axis=2)
    for k in np.flatnonzero(shapes.kind == HULL):
        first, count = int(shapes.size[k, 4]), int(shapes.size[k, 5])
        planes = shapes.planes[first : first + count]
        box[:, k] &= (own[:, k] @ planes[:, :3].T <= planes[:, 3]).all(axis=1)
    ball = (own**2).sum(axis=2) < 1
    return np.select([shapes.kind == BALL, shapes.kind == CONE], [ball, cone], box)


def flesh(joints):
    """Joints, points along the bones, and 5 cm round them."""
    limbs = [(JOINTS.index(a), JOINTS.index(b)) for a, b, _ in BONES] + [(13, 6), (13, 7)]
    line = np.concatenate([joints[i] + np.linspace(0, 1, 9)[:, None] * (joints[j] - joints[i]) for i, j in limbs])
    around = 0.05 * np.array([(0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)])
    return (line[:, None] + around).reshape(-1, 3)


def collisions(plan, shift=0.0):
    """Who goes through what; everybody moved by `shift` m to the right."""
    bodies = [one.outline() for one in plan.people]
    firm = np.isin(plan.things.semantic, (FLOOR, GROUND, CEILING), invert=True)
    found = []
    for n, (one, (_, joints)) in enumerate(zip(plan.people, bodies, strict=True)):
        points = flesh(joints + np.array([shift, 0, 0]))
        if one.pose.name != "sitting" and (inside(plan.things, points) & firm).any():
            found.append((n, "a thing"))
        others = [m for m in range(len(bodies)) if m != n]
        found += [(n, m) for m in others if inside(bodies[m][0], points).any()]
    return found


def test_nobody_goes_through_furniture_cars_trees_or_other_people():
    plans = [lay_out(1, index, 0.01) for index in range(12)] + [lay_out(0, index, 0.1) for index in range(8)]
    assert [(plan.name, bad) for plan in plans if (bad := collisions(plan))] == []
    assert any(collisions(plan, shift=n / 2) for plan in plans for n in (-4, -3, -2, -1, 1, 2, 3, 4))  # it would tell


def test_who_sits_sits_on_the_seat_and_not_in_it():
    """The hips are not inside the seat, and the seat is not farther below them than a leg is thick."""
    plans = (lay_out(2, n, 0.01) for n in range(60))
    sitters = itertools.islice(((p, one) for p in plans for one in p.people if one.pose.name == "sitting"), 3)
    told = 0
    for plan, one in sitters:
        _, joints = one.outline()
        hips = joints[[JOINTS.index("left_hip"), JOINTS.index("right_hip")]]
        assert not inside(plan.things, hips).any()
        below = hips - np.array([0, 0.20, 0])
        assert inside(plan.things, np.linspace(hips, below, 40).reshape(-1, 3)).any()
        told += 1
    assert told == 3
