"""How far the light's colour, as the methods of `auto_white_balance` see it, is from the true one; degrees.

    python benchmarks/white_balance.py PHOTOGRAPHS... [--shots 3]
    python benchmarks/white_balance.py --train DATASET [--out isp_sim/isp/illuminant.safetensors]

The first shoots charts and the last photographs of a folder, which are not in DATASET, with exlpose-small under lights
that no training saw, and prints for both arms the mean and its interval over scenes: the neutral that the raw states,
and every method. Of a low-light frame all is judged that the arm shows, noise too. The second learns the filter:
thumbnails of a data set's raws under drawn lights, and charts. A minute, and two of training.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from isp_sim.camera import SimulatedArm
from isp_sim.dng import read_dng
from isp_sim.isp.illuminant import BIN, BINS, METHODS, WEIGHTS, angular_error_deg, estimate, learned, thumbnail
from isp_sim.pair import DualCamera
from isp_sim.raw import Raw, normalise
from isp_sim.rig import Figure, Light, Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes import Scene
from isp_sim.scenes.charts import Charts, white
from isp_sim.scenes.photos import Photos
from isp_sim.transfer import REC709_TO_XYZ

HELD_OUT = ("A", "D50", "FL2", "FL11", "LED-B3")
"""Lights of the test."""
TRAINED = (2500.0, 12000.0)
"""Kelvin of the black bodies that are drawn in training, evenly in 1/K."""
TINT = 0.06
"""Spread of their green beside the black body, in ln."""


def rec709_of_black_body(kelvin: float) -> np.ndarray:
    """Linear Rec. 709 of a black body, its largest 1."""
    import colour

    light = colour.sd_blackbody(kelvin, colour.SpectralShape(380, 780, 5))
    xyz = colour.sd_to_XYZ(light, method="Integration")
    rgb = np.linalg.inv(np.array(REC709_TO_XYZ)) @ xyz
    return np.asarray(np.maximum(rgb, 1e-3 * rgb.max()) / rgb.max())


def thumbnails(folder: Path, most: int) -> Iterator[tuple[torch.Tensor, Raw]]:
    """Thumbnails of a data set's raws, both arms."""
    files = sorted((folder / "raw").glob("*.dng"))
    for path in files[:: max(1, len(files) // most)][:most]:
        raw = read_dng(path)
        yield small(raw), raw


def small(raw: Raw) -> torch.Tensor:
    """A raw's thumbnail."""
    return thumbnail(normalise(raw.counts, raw.black_level_dn, raw.white_level_dn), raw.cfa)


def chart_thumbnails(rig: Rig) -> Iterator[tuple[torch.Tensor, Raw]]:
    """Of the charts in daylight, at half of the range; five sizes."""
    camera = DualCamera(rig)
    for shrink in (1.0, 0.9, 0.8, 0.7, 0.6):
        height, width = (int(side * shrink) // 2 * 2 for side in (rig.height_px, rig.width_px))
        for scene in lit_charts(height, width):
            shot = drawn_shots(rig.schedule, 0, 0, 1)[0]
            camera.prepare(scene, shot, 0)
            raw = camera.well_lit.grab(shot.exposure_us, shot.well_lit_gain_db)
            yield small(raw), raw


def lit_charts(height: int, width: int) -> list[Scene]:
    """All charts but the dark one."""
    charts = Charts(height, width, "D65")
    return [charts.scene(number) for number in range(len(charts) - 1)]


def train(folder: Path, out: Path, steps: int = 1500) -> None:
    """Learn the filter by the angular error, and write it."""
    rig = load_rig("exlpose-small")
    arm = SimulatedArm(rig, rig.well_lit)
    mixing = np.array(arm.sensor.rec709_to_camera.value)
    pictures = [one for one, _ in thumbnails(folder, 6000)]
    charts = [one for one, _ in chart_thumbnails(rig)]
    neutral = torch.tensor([arm.neutral])
    lights = np.array([rec709_of_black_body(1 / k) for k in np.linspace(1 / TRAINED[1], 1 / TRAINED[0], 64)])
    drawn = np.random.default_rng(0)
    weights = {
        "filters": torch.zeros(2, BINS, BINS, requires_grad=True),
        "bias": torch.zeros(BINS, BINS, requires_grad=True),
    }
    optimiser = torch.optim.Adam(weights.values(), lr=0.05)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        some = [pictures[n] for n in drawn.integers(len(pictures), size=28)]
        some += [charts[n] for n in drawn.integers(len(charts), size=4)]
        colours = lights[drawn.integers(len(lights), size=len(some))]
        colours[:, 1] *= np.exp(TINT * drawn.standard_normal(len(some)))
        gains = torch.tensor((colours @ mixing.T) / mixing.sum(axis=1), dtype=torch.float32)
        errors = []
        for shape in {one.shape for one in some}:
            at = [n for n, one in enumerate(some) if one.shape == shape]
            seen = torch.cat([some[n] for n in at]) * gains[at][..., None, None]
            true = gains[at] * neutral
            errors.append(angular_error_deg(learned(seen, neutral, weights), true))
        loss = torch.cat(errors).mean()
        smooth = sum((part.diff(dim=d) ** 2).sum() for part in weights.values() for d in (-1, -2))
        optimiser.zero_grad()
        (loss + 3e-4 * smooth).backward()
        optimiser.step()
        plan.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: {loss.item():.2f}°", flush=True)
    save_file({name: part.detach().half().float().contiguous() for name, part in weights.items()}, str(out))
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB; {len(pictures)} raws, {BINS}×{BINS} bins of {BIN:.3f}")


def judged(scenes: list[Scene], shots: int) -> dict[str, list[list[float]]]:
    """Angular errors, `arm/method` → a list a scene."""
    plain = load_rig("exlpose-small")
    errors: dict[str, list[list[float]]] = {}
    for name in HELD_OUT:
        shade = np.array(white(name))
        colour = Figure(value=tuple(shade / shade.max()), status="assumed", source=f"CIE illuminant {name}")
        rig = plain.model_copy(update={"light": Light(colour=colour)})
        camera = DualCamera(rig)
        lit = np.array(camera.well_lit.sensor.rec709_to_camera.value) @ np.array(colour.value)
        true = torch.tensor(lit * camera.well_lit.sensor.quantum_efficiency.value)[None]
        for number, scene in enumerate(scenes):
            for shot in drawn_shots(rig.schedule, number, 0, shots):
                camera.prepare(scene, shot, 0)
                for arm, gain in ((camera.well_lit, shot.well_lit_gain_db), (camera.low_light, shot.low_light_gain_db)):
                    raw = arm.grab(shot.exposure_us, gain)
                    neutral = torch.tensor([raw.neutral])
                    of = {"stated by the raw": neutral}
                    of |= {method: estimate(small(raw), neutral, method) for method in METHODS}
                    label = "well-lit" if arm is camera.well_lit else "low light"
                    for method, light in of.items():
                        there = errors.setdefault(f"{label}/{method}", [[] for _ in scenes])
                        there[number].append(float(angular_error_deg(light, true)))
    return errors


def show(title: str, errors: dict[str, list[list[float]]]) -> None:
    """A table: mean, its 95 % interval over scenes, worst quarter."""
    table = Table(title=title)
    for heading in ("arm", "method", "mean °", "95 % over scenes", "median °", "worst quarter °"):
        table.add_column(heading)
    for key, of_scenes in errors.items():
        means = np.array([np.mean(one) for one in of_scenes])
        drawn = np.random.default_rng(0).integers(len(means), size=(4000, len(means)))
        low, high = np.quantile(means[drawn].mean(axis=1), (0.025, 0.975))
        every = np.sort(np.concatenate(of_scenes))
        worst = every[len(every) * 3 // 4 :].mean()
        table.add_row(
            *key.split("/"), f"{means.mean():.2f}", f"{low:.2f} … {high:.2f}", f"{np.median(every):.2f}", f"{worst:.2f}"
        )
    Console(width=110).print(table)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="?", type=Path)
    parser.add_argument("--shots", type=int, default=2, help="of each scene and light [%(default)s]")
    parser.add_argument("--last", type=int, default=60, help="photographs of the folder's end [%(default)s]")
    parser.add_argument("--train", type=Path, metavar="DATASET")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    torch.manual_seed(0)
    if args.train:
        train(args.train, args.out)
        return
    rig = load_rig("exlpose-small")
    show("charts", judged(lit_charts(rig.height_px, rig.width_px), args.shots))
    if args.photographs:
        photos = Photos(args.photographs, None, rig.height_px, rig.width_px)
        chosen = [photos.scene(n) for n in range(len(photos) - args.last, len(photos))]
        show(f"{len(chosen)} photographs", judged(chosen, args.shots))


if __name__ == "__main__":
    main()
