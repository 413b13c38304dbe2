"""Command: two cameras and a schedule → a session of raw pairs, which capture.align and calibration read.

python -m capture.grab --rig rigs/mine.yaml --bright basler:SERIAL --dark basler:SERIAL --schedule shots.csv
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from capture.devices import Device
from capture.devices.aravis import AravisCamera
from capture.devices.basler import BaslerCamera
from capture.devices.simulated import ReplayDevice, SimulatedDevice
from capture.sources import FolderStage, SimulatedStage
from capture.trigger import Moment, Rules, take
from isp_sim.camera import SimulatedArm
from isp_sim.dng import write_dng
from isp_sim.files import remove_remnants, write_atomically
from isp_sim.pair import DualCamera
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.run import plan
from isp_sim.scenes.sources import open_scenes
from isp_sim.schedule import Shot

KINDS = ("simulated", "replay", "basler", "aravis")
DEMO_RIG, DEMO_PAIRS = "exlpose-misaligned", 10
Stage = SimulatedStage | FolderStage


@dataclass(frozen=True)
class Setup:
    """Two open cameras, what stands before them (None: the world), and what to shoot."""

    bright: Device
    dark: Device
    stage: Stage | None
    shots: Sequence[Shot]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m capture.grab",
        description="Take pairs with two cameras triggered together, through a schedule of exposures and gains: a "
        "session folder of DNGs with the settings the cameras had. Lost, late and wrongly set frames are taken again.",
        epilog="Without arguments: ten pairs of the simulated rig. Hardware in the loop without hardware: "
        "PYLON_CAMEMU=2 python -m capture.grab --bright basler:0815-0000 --dark basler:0815-0001 --frames out/captures",
    )
    asked.add_argument(
        "--rig", help=f"rig file or name: frame size, sensor, schedule [the rig.yaml of --frames, or {DEMO_RIG}]"
    )
    kinds = "simulated, replay, basler:SERIAL or aravis:SERIAL"
    asked.add_argument("--bright", default="simulated", help=f"the well-lit arm's camera: {kinds} [%(default)s]")
    asked.add_argument("--dark", default="simulated", help=f"the low-light arm's camera: {kinds} [%(default)s]")
    asked.add_argument("--line", help="input that triggers the low-light arm's camera, as Line1 [by software]")
    asked.add_argument("--frames", type=Path, help="folder with raw/*.dng that replaying and emulated cameras see")
    asked.add_argument(
        "--scenes", default="people", help="what simulated cameras see: as isp_sim.generate [%(default)s]"
    )
    asked.add_argument(
        "--schedule", type=Path, help="CSV of shots, as isp_sim.generate [the rig's, or that of --frames]"
    )
    asked.add_argument("--count", type=int, help="pairs to take [10, or all of --schedule or --frames]")
    asked.add_argument("--seed", type=int, default=0, help="of the schedule's draw and simulated cameras [%(default)s]")
    asked.add_argument("--apart-ms", type=float, default=5.0, help="longest time between the triggers [%(default)s]")
    asked.add_argument("--tries", type=int, default=5, help="how often a moment is tried [%(default)s]")
    asked.add_argument("--out", type=Path, default=Path("out/session"), help="the session's folder [%(default)s]")
    asked.add_argument("--resume", action="store_true", help="go on with a session that was stopped")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        taken, again = grab(given)
    except (ValueError, OSError) as fault:
        print(f"capture.grab: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("capture.grab: stopped; the pairs that are taken are whole: add --resume to go on", file=sys.stderr)
        return 130
    print(f"{taken} pairs in {given.out}/raw, {again} tries taken again; session.json says why")
    print(f"next: python -m capture.align {given.out} --out out/aligned")
    return 0


def grab(given: argparse.Namespace) -> tuple[int, int]:
    """Take a session.

    Returns:
        How many pairs it holds, and how many tries were thrown away.

    Raises:
        ValueError: bad input, or a camera that cannot do what the schedule asks.
        OSError: a camera failed at every try, or the disk is full; what is taken stays and `--resume` goes on.
    """
    if given.tries < 1 or not given.apart_ms > 0 or (given.count is not None and given.count < 1):
        raise ValueError("--tries and --count take whole numbers from 1, --apart-ms a number above 0")
    rules = Rules(apart_s=given.apart_ms * 1e-3, tries=given.tries)
    own = given.frames / "rig.yaml" if given.frames else None
    rig = load_rig(given.rig or (own if own and own.is_file() else DEMO_RIG))
    with ExitStack() as stack:
        setup = _setup(given, rig, stack)
        log = _Log(given.out, rig, setup, given.resume)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            for shot in progress.track(setup.shots, description="pairs"):
                if not log.has(shot):
                    if setup.stage is not None:
                        setup.stage.show(shot)
                    log.keep(shot, take(setup.bright, setup.dark, shot, rules))
        return log.close()


def _setup(given: argparse.Namespace, rig: Rig, stack: ExitStack) -> Setup:
    """Open what was asked for. Raises ValueError: what does not go together."""
    kinds = {arm: getattr(given, arm).partition(":")[0] for arm in ("bright", "dark")}
    for arm, kind in kinds.items():
        if kind not in KINDS:
            raise ValueError(
                f"--{arm} {getattr(given, arm)}: allowed are {', '.join(KINDS)}, the last two with :SERIAL"
            )
    pair = DualCamera(rig) if "simulated" in kinds.values() else None
    devices: list[Any] = []
    for name, told in (("bright", rig.well_lit), ("dark", rig.low_light)):
        simulated = None if pair is None else (pair.well_lit if name == "bright" else pair.low_light)
        line = given.line if name == "dark" else None
        devices.append(_open(getattr(given, name), simulated or SimulatedArm(rig, told), line))
        stack.callback(devices[-1].close)
    shown = [device for device in devices if isinstance(device, ReplayDevice) or getattr(device, "emulated", False)]
    if pair is not None and shown:
        raise ValueError(
            "--bright, --dark: a simulated camera sees scenes, a replaying or emulated one frames: give one kind"
        )
    if pair is not None:
        count = given.count or (None if given.schedule else DEMO_PAIRS)
        stage: Stage | None = SimulatedStage(pair, open_scenes(given.scenes, None, rig, given.seed), given.seed)
        return Setup(devices[0], devices[1], stage, plan(rig, given.schedule, count, given.seed))
    if shown and (given.frames is None or len(shown) < 2):
        raise ValueError("--frames: replaying and emulated cameras, two of them, need a folder of frames to see")
    if shown:
        stage = FolderStage(given.frames, devices[0], devices[1])
        return Setup(devices[0], devices[1], stage, stage.shots[: given.count])
    return Setup(devices[0], devices[1], None, plan(rig, given.schedule, given.count or DEMO_PAIRS, given.seed))


def _open(asked: str, arm: SimulatedArm, line: str | None) -> Device:
    """A camera; the rig's arm tells what the frames' metadata are."""
    kind, _, serial = asked.partition(":")
    rig = arm.rig
    if kind == "simulated":
        return SimulatedDevice(arm)
    if kind == "replay":
        return ReplayDevice(serial or arm.serial)
    if not serial:
        raise ValueError(f"{asked}: give the camera's serial number, as {kind}:12345678")

    def describe(counts: Any, exposure_us: float, gain_db: float, told: dict[str, object]) -> Any:
        return replace(arm.describe(counts, exposure_us, gain_db, told | {"rig": rig.name}), serial=serial)

    make = BaslerCamera if kind == "basler" else AravisCamera
    bits = (rig.sensor.white_level_dn * rig.binning**2).bit_length()
    return make(serial, describe, (rig.height_px, rig.width_px), rig.sensor.cfa, bits, line)


class _Log:
    """A session's folder: `raw/*.dng`, `rig.yaml`, and `session.json` with what was taken how."""

    def __init__(self, folder: Path, rig: Rig, setup: Setup, resume: bool) -> None:
        self.folder, self._lines = folder, folder / "session.json"
        cameras = {"bright": setup.bright.serial, "dark": setup.dark.serial}
        self.document: dict[str, Any] = {"rig": rig.name, "cameras": cameras, "pairs": {}}
        if self._lines.exists():
            there = json.loads(self._lines.read_text(encoding="utf-8"))
            if not resume:
                raise ValueError(f"{folder}: holds a session; add --resume to finish it, or give --out another folder")
            if there["rig"] != rig.name or there["cameras"] != cameras:
                raise ValueError(
                    f"{folder}: holds a session of other cameras or another rig; give --out another folder"
                )
            self.document = there
        elif folder.is_dir() and any(folder.iterdir()):
            raise ValueError(f"{folder}: not empty and no session of this program; give --out an empty folder")
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        remove_remnants(folder / "raw")
        text = yaml.safe_dump(rig.model_dump(mode="json"), sort_keys=False, width=110)
        write_atomically(folder / "rig.yaml", text.encode())
        self._write()

    def has(self, shot: Shot) -> bool:
        """The shot is taken and its files are there."""
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
        """How many pairs there are, and how many tries were thrown away."""
        lines = self.document["pairs"].values()
        return len(lines), sum(len(line["again"]) for line in lines)

    def _write(self) -> None:
        write_atomically(self._lines, json.dumps(self.document, indent=1).encode())


if __name__ == "__main__":
    sys.exit(main())
