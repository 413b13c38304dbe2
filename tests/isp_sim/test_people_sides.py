"""Left is left: the frame's hand, bodies in it, and the way of a red left arm from the solids to the COCO file."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from isp_sim import streams
from isp_sim.generate import main
from isp_sim.scenes import JOINTS, Person
from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics, source
from isp_sim.scenes.people.figure.clothes import Worn, draw_outfit
from isp_sim.scenes.people.figure.poses import LIBRARY, Pose, draw_pose
from isp_sim.scenes.people.figure.skeleton import ANGLES, SIDES, draw_build, joint_array, pose_figure
from isp_sim.scenes.people.layout import Layout, lay_out
from isp_sim.scenes.people.places import indoor, outdoor
from isp_sim.scenes.people.placing import Someone
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.raycast.light import SUN, Sky, area
from isp_sim.scenes.people.shapes import HULL, Builder, turn_y
from isp_sim.scenes.people.source import People
from models.data.crops import crop_affine, joints_in_crop, mirrored

CAMERA = Camera(0.0, 1.4, 0.0, 0.0, 400.0, 400, 640)
LEFT, RIGHT = JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")
AT_THE_CAMERA, AWAY = 180.0, 0.0
HANGING = dict.fromkeys(ANGLES, 0.0)


def figure(**angles):
    return pose_figure(draw_build(streams.generator(0)), HANGING | angles)


def test_the_frame_is_left_handed_x_right_y_up_z_away():
    origin, right, up, away = CAMERA.project(np.array([[0, 1.4, 3.0], [0.1, 1.4, 3.0], [0, 1.5, 3.0], [0, 1.4, 3.1]]))
    assert right[0] > origin[0] and up[1] < origin[1] and away[2] > origin[2]


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize(("heading", "side"), [(AT_THE_CAMERA, 1), (AWAY, -1)])
def test_who_faces_the_camera_has_the_left_shoulder_on_the_pictures_right(name, heading, side):
    """Where somebody looks is taken from the feet, not from the heading."""
    for number in range(6):
        stream = streams.generator(0, "sides", name, number)
        joints = pose_figure(draw_build(stream), draw_pose(name, stream).angles).joints
        turn, shift = turn_y(heading), np.array([0, 0, 4.0])
        ahead = [turn @ (joints[f"{one}_toe"] - joints[f"{one}_heel"]) for one in SIDES]
        assert all(np.sign(foot[2]) == -side for foot in ahead)  # towards the camera, z falls
        left, right = CAMERA.project(np.array([turn @ joints[f"{one}_shoulder"] + shift for one in ("left", "right")]))
        assert side * (left[0] - right[0]) > 5


def test_people_in_scenes_have_their_left_on_the_side_they_look_from():
    told = 0
    for number in range(6):
        plan, scene = lay_out(0, number), People(200, 320).scene(number)
        for facts, person in zip(scene.labels["people"], scene.people, strict=True):
            way = np.cos(np.radians(plan.people[facts["instance"] - 1].heading_deg))
            (left, _, seen), (right, _, both) = person.keypoints[LEFT], person.keypoints[RIGHT]
            if seen and both and abs(way) > 0.9:
                assert (left - right) * -way > 0
                told += 1
    assert told > 12


@pytest.mark.parametrize("side", SIDES)
def test_knees_bend_backwards_elbows_forwards_toes_point_ahead_on_a_body_of_the_right_hand(side):
    """Right side, up, ahead: in a left-handed frame such a triple's determinant is positive, whoever looks where.

    Ahead is where the bent knee points, where the bent elbow brings the wrist, and where the toes are.
    """
    bent = figure(**{f"{side}_knee": 70.0, f"{side}_hip_flex": 10.0, f"{side}_elbow": 70.0}).joints
    hip, knee, ankle = (bent[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
    shoulder, elbow, wrist = (bent[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    aheads = {
        "knee": knee - (hip + ankle) / 2,
        "elbow": wrist - elbow - (elbow - shoulder),
        "toe": bent[f"{side}_toe"] - bent[f"{side}_heel"],
    }
    across = bent["right_shoulder"] - bent["left_shoulder"]
    up = bent["neck"] - bent["pelvis"]
    for turned in (0.0, 70.0, 200.0):
        turn = turn_y(turned)
        for ahead in aheads.values():
            assert np.linalg.det(turn @ np.column_stack((across, up, ahead))) > 1e-3


@pytest.mark.parametrize("side", SIDES)
def test_each_limb_turns_outwards_to_its_own_side(side):
    out = figure(**{f"{side}_shoulder_abduct": 60.0, f"{side}_hip_abduct": 30.0, f"{side}_toe_out": 20.0}).joints
    across = SIDES[side]
    assert across * (out[f"{side}_elbow"] - out[f"{side}_shoulder"])[0] > 0.1
    assert across * (out[f"{side}_knee"] - out[f"{side}_hip"])[0] > 0.1
    assert across * (out[f"{side}_toe"] - out[f"{side}_heel"])[0] > 0.02
    assert across * (out[f"{side}_shoulder"] - out["neck"])[0] > 0.05
    inwards = figure(**{f"{side}_elbow": 90.0, f"{side}_shoulder_twist": 60.0}).joints
    assert across * (inwards[f"{side}_wrist"] - inwards[f"{side}_elbow"])[0] < -0.1


def test_trunk_and_head_lean_left_and_turn_right_for_positive_angles():
    """As `skeleton` says; left and right are those of the labelled shoulders and hips."""
    straight = figure().joints
    across = straight["right_shoulder"] - straight["left_shoulder"]
    for angle in ("spine_side", "neck_side"):
        joints = figure(**{angle: 20.0}).joints
        assert (joints["head"] - joints["pelvis"]) @ across < -0.01
    for angle in ("spine_twist", "neck_turn"):
        assert figure(**{angle: 20.0}).frames["head"][:, 2] @ across > 0.01


@pytest.mark.parametrize(("name", "end", "root"), [("reaching", "neck", "pelvis"), ("telephoning", "head", "neck")])
def test_who_reaches_or_telephones_leans_to_the_arm_that_does_it(name, end, root):
    """With either hand; which one it is the wrists' heights say."""
    leans = {"left": [], "right": []}
    for number in range(80):
        stream = streams.generator(0, "lean", name, number)
        joints = pose_figure(draw_build(stream), draw_pose(name, stream).angles).joints
        busy = max(SIDES, key=lambda one, joints=joints: joints[f"{one}_wrist"][1])
        leans[busy].append((joints[end] - joints[root])[0] * SIDES[busy])
    for lean in leans.values():
        assert len(lean) > 20
        assert np.mean(lean) > 3 * np.std(lean) / np.sqrt(len(lean))


class RedArm(Someone):
    """Somebody whose arm on one side of the picture is red: chosen by its place, not by its name."""

    red, right_of_picture = 0, True

    def body(self, time_s=0.0):
        mesh, joints = super().body(time_s)
        middle = mesh.vertices[mesh.triangles].mean(axis=1) - np.array([self.x, 0, 0])
        aside = middle[:, 0] if self.right_of_picture else -middle[:, 0]
        arm = (aside > 1.1 * self.build.lengths["shoulder_half"]) & (middle[:, 1] > 0.4 * self.build.stature_m)
        assert 0.05 < arm.mean() < 0.4
        return mesh._replace(material=np.where(arm, self.red, mesh.material).astype(np.int32)), joints


def with_a_red_arm(heading, right_of_picture):
    """A layout: one person on open ground in the sun, arms a little apart."""
    table, stream = m.Materials(), streams.generator(3)
    add = Builder(semantics.GROUND)
    add.box(np.array([0, -0.5, 40.0]), np.eye(3), (60.0, 0.5, 60.0), table.add((0.3, 0.3, 0.3)))
    build = draw_build(stream)
    grey = table.add((0.5, 0.5, 0.5))
    worn = (Worn("sweater", grey), Worn("trousers", grey), Worn("short01", grey))
    outfit = replace(draw_outfit(build, table, stream), worn=worn, bag="")
    angles = HANGING | {f"{side}_shoulder_abduct": 18.0 for side in SIDES}
    one = RedArm(
        build,
        outfit,
        Pose("standing", angles, dict.fromkeys(ANGLES, 0.0), dict.fromkeys(SIDES, "hang")),
        heading,
        0.0,
        3.0,
    )
    object.__setattr__(one, "red", table.add((0.7, 0.02, 0.02)))
    object.__setattr__(one, "right_of_picture", right_of_picture)
    sky = Sky(True, (0.5, 0.5, 0.5), (0.6, 0.6, 0.6), 0, (0, 0.8, -0.6), 0, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), 0)
    sun = area(SUN, (0, 0.8, -0.6), (0, 0, 0), (0.6, 0.6, 0.6), (0.005, 0, 0), (0, 0.005, 0))
    lights = np.array([sun], np.float64)
    return Layout("square", add.shapes(), (one,), table.table(), lights, sky.row(), (), (1.3, 0.08, 1.3))


@pytest.mark.parametrize(("heading", "right_of_picture"), [(AT_THE_CAMERA, True), (AWAY, False)])
def test_a_red_left_arm_is_under_the_left_joints_of_the_coco_file(tmp_path, monkeypatch, heading, right_of_picture):
    """Scene, rig, pair, file: who looks at us has the left arm on our right, who looks away on our left."""
    monkeypatch.setattr(source, "lay_out", lambda *_, **__: with_a_red_arm(heading, right_of_picture))
    (tmp_path / "rig.yaml").write_text("extends: exlpose\nname: red\nwidth_px: 480\nheight_px: 300\n")
    out = tmp_path / "run"
    assert main(["--rig", str(tmp_path / "rig.yaml"), "--count", "1", "--workers", "1", "--out", str(out)]) == 0
    (path,) = (out / "Annotations").glob("*WL*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    names = document["categories"][0]["keypoints"]
    (image,), (person,) = document["images"], document["annotations"]
    picture = cv2.imread(str(out / "bright" / Path(image["file_name"]).name)).astype(float)
    joints = np.reshape(person["keypoints"], (-1, 3))
    for side, red in (("left", True), ("right", False)):
        for joint in ("elbow", "wrist"):
            x, y, v = joints[names.index(f"{side}_{joint}")]
            assert v == 2
            blue_, green, red_ = picture[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].mean(axis=(0, 1))
            assert (red_ > 1.5 * max(green, blue_)) == red, (side, joint)


def test_a_mirrored_crop_keeps_left_left():
    """The training's flip: the picture is mirrored, and so are the names, so whoever looked at us still does."""
    stream = streams.generator(4)
    body = pose_figure(draw_build(stream), draw_pose("standing", stream).angles)
    spots = CAMERA.project(joint_array(body, JOINTS) @ turn_y(AT_THE_CAMERA).T + np.array([0.3, 0, 4.0]))
    low, high = spots[:, :2].min(axis=0), spots[:, :2].max(axis=0)
    person = Person(tuple((x, y, 2) for x, y, _ in spots.tolist()), (*low, *(high - low)))
    straight = crop_affine(person.bbox, (192, 144))
    for flip in (False, True):
        affine = mirrored(straight, 144) if flip else straight
        joints = joints_in_crop(person, affine, (192, 144), flip)
        for name in ("shoulder", "hip", "ankle"):
            left, right = (joints[JOINTS.index(f"{side}_{name}"), 0] for side in ("left", "right"))
            assert left > right + 1


def test_cars_keep_right_and_their_tail_lamps_are_behind():
    table, told = m.Materials(), 0
    for number in range(4):
        world = outdoor.place("street", table, 30.0, None, streams.generator(number))
        shapes, rows = world.add.shapes(), table.table()
        vehicle = shapes.semantic == semantics.VEHICLE
        red = (rows[:, 1:4] == (0.25, 0.015, 0.015)).all(axis=1)
        at = shapes.frame[:, :, 3]
        for x, _, z in at[vehicle & red[shapes.material]]:
            bodies = at[vehicle & (shapes.kind == HULL)]
            own = bodies[np.hypot(bodies[:, 0] - x, bodies[:, 2] - z) < 3.5]
            on_the_right = x > (world.left + world.right) / 2
            assert (own[:, 2].mean() > z) == on_the_right  # the nose is farther away than the tail
            told += 1
    assert told > 8


def test_screens_look_at_their_chairs():
    told = 0
    for number in range(4):
        table = m.Materials()
        shapes = indoor.room("office", table, 12.0, 5.0, False, streams.generator(number)).add.shapes()
        at = shapes.frame[:, :, 3]
        screens = at[table.table()[shapes.material, 0] == m.SCREEN]
        cases = at[np.isclose(shapes.size[:, :3], (0.28, 0.17, 0.012)).all(axis=1)]
        seats = at[np.isclose(shapes.size[:, :3], (0.21, 0.025, 0.20)).all(axis=1)]
        for screen, case in zip(screens, cases, strict=True):
            chair = seats[np.linalg.norm((seats - screen)[:, ::2], axis=1).argmin()]
            assert (screen - case) @ (chair - screen) > 0
            told += 1
    assert told > 6
