"""Redraw the pictures in docs/ and the README from the code: `python docs/draw.py` (or `make pictures`)."""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from isp_sim import optics, readout, streams
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.rigfile import load_rig
from isp_sim.scenes.charts import flat_field

PICTURES = Path(__file__).parent / "pictures"


def contact_sheet() -> None:
    """What `make demo` ends with, smaller."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/run"
        subprocess.run([sys.executable, "-m", "isp_sim.generate", "--count", "20", "--out", out], check=True)
        sheet = cv2.imread(f"{out}/contact_sheet.png")
    small = cv2.resize(sheet, None, fx=0.62, fy=0.62, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(PICTURES / "pairs.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 85])


def photon_transfer() -> None:
    """Variance against mean of the simulated camera at three gains, beside `K·mean + σ²`."""
    rig = load_rig("exlpose").model_copy(update={"width_px": 400, "height_px": 400})
    arm = SimulatedArm(rig, rig.well_lit)
    arm.look_at(optics.through_lens(flat_field(400, 400, "D65").radiance, rig.lens, 3.45))
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for gain_db, colour in ((0.0, "C0"), (12.0, "C1"), (24.0, "C2")):
        k = readout.system_gain(rig.sensor, gain_db)
        means, variances = [], []
        for n, level in enumerate(np.geomspace(1e-3, 0.9, 14)):
            arm.light, arm.next_frame = level * 4095 / k / 0.09 / 1000, Frame(0, n, 0)
            one, two = (arm.grab(1000, gain_db).counts[150:250:2, 151:251:2].astype(float) for _ in range(2))
            means.append((one.mean() + two.mean()) / 2)
            variances.append(np.var(one - two) / 2)
        sigma, _ = readout.noise_at(rig.sensor.read_noise.value, k, rig.well_lit.serial, "read noise")
        row, _ = readout.noise_at(rig.sensor.row_noise.value, k, rig.well_lit.serial, "row noise")
        line = np.geomspace(1, 4000, 100)
        black = rig.sensor.black_level_dn.value + rig.sensor.black_bias_dn.value[0]
        axes.loglog(line, k * (line - black) + sigma**2 + row**2 + 1 / 12, color=colour, lw=1)
        axes.loglog(means, variances, "o", color=colour, ms=4, label=f"{gain_db:.0f} dB, K = {k:.2f} DN/e⁻")
    axes.set(xlabel="mean, DN", ylabel="temporal variance, DN²", title="photon transfer of the simulated IMX392")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PICTURES / "photon_transfer.png", dpi=100)


def planes() -> None:
    """One scene through both arms: radiance, photons, counts, pictures."""
    rig = load_rig("exlpose-small")
    from isp_sim.pair import DualCamera
    from isp_sim.scenes.charts import colorchecker
    from isp_sim.schedule import scene_shots

    scene = colorchecker(rig.height_px, rig.width_px, "D65")
    shots = scene_shots(rig.schedule, 3, streams.generator(0, 3, "schedule"))
    camera = DualCamera(rig)
    pair = list(camera.shoot(scene, shots, 0))[1]
    shown = (
        ("radiance, linear", np.clip(scene.radiance, 0, 1)),
        ("well-lit arm, counts", pair.well_lit_raw.counts / pair.well_lit_raw.counts.max()),
        ("well-lit picture", pair.well_lit / 255),
        ("photons, low-light arm", camera.low_light.sight / camera.low_light.sight.max()),
        ("low-light arm, counts", np.clip(pair.low_light_raw.counts / 60 / 16, 0, 1)),
        ("low-light picture × 30", np.clip(pair.low_light / 255 * 30, 0, 1)),
    )
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 4.8))
    for axis, (title, image) in zip(axes.ravel(), shown, strict=True):
        axis.imshow(image, cmap="gray", interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(PICTURES / "planes.png", dpi=90)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    planes()
    photon_transfer()
    contact_sheet()
