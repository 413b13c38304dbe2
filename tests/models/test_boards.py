"""Boards: packing, messages, a process that breaks in every way and is started again, the reference server."""

import base64
import io
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from isp_sim.dng import read_dng, write_dng
from isp_sim.isp.params import ParamSpec
from isp_sim.rigfile import load_yaml
from isp_sim.scenes import JOINTS, Person
from isp_sim.shading import edge_to_edge
from models import tune_isp
from models.choices import DEPTHS
from models.data.normalisation import LOW, normalise
from models.recognisers.inference import detect_in
from models.recognisers.recogniser import Recogniser
from models.tuning.boards import messages
from models.tuning.boards.client import BoardFile, BoardIsp
from models.tuning.boards.packing import pack, packed_size, unpack
from models.tuning.boards.server import Board, serve
from models.tuning.judge import Task, judging
from models.tuning.libraw import LibRawIsp
from models.tuning.loading import load_isp
from models.tuning.loop import tune
from models.tuning.record import Record
from models.tuning.search import CmaSearch
from models.tuning.shots import read_shots
from models.tuning.tunable import TunableParameter, defaults
from tests.models.test_tune_isp import HEIGHT, ROOT, WIDTH, brightest, folder_of_dots, raw_of, words

FAKE = """
import base64, json, os, sys, time
plan, count = json.load(open(sys.argv[1])), sys.argv[1] + ".count"
KNOBS = {"gain": {"low": 0.5, "high": 8.0, "default": 1.0, "scale": "log"},
         "red": {"choices": [True, False], "default": True}}
say = lambda answer: print(json.dumps(answer), flush=True)
if "banner" in plan: print("Welcome!\\n{1}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    number = int(open(count).read()) if os.path.exists(count) else 0
    do = plan.get(str(number), "answer") if asked["do"] != "hello" else plan.get("hello", "answer")
    if asked["do"] == "hello":
        board = "fake 2" if do == "other" and number > 1 else "fake 1"
        if do != "silent":
            say({"id": asked["id"], "protocol": plan.get("protocol", 1), "board": board, "knobs": KNOBS,
                 "raws": ["raw16"], "joints": ["nose", "left wrist"], "new": 1})
        continue
    open(count, "w").write(str(number + 1))
    if do == "die": os.abort()
    if do == "hang": time.sleep(60)
    if do == "garbage": print("\\x00\\xff nonsense", flush=True)
    if do == "flood": sys.stdout.write("x" * 10_000_000 + "\\n")
    if do == "talk": sys.stderr.write("y" * 1_000_000)
    if do == "refuse": say({"id": asked["id"], "fault": "too hot"}); continue
    if asked["do"] == "score":
        wrong = do == "wrong size"
        joints = [[[None, None, None], [x, y, 0.5]][wrong:] for x, y, _, _ in asked["boxes"]]
        say({"id": asked["id"], "joints": joints})
        continue
    raw, gain, red = asked["raw"], asked["settings"]["gain"], asked["settings"]["red"]
    data = base64.b64decode(raw["data"])
    counts = [min(65535, int(gain * v)) for v in memoryview(data).cast("H")]
    picture = memoryview(bytearray(6 * len(counts))).cast("H")
    picture[2 - 2 * red :: 3] = memoryview(b"".join(v.to_bytes(2, "little") for v in counts)).cast("H")
    answer = {"id": asked["id"], "height": raw["height"], "width": raw["width"], "depth": "uint16",
              "data": base64.b64encode(picture).decode()}
    if do == "half":
        print(json.dumps(answer)[:1000], end="", flush=True)
        os._exit(3)
    if do == "wrong size": answer["height"] += 1
    if do == "wrong id": answer["id"] += 1
    if do == "path": answer["file"] = answer.pop("data") and "../../etc/passwd"
    if do == "own file": answer["file"] = answer.pop("data") and "picture"
    say(answer)
"""
BROKEN = ("die", "half", "hang", "garbage", "flood", "wrong size", "wrong id", "path", "own file")


class InProcess:
    """What the fake board does."""

    parameters = (
        TunableParameter(ParamSpec("gain", 0.5, 8.0, 1.0, "log", "", "")),
        TunableParameter.of_choices("red", (True, False), True, ""),
    )

    def develop(self, raw, settings):
        codes = np.minimum(65535, (settings["gain"] * read_dng(raw).counts).astype(int))
        picture = np.zeros((*codes.shape, 3), np.float32)
        picture[..., 0 if settings["red"] else 2] = codes.astype(np.float32) / np.float32(65535)
        return picture


def board(folder: Path, plan: dict, **more) -> Path:
    """A board's YAML, and what goes wrong at which request."""
    (folder / "fake.py").write_text(FAKE)
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "plan.json.count").unlink(missing_ok=True)
    command = [sys.executable, "-S", str(folder / "fake.py"), str(folder / "plan.json")]
    said = {"board": command, "raw": "raw16", "pause_s": 0.0} | more
    (folder / "board.yaml").write_text(yaml.safe_dump(said))
    return folder / "board.yaml"


@pytest.fixture
def raw(tmp_path) -> Path:
    counts = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH)) * 16
    write_dng(tmp_path / "a.dng", replace(raw_of(counts), white_level_dn=65520))  # as a rig of 12 bits writes
    return tmp_path / "a.dng"


def test_packed_bytes_are_those_of_mipi():
    ten = np.array([[0b1000000001, 0b0100000010, 0b0010000011, 0b0001000000]], np.uint16)
    assert pack(ten, 10) == bytes([0b10000000, 0b01000000, 0b00100000, 0b00010000, 0b00_11_10_01])
    twelve = np.array([[0xABC, 0x123]], np.uint16)
    assert pack(twelve, 12) == bytes([0xAB, 0x12, 0x3C])
    assert pack(np.array([[0x1234]], np.uint16), 16) == bytes([0x34, 0x12])


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 8), (2, 7)])
def test_what_is_packed_comes_back(bits, shape):
    counts = np.random.default_rng(1).integers(0, 1 << bits, shape).astype(np.uint16)
    data = pack(counts, bits)
    assert len(data) == packed_size(*shape, bits) and (unpack(data, *shape, bits) == counts).all()
    with pytest.raises(ValueError, match=f"{len(data) + 1} bytes; expected {len(data)} for"):
        unpack(data + b"0", *shape, bits)
    if bits < 16:
        with pytest.raises(ValueError, match=f"expected less than {1 << bits} for {bits} bits"):
            pack(counts + np.uint16(1 << bits), bits)


@pytest.mark.parametrize("how", messages.RAWS)
def test_a_raw_of_twelve_bits_comes_back_as_it_was_from_all_but_ten(raw, tmp_path, how):
    said, content = messages.of_raw(raw, how)
    message = messages.checked(messages.RawMessage, json.loads(json.dumps(said | {"file": "x"})))
    messages.to_dng(message, content, tmp_path / "b.dng")
    if how != "raw10":
        assert (tmp_path / "b.dng").read_bytes() == raw.read_bytes()
    before, after = read_dng(raw), read_dng(tmp_path / "b.dng")
    kept = before.counts if how != "raw10" else before.counts >> 6 << 6
    assert (after.counts == kept).all() and after.neutral == before.neutral
    assert after.xyz_to_camera == before.xyz_to_camera and after.exposure_us == before.exposure_us
    assert after.white_level_dn == pytest.approx(before.white_level_dn, abs=64)


def test_a_packed_raw_brings_its_gains_and_its_list_and_says_nothing_without(raw, tmp_path):
    plain, _ = messages.of_raw(raw, "raw16")
    assert not {"shading", "defects"} & plain["fields"].keys()
    shading = edge_to_edge([np.array([[2.0, 1.5], [1.25, 1.0]]) + place for place in range(4)])
    write_dng(tmp_path / "a.dng", replace(read_dng(raw), shading=shading, defects=((1, 2, 2, 3), (4, 0, 5, 8))))
    said, content = messages.of_raw(tmp_path / "a.dng", "raw16")
    message = messages.checked(messages.RawMessage, json.loads(json.dumps(said | {"file": "x"})))
    messages.to_dng(message, content, tmp_path / "b.dng")
    assert (tmp_path / "b.dng").read_bytes() == (tmp_path / "a.dng").read_bytes()


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_picture_comes_back_as_exactly_as_its_depth(depth):
    assert DEPTHS == ("uint8", "uint16", "float32")
    picture = np.random.default_rng(2).uniform(-0.1, 1.2, (4, 6, 3)).astype(np.float32)
    said, content = messages.of_picture(picture, depth)
    message = messages.checked(messages.PictureMessage, said | {"file": "x"})
    off = {"uint8": 0.51 / 255, "uint16": 0.51 / 65535, "float32": 0}[depth]
    assert messages.to_picture(message, content) == pytest.approx(
        picture if depth == "float32" else picture.clip(0, 1), abs=off
    )
    with pytest.raises(ValueError, match=f"picture: {len(content) - 1} bytes; expected {len(content)} for 6×4"):
        messages.to_picture(message, content[:-1])


def test_a_board_says_its_parameters_and_develops_as_it_would_here(raw, tmp_path):
    here, there = InProcess(), load_isp(str(board(tmp_path, {"banner": True, "2": "talk"}, settle_frames=2)))
    assert isinstance(there, BoardIsp) and there.hello.board == "fake 1"
    assert [one.name for one in there.parameters] == ["gain", "red"]
    assert defaults(there.parameters) == {"gain": 1.0, "red": True}
    for settings in ({"gain": 2.5, "red": True}, {"gain": 0.7, "red": False}, {"gain": 1.0, "red": True}):
        assert (there.develop(raw, settings) == here.develop(raw, settings)).all()
    (joints,) = there.score(raw, settings, (0, 0, 10, 10), [(1, 2, 3, 4)])
    wrist = JOINTS.index("left_wrist")
    assert joints[wrist].tolist() == [1, 2, 0.5] and np.isnan(np.delete(joints[:, :2], wrist, 0)).all()
    session = there._session
    there.close()
    assert session.link._process.poll() is not None


@pytest.mark.parametrize("how", BROKEN)
def test_a_board_that_breaks_is_started_again_and_one_that_always_breaks_is_one_sentence(raw, tmp_path, how):
    settings = {"gain": 2.0, "red": True}
    seconds = 1.0 if how == "hang" else 60.0  # of others only a machine that is busy would be too slow
    once = load_isp(str(board(tmp_path, {"0": how}, attempts=6, answer_s=seconds)))
    assert (once.develop(raw, settings) == InProcess().develop(raw, settings)).all()
    always = load_isp(str(board(tmp_path, {str(n): how for n in range(9)}, attempts=2, answer_s=seconds)))
    said = {
        "die": "ended", "half": "ended", "hang": "does not answer in time", "garbage": "not UTF-8|not whole JSON",
        "flood": "a line of more than", "wrong size": "bytes; expected", "wrong id": "answered request",
        "path": "file: String should match pattern", "own file": "the YAML has no transfer",
    }[how]  # fmt: skip
    with pytest.raises(OSError, match=rf"board.yaml: .*({said}).*\(tried 2 times\)$") as fault:
        always.develop(raw, settings)
    assert "\n" not in str(fault.value)
    assert int((tmp_path / "plan.json.count").read_text()) == 2


def test_the_pages_whole_board_is_one(raw, tmp_path):
    text = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    said = {"board": [sys.executable, "-S", str(tmp_path / "example.py")], "raw": "raw16", "settle_frames": 1}
    (tmp_path / "example.yaml").write_text(yaml.safe_dump(said))
    isp = load_isp(str(tmp_path / "example.yaml"))
    settings = defaults(isp.parameters)
    assert settings == {"gain": 4.0, "denoise": "off"}
    grey = np.minimum(1, 4.0 * read_dng(raw).counts / read_dng(raw).white_level_dn)
    assert isp.develop(raw, settings) == pytest.approx(np.repeat(grey[..., None], 3, axis=2), abs=1e-4)
    with pytest.raises(ValueError, match=r"example.yaml: cannot score"):
        isp.score(raw, settings, (0, 0, 8, 8), [])
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "page.yaml").write_text(block)
    assert load_yaml(BoardFile, tmp_path / "page.yaml") == BoardFile(
        board=tuple(yaml.safe_load(block)["board"]), transfer=yaml.safe_load(block)["transfer"]
    )  # what it shows are the defaults


def test_what_a_board_refuses_is_not_asked_again(raw, tmp_path):
    isp = load_isp(str(board(tmp_path, {"0": "refuse"})))
    with pytest.raises(ValueError, match=r"board.yaml: too hot$"):
        isp.develop(raw, {"gain": 1.0, "red": True})
    assert int((tmp_path / "plan.json.count").read_text()) == 1


@pytest.mark.parametrize(
    ("plan", "more", "said"),
    [
        ({"protocol": 2}, {}, "not a Hello: protocol: Input should be 1"),
        ({"hello": "silent"}, {"start_s": 0.3}, "does not answer in time"),
        ({}, {"board": ["/nowhere/isp-serve"]}, "cannot be started: No such file"),
        ({}, {"board": [sys.executable, "-c", "import sys; sys.exit('no such host')"]}, "ended: no such host"),
        ({}, {"raw": "raw10"}, "raw: raw10: the board takes raw16"),
    ],
)
def test_a_board_that_does_not_start_is_one_sentence(tmp_path, plan, more, said):
    isp = load_isp(str(board(tmp_path, plan, **({"attempts": 1} | more))))
    with pytest.raises((ValueError, OSError), match=said):
        _ = isp.parameters


def test_another_board_in_its_place_is_refused(raw, tmp_path):
    isp = load_isp(str(board(tmp_path, {"hello": "other", "2": "die"})))
    _ = isp.parameters
    settings = {"gain": 1.0, "red": True}
    isp.develop(raw, settings)
    isp.develop(raw, settings)
    with pytest.raises(OSError, match="came back as fake 2 with other parameters than fake 1"):
        isp.develop(raw, settings)


def test_a_search_over_a_board_killed_ten_times_is_that_in_process(small, tmp_path):
    kills = {str(3 * n + 2): ("die", "half", "garbage", "wrong id")[n % 4] for n in range(10)}
    shots = read_shots(folder_of_dots(tmp_path / "dots", small, 3, 1))
    names = {"there": str(board(tmp_path, kills)), "here": "tests.models.test_boards:InProcess"}
    for place, isp in names.items():
        task = Task(isp, "tests.models.test_tune_isp:brightest", "cpu", "none", shots)
        with judging(task, 1) as judges:
            tune(CmaSearch(InProcess.parameters, 0), Record(tmp_path / place), judges, shots, 13)
    assert int((tmp_path / "plan.json.count").read_text()) > 29  # past the last of them
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_boards_own_network_is_what_is_tuned_for(small, tmp_path, capsys):
    asked = words(small, tmp_path, "out", "--isp", str(board(tmp_path, {})), "--pose", "board", "--evaluations", "3")
    assert tune_isp.main(asked) == 0
    assert list(json.loads((tmp_path / "out" / "settings.json").read_text())) == [
        "defaults", "CMA-ES, best trial", "CMA-ES, centre",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out" / "search.json").read_text())["network"] == "board"
    assert tune_isp.main([*asked, "--isp", "libraw", "--out", str(tmp_path / "no")]) == 1
    assert "--pose board: --isp libraw has no network of its own" in capsys.readouterr().err


def test_files_are_put_and_fetched_by_commands_and_only_from_their_folder(raw, tmp_path):
    """The far side's folder is another than ours; its own names lead nowhere else."""
    far = tmp_path / "far"
    far.mkdir()
    reference = Board(LibRawIsp(), "libraw", folder=far)
    said, content = messages.of_raw(raw, "dng")
    (far / "x.dng").write_bytes(content)
    settings = defaults(LibRawIsp().parameters)

    def ask(name):
        request = {"id": 1, "do": "develop", "raw": said | {"file": name}, "settings": settings}
        return reference.answer(messages.line(request))

    answer = ask("x.dng")
    picture = messages.to_picture(
        messages.checked(messages.PictureMessage, answer), (far / answer["file"]).read_bytes()
    )
    assert (picture == LibRawIsp().develop(raw, settings)).all()
    for name in ("../a.dng", "/etc/passwd", "-x.dng", "", "gone.dng"):
        assert "fault" in ask(name)
    with pytest.raises(ValueError, match=r"put: \{there\} is missing"):
        load_isp(str(board(tmp_path, {}, transfer={"put": ["cp", "{here}"], "get": ["x"], "folder": "/tmp"})))
    absent = {"put": ["false", "{here}", "{there}"], "get": ["cp", "{there}", "{here}"], "folder": str(far)}
    with pytest.raises(OSError, match="false: exit status 1: no output"):
        load_isp(str(board(tmp_path, {}, transfer=absent))).develop(raw, {"gain": 1.0, "red": True})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nonsense\n", "not whole JSON"),
        (b"[1]\n", "expected an object"),
        (b'{"id": 1, "do": "dance"}\n', "do: is 'dance'; expected hello, develop, score"),
        (b'{"id": 1, "do": "develop"}\n', "not a Develop: raw: Field required"),
        (b'{"id": 1, "do": "develop", "raw": {"format": "dng", "data": "!"}, "settings": {}}\n', "settings: "),
        (b'{"id": 1, "do": "score", "raw": {}, "settings": {}}\n', "this board has no network of its own"),
        (b'{"id": NaN, "do": "dance"}\n', "do: is 'dance'"),
        (
            b'{"do": "develop", "raw": {"format": "dng", "data": ""}, "settings": {"gain": "2", "red": true}}\n',
            "settings: gain: is '2', expected a number",
        ),
        (b"\xff\n", "not UTF-8"),
        (b'{"id": ' + b"[" * 100_000 + b"\n", "not JSON that can be read"),
    ],
)
def test_a_line_that_is_no_request_is_a_fault_and_the_board_goes_on(line, said):
    answers, log = io.BytesIO(), []
    assert serve(Board(InProcess(), "fake"), io.BytesIO(line + b'{"id": 2, "do": "hello"}\n'), answers, log.append) == 2
    fault, hello = map(json.loads, answers.getvalue().splitlines())
    assert said in fault["fault"] and log == [fault["fault"]] and fault["id"] in (None, 1)
    assert hello["id"] == 2 and list(messages.checked(messages.Hello, hello).knobs) == ["gain", "red"]


def test_the_reference_boards_network_sees_what_ours_sees(raw):
    recogniser: Recogniser = brightest()
    reference = Board(InProcess(), "fake", recogniser)
    said, content = messages.of_raw(raw, "raw12")
    request = {
        "id": 5, "do": "score", "raw": said | {"data": base64.b64encode(content).decode()}, "frames": 2,
        "settings": {"gain": 2.0, "red": True}, "crop": [4, 2, 100, 80], "boxes": [[10, 10, 40, 50]],
    }  # fmt: skip
    scored = messages.checked(messages.Scored, reference.answer(messages.line(request)))
    picture = InProcess().develop(raw, request["settings"])[2:82, 4:104]
    image = normalise(255 * picture, recogniser.normalisation[LOW])
    (one,) = detect_in(recogniser, [image], [Person(((0.0, 0.0, 0),) * 14, (10, 10, 40, 50))], LOW, "none")
    assert np.array(scored.joints[0]) == pytest.approx(np.array(one.keypoints), rel=1e-6)


def test_the_command_is_a_board_whatever_its_isp_prints(raw, tmp_path):
    command = [
        sys.executable,
        "-m",
        "models.isp_serve",
        "--isp",
        "tests.models.test_boards:Talking",
        "--depth",
        "uint16",
    ]
    said = {"board": command, "raw": "raw12", "attempts": 1}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(said))
    isp = BoardIsp(load_yaml(BoardFile, tmp_path / "board.yaml"), "board.yaml")
    settings = {"gain": 1.5, "red": True}
    assert isp.develop(raw, settings) == pytest.approx(InProcess().develop(raw, settings), abs=1e-5)
    isp._session.link._process.stdin.close()
    assert isp._session.link._process.wait(120) == 0  # it ends with its lines


class Talking(InProcess):
    """A library that prints where answers go."""

    def develop(self, raw, settings):
        print("developing")
        os.write(1, b"loudly")
        return super().develop(raw, settings)


def test_bits_of_low_light_that_a_packed_raw_leaves_out_are_told_once(capsys):
    messages._warn_of_loss.cache_clear()
    messages._warn_of_loss("raw12", 65520, 4)
    messages._warn_of_loss("raw12", 65520, 4)
    told = capsys.readouterr().err
    assert told.count("leaves out the lowest 4 bits of raws whose white is 65520") == 1
