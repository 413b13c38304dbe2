"""A calibration session of a simulated camera, as a careful operator would take it.

Before a lamp with a slight fall-off: at 0 dB 50 exposures from near dark to beyond saturation, two flats and two
darks each, 50 flats at half of saturation and 50 darks; at gains up to the last 16 darks and four pairs of flats; long
darks for the dark current. Where the darks lie at the ADC's zero, stacks of dim flats at each gain besides.
"""

import math
from functools import partial

import numpy as np

from calibration.emva.frame_statistics import Frame
from calibration.emva.session import Session, Setting, Source
from isp_sim import camera, readout, sensor, streams
from isp_sim.rig import Sensor
from isp_sim.units import Electrons, Photons

GAINS = 12
FALL_OFF = 0.02
"""The lamp is this much dimmer in the corners."""
SATURATION_US = 20_000.0
"""Exposure at which the least sensitive channel is full at 0 dB."""
BEYOND = 1.06
LONG_DARKS_US = (2e6, 4e6, 6e6, 8e6)


def gains_db(chip: Sensor) -> list[float]:
    """The gains of the session, from 0 dB to the last."""
    top = chip.max_gain_db.value
    return [round(float(g), 6) for g in np.linspace(0, top, GAINS if top > 1 else 1)]


def serial(chip: Sensor, seed: int) -> str:
    """The serial number of the camera that a seed selects: its maps and its scatter about the laws."""
    return f"calibration-{chip.name}-{seed}"


def full_e(chip: Sensor, gain_db: float) -> float:
    """Electrons at which a pixel or the ADC is full."""
    k = readout.system_gain(chip, gain_db)
    return min(chip.full_well_e.value, (chip.white_level_dn - chip.black_level_dn.value) / k)


def simulated_session(
    chip: Sensor, seed: int, height: int, width: int, nonlinearity: float = 0.0, fall_off: float = FALL_OFF
) -> Session:
    """A session of frames that are made when they are read.

    Args:
        chip: the sensor.
        seed: which camera of that kind, and its frames.
        height: of the region that is read out, even.
        width: likewise.
        nonlinearity: share by which a full pixel's signal lies below the line through faint light's; grows with the
            square of the electrons.
        fall_off: of the lamp, towards the corners.
    """
    name = serial(chip, seed)
    maps = sensor.fixed_maps(chip, name, height, width)
    efficiency = min(chip.quantum_efficiency.value)
    light_per_us = full_e(chip, 0.0) / efficiency / SATURATION_US
    down, across = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    lamp = 1 - fall_off * (down[:, None] ** 2 + across**2) / 2
    lamp = (lamp / lamp.mean()).astype(np.float32)[..., None].repeat(3, axis=2)
    frames: dict[Setting, tuple[Source, ...]] = {}
    for index, (setting, count) in enumerate(_plan(chip, name, light_per_us).items()):
        key = partial(camera.Frame, seed, index)
        numbered = (partial(_take, chip, name, maps, lamp, setting, key(n), nonlinearity) for n in range(count))
        frames[setting] = tuple(Source(f"{setting}, frame {n}", take) for n, take in enumerate(numbered))
    return Session(
        name=chip.name,
        frames=frames,
        white_level_dn=chip.white_level_dn,
        adc_bits=chip.adc_bits.value,
        cfa=chip.cfa,
        black_level_dn=chip.black_level_dn.value,
        make=chip.make,
        model=chip.model,
    )


def _plan(chip: Sensor, name: str, light_per_us: float) -> dict[Setting, int]:
    """How many frames are taken at each setting."""
    plan: dict[Setting, int] = {}

    def flat(gain: float, share: float, count: int) -> None:
        exposure = round(SATURATION_US * share * full_e(chip, gain) / full_e(chip, 0.0), 3)
        plan[Setting("flat", gain, exposure, light_per_us * exposure)] = count

    for share in np.linspace(BEYOND / 50, BEYOND, 50):
        flat(0.0, float(share), 2)
        plan[Setting("dark", 0.0, round(SATURATION_US * float(share), 3))] = 2
    flat(0.0, 0.5, 50)
    plan[Setting("dark", 0.0, SATURATION_US / 2)] = 50
    gains = gains_db(chip)
    for gain in gains[1:]:
        plan[Setting("dark", gain, 1000.0)] = 16
        for share in (0.15, 0.3, 0.45, 0.6):
            flat(gain, share, 2)
    for gain in gains:
        dim = _dim_share(chip, name, gain)
        if dim:
            flat(gain, dim, 50)
    long_gain = gains[len(gains) // 4]
    for exposure in LONG_DARKS_US:
        plan[Setting("dark", long_gain, exposure)] = 4
    return plan


def _dim_share(chip: Sensor, name: str, gain: float) -> float:
    """Light that lifts cut darks off zero, as a share of saturation; 0 where they are not cut."""
    out = readout.numbers(chip, gain, name)
    noise = out.sigma_dn * (1.0 if out.gaussian else readout.tukey_std(out.tukey_lambda))
    short = 6 * noise - min(out.pedestal_dn)
    if short <= 0:
        return 0.0
    k = out.gain_dn_per_e
    # What the light adds in noise must be lifted off too: m = short + 6 √(K m).
    lift = (3 * math.sqrt(k) + math.sqrt(9 * k + short)) ** 2
    share = lift / k / full_e(chip, gain)
    return share if share < 0.3 else 0.0


def _take(
    chip: Sensor,
    name: str,
    maps: sensor.FixedMaps,
    lamp: np.ndarray,
    setting: Setting,
    key: camera.Frame,
    nonlinearity: float,
) -> Frame:
    """One frame."""
    height, width = maps.gain.shape
    photons = Photons(lamp * np.float32(setting.photons or 0.0))
    lines = readout.line_noise(chip, setting.gain_db, name, height, width, streams.generator(*key, name, "line noise"))
    exposed = sensor.numbers(chip, setting.exposure_us, chip.dark_current_reference_c.value)
    out, words = readout.numbers(chip, setting.gain_db, name), streams.key_words(*key, name)
    if not nonlinearity:
        return camera.capture(photons, maps, lines, exposed, out, words)
    electrons = sensor.expose(photons, maps, exposed, words)
    bent = electrons * (1 - nonlinearity * (electrons / np.float32(full_e(chip, 0.0))) ** 2)
    return readout.digitise(Electrons(bent.astype(np.float32)), maps.offset_e, lines, out, words)
