"""The learned ISP on a whole 1920×1200 picture beside a ResNet-50 pose network on one person, both on this CPU.

    python benchmarks/learned_isp.py [--repeat 15]

The predictor looks at the whole picture (its default), in float32 and under bfloat16 autocast, or at a thumbnail.
The least and the median of the repetitions; the pose network is a plain ResNet-50 with a 1×1 head on 256×192 pixels.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from isp_sim.isp.pipeline import Pipeline
from isp_sim.tables import terminal_table
from models.isp.learned import LearnedIsp
from models.isp.predictor import Predictor
from models.pose.backbone import ResNet

ASKED_MS = 150
"""For predictor and pipeline together, filter included."""


def milliseconds(call: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Least and median time, after two to warm up."""
    taken = []
    for _ in range(repeat + 2):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return min(taken[2:]), statistics.median(taken[2:])


@torch.inference_mode()
def main(repeat: int) -> Table:
    """Measure everything, round by round in one process."""
    torch.set_num_threads(os.cpu_count() or 1)
    stream = torch.Generator().manual_seed(0)
    pipeline = Pipeline()
    predictor = Predictor(pipeline, stream).eval()
    thumbnail = Predictor(pipeline, stream, crop="thumbnail").eval()
    image = torch.rand(1, 3, 1200, 1920, generator=stream) * 0.02
    values = predictor(image)
    backbone, head, person = ResNet().eval(), nn.Conv2d(2048, 14, 1), torch.rand(1, 3, 256, 192)
    assert sum(p.numel() for p in backbone.parameters()) == 23_508_032

    def half(image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return predictor(image)

    cases: dict[str, tuple[Callable[[], object], bool]] = {
        "predictor, whole picture": (lambda: predictor(image), False),
        "predictor, whole picture, bfloat16": (lambda: half(image), False),
        "predictor, thumbnail": (lambda: thumbnail(image), False),
        "pipeline (exposure, gamma, smoothing)": (lambda: pipeline(image, values), False),
        "both, whole picture": (lambda: LearnedIsp(predictor, pipeline)(image), True),
        "both, whole picture, bfloat16 predictor": (lambda: pipeline(image, half(image)), True),
        "both, thumbnail": (lambda: LearnedIsp(thumbnail, pipeline)(image), True),
        "ResNet-50 pose, 256×192, one person": (lambda: head(backbone(person)[-1]), False),
    }
    rows = []
    for name, (call, judged) in cases.items():
        least, median = milliseconds(call, repeat)
        rows.append((name, f"{least:.0f} ms", f"{median:.0f} ms", f"< {ASKED_MS} ms" if judged else ""))
    title = f"1920×1200, {os.cpu_count()} cores, least and median of {repeat}"
    return terminal_table(title, ("", "least", "median", "asked"), rows)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeat", type=int, default=15)
    Console().print(main(asked.parse_args().repeat))
