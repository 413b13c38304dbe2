"""Which developing made the real ExLPose low-light picture? Counts are found that give its codes, pixel by pixel.

    python benchmarks/developing.py            # eight candidates on three 128×128 parts of the frame, 3 min
    python benchmarks/developing.py --whole    # the best candidate on the whole frame, 5 min

The picture was never resampled, so every pixel has one measured colour, and a 12-bit count there is a whole number.
For a candidate (demosaic; white balance before or after it; planes cut at black or not) the codes are

    code_i = round(255·sRGB(Σ_j M_ij·plane_j)),  planes = D(counts) or D(g·counts),

with M = colour matrix · white balance (9 figures). Counts and M are found in turns: counts by coordinate descent (each
pixel ±1, ±2, judged on the 5×5 pixels it reaches), M by CMA-ES from the intervals that the codes allow (fixed seeds). A
wrong candidate cannot explain the codes with any counts: three codes a pixel stand against one count. The tile of the
cropped picture begins with B.
"""

import argparse
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import cma
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from isp_sim.isp.demosaic import FILTERS, demosaic
from isp_sim.tables import terminal_table
from isp_sim.transfer import SRGB_SLOPE, srgb_decode
from isp_sim.units import Mosaic

REAL = Path("../shared/data/exlpose/real_low_light")
CFA = "BGGR"
PARTS = ((512, 384), (640, 1152), (300, 1340))  # (y, x): dark, dark, lit
SIZE = 128
RIM = 4  # pixels whose filters reach beyond a part
BALANCE = (1.213, 1.0, 1.984)  # of the candidates that balance the mosaic: what the others find
FULL_QE = 0.62  # of G, assumed (rigs/sensors/imx392.yaml)


@dataclass(frozen=True)
class Candidate:
    """A developing up to the colour matrix."""

    method: str
    balanced_first: bool
    cut: bool

    @property
    def name(self) -> str:
        """In words."""
        order = "white balance, demosaic" if self.balanced_first else "demosaic, white balance"
        return f"{self.method}: {order}{', planes cut at black' * self.cut}"

    def planes(self, counts: Tensor) -> Tensor:
        """Counts `(height, width)` → `(3, height, width)`."""
        if self.balanced_first:
            counts = counts * torch.tensor(BALANCE)[owner(counts.shape)]
        planes = demosaic(Mosaic(counts[None, None]), CFA, self.method)[0]
        return planes.clamp_min(0) if self.cut else planes


@dataclass
class Part:
    """A part of the picture: the linear codes its 8-bit codes allow, and the counts found so far."""

    low: Tensor
    high: Tensor
    lit: Tensor
    counts: Tensor = field(default_factory=lambda: torch.zeros(0))


def owner(shape: torch.Size) -> Tensor:
    """Measured colour (0 R, 1 G, 2 B) of each pixel."""
    tile = torch.tensor([["RGB".index(CFA[2 * y + x]) for x in (0, 1)] for y in (0, 1)])
    return tile.repeat(shape[0] // 2, shape[1] // 2)


def part(codes: np.ndarray) -> Part:
    """`(height, width, 3)` codes → bounds, in codes on the curve's straight part; code 0 has none below."""
    seen = torch.from_numpy(codes.astype(np.float32)).permute(2, 0, 1)

    def straight(code: Tensor) -> Tensor:
        return srgb_decode(code / 255) * SRGB_SLOPE * 255

    low = torch.where(seen > 0, straight((seen - 0.5).clamp_min(0)), torch.tensor(-1e9))
    return Part(low, straight(seen + 0.5), seen > 0)


def off(planes: Tensor, matrix: Tensor, seen: Part) -> Tensor:
    """How far each pixel's linear codes lie outside what its 8-bit codes allow, `(3, height, width)`."""
    linear = torch.einsum("ij,jyx->iyx", matrix, planes)
    return torch.relu(seen.low - linear) + torch.relu(linear - seen.high)


def sweep(candidate: Candidate, matrix: Tensor, seen: Part, steps: tuple[int, ...] = (1, -1, 2, -2)) -> int:
    """One round of coordinate descent over the counts, 25 disjoint grids of pixels in turn; returns how many moved."""

    def cost(counts: Tensor) -> Tensor:
        distance = off(candidate.planes(counts), matrix, seen)
        return ((distance > 0) * 0.05 + distance.clamp_max(2) ** 2).sum(dim=0)

    moved, now = 0, cost(seen.counts)
    box = torch.ones(1, 1, 5, 5)
    for y, x in itertools.product(range(5), range(5)):
        grid = torch.zeros_like(seen.counts)
        grid[y::5, x::5] = 1
        for step in steps:
            tried = (seen.counts + step * grid).clamp_min(0)
            gain = F.conv2d((cost(tried) - now)[None, None], box, padding=2)[0, 0]
            better = (gain < -1e-4) & (grid > 0)
            if better.any():
                seen.counts = torch.where(better, tried, seen.counts)
                now, moved = cost(seen.counts), moved + int(better.sum())
    return moved


def refit(candidate: Candidate, matrix: Tensor, parts: list[Part], seed: int) -> Tensor:
    """The matrix that leaves the fewest codes unexplained, given the counts; each row for itself."""
    inside = (slice(None), slice(RIM, -RIM), slice(RIM, -RIM))
    planes = torch.cat([candidate.planes(p.counts)[inside].reshape(3, -1) for p in parts], dim=1)
    rows = []
    for band in range(3):
        bounds = [
            torch.cat([getattr(p, end)[inside][band].reshape(1, -1) for p in parts], 1) for end in ("low", "high")
        ]
        seen = np.round(torch.cat([planes, *bounds]).double().numpy(), 5)
        unique, times = np.unique(seen, axis=1, return_counts=True)

        def unexplained(row: np.ndarray, unique: np.ndarray = unique, times: np.ndarray = times) -> float:
            linear = row @ unique[:3]
            distance = np.maximum(unique[3] - linear, 0) + np.maximum(linear - unique[4], 0)
            return float((times * (np.minimum(distance, 0.3) / 0.6 + (distance > 0) / 2)).sum())

        settings = {"verbose": -9, "seed": seed, "maxfevals": 600}
        start = matrix[band].double().numpy()
        found, _ = cma.fmin2(unexplained, start, 0.1 if seed == 1 else 0.03, settings)
        rows.append(torch.from_numpy(np.asarray(found)).float())
    return torch.stack(rows)


def decode(candidate: Candidate, matrix: Tensor, codes: np.ndarray) -> Part:
    """Counts for a picture's codes, begun with the inverse matrix."""
    seen = part(codes)
    middle = torch.from_numpy(codes.astype(np.float32)).permute(2, 0, 1)
    camera = torch.einsum("ij,jyx->iyx", torch.linalg.inv(matrix), middle)
    own = owner(camera.shape[1:])
    if candidate.balanced_first:
        camera = camera / torch.tensor(BALANCE)[:, None, None]
    seen.counts = torch.gather(camera, 0, own[None])[0].round().clamp_min(0)
    return seen


def explain(candidate: Candidate, pictures: list[np.ndarray], rounds: int = 5) -> tuple[Tensor, list[Part]]:
    """Counts and matrix in turns. Begins with the diagonal that the measured codes show: 1, 1 and 2.4 codes a count."""
    matrix = torch.diag(
        torch.tensor([1.0, 1.0, 2.4]) / torch.tensor(BALANCE if candidate.balanced_first else (1.0,) * 3)
    )
    parts = [decode(candidate, matrix, codes) for codes in pictures]
    for turn in range(rounds):
        if turn:
            for seen in parts:
                sweep(candidate, matrix, seen)
        matrix = refit(candidate, matrix, parts, 1 + turn)
    for seen in parts:
        while sweep(candidate, matrix, seen, (1, -1)) > 5:
            pass
    return matrix, parts


def explained(candidate: Candidate, matrix: Tensor, parts: list[Part]) -> tuple[float, np.ndarray]:
    """Share of all codes that are met exactly, and of those where the picture is above 0, by channel."""
    inside = (slice(None), slice(RIM, -RIM), slice(RIM, -RIM))
    met = torch.cat([(off(candidate.planes(p.counts), matrix, p) <= 1e-3)[inside].reshape(3, -1) for p in parts], 1)
    lit = torch.cat([p.lit[inside].reshape(3, -1) for p in parts], 1)
    return float(met.float().mean()), np.array([float(met[c][lit[c]].float().mean()) for c in range(3)])


def report(matrix: Tensor) -> str:
    """What the matrix says in a rig's figures: rows of the colour matrix sum to 1, G has the gain 1."""
    found = matrix.double().numpy()
    neutral = np.linalg.inv(found).sum(axis=1)
    colour = found * neutral
    lines = {
        "codes per count x matrix": found,
        "codes per G count of a grey, of 0.8045": 1 / neutral[1],
        "white balance R, G, B": neutral[1] / neutral,
        "colour matrix, white-balanced camera RGB -> linear Rec. 709": colour,
        "rec709_to_camera": np.linalg.inv(colour),
        "quantum_efficiency": FULL_QE * neutral / neutral[1],
    }
    return "\n".join(
        f"{name}: {np.array2string(np.asarray(v), precision=4, separator=', ')}" for name, v in lines.items()
    )


def main() -> None:
    """Print every candidate's share of explained codes, and what the best one's matrix says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument(
        "--whole", action="store_true", help="then find the whole frame's counts with the best candidate"
    )
    given = asked.parse_args()
    picture = cv2.imread(str(next(REAL.glob("*.png"))))[..., ::-1]
    parts = [np.ascontiguousarray(picture[y : y + SIZE, x : x + SIZE]) for y, x in PARTS]
    rows = []
    best: tuple[float, Candidate, Tensor] | None = None
    for settings in itertools.product(FILTERS, (True, False), (False, True)):
        candidate = Candidate(*settings)
        matrix, found = explain(candidate, parts)
        everything, above = explained(candidate, matrix, found)
        rows.append((candidate.name, f"{everything:.4f}", *(f"{share:.3f}" for share in above)))
        if best is None or everything > best[0]:
            best = (everything, candidate, matrix)
    title = "codes of the real low-light frame that a developing explains exactly"
    Console(width=140).print(terminal_table(title, ("developing", "all", "above 0: R", "G", "B"), rows))
    assert best is not None
    print(best[1].name, report(best[2]), sep="\n")
    if given.whole:
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        seen = decode(best[1], best[2], picture[:height, :width])
        while sweep(best[1], best[2], seen, (1, -1)) > 1000:
            pass
        print("whole frame:", *explained(best[1], best[2], [seen]))


if __name__ == "__main__":
    main()
