"""People before the user's pictures, and at night: light that fits, ground that only catches shadows, absolute lux."""

import cv2
import numpy as np
import pytest

from isp_sim.camera import SimulatedArm
from isp_sim.generate import main
from isp_sim.metering import meter
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots, plan
from isp_sim.scenes.people.layout import lay_out
from isp_sim.scenes.people.materials import Materials
from isp_sim.scenes.people.places import backdrop, furniture
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.semantics import NOTHING, PERSON
from isp_sim.scenes.people.source import People, picture
from isp_sim.transfer import REC709_LUMA

SIZE = (200, 320)


def panorama(sun=None, strength=0.0, sky=1.0, ground=0.3):
    """A map of 64 rows: even sky and ground, and one bright pixel."""
    light = np.full((64, 128, 3), sky, np.float32)
    light[32:] = ground
    if sun is not None:
        light[sun] += strength
    return light


@pytest.fixture
def folder(tmp_path):
    """A photograph: brighter to the right, textured."""
    y, x = np.mgrid[:240, :400]
    tone = 90 + 60 * x / 400 + 20 * np.sin(x / 9) * np.sin(y / 7)
    cv2.imwrite(str(tmp_path / "wall.png"), np.repeat(tone[..., None], 3, axis=2).astype(np.uint8))
    return tmp_path


def test_a_background_is_only_darkened_and_only_by_shadows(folder):
    source = People(*SIZE, seed=3, backgrounds=folder)
    scene, layout = source.scene(2), lay_out(3, 2, behind=source._behind(2))
    shown = scene.planes["semantic"] == NOTHING
    assert set(np.unique(scene.planes["semantic"])) <= {NOTHING, PERSON, 5}  # furniture: someone sits
    assert (scene.planes["depth"][shown] == 0).all()
    assert (scene.planes["depth"][~shown] > 0).all()
    assert ((scene.planes["instances"] > 0) == (scene.planes["semantic"] == PERSON)).all()
    bare = layout.behind.seen(layout.view(*SIZE))
    inner = cv2.erode(shown.astype(np.uint8), np.ones((5, 5))) > 0  # outlines are mixed with people
    share = scene.radiance[inner] / bare[inner]
    assert share.max() == pytest.approx(1, abs=1e-4)
    assert np.median(share) > 0.95
    assert share.min() < 0.75  # under somebody's feet
    assert scene.people
    assert scene.labels["background"] == "wall.png"


def test_the_mixture_keeps_the_built_in_scenes(folder):
    mixed, alone = People(*SIZE, backgrounds=folder, backgrounds_share=0.5), People(*SIZE)
    kinds = [mixed._behind(n) is not None for n in range(200)]
    assert 75 < sum(kinds) < 125
    there, here = kinds.index(True), kinds.index(False)
    assert mixed.scene(here).radiance.tobytes() == alone.scene(here).radiance.tobytes()
    again = People(*SIZE, backgrounds=folder, backgrounds_share=0.5)
    assert mixed.scene(there).radiance.tobytes() == again.scene(there).radiance.tobytes()
    assert mixed.scene(there).radiance.tobytes() != alone.scene(there).radiance.tobytes()


def test_a_panoramas_light_on_the_ground_is_its_integral():
    """π·E = ∫ L sin θ dΩ: of an even sky π·L, of a pixel at height θ its L·dΩ·sin θ; radiance is brought to E = 1."""
    for turn in (0.0, 1.2):
        row, column, strength = 16, 40, 900.0
        world, behind = backdrop.place(backdrop.Backdrop("", panorama((row, column), strength), turn), Materials())
        height, turned = np.pi * (0.5 - 16.5 / 64), 2 * np.pi * (40.5 / 128 - 0.5) - turn
        (sun,) = world.lights
        way = np.array([np.cos(height) * np.sin(turned), np.sin(height), np.cos(height) * np.cos(turned)])
        assert np.array(sun[1:4]) @ way > np.cos(np.radians(1))
        spot = strength * np.cos(height) * (np.pi / 64) ** 2 / np.pi
        scale = behind.scale
        assert scale * (1 + spot * np.sin(height)) == pytest.approx(1, rel=0.01)
        assert np.mean(sun[7:10]) == pytest.approx(scale * spot, rel=0.05)
        assert np.mean(world.sky.above) == pytest.approx(scale, rel=0.05)
        assert np.mean(world.sky.below) == pytest.approx(0.3 * scale, rel=0.05)


def test_a_panorama_is_seen_with_its_middle_row_as_the_horizon_and_the_turn_ahead():
    height, turned = np.mgrid[np.pi / 2 : -np.pi / 2 : 181j, -np.pi : np.pi : 361j]
    light = np.stack([height + 2, turned + 4, 0 * turned + 1], axis=2).astype(np.float32)
    camera = Camera(0, 1.5, 0, 0.2, 300.0, 201, 321)
    seen = backdrop.Backdrop("", light, 0.5).seen(camera)
    horizon = round((201 - 1) / 2 - 300 * np.tan(0.2))
    assert seen[horizon, 160, 0] - 2 == pytest.approx(0, abs=0.02)
    assert seen[100, 160, 0] - 2 == pytest.approx(-0.2, abs=0.02)
    assert seen[horizon, 160, 1] - 4 == pytest.approx(0.5, abs=0.03)
    assert seen[horizon, 260, 1] > seen[horizon, 60, 1]


def test_shadows_point_away_from_the_panoramas_sun():
    """A low sun on the right: left of people's feet the ground is darker than right of them."""
    behind = backdrop.Backdrop("", panorama((22, 96), 3000.0), 0.0)  # straight to the right, 28° high
    layout = lay_out(3, 2, behind=behind)
    rendered, _ = picture(layout, *SIZE, 0.0)
    share = (rendered.radiance / layout.behind.seen(layout.view(*SIZE))).mean(axis=2)
    share[rendered.semantic != NOTHING] = np.nan
    camera = layout.view(*SIZE)
    sides = []
    for one in layout.people[:6]:
        sides.append([])
        for side in (-1, 1):
            out = side * np.linspace(0.3, 1.5, 9)
            spots = camera.project(np.column_stack([one.x + out, 0 * out, one.z + 0 * out]))
            y, x = np.rint(spots[:, 1]).astype(int), np.rint(spots[:, 0]).astype(int)
            inside = (x >= 0) & (x < SIZE[1]) & (y >= 0) & (y < SIZE[0])
            sides[-1].append(np.nanmean(share[y[inside], x[inside]]))
    left, right = np.median(sides, axis=0)
    assert min(side[0] for side in sides) < 0.65  # somebody's shadow lies all along the line
    assert left < 0.88 < 0.95 < right


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--backgrounds", "{empty}"], "holds no backgrounds"),
        (["--backgrounds", "{odd}"], "twice as wide as high"),
        (["--backgrounds", "{odd}", "--scenes", "charts"], "stands behind --scenes people"),
        (["--backgrounds-share", "0.5"], "needs --backgrounds"),
        (["--backgrounds", "{odd}", "--backgrounds-share", "0"], "above 0, at most 1"),
    ],
)
def test_bad_backgrounds_get_one_sentence(tmp_path, capsys, more, told):
    places = {"empty": tmp_path / "empty", "odd": tmp_path / "odd"}
    for place in places.values():
        place.mkdir()
    cv2.imwrite(str(places["odd"] / "square.hdr"), np.ones((16, 16, 3), np.float32))
    more = [word.format(**places) for word in more]
    out = str(tmp_path / "run")
    assert main(["--rig", "exlpose-small", "--count", "1", "--out", out, "--workers", "1", *more]) == 1
    shown = capsys.readouterr().err.strip().splitlines()
    assert told in shown[-1]
    assert not list((tmp_path / "run").glob("bright/*.png"))


def test_at_night_the_lux_decide_and_nothing_is_metered():
    """Photons of a frame's pixel: E·A·n/(4N²), four sensor pixels of it, f/2."""
    rig = load_rig("night-a7m3")
    shots = drawn_shots(rig.schedule, 0, 0, None)
    assert [shot.daylight for shot in shots] == [0.0]
    assert drawn_shots(load_rig("exlpose").schedule, 0, 0, 1)[0].daylight > 0
    scene = People(*SIZE).scene(1, 0.0)
    light = meter(SimulatedArm(rig, rig.well_lit), scene, shots[0])
    pitch = 2 * rig.sensor.pixel_pitch_um.value * 1e-6
    assert light == pytest.approx(scene.white_lx * pitch**2 * 4.1e15 * 1e-6 / (4 * 2.0**2))


def test_a_replayed_schedule_keeps_the_rigs_night(tmp_path):
    (tmp_path / "shots.csv").write_text(
        "session,place,scene,frame,exposure_ratio,bright_gain_db,dark_gain_db,exposure_us\n0101,a,0,0,1,24,24,8000\n"
    )
    assert plan(load_rig("night-a7m3"), tmp_path / "shots.csv", None, 0)[0].daylight == 0
    assert plan(load_rig("exlpose"), tmp_path / "shots.csv", None, 0)[0].daylight > 0


def test_street_lamps_give_the_mean_that_their_class_asks_for():
    """The ground between 3 m and the last person, in units of the class's lux; only lamps, none of their shadows."""
    found = 0
    for number in range(5):
        layout = lay_out(0, number, 0.0)
        lamps = layout.lights[layout.lights[:, 0] == 3]
        if not len(lamps):
            continue
        found += 1
        assert len(lamps) <= 8
        assert layout.white_lx in (15.0, 10.0, 7.5, 5.0, 3.0, 2.0)
        x, z = np.meshgrid(np.linspace(-4, 4, 9), np.linspace(3, 12, 30))
        total = np.zeros(x.shape)
        for row in lamps:
            to = np.stack([row[1] - x, np.full(x.shape, row[2]), row[3] - z])
            far = np.linalg.norm(to, axis=0)
            cosine = to[1] / far
            total += row[7:10] @ np.array(REC709_LUMA) * np.minimum(4 * cosine, 1) * cosine / far**2
        assert 0.15 < total.mean() < 5
        heads = lamps[:, 2]
        assert heads == pytest.approx(furniture.HEAD[1] - 0.06)
    assert found >= 2


def test_the_night_sky_is_nearly_black_and_days_are_as_they_were():
    dark = [People(*SIZE).scene(n, 0.0) for n in range(3)]
    assert any(scene.labels["world"] in ("street", "square", "park") for scene in dark)
    for scene in dark:
        sky = scene.radiance[scene.planes["semantic"] == 8]
        assert not len(sky) or np.median(sky) * scene.white_lx < 0.2  # lx of a white wall: 0.06 cd/m²
    assert People(*SIZE).scene(0).white_lx is None
