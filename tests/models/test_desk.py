"""The tuning desk: raws of half the size, a moved rig and its file, figures, who may ask the server, its answers."""

import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import chromium
import cv2
import numpy as np
import pytest
import yaml

from isp_sim.dng import read_dng, write_dng
from isp_sim.picture_files import read_picture
from isp_sim.raw import Raw
from isp_sim.rigfile import load_rig
from isp_sim.run import carry_out
from isp_sim.run_plan import plan
from isp_sim.run_spec import RunSpec
from models import learned_isp
from models.desk.figures import detrended, patch_figures, picture_figures, raw_figures
from models.desk.preview import halved, preview
from models.desk.reshoot import Reshooting
from models.desk.rig_settings import RigSettings, rig_settings, rig_with
from models.desk.shots import of_raws
from models.desk.workbench import At
from models.runs.desk import Desk, open_desk
from models.scoring.drawing import lifted
from models.tuning.loading import load_isp
from models.tuning.settings_file import checked, found_settings, load_settings, read_settings, write_settings
from models.tuning.shots import shoot
from models.tuning.tunable import defaults

SIMPLE = Raw(
    np.zeros((8, 8), np.uint16), "RGGB", (64.0,) * 4, 4095, 1000.0, 0.0, 100, (1.0, 1.0, 1.0),
    ((3.24, -1.54, -0.5), (-0.97, 1.88, 0.04), (0.06, -0.2, 1.06)), (), "test", "test", "0",
)  # fmt: skip
"""A camera whose RGB is Rec. 709's."""


def desk_of(folder, **options):
    """The options of a desk, tiny unless said."""
    usual = {
        "raws": [], "data": folder / "shots", "scenes": None, "rig": "exlpose-small", "shots": 2, "isp": "pipeline",
        "pose": "movenet-lightning", "settings": [], "port": 0, "seed": 0, "out": folder / "out",
    }  # fmt: skip
    return Desk(**(usual | options))


@pytest.fixture(scope="module")
def tiny(small):
    return small.model_copy(update={"width_px": 192, "height_px": 120})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    """Two shots of a built-in scene."""
    path = tmp_path_factory.mktemp("desk")
    (path / "shots").mkdir()
    shoot(path / "shots", tiny, 5, 2, 2, 1)
    return path


@pytest.fixture(scope="module")
def server(folder):
    with open_desk(desk_of(folder)) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def asked(server, path, body=None, **headers):
    """(status, content, headers) of a POST as the page makes it; a header of `None` is left out."""
    host = server.hosts[0]
    usual = {"Host": host, "Origin": f"http://{host}", "X-Token": server.token, "Content-Type": "application/json"}
    sent = {name: value for name, value in (usual | headers).items() if value is not None}
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    request = urllib.request.Request(f"http://{host}{path}", content, sent)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read(), fault.headers


def told(server, path, body=None):
    status, content, _ = asked(server, path, body)
    assert status == 200, content
    return json.loads(content)


def at(server, **more):
    bench = server.bench
    return {"shot": 0, "settings": bench.defaults, "rig": {}, "small": False} | more


# Previews.


def test_a_halved_raw_adds_up_what_each_colour_counted():
    counts = np.random.default_rng(0).integers(0, 4095, (120, 194)).astype(np.uint16)
    raw = replace(SIMPLE, counts=counts, noise_profile=((1e-4, 1e-6),) * 3)
    half = halved(raw)
    tile = raw.counts[:4, :4].astype(int)
    assert half.counts.shape == (60, 96) and half.cfa == raw.cfa
    assert half.counts[0, 0] == tile[0, 0] + tile[0, 2] + tile[2, 0] + tile[2, 2]
    assert half.counts[1, 0] == tile[1, 0] + tile[1, 2] + tile[3, 0] + tile[3, 2]
    assert half.black_level_dn[0] == 4 * raw.black_level_dn[0] and half.white_level_dn == 4 * raw.white_level_dn
    assert half.noise_profile[0] == pytest.approx([one / 4 for one in raw.noise_profile[0]])


def test_a_raw_of_16_bits_is_averaged():
    counts = np.full((8, 8), 65535, np.uint16)
    raw = replace(SIMPLE, counts=counts, white_level_dn=65535)
    assert (halved(raw).counts == 65535).all() and halved(raw).white_level_dn == 65535


def test_a_preview_has_at_most_a_million_pixels():
    raw = replace(SIMPLE, counts=np.zeros((1200, 1920), np.uint16))
    small, factor = preview(raw)
    assert small.counts.shape == (600, 960) and factor == 2
    assert preview(small) == (small, 1)


@pytest.mark.parametrize("name", ["pipeline", "libraw"])
def test_a_preview_shows_what_the_whole_shows_at_that_size(name, tmp_path):
    y, x = np.mgrid[:600, :800] / 800
    light = 64 + 3000 * (0.2 + 0.5 * x + 0.2 * np.sin(9 * y) ** 2)
    raw = replace(SIMPLE, counts=np.random.default_rng(0).poisson(light).astype(np.uint16))
    isp = load_isp(name)
    for file, one in (("whole.dng", raw), ("half.dng", halved(raw))):
        write_dng(tmp_path / file, one)
    whole, half = (isp.develop(tmp_path / file, defaults(isp.parameters)) for file in ("whole.dng", "half.dng"))
    shown = cv2.resize(whole, (400, 300), interpolation=cv2.INTER_AREA)
    apart = np.abs(shown - half)[8:-8, 8:-8]
    assert apart.mean() < 0.01 and apart.max() < 0.1


# A moved rig.


@pytest.mark.parametrize("moved", [{"light": 0.5}, {"exposure": 0.25, "gain": 6.0}, {"light": 2.0, "exposure": 0.4}])
def test_the_schedule_of_a_moved_rig_says_what_was_moved(small, moved):
    """Light from the meter is inverse to base exposure times base gain; shots are the base over the ratio."""
    settings = RigSettings(**moved)
    after, left_out = rig_with(small, settings)
    before = [(mix, *base) for mix in small.schedule.mixes.value for base in mix.bases]
    ratios = sum(len(mix.ratios) for mix, *_ in before)
    assert sum(len(mix.ratios) for mix in after.schedule.mixes.value) == ratios - left_out
    for (mix, exposure, gain), new in zip(before, after.schedule.mixes.value, strict=True):
        ((base, base_gain),) = new.bases
        assert base_gain == pytest.approx(gain + settings.gain)
        light = exposure * 10 ** (gain / 20) / (base * 10 ** (base_gain / 20))
        assert light == pytest.approx(settings.light)
        expected = [settings.exposure * exposure / ratio for ratio in mix.ratios]
        assert all(any(base / ratio == pytest.approx(one) for one in expected) for ratio in new.ratios)


def test_filter_and_read_noise_are_in_the_rigs_own_fields(small):
    after, left_out = rig_with(small, RigSettings(filter=4.0, read_noise=2.0))
    assert after.nd_filter.transmittance.value == pytest.approx([0.04] * 3) and left_out == 0
    assert after.schedule == small.schedule
    for new, old in zip(after.sensor.read_noise.value, small.sensor.read_noise.value, strict=True):
        assert np.exp(new.ln_sigma_intercept - old.ln_sigma_intercept) == pytest.approx(2)
    cut, _ = rig_with(small, RigSettings(filter=64.0))
    assert max(cut.nd_filter.transmittance.value) <= 1


def test_what_no_schedule_can_say_is_refused(small):
    with pytest.raises(ValueError, match="beyond the base"):
        rig_with(small, RigSettings(light=64.0, exposure=16.0))
    for wrong, says in (({"iso": 1}, "iso: expected"), ({"gain": 99}, "-12 … 24 dB"), ({"light": True}, "a number")):
        with pytest.raises(ValueError, match=says):
            rig_settings(wrong)


def test_a_rig_that_was_not_moved_takes_the_same_raw(server):
    bench = server.bench
    for number, one in enumerate(bench.shots):
        again = bench.reshooting.raw(one.record, RigSettings())
        assert (again.counts == read_dng(one.shot.raw).counts).all(), number


def test_the_exported_rig_shoots_what_the_desk_shows(server, folder, tmp_path):
    """Through `generate`, meter and all: it finds the light to 10⁻⁴, so a few counts differ by one."""
    moved = {"exposure": 0.5, "gain": 3.0, "filter": 8.0, "read_noise": 2.0}
    saved = told(server, "/api/save", at(server, rig=moved, name="moved"))
    rig = load_rig(saved["files"][2])
    spec = RunSpec(
        rig_json=rig.model_dump_json(), seed=5, scenes="people", scene_files="", schedule=None, count=5,
        out=tmp_path / "shot",
    )  # fmt: skip
    carry_out(spec, plan(rig, None, 5, 5, None), resume=False)
    record = server.bench.shots[0].record
    exposure = round(record.base_exposure_us / record.ratio / 2)
    (path,) = (tmp_path / "shot" / "raw").glob(f"*dark*_exposure_{exposure}.dng")
    ours = server.bench.raw(At(0, server.bench.defaults, RigSettings(**moved)))
    theirs = read_dng(path)
    assert ours.gain_db == pytest.approx(theirs.gain_db) and ours.exposure_us == theirs.exposure_us
    apart = np.abs(ours.counts.astype(int) - theirs.counts)
    assert (apart > 0).mean() < 0.002
    assert (read_dng(server.bench.shots[0].shot.raw).counts != theirs.counts).mean() > 0.5


def test_a_data_set_does_not_say_which_folders_are_opened(folder, tmp_path):
    """Its run.json names one; only where the command line names it, too, are its pictures read."""
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.full((120, 192, 3), 90, np.uint8))
    shutil.copytree(folder / "shots", tmp_path / "shots")
    run = json.loads((tmp_path / "shots" / "run.json").read_text())
    (tmp_path / "shots" / "run.json").write_text(json.dumps(run | {"scenes": str(tmp_path / "photos")}))
    for scenes in (None, tmp_path):
        with pytest.raises(ValueError, match="add --scenes"):
            Reshooting(tmp_path / "shots", scenes)
    assert len(Reshooting(tmp_path / "shots", tmp_path / "photos").scenes) == 1
    (tmp_path / "shots" / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run.json: seed: "):
        Reshooting(tmp_path / "shots")


# Figures.


def test_figures_of_a_patch_against_known_noise():
    stream = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    picture = 0.4 + 1e-3 * x[..., None] + stream.normal(0, 0.02, (200, 200, 3)) + stream.normal(0, 0.01, (200, 1, 1))
    found = patch_figures(picture.astype(np.float32), (20, 20, 150, 160))
    assert found.deviation == pytest.approx([255 * np.hypot(0.02, 0.01)] * 3, rel=0.03)
    assert found.chroma == pytest.approx(255 * 0.02 * 2**0.5, rel=0.03)
    assert found.rows == pytest.approx(255 * 0.01, rel=0.1) and found.columns < 0.3
    luma = 0.02 * np.linalg.norm([0.2126, 0.7152, 0.0722])
    assert found.correlation == pytest.approx(0.01**2 / (luma**2 + 0.01**2), abs=0.03)
    assert found.snr_db == pytest.approx(20 * np.log10(0.4945 / np.hypot(luma, 0.01)), abs=0.2)
    assert np.abs(detrended(3.0 + 2 * x - 0.5 * y)).max() < 1e-9


def test_figures_of_a_picture_count_what_is_cut():
    picture = np.concatenate([np.full((10, 20, 3), v, np.float32) for v in (-0.05, 0.0, 0.5, 1.0)])
    found = picture_figures(picture, 1)
    assert (found.below, found.above) == (0.5, 0.25) and sum(found.histogram[0]) == 800
    assert found.mean == pytest.approx([0.3625] * 3)


def test_figures_of_a_raw_are_in_dn_above_black():
    stream = np.random.default_rng(0)
    counts = stream.poisson(100, (64, 64)).astype(np.uint16) + 64
    counts[::2, ::2] += 50
    found = raw_figures(replace(SIMPLE, counts=counts), (3, 3, 60, 60))
    assert found.mean == pytest.approx([150, 100, 100, 100], abs=1.5)
    assert found.deviation == pytest.approx([10] * 4, rel=0.1)


def test_a_patch_beyond_the_picture_is_refused():
    for patch in ((0, 0, 3, 9), (90, 0, 20, 20), (-4, 0, 20, 20)):
        with pytest.raises(ValueError, match="patch"):
            patch_figures(np.zeros((50, 100, 3), np.float32), patch)


# Files of settings.


def test_settings_come_back_from_their_file(tmp_path):
    isp = load_isp("libraw")
    settings = defaults(isp.parameters) | {"noise_thr": 200, "bright": 7.5, "auto_bright": True}
    write_settings(tmp_path / "a.yaml", "libraw", settings, {"light": 2.0})
    assert read_settings(tmp_path / "a.yaml", "libraw", isp.parameters) == settings
    assert load_settings(tmp_path / "a.yaml").rig == {"light": 2.0}
    search = {"the rig's own ISP": {"settings": {}}, "CMA-ES, centre": {"settings": settings, "oks": 0.3}}
    (tmp_path / "settings.json").write_text(json.dumps(search))
    assert found_settings(tmp_path / "settings.json", "libraw", isp.parameters) == {"CMA-ES, centre": settings}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"noise_thr": 3}, "noise_thr: is 3, expected 0, 25"),
        ({"bright": 1e6}, "bright: is 1000000.0, expected 0.25 … 256 ×"),
        ({"bright": "much"}, "bright: is 'much'"),
        ({"bright": None}, "bright: is None"),
        ({"brigth": 1}, "brigth is not a parameter; expected noise_thr"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, says):
    isp = load_isp("libraw")
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        checked(isp.parameters, defaults(isp.parameters) | change, "x.yaml")


def test_settings_of_another_isp_or_with_gaps_are_refused(tmp_path):
    isp = load_isp("libraw")
    write_settings(tmp_path / "a.yaml", "pipeline", {"gamma.gamma": 1.0}, {})
    with pytest.raises(ValueError, match=r"isp: is 'pipeline', expected 'libraw'"):
        read_settings(tmp_path / "a.yaml", "libraw", isp.parameters)
    with pytest.raises(ValueError, match=r"exposure\.gain is missing"):
        read_settings(tmp_path / "a.yaml", None, load_isp("pipeline").parameters)


def test_a_file_of_settings_does_not_start_a_program(tmp_path, capsys):
    """The command line does: whoever sends the file does not choose what runs."""
    write_settings(tmp_path / "a.yaml", "os:getcwd", {"gain": 1.0}, {})
    words = [str(tmp_path / "a.dng"), "--settings", str(tmp_path / "a.yaml"), "--out", str(tmp_path / "a.png")]
    assert learned_isp.main(words) == 1
    assert "isp: names os:getcwd, which can run any program; add --isp os:getcwd" in capsys.readouterr().err


# Who may ask.


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Token": None},
        {"X-Token": "guess"},
        {"Host": "desk.example"},
        {"Host": "127.0.0.1"},
        {"Origin": None},
        {"Origin": "http://desk.example"},
        {"Origin": "https://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"X-Token": "tokén"},
    ],
    ids=str,
)
def test_a_request_that_is_not_the_pages_own_is_refused(server, headers):
    assert asked(server, "/api/desk", **headers)[0] == 403


def test_the_page_needs_the_token_and_asks_for_nothing_outside(server):
    host = server.hosts[0]
    token = f"?token={server.token}"
    for path, status in ((f"/{token}", 200), ("/", 403), ("/?token=x", 403), (f"/../etc/passwd{token}", 404)):
        try:
            with urllib.request.urlopen(f"http://{host}{path}", timeout=20) as reply:
                assert reply.status == status
                policy, text = reply.headers["Content-Security-Policy"], reply.read().decode()
        except urllib.error.HTTPError as fault:
            assert fault.code == status and "token" not in fault.headers
    assert "default-src 'none'" in policy and "'unsafe" not in policy
    assert "http://" not in text.replace("http://127.0.0.1", "") and "https://" not in text and "{{" not in text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET http://[/?token=1 HTTP/1.0\r\n\r\n", b"400"),
        ("POST /api/shots HTTP/1.0\r\nContent-Length: " + "9" * 5000 + "\r\n\r\n", b"413"),
    ],
)
def test_a_request_that_python_cannot_read_is_answered(server, request_, status):
    with socket.create_connection((server.server_address[0], server.server_address[1]), timeout=10) as line:
        line.sendall(request_.encode())
        assert status in line.makefile("rb").readline()


def test_it_listens_on_loopback_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    with socket.socket() as other, pytest.raises(OSError):
        other.settimeout(1)
        other.connect(
            (socket.gethostbyname(socket.gethostname()).replace("127.0.0.1", "127.0.0.2"), server.server_port)
        )


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/../desk.js", {}, 404, "nothing lies here"),
        ("/desk.js", {}, 404, "nothing lies here"),
        ("/api/desk", b"x" * 70_000, 413, "at most 65536 bytes"),
        ("/api/picture", b"no json", 422, "request"),
        ("/api/picture", {"shot": 0, "settings": {}, "pane": "/etc/passwd"}, 422, "pane"),
        ("/api/picture", {"shot": 7}, 422, "shot: is 7, expected 0 … 1"),
        ("/api/picture", {"shot": 0, "settings": {"gamma.gamma": 9}}, 422, "is missing"),
        ("/api/picture", {"rig": {"light": 1e9}}, 422, "0.015625 … 64"),
        ("/api/figures", {"panes": ["tuned"], "patch": [0, 0, 5000, 9]}, 422, "patch"),
        ("/api/save", {"name": "../../elsewhere"}, 422, "name: is"),
        ("/api/save", {"name": "/tmp/x"}, 422, "name: is"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(server, path, body, status, says):
    if isinstance(body, dict):
        kind = {"pane": "tuned"} if path == "/api/picture" else {}
        body = at(server, **(kind | body))
    answer, content, _ = asked(server, path, body)
    assert answer == status and says in json.loads(content)["fault"], content


def test_a_third_partys_isp_that_raises_does_not_end_the_desk(server, monkeypatch, capsys):
    monkeypatch.setattr(server.bench.isp, "develop", lambda raw, settings: 1 / 0)
    body = at(server, pane="tuned", settings=server.bench.defaults | {"gamma.gamma": 1.234})
    assert asked(server, "/api/picture", body)[0] == 500
    monkeypatch.undo()
    assert asked(server, "/api/picture", body)[0] == 200


# What it answers.


def test_the_desk_lists_the_isps_parameters_and_the_shots(server):
    found = told(server, "/api/desk")
    names = [one["name"] for one in found["parameters"]]
    assert names == [one.name for one in server.bench.isp.parameters]
    assert [one["name"] for one in found["rig"]] == ["light", "exposure", "gain", "filter", "read_noise"]
    assert len(found["shots"]) == 2 and found["shots"][0]["people"]


def test_a_saved_file_gives_the_same_picture_by_the_command(server, tmp_path, capsys):
    settings = server.bench.defaults | {"gamma.gamma": 0.7, "exposure.gain": 1.5, "smoothing.sigma_range.G": 0.4}
    _, content, headers = asked(server, "/api/picture", at(server, pane="tuned", settings=settings))
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    saved = told(server, "/api/save", at(server, settings=settings, name="lifted"))
    assert json.loads(headers["X-About"])["width"] == shown.shape[1]
    raw = server.bench.shots[0].shot.raw
    assert any(
        f"develop {raw} --isp pipeline --settings {saved['files'][0]}" in command for command in saved["commands"]
    )
    assert learned_isp.main([str(raw), "--settings", saved["files"][0], "--out", str(tmp_path / "a.png")]) == 0
    x, y, width, height = server.bench.shots[0].shot.box
    assert (read_picture(tmp_path / "a.png")[y : y + height, x : x + width] == shown).all()
    kept = told(server, "/api/presets")
    assert kept["lifted"]["settings"] == settings
    (search,) = (command for command in saved["commands"] if command.startswith("isp-sim tune "))
    assert "--pose movenet-lightning" in search and "--data " in search  # what the desk shows is what is searched for
    assert yaml.safe_load(Path(saved["files"][1]).read_text())["steps"][0] == {
        "exposure": {"plane": "srgb", "per_channel": False}
    }


def test_panes_are_what_they_say(server):
    pictures = {}
    for pane in ("as shot", "scaled", "default", "well-lit"):
        _, content, _ = asked(server, "/api/picture", at(server, pane=pane))
        pictures[pane] = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    shot = server.bench.shots[0].shot
    assert (pictures["as shot"] == read_picture(shot.picture)).all()
    assert (pictures["well-lit"] == read_picture(shot.well_lit)).all()
    assert (pictures["scaled"] == lifted(pictures["as shot"])).all()


def test_poses_heat_and_figures_are_of_the_panes_asked_for(server):
    found = told(server, "/api/poses", at(server, panes=["default", "well-lit"]))
    people = len(server.bench.shots[0].shot.people)
    assert {pane: len(one["people"]) for pane, one in found.items()} == {"default": people, "well-lit": people}
    assert found["default"]["people"][0][12][:2] == [None, None]  # MoveNet knows no head
    status, content, _ = asked(server, "/api/heat", at(server, pane="well-lit"))
    layer = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert status == 200 and layer.shape[2] == 4 and layer[..., 3].max() > 150 and np.median(layer[..., 3]) < 60
    figures = told(server, "/api/figures", at(server, panes=["tuned"], patch=[10, 10, 20, 20]))
    assert figures["panes"]["tuned"]["patch"]["snr_db"] and figures["raw"]["colours"] == "RGGB"


def test_scores_before_and_after_are_those_of_the_settings(server):
    told(server, "/api/scores", at(server))
    end = time.monotonic() + 60
    while "scores" not in (progress := told(server, "/api/progress")):
        assert time.monotonic() < end and "fault" not in progress, progress
        time.sleep(0.05)
    scores = progress["scores"]
    assert scores["gain"] == 0 and scores["shots"] == 2
    every = scores["splits"]["LL-A"]
    assert every["default"] == every["tuned"] and every["people"] == sum(
        len(one.shot.people) for one in server.bench.shots
    )


def test_raws_of_any_camera_lie_on_a_desk_without_labels(folder, tmp_path):
    write_dng(tmp_path / "a.dng", replace(SIMPLE, counts=np.full((120, 160), 900, np.uint16)))
    (one,) = of_raws([tmp_path / "a.dng"], tmp_path)
    assert one.record is None and one.shot.size == (120, 160)
    server = open_desk(desk_of(tmp_path, raws=[tmp_path / "a.dng"], data=None, isp="libraw"))
    with server:
        picture = server.bench.picture(At(0, server.bench.defaults), "tuned")
        assert picture.shape == (120, 160, 3) and server.bench.poses(At(0, server.bench.defaults), "tuned") == []
        with pytest.raises(ValueError, match="cannot be taken again"):
            server.bench.raw(At(0, server.bench.defaults, RigSettings(light=2.0)))


def test_options_that_do_not_fit_are_refused(folder, tmp_path):
    for options, says in (({"shots": 0}, "--shots 0"), ({"raws": [folder]}, "--data"), ({"isp": "none"}, "--isp none")):
        with pytest.raises(ValueError, match=says):
            open_desk(desk_of(folder, out=tmp_path, **options))


# In a browser.

SLIDE = """
const slider = document.querySelector(`[data-name='${arguments[0]}']`);
slider.value = arguments[1];
slider.dispatchEvent(new Event('input'));
slider.dispatchEvent(new Event('change'));
"""
SUM = """
const pen = document.querySelector('.pane.tuned canvas').getContext('2d');
return pen.getImageData(0, 0, 200, 150).data.reduce((sum, code) => sum + code);
"""
SETTLED = "Number(document.body.dataset.settled ?? 0)"


@pytest.mark.skipif(not chromium.installed(), reason="no chromium with chromedriver")
def test_in_chromium_a_slider_moves_the_picture_undo_brings_it_back_and_a_preset_is_saved(server, folder, tmp_path):
    with chromium.browser(tmp_path, 1200, 800) as page:

        def done(action):
            before = page.run(f"return {SETTLED}")
            action()
            page.wait(f"{SETTLED} > {before}")
            return page.run(SUM)

        page.open(server.address)
        page.wait(f"{SETTLED} > 0")
        page.run("document.querySelector('#found').click()")
        start = done(lambda: page.run(SLIDE, "gamma.gamma", 0.5))
        moved = done(lambda: page.run(SLIDE, "gamma.gamma", 0.3))
        assert moved > 1.1 * start  # below 1 lifts shadows
        assert page.run("return here().settings['gamma.gamma']") == pytest.approx(0.2 * 25**0.3, abs=1e-3)
        assert done(lambda: page.key("x")) == start  # slot B is as the ISP's defaults
        assert done(lambda: page.key("x")) == moved
        assert done(lambda: page.run("document.querySelector('#undo').click()")) == start
        assert done(lambda: page.run("document.querySelector('#redo').click()")) == moved
        brighter = done(lambda: page.run(SLIDE, "filter", 0.8))
        assert brighter != moved
        page.run("document.querySelector('#name').value = 'found'; document.querySelector('#save').click()")
        page.wait("document.body.dataset.saved === 'found'")
        kept = yaml.safe_load((folder / "out" / "presets" / "found" / "settings.yaml").read_text())
        assert kept["settings"]["gamma.gamma"] == pytest.approx(0.5253, abs=1e-3) and kept["rig"]["filter"] > 8
        asked_for = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
        assert asked_for and all(
            one.startswith((f"http://{server.hosts[0]}/api/", "blob:", "data:")) for one in asked_for
        )
        assert "fault" not in page.run("return document.querySelector('#status').className")
