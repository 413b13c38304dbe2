"""What a point of PCK costs in SNR, sharpness and colour: several goals at once over three ISPs, on held-out shots.

    python benchmarks/goals_table.py --data SEARCHED --held-out JUDGED   # folders of isp_sim.generate, with raws

Our pipeline, LibRaw, and dcraw_emu as an external program, each before MoveNet Lightning: a search for recognition,
SNR, MTF50, texture and ΔE2000 over some shots and a chart; the points of its front that it names by its own shots,
judged on all held-out shots and a chart with other noise. PCK@0.2 of the torso, its gain over the ISP's defaults with
the 95 % interval of a paired bootstrap over the photographs. A run that was stopped goes on.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console

from isp_sim.tables import terminal_table
from models import tune_isp
from models.choices import LEARN_POSE
from models.data.samples import scene_of
from models.runs.goal_tuning import run_goals
from models.runs.tuning import DEFAULTS, Tuning
from models.scoring.over_scenes import gain_text, pck_gain
from models.tuning.shots import read_shots
from models.tuning.verdict import poses_of

ISPS = ("pipeline", "libraw", str(Path(__file__).with_name("dcraw_emu.yaml")))
HEADINGS = (
    "setting", "PCK LL-A", "over the defaults (95 %)", "SNR dB", "range EV", "MTF50 c/px", "texture", "ΔE2000",
)  # fmt: skip


def table(isp: str, given: argparse.Namespace, console: Console) -> None:
    """One ISP: the search, or what is left of it, and its held-out table."""
    out = given.out / Path(isp).stem
    words = [
        "--goals", "--isp", isp, "--data", given.data, "--held-out", given.held_out, "--images", given.images,
        "--judged", given.judged, "--evaluations", given.evaluations, "--pose", given.pose, "--workers", given.workers,
        "--out", out, "--resume",
    ]  # fmt: skip
    tuning = Tuning(**vars(tune_isp.parser().parse_args(list(map(str, words)))))
    points, page = run_goals(tuning)
    held = read_shots(given.held_out, given.judged)
    joints = {name: poses_of(one.seen, held).joints("LL-A") for name, one in points.items()}
    rows = []
    for name, one in points.items():
        gain = gain_text(*pck_gain(joints[name], joints[DEFAULTS], scene_of))
        q = one.quality
        figures = f"{q.snr_db:.1f} {q.dynamic_range_ev:.1f} {q.mtf50:.3f} {q.texture:.2f} {q.delta_e:.1f}".split()
        rows.append((name, f"{one.pck:.1f}", gain, *figures))
    people = sum(len(shot.people) for shot in held)
    searched = f"{given.evaluations} evaluations of {given.images} shots"
    title = f"{Path(isp).stem}: {searched}; {len(held)} held out, {people} people"
    console.print(terminal_table(title, HEADINGS, rows))
    console.print(f"{page}\n", soft_wrap=True)
    (out / "table.json").write_text(json.dumps(rows, ensure_ascii=False))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--isp", nargs="+", default=ISPS)
    words.add_argument("--data", type=Path, required=True, help="folder to search on")
    words.add_argument("--held-out", type=Path, required=True, help="folder to judge on")
    words.add_argument("--images", type=int, default=40)
    words.add_argument("--judged", type=int, default=300)
    words.add_argument("--evaluations", type=int, default=160)
    words.add_argument("--pose", default=LEARN_POSE)
    words.add_argument("--workers", type=int, default=1)
    words.add_argument("--out", type=Path, default=Path("out/goals-table"))
    given = words.parse_args()
    for isp in given.isp:
        table(isp, given, Console(width=160))
