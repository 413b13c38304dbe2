"""How far the well-lit picture is from the meter's target while auto exposure follows a change of light.

    python benchmarks/auto_exposure.py [--plot docs/pictures/auto_exposure.png]

exlpose-small films a ColorChecker and built-in people at 25 frames a second; between two frames the light changes by a
factor. The error is of the light itself: by how much more of it the frame's own picture would have the target level.
Beside the controller with delays 1, 2 and 4: no control, and one that answers each frame by what it asked last
instead of what the frame had, as if there were no delay. Two minutes of one core.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from isp_sim import streams
from isp_sim.auto_exposure import ExposureControl, exposure_factor, setting_of
from isp_sim.pair import DualCamera
from isp_sim.raw import Raw
from isp_sim.rig import AutoExposure, Figure, Light
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Scene
from isp_sim.scenes.charts import Charts
from isp_sim.scenes.people.source import People
from isp_sim.schedule import Shot, sequence_shots

FPS, FRAMES, STEP_AT = 25.0, 24, 8
FACTORS = (1 / 8, 1 / 4, 1 / 2, 2.0, 4.0)


class Impatient(ExposureControl):
    """Moves what it asked last by each frame's answer, whatever is on its way."""

    def look_at(self, raw: Raw) -> None:
        """As `ExposureControl.look_at`, but from the last setting asked for."""
        last = self._asked[-1]
        asked = last.exposure_us * 10 ** (last.gain_db / 20)
        factor = exposure_factor(raw, self._arm)
        self._asked = [*self._asked[1:], setting_of(asked * factor, self._rule, self._most)]


def errors(scene: Scene, factor: float, rule: AutoExposure | None, control: type[ExposureControl]) -> np.ndarray:
    """Light missing for the target, %, frame by frame."""
    moment = (STEP_AT - 0.5) / FPS
    level = Figure(value=((moment - 1e-4, 1.0), (moment, factor)), status="assumed", source="a switch")
    rig = load_rig("exlpose-small").model_copy(update={"light": Light(level=level)})
    camera = DualCamera(rig)
    shots: list[Shot] = sequence_shots(rig.schedule, 1, FRAMES, FPS, streams.generator(0, 1, "schedule"))
    pairs = camera.film(scene, shots, 0, rule, control)
    found = [exposure_factor(pair.well_lit_raw, camera.well_lit) for pair in pairs]
    return 100 * (np.array(found) - 1)


def rows(scene: Scene) -> Iterator[tuple[str, float, int, np.ndarray]]:
    """Name, factor, delay and errors of every run."""
    for factor in FACTORS:
        yield "no control", factor, 0, errors(scene, factor, None, ExposureControl)
        for delay in (1, 2, 4):
            rule = AutoExposure(delay_frames=delay)
            yield f"ours, delay {delay}", factor, delay, errors(scene, factor, rule, ExposureControl)
        yield "from what was asked, delay 4", factor, 4, errors(scene, factor, AutoExposure(delay_frames=4), Impatient)


def plot(path: Path, runs: list[tuple[str, float, int, np.ndarray]]) -> None:
    """Errors over time for one factor."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), dpi=110)
    for name, factor, _, wrong in runs:
        if factor == 1 / 4:
            axes.plot(np.arange(len(wrong)), wrong, marker="o", markersize=3, label=name)
    axes.axhspan(-3, 3, color="0.85", label="±3 %")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_xlabel("frame (the light falls to ¼ before frame 8)")
    axes.set_ylabel("light missing, %")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    rig = load_rig("exlpose-small")
    size = rig.height_px, rig.width_px
    scenes = {"ColorChecker": Charts(*size).scene(0), "people": People(*size).scene(1)}
    for name, scene in scenes.items():
        still = Scene(scene.name, scene.radiance, scene.people)
        runs = list(rows(still))
        table = Table(title=f"{name}: worst light missing or too much, %, when the delay is over once and twice")
        for heading in ("control", *(f"light ×{factor:g}" for factor in FACTORS)):
            table.add_column(heading)
        for control in dict.fromkeys(run[0] for run in runs):
            worst = [
                [np.abs(run[3][STEP_AT + times * run[2] :]).max() for times in (1, 2)]
                for run in runs
                if run[0] == control
            ]
            table.add_row(control, *(f"{once:.1f}, {twice:.1f}" for once, twice in worst))
        Console(width=120).print(table)
        if given.plot and name == "ColorChecker":
            plot(given.plot, runs)


if __name__ == "__main__":
    main()
