"""A session of two cameras: open them, go through the schedule, keep what was taken; what `capture.grab` does."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from capture.devices import Device
from capture.devices.aravis import AravisCamera
from capture.devices.basler import BaslerCamera
from capture.devices.simulated import ReplayDevice, SimulatedDevice
from capture.sources import RecordedFrames, SimulatedScenes
from capture.trigger import Moment, Rules, take
from isp_sim.camera import SimulatedArm
from isp_sim.dng import write_dng
from isp_sim.files import listed, read_json, refuse_other, remove_remnants, write_atomically
from isp_sim.pair import DualCamera
from isp_sim.progress import track
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import plan
from isp_sim.scenes.sources import open_scenes
from isp_sim.schedule import Shot

KINDS = ("simulated", "replay", "basler", "aravis")
DEMO_RIG, DEMO_PAIRS = "exlpose-misaligned", 10
Source = SimulatedScenes | RecordedFrames


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What a session is to be: the options of the command line.

    Attributes:
        rig: file or name; None: that of `frames`, or the demonstration's.
        bright, dark: cameras of the well-lit and the low-light arm, `KIND` or `KIND:SERIAL`, of `KINDS`.
        line: input that triggers the low-light arm's camera; None: software does.
        frames: folder that replaying and emulated cameras see.
        scenes: what simulated cameras see.
        schedule: CSV of shots.
        count: of pairs.
        seed: of the schedule's draw and of simulated cameras.
        apart_ms: longest time between the triggers.
        tries: of a moment.
        out: the session's folder.
        resume: go on with what the folder holds.
    """

    rig: str | None
    bright: str
    dark: str
    line: str | None
    frames: Path | None
    scenes: str
    schedule: Path | None
    count: int | None
    seed: int
    apart_ms: float
    tries: int
    out: Path
    resume: bool


@dataclass(frozen=True)
class Setup:
    """Two open cameras, what they see (None: the world), and what to shoot."""

    bright: Device
    dark: Device
    source: Source | None
    shots: Sequence[Shot]


def grab(session: SessionOptions) -> tuple[int, int]:
    """Take a session.

    Returns:
        How many pairs it holds, and how many tries were discarded.

    Raises:
        ValueError: bad input, or a camera that cannot do what the schedule asks.
        OSError: a camera failed at every try, or the disk is full; what is taken stays and `--resume` goes on.
    """
    if session.tries < 1 or not session.apart_ms > 0 or (session.count is not None and session.count < 1):
        raise ValueError("--tries and --count: expected whole numbers from 1; --apart-ms: a number above 0")
    rules = Rules(apart_s=session.apart_ms * 1e-3, tries=session.tries)
    own = session.frames / "rig.yaml" if session.frames else None
    rig = load_rig(session.rig or (own if own and own.is_file() else DEMO_RIG))
    with ExitStack() as stack:
        setup = _setup(session, rig, stack)
        log = _Log(session.out, rig, setup, session.resume)
        for shot in track(setup.shots, "pairs", sum(map(log.has, setup.shots))):
            if not log.has(shot):
                if setup.source is not None:
                    setup.source.show(shot)
                log.keep(shot, take(setup.bright, setup.dark, shot, rules))
        return log.close()


def _setup(session: SessionOptions, rig: Rig, stack: ExitStack) -> Setup:
    """Open the cameras. Raises ValueError: what does not go together."""
    kinds = {arm: getattr(session, arm).partition(":")[0] for arm in ("bright", "dark")}
    for option, kind in kinds.items():
        if kind not in KINDS:
            raise ValueError(
                f"--{option} {getattr(session, option)}: expected one of {', '.join(KINDS)}, the last two with :SERIAL"
            )
    pair = DualCamera(rig) if "simulated" in kinds.values() else None
    devices: list[Any] = []
    for name, arm in (("bright", rig.well_lit), ("dark", rig.low_light)):
        simulated = None if pair is None else (pair.well_lit if name == "bright" else pair.low_light)
        line = session.line if name == "dark" else None
        devices.append(_open(getattr(session, name), simulated or SimulatedArm(rig, arm), line))
        stack.callback(devices[-1].close)
    shown = [device for device in devices if isinstance(device, ReplayDevice) or getattr(device, "emulated", False)]
    if pair is not None and shown:
        raise ValueError(
            "--bright, --dark: a simulated camera sees scenes, a replaying or emulated one frames: give one kind"
        )
    if pair is not None:
        count = session.count or (None if session.schedule else DEMO_PAIRS)
        scenes = open_scenes(session.scenes, None, rig, session.seed)
        source: Source = SimulatedScenes(pair, scenes, session.seed)
        return Setup(devices[0], devices[1], source, plan(rig, session.schedule, count, session.seed))
    if shown:
        if session.frames is None or len(shown) < 2:
            raise ValueError("--frames: replaying and emulated cameras, two of them, need a folder of frames to see")
        source = RecordedFrames(session.frames, devices[0], devices[1])
        return Setup(devices[0], devices[1], source, source.shots[: session.count])
    return Setup(devices[0], devices[1], None, plan(rig, session.schedule, session.count or DEMO_PAIRS, session.seed))


def _open(camera: str, arm: SimulatedArm, line: str | None) -> Device:
    """A camera; the frames' metadata are those of the rig's arm."""
    kind, _, serial = camera.partition(":")
    rig = arm.rig
    if kind == "simulated":
        return SimulatedDevice(arm)
    if kind == "replay":
        return ReplayDevice(serial or arm.serial)
    if not serial:
        raise ValueError(f"{camera}: give the camera's serial number, as {kind}:12345678")

    def describe(counts: Any, exposure_us: float, gain_db: float, settings: dict[str, object]) -> Any:
        return replace(arm.describe(counts, exposure_us, gain_db, settings | {"rig": rig.name}), serial=serial)

    make = BaslerCamera if kind == "basler" else AravisCamera
    bits = (rig.sensor.white_level_dn * rig.binning**2).bit_length()
    return make(serial, describe, (rig.height_px, rig.width_px), rig.sensor.cfa, bits, line)


class _Log:
    """A session's folder: `raw/*.dng`, `rig.yaml`, and `session.json` with what was taken how."""

    def __init__(self, folder: Path, rig: Rig, setup: Setup, resume: bool) -> None:
        self.folder, self._lines = folder, folder / "session.json"
        cameras = {"bright": setup.bright.serial, "dark": setup.dark.serial}
        identity: dict[str, Any] = {"rig": rig.name, "cameras": cameras}
        refuse_other(folder, self._lines.name, identity, "session", resume)
        self.document = identity | {"pairs": {}}
        if self._lines.exists():
            self.document = read_json(self._lines)
            try:
                for line in self.document["pairs"].values():
                    _ = listed(self._lines, line["bright"]), listed(self._lines, line["dark"]), len(line["again"])
            except (AttributeError, KeyError, TypeError):
                raise ValueError(f"{self._lines}: pairs: expected files bright and dark of each") from None
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        remove_remnants(folder / "raw")
        text = yaml.safe_dump(rig.model_dump(mode="json"), sort_keys=False, width=110)
        write_atomically(folder / "rig.yaml", text.encode())
        self._write()

    def has(self, shot: Shot) -> bool:
        """The shot is taken and its files exist."""
        line = self.document["pairs"].get(shot.file_name("bright"))
        return line is not None and all((self.folder / line[arm]).is_file() for arm in ("bright", "dark"))

    def keep(self, shot: Shot, moment: Moment) -> None:
        """Write a pair: both DNGs, named by the settings they were taken with, then its line."""
        true = replace(
            shot,
            exposure_us=round(moment.bright.exposure_us),
            well_lit_gain_db=moment.bright.gain_db,
            low_light_gain_db=moment.dark.gain_db,
        )
        line: dict[str, Any] = {"apart_ms": round(1e3 * moment.apart_s, 3), "again": list(moment.again)}
        for arm, raw in (("bright", moment.bright), ("dark", moment.dark)):
            line[arm] = f"raw/{Path(true.file_name(arm)).stem}.dng"
            write_dng(self.folder / line[arm], raw)
        self.document["pairs"][shot.file_name("bright")] = line
        self._write()

    def close(self) -> tuple[int, int]:
        """How many pairs there are, and how many tries were discarded."""
        lines = self.document["pairs"].values()
        return len(lines), sum(len(line["again"]) for line in lines)

    def _write(self) -> None:
        write_atomically(self._lines, json.dumps(self.document, indent=1).encode())
