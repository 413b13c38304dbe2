"""Image quality of real captures: a ColorChecker found in a picture, parts named in a layout, faults told."""

import json

import cv2
import numpy as np
import pytest
import yaml

from isp_sim.isp.codes import srgb_codes
from isp_sim.scenes.charts import colorchecker
from isp_sim.scenes.quality_chart import dead_leaves, quality_chart
from models import measure_quality
from models.tuning.loading import load_isp
from models.tuning.settings_file import write_settings
from models.tuning.tunable import defaults


def written(path, light):
    cv2.imwrite(str(path), srgb_codes(np.ascontiguousarray(light, np.float32))[..., ::-1])
    return str(path)


def figures(out):
    return json.loads((out / "quality.json").read_text())


def test_a_colorchecker_is_found_turned_and_in_perspective(tmp_path):
    """Noise of 1 % of white on light; red 8 % too strong is a colour error, less light is not."""
    light = 0.8 * np.array(colorchecker(300, 480, "D65").radiance)
    noise = 0.01 * np.random.default_rng(0).standard_normal((300, 480, 1))
    seen = (light + noise) * np.float32([1.08, 1, 1])
    corners = np.float32([[0, 0], [480, 0], [480, 300], [0, 300]])
    moved = cv2.getPerspectiveTransform(corners, corners + np.float32([[20, 10], [-5, 0], [-25, -5], [0, -25]]))
    bent = cv2.warpPerspective(
        seen.astype(np.float32), moved, (480, 300), flags=cv2.INTER_NEAREST, borderValue=(0.2,) * 3
    )
    found = []
    for name, picture in (("upright", seen), ("turned", np.rot90(bent, 2))):
        asked = [written(tmp_path / f"{name}.png", picture), "--out", str(tmp_path / name)]
        assert measure_quality.main(asked) == 0
        found.append(figures(tmp_path / name))
    for one in found:
        assert 1.5 < one["delta_e"] < 4 and one["mtf50"] is None
        assert one["snr_db"] == pytest.approx(20 * np.log10(0.8 * 0.19 / 0.01), abs=1.5)
    assert found[0]["delta_e"] == pytest.approx(found[1]["delta_e"], abs=0.15)


def test_parts_that_a_layout_names_are_measured(tmp_path, capsys):
    scene = quality_chart(300, 480, "D65")
    light = np.array(scene.radiance)
    (tmp_path / "chart.yaml").write_text(yaml.safe_dump(scene.labels["layout"]))
    (x, y, width, height) = scene.labels["layout"]["textures"][0]
    printed = written(tmp_path / "leaves.png", light[y : y + height, x : x + width])
    assert np.ptp(dead_leaves(height, width)) > 0.5
    asked = [
        *(written(tmp_path / f"{n}.png", cv2.GaussianBlur(light, (0, 0), 1.0)) for n in "ab"),
        "--layout", str(tmp_path / "chart.yaml"), "--reference", printed, "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert measure_quality.main(asked) == 0
    found = figures(tmp_path / "out")
    assert found["mtf50"] == pytest.approx(0.180, abs=0.003)
    assert 0.4 < found["texture"] < 0.75 and found["flare"] == pytest.approx(0, abs=0.003)
    page = (tmp_path / "out" / "quality.html").read_text()
    assert "MTF" in page or "cycles" in page
    assert "http" not in page and "mtf50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"edges": [[5, 5, 30, 60]]}, "no edge is seen: both sides are alike"),
        ({"edges": [[90, 5, 30, 60]]}, "rectangle [90, 5, 30, 60]: expected one within 100×80 px"),
        ({"edge": []}, "edge: "),
        (None, "no ColorChecker is found"),
    ],
)
def test_a_picture_that_does_not_show_it_is_told(tmp_path, capsys, layout, said):
    asked = [written(tmp_path / "grey.png", np.full((80, 100, 3), 0.3)), "--out", str(tmp_path / "out")]
    if layout is not None:
        (tmp_path / "chart.yaml").write_text(yaml.safe_dump(layout))
        asked += ["--layout", str(tmp_path / "chart.yaml")]
    assert measure_quality.main(asked) == 1
    assert said in capsys.readouterr().err


def test_settings_that_are_not_the_isps_are_told(tmp_path, capsys):
    (tmp_path / "s.json").write_text(json.dumps({"noise": 3}))
    (tmp_path / "tuned.json").write_text(json.dumps({"best": {"settings": {"noise": 3}}}))
    (tmp_path / "rig.yaml").write_text("isp: libraw\nsettings: {bright: 2}\nrig: 5\n")
    (tmp_path / "s.yaml").write_text("isp: os:getcwd\nsettings: {gain: 1}\n")
    for asked, said in (
        (["--settings", str(tmp_path / "s.json")], "s.json: noise: is 3, expected a search's settings.json"),
        (["--settings", str(tmp_path / "tuned.json")], "tuned.json: best: settings: auto_bright is missing"),
        (["--settings", str(tmp_path / "rig.yaml")], "rig.yaml:3: rig = 5: should be a block {name: …}"),
        (["--settings", str(tmp_path / "s.yaml")], "isp: names os:getcwd, which can run any program"),
        (["--settings", str(tmp_path / "s.yaml"), "--isp", "libraw"], "isp: is 'os:getcwd', expected 'libraw'"),
        (["--layout", "x.yaml"], "are of pictures"),
        (["a.png", "--isp", "libraw"], "develop the rig's chart, expected no pictures"),
        (["--point", "best"], "--point best: is one of a settings.json"),
    ):
        assert measure_quality.main([*asked, "--out", str(tmp_path / "out")]) == 1
        assert said in capsys.readouterr().err


def test_settings_that_the_desk_saved_develop_the_chart(tmp_path, capsys):
    isp = load_isp("libraw")
    rig = tmp_path / "rig.yaml"
    rig.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 240\nheight_px: 160\n")
    snr = {}
    for noise in (0, 800):
        write_settings(tmp_path / f"{noise}.yaml", "libraw", defaults(isp.parameters) | {"noise_thr": noise}, {})
        asked = ["--settings", str(tmp_path / f"{noise}.yaml"), "--rig", str(rig), "--out", str(tmp_path / "out")]
        assert measure_quality.main(asked) == 0
        snr[noise] = figures(tmp_path / "out")["snr_db"]
    assert snr[800] > snr[0] + 3 and "libraw before the chart of" in capsys.readouterr().out
