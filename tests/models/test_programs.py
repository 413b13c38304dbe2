"""External programs: files of settings made from a template, and those whose YAML comes with the package."""

import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from isp_sim.dng import write_dng
from models.choices import PROGRAMS
from models.tuning.external import ExternalIsp, filled, load_external
from models.tuning.loading import isp_file, load_isp
from models.tuning.tunable import defaults
from tests.models.test_tune_isp import raw_of

NEEDED = {"darktable": "darktable-cli", "rawtherapee": "rawtherapee-cli", "dcraw": "dcraw_emu"}
EXPOSURE = {"darktable": "exposure", "rawtherapee": "exposure", "dcraw": "bright"}
DENOISED = {
    "darktable": {"denoise": 1, "strength": 4.0},
    "rawtherapee": {"denoise": "true", "luminance": 60, "chrominance": 60.0},
    "dcraw": {"noise": 800},
}
HEIGHT, WIDTH = 120, 164

PROGRAM = """
import sys, cv2, numpy as np
raw, sidecar, picture, folder = sys.argv[1:]
size, words = len(open(raw, "rb").read()), open(sidecar).read().split()
open(folder + "/starts", "a").write("x")
starts = len(open(folder + "/starts").read())
cv2.imwrite(picture, np.full((2, 3, 3), [starts, size, int(words[0])], np.uint16))
"""


def program(folder: Path, **changes) -> Path:
    (folder / "isp.py").write_text(PROGRAM)
    said = {
        "command": [sys.executable, str(folder / "isp.py"), "{raw}", "{sidecar}", "{picture}", "{folder}"],
        "picture": ".png",
        "template": "{gain:d} {gain:f4} {gain:i4} {mode} {not a placeholder}",
        "sidecar": ".xmp",
        "knobs": {
            "gain": {"low": 0, "high": 10, "default": 2.6},
            "mode": {"choices": ["false", "true"], "default": "false"},
        },
    } | changes
    (folder / "isp.yaml").write_text(yaml.safe_dump(said))
    return folder / "isp.yaml"


def test_a_template_becomes_a_file_of_settings():
    values = {"x": 2.6, "n": 3, "word": "lmmse", "tiny": 1e-7}
    assert filled("a={x} b={x:d} c={n} d={word} e={tiny}", values) == "a=2.6 b=3 c=3 d=lmmse e=1e-07"
    assert filled("{x:f4}|{n:i4}", values) == f"{struct.pack('<f', 2.6).hex()}|03000000"
    assert filled("{} { x } {x:q} {{x}}", values) == "{} { x } {x:q} {2.6}"


def test_a_program_gets_its_settings_as_a_file_a_large_enough_raw_and_a_folder_that_stays(tmp_path):
    write_dng(tmp_path / "a.dng", raw_of(np.full((4, 6), 100)))
    isp = load_external(program(tmp_path, least_bytes=9000))
    for starts in (1, 2):
        picture = isp.develop(tmp_path / "a.dng", {"gain": 2.6, "mode": "true"})
        assert (picture * 65535).round().astype(int)[0, 0].tolist() == [3, 9000, starts]
    size = (tmp_path / "a.dng").stat().st_size
    plain = load_external(program(tmp_path, least_bytes=10)).develop(tmp_path / "a.dng", {"gain": 2.0, "mode": "true"})
    assert round(float(plain[0, 0, 1]) * 65535) == size < 9000


@pytest.mark.parametrize(
    ("changes", "said", "at"),
    [
        ({"template": "{gain} {iso} {mode}"}, r"\{iso\} is not among knobs", "template"),
        ({"template": "{gain}"}, r"\{mode\} is missing from command and template", "mode"),
        ({"template": None}, r"\{gain\} is missing from command and template", "gain"),
        ({"sidecar": "xmp"}, "sidecar", "sidecar"),
        (
            {"knobs": {"raw": {"low": 0, "high": 2, "default": 1}}, "template": ""},
            "raw: is a file's placeholder",
            "raw",
        ),
        ({"knobs": {"gain": {"low": 0, "default": 1}}, "template": "{gain}"}, "gain: expected low, high", "gain"),
    ],
)
def test_a_template_that_does_not_fit_its_knobs_is_refused(tmp_path, changes, said, at):
    path = program(tmp_path, **changes)
    with pytest.raises(ValueError, match=said) as told:
        load_external(path)
    line = path.read_text().splitlines()[int(str(told.value).split(":")[1]) - 1]
    assert line.strip().split(":")[0] == at


def test_the_shipped_programs_are_those_that_are_named():
    folder = isp_file("dcraw").parent
    assert sorted(path.stem for path in folder.iterdir()) == sorted(PROGRAMS) == sorted(NEEDED)
    for name in PROGRAMS:
        isp = load_isp(name)
        assert isinstance(isp, ExternalIsp) and isp.command[0] == NEEDED[name]
        for one in isp.parameters:
            assert one.setting(one.share(one.default)) == one.default and one.spec.says


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_shipped_program_develops_brightens_and_denoises(tmp_path, name):
    """At the ends of every range, too, it gives a picture of the mosaic's size."""
    if shutil.which(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed")
    isp, stream = load_isp(name), np.random.default_rng(0)
    light = 40 * np.kron(np.array([[1, 4], [2, 1]]), np.ones((HEIGHT // 2, WIDTH // 2)))
    write_dng(tmp_path / "a.dng", raw_of(64 + 60 * stream.poisson(light)))
    usual = defaults(isp.parameters)

    def develop(**changes):
        picture = isp.develop(tmp_path / "a.dng", usual | changes)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        return picture

    plain = develop()
    assert plain[10:50, 92:154].mean() > 1.2 * plain[70:110, 92:154].mean()  # as the scene is: top right is brightest
    assert develop(**{EXPOSURE[name]: 3.0}).mean() > 1.2 * plain.mean()
    flat = (slice(8, 52), slice(8, 74))
    assert develop(**DENOISED[name])[flat].std() < 0.8 * plain[flat].std()
    for share in (0.0, 1.0):
        develop(**{one.name: one.setting(share) for one in isp.parameters})
