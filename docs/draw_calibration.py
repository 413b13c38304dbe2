"""Draws the picture of docs/calibration.md: a simulated camera with two conversion gains, calibrated.

python docs/draw_calibration.py
"""

from pathlib import Path

import numpy as np

from calibration.emva.characterise import Results, calibrated
from calibration.emva.simulated import simulated_session
from calibration.plots import ACCENT, INK, SECOND, new_figure
from isp_sim.rigfile import load_sensor

PICTURE = Path(__file__).resolve().parent / "pictures" / "calibration.png"
SENSOR = "sony_a7s2"


def draw(found: Results) -> None:
    """Photon transfer, the darks' histogram, noise over gain."""
    plot = new_figure(13, 4)
    transfer, histogram, gains = plot.subplots(1, 3)
    one = found.channels[1].curve
    transfer.plot(one.signal[0], one.variance[0], ".", color=INK)
    end = float(one.signal[0, one.fitted].max())
    transfer.plot([0, end], [0, end * float(one.gain[0])], color=ACCENT)
    transfer.set(xlabel="signal, DN", ylabel="temporal variance, DN²", title=f"K = {found.gain_dn_per_e} DN/e⁻")
    point = next(p for p in found.points if p.noise and p.noise.shape.value < -0.05)
    assert point.noise is not None
    centres, counts, gauss, tukey = point.noise.histogram
    seen = counts > 0
    histogram.semilogy(centres[seen], counts[seen], ".", color=INK, markersize=3, label="darks")
    histogram.semilogy(centres, gauss, color=SECOND, linewidth=1, label="Gaussian")
    histogram.semilogy(centres, tukey, color=ACCENT, linewidth=1, label="Tukey-λ")
    histogram.set(xlabel="count, DN", ylabel="pixels", ylim=(0.5, None), title=f"λ = {point.noise.shape}")
    histogram.legend(frameon=False)
    points = [p for p in found.points if p.noise]
    k = np.array([p.k.value for p in points])
    gains.loglog(k, [p.noise.scale_dn.value / p.k.value for p in points if p.noise], "o", color=ACCENT)
    for line in found.read_lines:
        part = k[line.start : line.stop]
        gains.loglog(part, np.exp(line.slope.value * np.log(part) + line.intercept.value) / part, color=ACCENT)
    start = found.read_lines[-1].from_k
    headline = (
        f"second conversion gain between K = {start.low:.2f} and {start.high:.2f}" if start else "one conversion gain"
    )
    gains.set(xlabel="K, DN/e⁻", ylabel="read noise (Tukey scale), e⁻", title=headline)
    plot.savefig(PICTURE, dpi=75)


if __name__ == "__main__":
    draw(calibrated(simulated_session(load_sensor(SENSOR), 0, 240, 320)))
    print(PICTURE)
