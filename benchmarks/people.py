"""Built-in scenes with people: how long one takes, and how near their crowds are to ExLPose's.

    python benchmarks/people.py [--scenes 400] [--threads 2]

Time: 1920×1200 with six people, layout, labels and planes included, by world; processor seconds are summed over
threads, so on a machine that others use too they tell more. Crowds: two-sample Kolmogorov-Smirnov
distances between rendered scenes (480×300) and ExLPose's test annotations, people in a picture, box height over
picture height, visible joints of a person.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from isp_sim.progress import track
from isp_sim.scenes.people.crowd import distance
from isp_sim.scenes.people.layout import lay_out
from isp_sim.scenes.people.source import People
from isp_sim.tables import terminal_table

ANNOTATIONS = Path("../shared/data/exlpose/annotations/ExLPose_test_LL-All.json")
TARGET_S, TARGET_KS = 2.5, 0.10

Figures = dict[str, list[float]]


def published(path: Path) -> Figures:
    """ExLPose's people, box heights and labelled joints."""
    document = json.loads(path.read_text(encoding="utf-8"))
    heights = {image["id"]: image["height"] for image in document["images"]}
    people = dict.fromkeys(heights, 0)
    found: Figures = {"people": [], "box height": [], "visible joints": []}
    for annotation in document["annotations"]:
        people[annotation["image_id"]] += 1
        found["box height"].append(annotation["bbox"][3] / heights[annotation["image_id"]])
        found["visible joints"].append(min(sum(v > 0 for v in annotation["keypoints"][2::3]), 14))
    found["people"] = [float(count) for count in people.values()]
    return found


def rendered(count: int, seed: int) -> tuple[Figures, int]:
    """The same of our first scenes, from their labels; and how many draws were thrown away."""
    source, height = People(300, 480, seed), 300
    found: Figures = {"people": [], "box height": [], "visible joints": []}
    redrawn = 0
    for index in track(range(count), "crowds"):
        scene = source.scene(index)
        redrawn += int(str(scene.labels["redrawn"]))
        found["people"].append(float(len(scene.people)))
        for person in scene.people:
            found["box height"].append(person.bbox[3] / height)
            found["visible joints"].append(float(sum(v == 2 for _, _, v in person.keypoints)))
    return found, redrawn


def times(per_world: int, seed: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, processor) seconds for scenes of six people at full size, by world; kernels are compiled before."""
    source = People(1200, 1920, seed)
    source.scene(0)
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    index = 0
    while index < 400 and sum(map(len, taken.values())) < 6 * per_world:
        layout = lay_out(seed, index)
        if len(layout.people) == 6 and len(taken[layout.name]) < per_world:
            start, work = time.perf_counter(), time.process_time()
            source.scene(index)
            taken[layout.name].append((time.perf_counter() - start, time.process_time() - work))
        index += 1
    return taken


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=400)
    asked.add_argument("--per-world", type=int, default=2)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    console = Console()
    rows = []
    for world, seconds in times(given.per_world, given.seed).items():
        if seconds:
            wall, work = np.median(seconds, axis=0)
            slowest = max(first for first, _ in seconds)
            rows.append((world, len(seconds), f"{wall:.2f}", f"{slowest:.2f}", f"{work:.2f}"))
    title = f"1920×1200, six people, {given.threads} threads; target {TARGET_S} s"
    console.print(terminal_table(title, ("world", "scenes", "median s", "slowest s", "processor s"), rows))
    ours, thrown = rendered(given.scenes, given.seed)
    theirs = published(ANNOTATIONS) if ANNOTATIONS.exists() else {}
    rows = []
    for name, values in ours.items():
        if theirs:
            ks = distance(np.array(values), np.array(theirs[name]))
            rows.append((name, f"{ks:.3f}", f"{np.mean(values):.3f}", f"{np.mean(theirs[name]):.3f}"))
        else:
            rows.append((name, "no data", f"{np.mean(values):.3f}", "-"))
    title = f"{given.scenes} scenes ({thrown} draws thrown away) against ExLPose's 491; target {TARGET_KS}"
    console.print(terminal_table(title, ("figure", "KS", "mean here", "mean there"), rows))
