"""Images a second of `isp_sim.torch.LowLight` on one core, 480×300 in batches of 16.

    python benchmarks/low_light_speed.py

1. light → counts (sensor + readout), in turn with two peers, on one thread: the same model with
   `numpy.random.Generator`, and an ELD-like one (Wei et al., *A physics-based noise formation model for extreme
   low-light raw denoising*, CVPR 2020: Poisson shot noise, Tukey-λ read noise, Gaussian row noise, uniform
   quantisation noise), written here from the paper's formulas with NumPy and SciPy. All start from the same light.
2. the whole module: decoding, lens, meter, noise, ISP, truth.
3. the same on CUDA, where there is a device.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from rich.console import Console
from scipy import stats
from speed import with_numpy

from isp_sim import readout, sensor, streams, table_noise
from isp_sim.camera import SimulatedArm, capture
from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table
from isp_sim.torch import LowLight
from isp_sim.units import Photons

HEIGHT, WIDTH, BATCH, ROUNDS = 300, 480, 16, 9
EXPOSURE_US, GAIN_DB = 5000.0, 5.0


def eld_like(
    mosaic: np.ndarray, k: float, sigma: float, shape: float, row: float, stream: np.random.Generator
) -> np.ndarray:
    """Counts of mean electrons: `K·Poisson(e⁻) + N_read + N_row + N_quantisation`, clipped at 0 as its users do.

    Args:
        mosaic: mean electrons, `(height, width)`.
        k: system gain, DN/e⁻.
        sigma: of the Tukey-λ read noise, DN.
        shape: its λ.
        row: σ of the row noise, DN.
        stream: of random numbers.
    """
    noisy = stream.poisson(mosaic).astype(np.float32) * k
    noisy += stats.tukeylambda.rvs(shape, scale=sigma, size=mosaic.shape, random_state=stream).astype(np.float32)
    noisy += stream.normal(0, row, size=(len(mosaic), 1)).astype(np.float32)
    noisy += stream.uniform(-0.5, 0.5, size=mosaic.shape).astype(np.float32)
    return np.clip(noisy, 0, 4095)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def noise_row(electrons: float) -> tuple[str, ...]:
    """Rates and ratios at a mean signal."""
    rig = load_rig("exlpose").model_copy(update={"height_px": HEIGHT, "width_px": WIDTH})
    arm = SimulatedArm(rig, rig.low_light)
    chip, out = sensor.numbers(rig.sensor, EXPOSURE_US, 40), readout.numbers(rig.sensor, GAIN_DB, "S")
    lines = readout.line_noise(rig.sensor, GAIN_DB, "S", HEIGHT, WIDTH, streams.generator(0, "l"))
    drawn = np.random.default_rng(0).gamma(2, electrons / 2, (HEIGHT, WIDTH, 3)).astype(np.float32)
    photons = Photons(drawn / np.float32(0.62))
    planes = np.ascontiguousarray(photons.transpose(2, 0, 1))
    weights = np.eye(3)[list(chip.band)] * np.array(chip.efficiency)
    mosaic = sensor.through_cfa(torch.from_numpy(drawn), chip.band).numpy()
    stream = np.random.default_rng(1)
    model, one = (arm.maps, lines, chip, out), partial(table_noise.capture, planes, weights)
    works: list[Callable[[], object]] = [
        lambda: [one(*model, (n, 2)) for n in range(BATCH)],
        lambda: [capture(photons, *model, (n, 2)) for n in range(BATCH)],
        lambda: [with_numpy(photons, *model, stream) for _ in range(BATCH)],
        lambda: [eld_like(mosaic, out.gain_dn_per_e, out.sigma_dn, 0.1, 0.3, stream) for _ in range(BATCH)],
    ]
    mean = float(one(*model, (1, 2)).mean())
    assert abs(float(with_numpy(photons, *model, stream).mean()) / mean - 1) < 0.05, "they do not model the same"
    times = np.array([[seconds(work) for work in works] for _ in range(ROUNDS + 1)][1:])
    ours, exact, theirs, eld = np.median(times, axis=0)
    ratios = (f"{np.median(times[:, n] / times[:, 0]):.1f}" for n in (1, 2, 3))
    return (f"{electrons:g}", *(f"{BATCH / t:.0f}" for t in (ours, exact, theirs, eld)), *ratios)


def module_rate(device: str) -> float:
    """Images a second of the whole module."""
    drawn = torch.rand(BATCH, 3, HEIGHT // 20, WIDTH // 20, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(drawn, (HEIGHT, WIDTH), mode="bilinear")
    images, shoot = (255 * smooth).to(torch.uint8).to(device), LowLight("exlpose")

    def work() -> None:
        shoot(images, range(BATCH))
        if device != "cpu":
            torch.cuda.synchronize()

    return BATCH / median([seconds(work) for _ in range(ROUNDS + 1)][1:])


if __name__ == "__main__":
    torch.set_num_threads(1)
    heads = ("e⁻", "ours", "camera.capture", "NumPy", "ELD-like", "capture/ours", "NumPy/ours (target ≥ 5)", "ELD/ours")
    title = f"light → counts, {WIDTH}×{HEIGHT}, batches of {BATCH}, one core: images/s, median time ratios"
    Console(width=140).print(terminal_table(title, heads, [noise_row(e) for e in (0.5, 1.0, 3.0, 20.0)]))
    print(f"whole module, one core: {module_rate('cpu'):.0f} images/s")
    cuda = f"{module_rate('cuda'):.0f} images/s" if torch.cuda.is_available() else "no device here"
    print(f"whole module, CUDA: {cuda}")
