"""MTF50 of slanted edges: ours, VIGRA's (a reference implementation) and the closed form.

    apt-get install g++ libvigraimpex-dev libfftw3-dev
    python benchmarks/edge_parity.py [--flags "-I… -L…"]

Edges of the built-in chart (each pixel the mean over its area) at four angles, blurred by a Gaussian, without and with
noise of 1 % of white. Closed form: the pixel's aperture across the edge times the Gaussian,
`|sinc(f·cos θ)·sinc(f·sin θ)|·exp(−2π²σ²f²)`. VIGRA's response is not smoothed.
"""

import argparse
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.ndimage import gaussian_filter

from isp_sim.quality.edge import CYCLES_PX, edge_response, falls_to
from isp_sim.scenes.charts import edge_levels
from isp_sim.tables import terminal_table

SIZE = (160, 120)
ANGLES_DEG, SIGMAS_PX, NOISE = (3.0, 4.0, 5.0, 8.0), (1.0, 1.5, 2.0, 3.0), (0.0, 0.01)


def built(folder: Path, flags: str) -> Path:
    """The program that calls VIGRA."""
    source, program = Path(__file__).with_suffix(".cxx"), folder / "edge"
    words = ["g++", "-O1", "-w", str(source), "-o", str(program), *shlex.split(flags)]
    subprocess.run([*words, "-l:libvigraimpex.so.11", "-l:libfftw3.so.3"], check=True)
    return program


def vigra_mtf50(program: Path, edge: np.ndarray) -> float:
    """MTF50 that VIGRA finds, by the same straight lines as ours."""
    height, width = edge.shape
    codes = (255 * edge).astype("<f8").tobytes()  # it takes the logarithm of codes, + 1
    done = subprocess.run([program, str(width), str(height)], input=codes, capture_output=True, check=True)
    frequency, response = np.array([line.split() for line in done.stdout.decode().splitlines()], float).T
    return falls_to(frequency, response / response[0], 0.5)


def main(flags: str, console: Console) -> None:
    """A line for each angle, blur and noise; then the largest differences."""
    stream, rows, off = np.random.default_rng(0), [], []
    with tempfile.TemporaryDirectory() as folder:
        program = built(Path(folder), flags)
        for angle in ANGLES_DEG:
            c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
            aperture = np.abs(np.sinc(CYCLES_PX * c) * np.sinc(CYCLES_PX * s))
            for sigma in SIGMAS_PX:
                true = falls_to(CYCLES_PX, aperture * np.exp(-2 * (np.pi * sigma * CYCLES_PX) ** 2), 0.5)
                sharp = gaussian_filter(edge_levels(*SIZE, angle), sigma)
                for noise in NOISE:
                    edge = sharp + noise * stream.standard_normal(SIZE)
                    ours, theirs = edge_response(edge).mtf50, vigra_mtf50(program, edge)
                    off.append((noise, 100 * (ours / theirs - 1), 100 * (ours / true - 1), 100 * (theirs / true - 1)))
                    figures = (f"{true:.4f}", f"{ours:.4f}", f"{theirs:.4f}", *(f"{one:+.2f}" for one in off[-1][1:]))
                    rows.append((f"{angle:g}", f"{sigma:g}", f"{noise:g}", *figures))
    headings = ("angle °", "σ px", "noise", "closed form", "ours", "VIGRA", "ours/VIGRA %", "ours off %", "VIGRA off %")
    console.print(terminal_table("MTF50, cycles/px", headings, rows))
    for noise in NOISE:
        largest = np.abs([one[1:] for one in off if one[0] == noise]).max(axis=0)
        words = ("ours from VIGRA's", "ours from the closed form", "VIGRA's from it")
        console.print(f"noise {noise:g}: " + ", ".join(f"{w} {v:.2f} %" for w, v in zip(words, largest, strict=True)))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--flags", default="", help="for g++, where VIGRA lies elsewhere")
    main(words.parse_args().flags, Console(width=140))
