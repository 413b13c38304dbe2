"""A tuning desk from its options: shots, ISP, network, page; what `models.serve_desk` does."""

from dataclasses import dataclass
from pathlib import Path

import torch

from isp_sim.files import lock
from isp_sim.rigfile import load_rig
from models.desk.api import Api
from models.desk.presets import Presets
from models.desk.reshoot import Reshooting
from models.desk.server import DeskServer
from models.desk.shots import DeskShot, of_folder, of_raws
from models.desk.workbench import Workbench
from models.recognisers.loading import load_recogniser
from models.tuning.loading import load_isp
from models.tuning.shots import shoot

OF_A_SCENE = 2
"""Shots of a built-in scene."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a desk is asked for: the options of the command line.

    Attributes:
        raws: raw files of any camera.
        data: folder of `isp_sim.generate`; None: the rig shoots one.
        scenes: folder of the pictures it was made of, to take its shots again.
        rig: that shoots.
        shots: on the desk.
        isp: as `models.tuning.loading.load_isp` takes it.
        pose: frozen network, as `load_recogniser` takes it.
        settings: files of settings to begin with.
        port: 0: a free one.
        seed: of the built-in scenes.
        out: folder for shots and presets.
    """

    raws: list[Path]
    data: Path | None
    scenes: Path | None
    rig: str
    shots: int
    isp: str
    pose: str
    settings: list[Path]
    port: int
    seed: int
    out: Path


def open_desk(desk: Desk) -> DeskServer:
    """The server, ready to serve.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    if desk.shots < 1:
        raise ValueError(f"--shots {desk.shots}: expected a whole number from 1")
    if desk.raws and desk.data:
        raise ValueError(f"--data {desk.data}: beside raw files; expected either")
    isp, recogniser = load_isp(desk.isp), load_recogniser(desk.pose)  # complain before the first shot
    torch.set_num_threads(1)  # of a preview's many small operations each would wait for a second thread to wake
    desk.out.mkdir(parents=True, exist_ok=True)
    lock(desk.out)
    shots, reshooting = _shots(desk)
    bench = Workbench(isp, desk.isp, recogniser, shots, desk.out / "scratch", reshooting)
    bench.warm_up()
    search = ["--pose", desk.pose, *(["--data", str(desk.data)] if desk.data else ["--rig", desk.rig])]
    presets = Presets(bench, desk.out / "presets", desk.settings, search)
    return DeskServer(Api(bench, presets, desk.pose), desk.port)


def _shots(desk: Desk) -> tuple[tuple[DeskShot, ...], Reshooting | str]:
    """The shots, and what takes them again, or why that cannot be done."""
    if desk.raws:
        return of_raws(desk.raws, desk.out / "raws"), "raw files cannot be taken again"
    folder = desk.data
    if folder is None:
        folder = desk.out / "shots" / f"{Path(desk.rig).stem}-{desk.seed}-{desk.shots}"
        folder.mkdir(parents=True, exist_ok=True)
        shoot(folder, load_rig(desk.rig), desk.seed, desk.shots, OF_A_SCENE, 1)
    shots = of_folder(folder, desk.shots)
    try:
        return shots, Reshooting(folder, desk.scenes)
    except (ValueError, OSError) as fault:
        return shots, str(fault)
