"""The loop closes: simulated camera → calibration session → figures, held against what the camera was made with.

    python benchmarks/calibration_coverage.py                          # 40 sessions a sensor, 640×480
    python benchmarks/calibration_coverage.py --precision              # one session a sensor, 1024×1024
    python benchmarks/calibration_coverage.py --sensors imx392 --sessions 8
    python benchmarks/calibration_coverage.py --lines                  # with fixed rows and columns, which no file has
    python benchmarks/calibration_coverage.py --nonlinearity 0.02      # a full pixel lies 2 % below the line
    python benchmarks/calibration_coverage.py --fall-off 0.3           # the lamp's corners are 30 % dimmer

Every session is another camera of its kind: other maps, other scatter about the noise laws. Coverage is how often a
figure's own 95 % interval holds the truth; a figure that stands for several gains, phases or channels counts at each.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from calibration.emva import gain_law, simulated
from calibration.emva.characterise import Results, calibrated
from calibration.emva.confidence import Estimate
from calibration.emva.dark_noise import GainPoint
from isp_sim import readout
from isp_sim.progress import track
from isp_sim.rig import NoiseLaw, Sensor
from isp_sim.rigfile import load_sensor, rigs_folder
from isp_sim.tables import terminal_table

Check = tuple[str, Estimate, float]
LINES = {"dsnu_row_e": 0.4, "dsnu_column_e": 0.3, "prnu_row_percent": 0.2, "prnu_column_percent": 0.15}
"""Fixed rows and columns of `--lines`, of the size of the pixels' own parts and of the temporal row noise."""


def checks(chip: Sensor, seed: int, found: Results, nonlinearity: float = 0.0) -> Iterator[Check]:
    """Every figure with its truth."""
    serial = simulated.serial(chip, seed)
    yield "K", found.gain_dn_per_e, chip.gain_dn_per_e.value
    for channel in found.channels:
        assert channel.quantum_efficiency is not None
        yield "QE", channel.quantum_efficiency, chip.quantum_efficiency.value["RGB".index(channel.name[0])]
    if prnu := found.prnu_percent:
        yield "PRNU", prnu.pixel, chip.prnu_percent.value
        yield "PRNU rows", prnu.row, chip.prnu_row_percent.value
        yield "PRNU columns", prnu.column, chip.prnu_column_percent.value
    if dsnu := found.dsnu_e:
        yield "DSNU", dsnu.pixel, chip.dsnu_e.value
        yield "DSNU rows", dsnu.row, chip.dsnu_row_e.value
        yield "DSNU columns", dsnu.column, chip.dsnu_column_e.value
    whole = [
        ("full well", found.full_well_e, _full_well(chip, nonlinearity)),
        ("dark current", found.dark_current_e_per_s, chip.dark_current_e_per_s.value),
    ]
    yield from ((name, estimate, truth) for name, estimate, truth in whole if estimate is not None)
    if found.hot:
        yield "hot pixels", found.hot.per_million, chip.hot_pixels_per_million.value
        if found.hot.current_e_per_s:
            yield "hot current", found.hot.current_e_per_s, chip.hot_pixel_e_per_s.value
    for phase, black in enumerate(found.black_dn or ()):
        yield "black", black, chip.black_level_dn.value + chip.black_bias_dn.value[phase]
    for point in found.points:
        yield from _at_a_gain(chip, serial, point, found.tukey)
    yield from _law("read", chip.read_noise.value, found.read_lines)
    yield from _law("row", chip.row_noise.value, found.row_lines)
    if found.temporal_dark_noise_e and not found.cut:
        yield "σ_d", found.temporal_dark_noise_e, _dark_noise(chip, serial)


def _full_well(chip: Sensor, nonlinearity: float) -> float:
    """Electrons at which the well or, if that comes first, the ADC is full."""
    black = chip.black_level_dn.value + float(np.mean(chip.black_bias_dn.value))
    seen = full = (chip.white_level_dn - black) / chip.gain_dn_per_e.value
    for _ in range(20):
        full = seen / (1 - nonlinearity * (full / simulated.full_e(chip, 0.0)) ** 2)
    return min(chip.full_well_e.value, full)


def _dark_noise(chip: Sensor, serial: str) -> float:
    """Temporal noise of a dark at 0 dB, e⁻."""
    out = readout.numbers(chip, 0.0, serial)
    std = out.sigma_dn * (1.0 if out.gaussian else readout.tukey_std(out.tukey_lambda))
    row, _ = readout.noise_at(chip.row_noise.value, out.gain_dn_per_e, serial, "row noise")
    return math.hypot(std, row) / out.gain_dn_per_e


def _at_a_gain(chip: Sensor, serial: str, point: GainPoint, tukey: bool) -> Iterator[Check]:
    out = readout.numbers(chip, point.gain_db, serial)
    yield "K of gains", point.k, out.gain_dn_per_e
    if point.noise and tukey and not out.gaussian:
        yield "read noise", point.noise.scale_dn, out.sigma_dn
        yield "λ", point.noise.shape, out.tukey_lambda
    elif point.noise and out.gaussian:
        yield "read noise", point.noise.std_dn, out.sigma_dn
    if point.rows:
        row, _ = readout.noise_at(chip.row_noise.value, out.gain_dn_per_e, serial, "row noise")
        yield "row noise", point.rows.row_dn, row
        yield "column noise", point.rows.column_dn, 0.0


def _law(name: str, law: NoiseLaw, found: tuple[gain_law.Line, ...]) -> Iterator[Check]:
    """The lines' figures; with another number of lines none of them is right."""
    wrong = Estimate(math.nan, math.nan, math.nan)
    yield f"{name} segments", Estimate(len(found), len(found), len(found)), len(law)
    for segment, one in zip(law, found if len(found) == len(law) else (None,) * len(law), strict=True):
        yield f"{name} slope", one.slope if one else wrong, segment.ln_sigma_slope
        yield f"{name} intercept", one.intercept if one else wrong, segment.ln_sigma_intercept
        yield f"{name} spread", one.spread if one else wrong, segment.ln_sigma_spread
        if segment.from_k_dn_per_e:
            yield f"{name} from K", (one.from_k if one else None) or wrong, segment.from_k_dn_per_e


def loaded(name: str, lines: bool) -> Sensor:
    """A shipped sensor, with fixed rows and columns if asked for."""
    chip = load_sensor(name)
    figures = {field: getattr(chip, field).model_copy(update={"value": value}) for field, value in LINES.items()}
    return chip.model_copy(update=figures) if lines else chip


def coverage(
    names: list[str], lines: bool, count: int, height: int, width: int, first: int, nonlinearity: float, fall_off: float
) -> None:
    """Print how often each figure's interval holds the truth."""
    rows, worst = [], 1.0
    for name in names:
        chip = loaded(name, lines)
        seen: dict[str, list[tuple[bool, float, float]]] = defaultdict(list)
        for seed in track(range(first, first + count), name):
            session = simulated.simulated_session(chip, seed, height, width, nonlinearity, fall_off)
            for what, estimate, truth in checks(chip, seed, calibrated(session), nonlinearity):
                scale = abs(truth) or 1.0
                seen[what].append(
                    (
                        estimate.holds(truth),
                        (estimate.high - estimate.low) / 2 / scale,
                        (estimate.value - truth) / scale,
                    )
                )
        for what, all_of in seen.items():
            held = sum(one[0] for one in all_of)
            share = held / len(all_of)
            worst = min(worst, share)
            half, error = np.nanmedian([one[1] for one in all_of]), np.nanmean([one[2] for one in all_of])
            mark = "" if share >= 0.9 else " ←"
            rows.append((name, what, held, len(all_of), f"{share:.3f}{mark}", f"{half:.2%}", f"{error:+.2%}"))
    title = f"coverage of 95 % intervals, {count} sessions a sensor, {width}×{height}"
    headings = ("sensor", "figure", "held", "of", "share", "median half width", "mean error")
    Console(width=120).print(terminal_table(title, headings, rows))
    print(f"lowest share {worst:.3f}; 0.9 is asked for")


def precision(names: list[str], side: int, seed: int) -> None:
    """Print how far one large session's figures are off, against what is asked for."""
    rows = []
    for name in track(names, "sensors"):
        chip, start = load_sensor(name), time.process_time()
        off: dict[str, list[float]] = defaultdict(list)
        for what, estimate, truth in checks(
            chip, seed, calibrated(simulated.simulated_session(chip, seed, side, side))
        ):
            off[what].append(abs(estimate.value - truth) / (1.0 if what == "λ" else abs(truth) or 1.0))
        read, shape = max(off["read noise"], default=math.nan), max(off["λ"], default=0.0)
        figures = (f"{max(off['K']):.3%}", f"{read:.2%}", f"{shape:.4f}", f"{max(off['PRNU']):.2%}")
        rows.append((name, *figures, f"{time.process_time() - start:.0f}"))
    headings = ("sensor", "K", "read noise, worst gain", "λ, worst gain", "PRNU", "s of processor")
    Console(width=120).print(terminal_table(f"one session a sensor, {side}×{side}", headings, rows))
    print("asked for: K 0.2 %, read noise 1 %, λ 0.02, PRNU 3 %")


def main() -> None:
    """Entry point."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--precision", action="store_true", help="one session at 1024×1024 instead of coverage")
    asked.add_argument("--lines", action="store_true", help=f"sensors with {LINES}")
    asked.add_argument("--nonlinearity", type=float, default=0.0, help="of a full pixel, a share [%(default)s]")
    asked.add_argument("--fall-off", type=float, default=simulated.FALL_OFF, help="of the lamp [%(default)s]")
    asked.add_argument("--sensors", nargs="*", help="[all in rigs/sensors that count photons]")
    asked.add_argument("--sessions", type=int, default=40)
    asked.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    asked.add_argument("--seed", type=int, default=0, help="of the first session")
    given = asked.parse_args()
    names = given.sensors or sorted(path.stem for path in (rigs_folder() / "sensors").glob("*.yaml"))
    # A sensor without shot noise has no photon transfer: nothing tells its K.
    names = [name for name in names if load_sensor(name).shot_noise]
    if given.precision:
        precision(names, 1024, given.seed)
    else:
        width, height = given.size
        bent = given.nonlinearity, given.fall_off
        coverage(names, given.lines, given.sessions, height, width, given.seed, *bent)


if __name__ == "__main__":
    main()
