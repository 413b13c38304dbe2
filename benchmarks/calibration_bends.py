"""Do the calibration's 95 % intervals hold the truth where the camera's response bends and the lamp is uneven?

    python benchmarks/calibration_bends.py [--sessions 40]

A monochrome camera of 12 bits (K 0.25 DN/e⁻, quantum efficiency 0.6, 8 e⁻ of noise in the dark, PRNU 0.5 %) whose full
pixel lies a share below the line through faint light, before a lamp whose corners are dimmer. 20 exposures, two flats
and two darks at each, 16 at one of them; 96×80 px. Half a minute of a core. `calibration_coverage.py --nonlinearity`
does it with whole sessions of the shipped sensors.
"""

import argparse
from collections import defaultdict
from functools import partial

import numpy as np
from rich.console import Console

from calibration.emva.characterise import Results, calibrated
from calibration.emva.confidence import Estimate
from calibration.emva.session import Session, Setting, Source
from isp_sim.tables import terminal_table

K, EFFICIENCY, DARK_E, PRNU_PERCENT, FULL_E, BLACK_DN, TOP_DN = 0.25, 0.6, 8.0, 0.5, 16_000, 100, 4095
HEIGHT, WIDTH = 80, 96
CONDITIONS = ((0.0, 0.02), (0.005, 0.02), (0.02, 0.02), (0.0, 0.3), (0.02, 0.3))
"""Share that a full pixel lies below the line; how much dimmer the lamp's corners are."""


def session(seed: int, bend: float, fall_off: float) -> Session:
    """Frames of a camera and their settings."""
    stream = np.random.default_rng(seed)
    down, across = np.linspace(-1, 1, HEIGHT), np.linspace(-1, 1, WIDTH)
    lamp = 1 - fall_off * (down[:, None] ** 2 + across**2) / 2
    pixels = lamp / lamp.mean() * (1 + PRNU_PERCENT / 100 * stream.standard_normal((HEIGHT, WIDTH)))

    def taken(electrons: float) -> np.ndarray:
        seen = stream.poisson(electrons * pixels) + DARK_E * stream.standard_normal((HEIGHT, WIDTH))
        counts = BLACK_DN + K * seen * (1 - bend * (seen / FULL_E) ** 2)
        return counts.round().clip(0, TOP_DN).astype(np.uint16)

    frames = {}
    for number, electrons in enumerate(np.linspace(400, 17_500, 20)):
        flat = Setting("flat", 0.0, 10.0 * (number + 1), electrons / EFFICIENCY)
        for setting, light in ((flat, electrons), (Setting("dark", 0.0, flat.exposure_us), 0.0)):
            count = 16 if number == (9 if light else 0) else 2
            frames[setting] = tuple(Source(f"{setting}, {n}", partial(taken, light)) for n in range(count))
    return Session("bent", frames, TOP_DN, 12)


def checks(found: Results, bend: float) -> dict[str, tuple[Estimate | None, float]]:
    """Figures and their truths."""
    full = seen = (TOP_DN - BLACK_DN) / K
    for _ in range(20):
        full = seen / (1 - bend * (full / FULL_E) ** 2)
    return {
        "K": (found.gain_dn_per_e, K),
        "QE": (found.channels[0].quantum_efficiency, EFFICIENCY),
        "σ_d": (found.temporal_dark_noise_e, DARK_E),
        "PRNU": (found.prnu_percent.pixel if found.prnu_percent else None, PRNU_PERCENT),
        "full well": (found.full_well_e, full),
    }


def main() -> None:
    """Print how often each interval holds the truth, how wide it is, and how far off the value."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=40, help="of each condition [%(default)s]")
    args = parser.parse_args()
    rows = []
    for bend, fall_off in CONDITIONS:
        seen: dict[str, list[tuple[bool, float, float]]] = defaultdict(list)
        for seed in range(args.sessions):
            for name, (one, truth) in checks(calibrated(session(seed, bend, fall_off), threads=1), bend).items():
                if one is not None:
                    seen[name].append((one.holds(truth), one.half / truth, one.value / truth - 1))
        for name, all_of in seen.items():
            held, half, error = (np.array(part) for part in zip(*all_of, strict=True))
            share = f"{held.mean():.3f}{'' if held.mean() >= 0.9 else ' ←'}"
            rows.append((f"{bend:.1%}", f"{fall_off:.0%}", name, f"{held.sum()} of {len(held)}", share,
                         f"{np.median(half):.2%}", f"{error.mean():+.2%}"))  # fmt: skip
    headings = ("bend", "fall-off", "figure", "held", "share", "median half width", "mean error")
    Console(width=120).print(terminal_table("coverage of 95 % intervals", headings, rows))


if __name__ == "__main__":
    main()
