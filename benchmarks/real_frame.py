"""Raw stages on a real ExLPose low-light frame: trained on simulated pairs alone, judged on what a camera saw.

    python benchmarks/real_frame.py [--raw-stage faithful tuned] [--out docs/real-frame.jpg]

The frame is 8 bits, of 3.4 dB and 1250 µs, two labelled people. Its raw is found again: the codes' middles, made
linear and through the inverse of the camera's colour matrix and white balance (benchmarks/developing.py found both),
give each pixel's measured colour; noise below code 0 is lost. Rows: Lee et al.'s mean of 0.4 as it is, and with 4×4
pixels averaged first; the stages on the mosaic as it is, and with 4×4 pixels of a colour averaged first, as the rig
`exlpose-small` adds them. Joints within 0.2 of the torso, of 24 (12 joints of two people): too few to rank anything.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from developing import CFA, REAL
from rich.console import Console

from isp_sim.files import write_atomically
from isp_sim.isp.develop import balance, unclipped_srgb
from isp_sim.pair import DualCamera
from isp_sim.picture_files import jpeg, read_picture
from isp_sim.raw import Raw
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import read_annotations
from isp_sim.tables import terminal_table
from isp_sim.transfer import srgb_decode
from isp_sim.units import Counts, Radiance
from models.choices import RAW_STAGES
from models.data.normalisation import LOW, normalise
from models.raw_stage.network import RawNet, restore
from models.raw_stage.stage import load_stage
from models.recognisers.inference import detect_in
from models.recognisers.loading import load_recogniser
from models.scoring.drawing import caption, draw_poses
from models.scoring.pck import near_and_labelled

GAIN_DB, EXPOSURE_US, BIN = 3.4, 1250.0, 4
NETWORKS = ("movenet-lightning", "movenet-thunder", "low-light")
AROUND = (880, 120, 620, 920)  # x, y, width, height of both people, px


def real_raw(codes: np.ndarray, binned: bool) -> Raw:
    """The frame's raw, with the metadata that our camera of that setting writes."""
    rig = load_rig("exlpose")
    arm = DualCamera(rig.model_copy(update={"width_px": 16, "height_px": 16})).low_light
    arm.look_at(Radiance(np.ones((16, 16, 3), np.float32)))
    like = arm.grab(EXPOSURE_US, GAIN_DB)
    gains, matrix = balance(like.neutral, like.xyz_to_camera)
    linear = srgb_decode(torch.from_numpy(codes.astype(np.float32) / 255)).numpy()
    planes = linear @ np.linalg.inv(matrix * gains).T  # camera RGB, 1 is white
    height, width = (length // (2 * BIN) * 2 * BIN for length in codes.shape[:2])
    mosaic = np.empty((height, width))
    for place, colour in enumerate(CFA):
        y, x = divmod(place, 2)
        mosaic[y::2, x::2] = planes[y:height:2, x:width:2, "RGB".index(colour)]
    noise, scale = like.noise_profile, 1.0
    if binned:
        tiles = mosaic.reshape(height // (2 * BIN), BIN, 2, width // (2 * BIN), BIN, 2)
        mosaic = tiles.mean(axis=(1, 4)).reshape(height // BIN, width // BIN)
        noise = tuple((slope / BIN**2, offset / BIN**2) for slope, offset in noise)
        scale = 15.0  # sums of 16 pixels, within 16 bits
    white = like.white_level_dn
    counts = Counts((mosaic * white * scale).round().clip(0, 65535).astype(np.uint16))
    return replace(
        like, counts=counts, cfa=CFA, black_level_dn=(0.0,) * 4, white_level_dn=int(white * scale), noise_profile=noise
    )


def shrunk(people: tuple[Person, ...], times: int) -> tuple[Person, ...]:
    """Labels of the frame in pixels of the binned one."""
    centre = (times - 1) / 2
    return tuple(
        replace(
            one,
            bbox=tuple(value / times for value in one.bbox),
            keypoints=tuple(((x - centre) / times, (y - centre) / times, seen) for x, y, seen in one.keypoints),
        )
        for one in people
    )


def developments(codes: np.ndarray, stages: dict[str, RawNet]) -> dict[str, tuple[int, Callable[[], np.ndarray]]]:
    """How the frame is made bright, by the name of its row, with how far it is binned."""
    height, width = (length // BIN for length in codes.shape[:2])
    small = codes[: height * BIN, : width * BIN].reshape(height, BIN, width, BIN, 3).mean(axis=(1, 3))
    lift = 0.4 / (small.mean(axis=(0, 1)) / 255)
    found: dict[str, tuple[int, Callable[[], np.ndarray]]] = {
        "8 bits, mean 0.4 (Lee)": (1, lambda: normalise(codes, "mean-0.4")),
        "8 bits, 4x4 averaged, mean 0.4": (BIN, lambda: (small / 255 * lift).astype(np.float32)),
    }
    for name, network in stages.items():
        for times in (1, BIN):
            words = f"raw stage, {name}{', 4x4 averaged' * (times > 1)}"
            found[words] = (times, lambda network=network, times=times: staged(codes, network, times))
    return found


def staged(codes: np.ndarray, network: RawNet, times: int) -> np.ndarray:
    """What a stage makes of the frame."""
    light = restore(network, real_raw(codes, times > 1))
    return unclipped_srgb(light)[0].permute(1, 2, 0).clamp(0, 1).numpy()


def main() -> None:
    """The table, and the picture."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--raw-stage", nargs="+", default=[*RAW_STAGES], help="of the package, or weights [%(default)s]")
    asked.add_argument("--out", type=Path, default=Path("out/real-frame.jpg"))
    given = asked.parse_args()
    stages = {Path(name).parent.name or name: load_stage(name) for name in given.raw_stage}
    codes = read_picture(next(REAL.glob("*.png")))
    (labelled,) = read_annotations(REAL / "annotations.json").values()
    recognisers = {name: load_recogniser(name) for name in NETWORKS}
    lines, panels = [], []
    left, top, width, height = AROUND
    for name, (times, develop) in developments(codes, stages).items():
        people = shrunk(labelled, times) if times > 1 else labelled
        picture = np.ascontiguousarray(develop(), np.float32)
        seen = {who: detect_in(recogniser, [picture], people, LOW, "none") for who, recogniser in recognisers.items()}
        near = [near_and_labelled(people, seen[who], 0.2) for who in NETWORKS]
        lines.append((name, *(f"{good} of {of}" for good, of in near)))
        drawn = draw_poses((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8), (), seen["movenet-thunder"])
        part = drawn[top // times : (top + height) // times, left // times : (left + width) // times]
        panel = cv2.resize(part, (310, 460), interpolation=cv2.INTER_AREA if times == 1 else cv2.INTER_NEAREST)
        caption(panel, name)
        panels.append(panel)
    Console(width=140).print(terminal_table("A real frame: joints right", ("", *NETWORKS), lines))
    write_atomically(given.out, jpeg(np.hstack(panels)))


if __name__ == "__main__":
    main()
