"""A camera gives raw frames; the simulated one calls the stages in the light's order."""

import math
from typing import NamedTuple, Protocol

import numba
import numpy as np
import torch

from isp_sim import optics, readout, sensor, streams
from isp_sim.raw import Raw
from isp_sim.rig import Arm, Rig, Sensor
from isp_sim.rows import in_rows
from isp_sim.units import Counts, Photons, Radiance

REC709_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear Rec. 709 → CIE XYZ under D65 (IEC 61966-2-1)."""


class Camera(Protocol):
    """Anything that takes a frame: the simulated arm, an emulator, a device."""

    @property
    def serial(self) -> str:
        """The camera's serial number."""
        ...

    def grab(self, exposure_us: float, gain_db: float) -> Raw:
        """Take one frame.

        Raises:
            ValueError: the camera cannot do that exposure or gain.
        """
        ...


class Frame(NamedTuple):
    """Which frame this is, for its random numbers."""

    seed: int
    scene: int
    shot: int


def binned(one: Sensor, n: int) -> Sensor:
    """The sensor read out in n×n averaged blocks of one colour.

    n² wells add up: full well, dark current and hot pixel density ×n², DSNU ×n, PRNU ÷n. Averaging divides K by
    n² and, in DN, independent read noise by n, row and column noise by √n. Levels in DN stay.

    Raises:
        ValueError: the read noise is no Gaussian (an average of Tukey-λ numbers is not one), or a line or
            periodic noise cannot be averaged exactly.
    """
    if n == 1:
        return one
    tukey = any(segment.tukey_lambda is not None for segment in one.read_noise.value)
    if tukey or one.periodic_noise.value.amplitude_dn > 0:
        raise ValueError(f"{one.name}: binning {n} needs Gaussian read noise and no periodic noise")

    def averaged(law: object, divisor: float) -> object:
        # σ_DN(K) of one pixel becomes σ/divisor at K/n²: the line moves by slope·ln n² in its intercept.
        return tuple(
            s.model_copy(
                update={
                    "from_k_dn_per_e": s.from_k_dn_per_e / n**2,
                    "ln_sigma_intercept": s.ln_sigma_intercept
                    + s.ln_sigma_slope * math.log(n**2)
                    - math.log(divisor),
                }
            )
            for s in law  # type: ignore[attr-defined]
        )

    area = n * n
    changes = {
        "pixel_pitch_um": one.pixel_pitch_um.value * n,
        "full_well_e": one.full_well_e.value * area,
        "dark_current_e_per_s": one.dark_current_e_per_s.value * area,
        "hot_pixels_per_million": one.hot_pixels_per_million.value * area,
        "prnu_percent": one.prnu_percent.value / n,
        "dsnu_e": one.dsnu_e.value * n,
        "gain_dn_per_e": one.gain_dn_per_e.value / area,
        "read_noise": averaged(one.read_noise.value, n),
        "row_noise": averaged(one.row_noise.value, math.sqrt(n)),
        "column_noise": averaged(one.column_noise.value, math.sqrt(n)),
    }
    figures = {
        name: getattr(one, name).model_copy(update={"value": value}) for name, value in changes.items()
    }
    return one.model_copy(update=figures)


@numba.njit(nogil=True, cache=True)
def _capture(start, stop, photons, gain, hot, offset, rows, columns, chip, out, key0, key1, counts):  # type: ignore[no-untyped-def]
    """Sensor and readout in one pass over the pixels: one Philox block a pixel feeds both."""
    height, width = counts.shape
    for y in range(start, stop):
        for x in range(width):
            position = (y & 1) * 2 + (x & 1)
            band = chip.band[position]
            pixel = y * width + x
            first, second, third, _ = streams.philox(pixel, 0, key0, key1)
            electrons = sensor.electrons_at(
                photons[y, x, band], gain[y, x], hot[y, x], band, chip, first, second, pixel, key0, key1
            )
            counts[y, x] = readout.counts_at(
                electrons, offset[y, x], rows[y] + columns[x], position, out, third
            )


def capture(
    photons: Photons,
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
) -> Counts:
    """Photons → counts on the CPU, bit for bit `readout.digitise(sensor.expose(…))`, in one pass.

    Args:
        photons: `(height, width, 3)`.
        maps: the camera's fixed maps.
        lines: the frame's row and column noise.
        chip: the sensor's numbers for the exposure.
        out: the readout's numbers for the gain.
        key: the frame's Philox key.
    """
    counts = np.empty(photons.shape[:2], np.uint16)
    in_rows(
        _capture,
        counts.shape[0],
        photons,
        maps.gain,
        maps.hot_e_per_s,
        maps.offset_e,
        lines.rows_dn,
        lines.columns_dn,
        chip,
        out,
        *key,
        counts,
    )
    return Counts(counts)


def capture_torch(
    photons: Photons,
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
    device: str,
) -> Counts:
    """Photons → counts on a torch device: `capture`'s distributions, torch's numbers."""
    plane, gain, hot, offset = (
        torch.from_numpy(a).to(device) for a in (photons, maps.gain, maps.hot_e_per_s, maps.offset_e)
    )
    electrons = sensor.expose_torch(plane, gain, hot, chip, streams.torch_generator(device, key, "electrons"))
    counts = readout.digitise_torch(
        electrons, offset, lines, out, streams.torch_generator(device, key, "counts")
    )
    return Counts(counts.cpu().numpy().astype(np.uint16))


class SimulatedArm:
    """One arm of a rig as a `Camera`.

    `look_at` puts a scene before it; every `grab` is the next frame of that scene.

    Attributes:
        light: photons a perfect diffuser on axis sends to a pixel each µs, before the splitter.
        next_frame: key of the next frame's random numbers; each grab counts its shot up.
    """

    def __init__(self, rig: Rig, arm: Arm, device: str = "cpu") -> None:
        self.rig, self.arm, self.device = rig, arm, device
        self.sensor = binned(rig.sensor, rig.binning)
        self.view = optics.view(arm, rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor, rig.binning)
        self.maps = sensor.fixed_maps(self.sensor, arm.serial, rig.height_px, rig.width_px)
        self._at_white: Photons | None = None
        self.light = 0.0
        self.next_frame = Frame(0, 0, 0)

    @property
    def serial(self) -> str:
        """The camera's serial number; its fixed maps belong to it."""
        return self.arm.serial

    def look_at(self, image: Radiance) -> None:
        """Put a scene before the arm; set `light` and `next_frame` before the first grab.

        Args:
            image: the lens's image of the scene, at most the rig's frame in size.

        Raises:
            ValueError: the image is larger than the sensor, or odd in size.
        """
        height, width = image.shape[:2]
        if height > self.rig.height_px or width > self.rig.width_px or height % 2 or width % 2:
            raise ValueError(
                f"a scene of {width}×{height} px: rig {self.rig.name} takes even sizes up to "
                f"{self.rig.width_px}×{self.rig.height_px}"
            )
        self._at_white = optics.photons_at_sensor(image, self.view, 1.0)

    @property
    def sight(self) -> Photons:
        """Mean photons at each pixel for one photon from a perfect diffuser on axis.

        Raises:
            ValueError: no scene is before the arm.
        """
        if self._at_white is None:
            raise ValueError(f"camera {self.serial} looks at nothing: call look_at first")
        return self._at_white

    def grab(self, exposure_us: float, gain_db: float) -> Raw:
        """Take the next frame; see `Camera.grab`."""
        frame, self.next_frame = self.next_frame, self.next_frame._replace(shot=self.next_frame.shot + 1)
        photons = Photons(self.sight * np.float32(self.light * exposure_us))
        key = streams.key_words(*frame, self.serial)
        height, width = photons.shape[:2]
        chip = sensor.numbers(self.sensor, exposure_us, self.rig.temperature_c.value)
        out = readout.numbers(self.sensor, gain_db, self.serial)
        stream = streams.generator(*frame, self.serial, "line noise")
        lines = readout.line_noise(self.sensor, gain_db, self.serial, height, width, stream)
        maps = self._region(height, width)
        if self.device == "cpu":
            counts = capture(photons, maps, lines, chip, out, key)
        else:
            counts = capture_torch(photons, maps, lines, chip, out, key, self.device)
        provenance: dict[str, object] = {"rig": self.rig.name, **frame._asdict()}
        return self.describe(counts, exposure_us, gain_db, provenance)

    def _region(self, height: int, width: int) -> sensor.FixedMaps:
        """The fixed maps of the centred region, its corner on an even pixel so that the tile stays."""
        top = (self.rig.height_px - height) // 4 * 2
        left = (self.rig.width_px - width) // 4 * 2
        at = (slice(top, top + height), slice(left, left + width))
        maps = self.maps
        return sensor.FixedMaps(maps.gain[at], maps.offset_e[at], maps.hot_e_per_s[at])

    def describe(
        self, counts: Counts, exposure_us: float, gain_db: float, provenance: dict[str, object]
    ) -> Raw:
        """Counts with the metadata of this camera at this setting."""
        chip = self.sensor
        neutral = chip.neutral(self.rig.lens.near_infrared.value)
        to_rec709 = np.linalg.inv(np.array(REC709_TO_XYZ))
        camera = np.array(chip.quantum_efficiency.value)[:, None] * chip.rec709_to_camera.value @ to_rec709
        camera /= (camera @ np.array(REC709_TO_XYZ).sum(axis=1)).max()
        first, second, third, fourth = (chip.black_level_dn.value + b for b in chip.black_bias_dn.value)
        return Raw(
            counts=counts,
            cfa=chip.cfa,
            black_level_dn=(first, second, third, fourth),
            white_level_dn=chip.white_level_dn,
            exposure_us=float(exposure_us),
            gain_db=float(gain_db),
            iso=round(chip.iso_at_0db.value * 10 ** (gain_db / 20)),
            neutral=neutral,
            xyz_to_camera=tuple((float(a), float(b), float(c)) for a, b, c in camera),
            noise_profile=(self.noise_profile(gain_db),) * 3,
            make=chip.make,
            model=chip.model,
            serial=self.serial,
            provenance=provenance,
        )

    def noise_profile(self, gain_db: float) -> tuple[float, float]:
        """DNG's (S, O): variance `S·x + O` of a pixel at x = 0 … 1 of the range, every temporal noise in O."""
        chip = self.sensor
        k = readout.system_gain(chip, gain_db)
        out = readout.numbers(chip, gain_db, self.serial)
        spread = 1.0 if out.gaussian else readout.tukey_std(out.tukey_lambda)
        row, _ = readout.noise_at(chip.row_noise.value, k, self.serial, "row noise")
        column, _ = readout.noise_at(chip.column_noise.value, k, self.serial, "column noise")
        wave = chip.periodic_noise.value.amplitude_dn
        variance_dn = (out.sigma_dn * spread) ** 2 + row**2 + column**2 + wave**2 / 2 + 1 / 12
        range_dn = chip.white_level_dn - chip.black_level_dn.value
        return k / range_dn, variance_dn / range_dn**2
