"""The command over scenes with people: planes on disk, listed in the manifest."""

import cv2
import numpy as np

from isp_sim.generate import main, parser
from isp_sim.manifest import read_manifest
from isp_sim.optics import scene_points, to_sensor
from isp_sim.pair import DualCamera

RIG = """extends: exlpose
name: tiny
width_px: 320
height_px: 200
"""


def test_people_are_the_default():
    assert parser().parse_args([]).scenes == "people"


def test_planes_are_written_as_whole_numbers_and_listed(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RIG)
    out = tmp_path / "run"
    asked = ["--rig", str(tmp_path / "tiny.yaml"), "--count", "3", "--workers", "1", "--out", str(out)]
    assert main(asked) == 0
    for line in read_manifest(out):
        assert set(line.planes) == {"semantic", "instances", "depth"}
        for name, kind in (("semantic", np.uint8), ("instances", np.uint16), ("depth", np.uint16)):
            plane = cv2.imread(str(out / line.planes[name]), cv2.IMREAD_UNCHANGED)
            assert plane.dtype == kind
            assert plane.shape == (line.height, line.width)
        instances = cv2.imread(str(out / line.planes["instances"]), cv2.IMREAD_UNCHANGED)
        known = {person["instance"] for person in line.labels["people"]}
        assert set(np.unique(instances).tolist()) - {0} <= known
        assert line.people


def test_scene_points_undo_to_sensor(exlpose):
    view = DualCamera(exlpose.model_copy(update={"height_px": 120, "width_px": 160})).low_light.view
    points = scene_points(view, 120, 160)
    y, x = np.mgrid[:120, :160]
    back = to_sensor(points.reshape(-1, 2).astype(float), view, 120, 160)
    np.testing.assert_allclose(back, np.column_stack((x.ravel(), y.ravel())), atol=1e-3)


def test_motion_is_asked_for_on_the_command_line(tmp_path):
    """The same pictures but where somebody moved; the labels stay; another setting is another run."""
    (tmp_path / "tiny.yaml").write_text(RIG)
    asked = ["--rig", str(tmp_path / "tiny.yaml"), "--count", "1", "--workers", "1", "--seed", "3"]
    still, moving = tmp_path / "still", tmp_path / "moving"
    assert main([*asked, "--out", str(still)]) == 0
    assert main([*asked, "--motion-samples", "3", "--out", str(moving)]) == 0
    lines = [next(iter(read_manifest(out))) for out in (still, moving)]
    assert lines[0].people == lines[1].people
    one, other = (
        cv2.imread(str(out / "bright" / path.name)) for out in (still, moving) for path in [*(out / "bright").iterdir()]
    )
    assert (one != other).any()
    assert main([*asked, "--resume", "--motion-samples", "3", "--out", str(still)]) == 1


def test_only_people_move(tmp_path, capsys):
    assert main(["--scenes", "charts", "--motion-samples", "4", "--out", str(tmp_path / "run")]) == 1
    assert "only --scenes people move" in capsys.readouterr().err
