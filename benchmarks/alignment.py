"""Registration of a dark arm against the truth, beside OpenCV's ECC and RealBlur's phase correlation + ECC.

    python benchmarks/alignment.py [--sessions 12] [--photos FOLDER] [--keep FILE]

Every session is a rig of its own: rotation within 1°, shift within 25 px, scale within 1 %, perspective within 1e-6 a
pixel (the rig file's largest is 2e-7), the ExLPose rig's distortion, 1 % ND filter, noise and schedule. Half of the
sessions look at walls of 15 photographs (`--photos`; without it all look at built-in people). At `base` a single pair
at ratio 1 is registered; at `LL-E` a session has nothing but pairs of the extreme split (well-lit gain from 24 dB):
three of each of two scenes, first one alone, then all summed. Bases are drawn from the rig's schedule. The error is the
RMS distance at the four corners from the true map, px. Peers get the arms' developed 8-bit pictures, in grey, and 200
iterations to 1e-6 (RealBlur: phase correlation first, then ECC with a homography). Time is the processor's.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from capture.alignment import develop
from capture.registration import geometry, register
from capture.registration.observation import of_raws
from isp_sim import streams
from isp_sim.isp.codes import srgb_codes
from isp_sim.isp.develop import UNCUT
from isp_sim.pair import DualCamera, Pair
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Scene
from isp_sim.scenes.people.source import People
from isp_sim.scenes.photos import Photos
from isp_sim.schedule import Shot, bases, split_of
from isp_sim.tables import terminal_table
from isp_sim.units import Radiance

LIMIT_PX = 0.5
"""Expected corner error above which `capture.align` refuses a map."""
TILES_Y, TILES_X = 3, 5
TARGETS = {"base": (0.10, 0.25), "LL-E": (0.25, 0.6)}
LOST_PX = 5.0


@dataclass(frozen=True)
class Found:
    """One registration: error against the truth, processor seconds, whether it was refused."""

    error_px: float
    seconds: float
    refused: bool = False


def misaligned(rig: Rig, seed: int) -> Rig:
    """The rig with a low-light arm put somewhere within the stated bounds."""
    stream = streams.generator(seed, "alignment benchmark")
    distance, direction = 25 * math.sqrt(stream.uniform()), stream.uniform(0, 2 * math.pi)
    values = {
        "rotation_deg": float(stream.uniform(-1, 1)),
        "shift_px": (distance * math.cos(direction), distance * math.sin(direction)),
        "scale": float(1 + stream.uniform(-0.01, 0.01)),
        "perspective_per_px": tuple(stream.uniform(-1e-6, 1e-6, 2).tolist()),
    }
    old = rig.low_light.geometry
    new = {name: getattr(old, name).model_copy(update={"value": value}) for name, value in values.items()}
    arm = rig.low_light.model_copy(update={"geometry": old.model_copy(update=new)})
    return rig.model_copy(update={"low_light": arm})


def wall(photos: Photos, rig: Rig, seed: int) -> Scene:
    """Fifteen photographs side by side, each enlarged to fill its tile: one alone is a few hundred pixels wide."""
    stream = streams.generator(seed, "wall")
    height, width = rig.height_px // TILES_Y, rig.width_px // TILES_X
    light = np.zeros((rig.height_px, rig.width_px, 3), np.float32)
    for tile, number in enumerate(stream.choice(len(photos), TILES_Y * TILES_X, replace=False)):
        photo = photos.scene(int(number)).radiance
        scale = max(height / photo.shape[0], width / photo.shape[1])
        way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        filled = cv2.resize(photo, None, fx=scale * 1.001, fy=scale * 1.001, interpolation=way)[:height, :width]
        y, x = divmod(tile, TILES_X)
        light[y * height :, x * width :][: filled.shape[0], : filled.shape[1]] = np.maximum(filled, 0)
    return Scene(f"wall {seed}", Radiance(light))


def shots(rig: Rig, seed: int) -> tuple[Shot, Shot]:
    """A base of the schedule at ratio 1, and one at its largest ratio that falls into LL-E."""
    known = bases(rig.schedule)
    stream = streams.generator(seed, "base")
    _, base_us, gain_db = known[int(stream.integers(len(known)))]
    extreme = [(m, us, db) for m, us, db in known if db + 20 * math.log10(max(m.ratios)) >= 24]
    dark_mix, dark_us, dark_db = extreme[int(stream.integers(len(extreme)))]
    return _shot(1.0, base_us, gain_db), _shot(max(dark_mix.ratios), dark_us, dark_db)


def _shot(ratio: float, base_us: float, gain_db: float) -> Shot:
    well_db = round(gain_db + 20 * math.log10(ratio), 2)
    return Shot(0, "0101", "sim", "0", "0", ratio, round(base_us / ratio), base_us, gain_db, well_db, gain_db)


def ours(pairs: list[Pair]) -> Found:
    """`capture.registration.register`, from the raws."""
    height, width = pairs[0].well_lit_raw.counts.shape
    start = time.process_time()
    fit = register.register([of_raws(pair.well_lit_raw, pair.low_light_raw) for pair in pairs])
    seconds = time.process_time() - start
    error = geometry.corner_error(fit.alignment.low_to_well(height, width), pairs[0].low_to_well, height, width)
    return Found(error, seconds, fit.corner_sigma_px(height, width) > LIMIT_PX or not fit.converged)


def ecc(pair: Pair, correlate_first: bool) -> Found:
    """OpenCV's ECC with a homography, from the identity or, as RealBlur does, from a phase correlation."""
    well, low = (
        cv2.cvtColor(srgb_codes(develop.linear(raw, UNCUT)), cv2.COLOR_RGB2GRAY)
        for raw in (pair.well_lit_raw, pair.low_light_raw)
    )
    height, width = well.shape
    start = time.process_time()
    matrix = np.eye(3, dtype=np.float32)
    if correlate_first:
        window = cv2.createHanningWindow((width, height), cv2.CV_32F)
        matrix[:2, 2] = cv2.phaseCorrelate(well.astype(np.float32), low.astype(np.float32), window)[0]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-6)
    try:
        _, matrix = cv2.findTransformECC(well, low, matrix, cv2.MOTION_HOMOGRAPHY, stop, None, 5)
    except cv2.error:  # "the algorithm stopped before its convergence"
        return Found(math.inf, time.process_time() - start, True)
    seconds = time.process_time() - start
    return Found(geometry.corner_error(np.linalg.inv(matrix.astype(float)), pair.low_to_well, height, width), seconds)


def session(rig: Rig, photos: Photos | None, seed: int) -> dict[tuple[str, str], Found]:
    """One session through everything, by (condition, who)."""
    camera = DualCamera(misaligned(rig, seed))
    people = People(rig.height_px, rig.width_px, seed)
    base, extreme = shots(rig, seed)
    assert split_of(extreme.well_lit_gain_db) == "LL-E"
    dark: list[Pair] = []
    light: Pair | None = None
    for number in range(2):
        scene = wall(photos, rig, 2 * seed + number) if photos and seed % 2 == 0 else people.scene(number)
        if light is None:
            (light,) = camera.shoot(scene, [base], seed)
        three = [replace(extreme, number=n) for n in range(3 * number, 3 * number + 3)]
        dark += camera.shoot(scene, three, seed)
    assert light is not None
    found = {}
    for name, pair in (("base", light), ("LL-E", dark[0])):
        found[name, "ours"] = ours([pair])
        found[name, "correlation + ECC"] = ecc(pair, True)
    found["base", "ECC"] = ecc(light, False)
    found["LL-E", "ours, six summed"] = ours([dark[n] for n in (0, 3, 1, 4, 2, 5)])
    return found


def report(rows: list[dict[tuple[str, str], Found]]) -> Table:
    """Medians and 95th percentiles, and ratios of the medians to the better peer."""
    lines = []
    for name, who in rows[0]:
        found = [row[name, who] for row in rows]
        kept = [f.error_px for f in found if not f.refused] or [math.inf]
        cells = [f"{np.median(kept):.3f}", f"{np.quantile(kept, 0.95, method='inverted_cdf'):.3f}"]
        judged = who.startswith("ours") and (name == "base" or "summed" in who)
        cells.append("{} / {}".format(*TARGETS[name]) if judged else "")
        cells += [str(sum(f.refused for f in found)), str(sum(f.error_px > LOST_PX and not f.refused for f in found))]
        cells.append(_ratio(rows, name, who) if who.startswith("ours") else "")
        lines.append((f"{name}, {who}", *cells, f"{np.median([f.seconds for f in found]):.2f}"))
    headings = ("", "median", "95 %", "target", "refused", f"> {LOST_PX:g} px", "peer / ours", "s of processor")
    return terminal_table(f"{len(rows)} sessions, 1920×1200; corner error, px", headings, lines)


def _ratio(rows: list[dict[tuple[str, str], Found]], name: str, who: str) -> str:
    """Median over the sessions of the better peer's error over ours; a peer that stops counts as infinitely far off."""
    peers = [[row[key].error_px for key in row if key[0] == name and "ours" not in key[1]] for row in rows]
    ratios = [min(errors) / row[name, who].error_px for errors, row in zip(peers, rows, strict=True)]
    return f"{np.quantile(ratios, 0.5, method='lower'):.1f} (≥ 3)"


def kept(file: Path | None) -> dict[int, dict[tuple[str, str], Found]]:
    """Sessions a run before has finished."""
    if file is None or not file.exists():
        return {}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["session"]: {(n, w): Found(e, s, bool(r)) for n, w, e, s, r in line["found"]} for line in lines}


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sessions", type=int, default=12)
    asked.add_argument("--photos", type=Path, default=Path("../shared/data/photos/lspet"))
    asked.add_argument("--keep", type=Path, help="file of finished sessions, to go on from")
    given = asked.parse_args()
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    exlpose = load_rig("exlpose")
    source = Photos(given.photos, None, exlpose.height_px, exlpose.width_px) if given.photos.is_dir() else None
    done = kept(given.keep)
    for seed in range(given.sessions):
        if seed not in done:
            done[seed] = session(exlpose, source, seed)
            found = [[*key, f.error_px, round(f.seconds, 3), f.refused] for key, f in done[seed].items()]
            line = json.dumps({"session": seed, "found": found})
            print(line, flush=True)
            if given.keep:
                with given.keep.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    Console().print(report([done[seed] for seed in range(given.sessions)]))
