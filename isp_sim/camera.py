"""A camera gives raw frames; the simulated one calls the stages in the light's order."""

import functools
from dataclasses import replace
from typing import NamedTuple, Protocol

import numba
import numpy as np
import torch
from jaxtyping import Float32, Float64

from isp_sim import light, optics, readout, sensor, streams
from isp_sim.companding import companded, table_of
from isp_sim.isp.develop import balance
from isp_sim.parallel_rows import in_rows
from isp_sim.raw import Defects, Raw, defects_within
from isp_sim.rig import Arm, Rig
from isp_sim.shading import Shading, edge_to_edge, fitted, positions
from isp_sim.transfer import D65_K, REC709_TO_XYZ
from isp_sim.units import Counts, Photons, Radiance

GAIN_CELLS = 16
"""Down and across, at least, between the nodes of the gains that a raw carries."""


class Camera(Protocol):
    """Anything that takes a frame: the simulated arm, an emulator, a device.

    Attributes:
        serial: the camera's serial number.
    """

    serial: str

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


@numba.njit(nogil=True, cache=True)
def _capture(start, stop, photons, gain, hot, offset, rows, columns, chip, out, n, key0, key1, counts):  # type: ignore[no-untyped-def]
    """Sensor and readout row by row: one Philox block a pixel feeds both; n×n pixels of a colour add up."""
    width = counts.shape[1] * n
    words, mean, electrons, noise = np.empty((4, width), np.uint32), np.empty(width), np.empty(width), np.empty(width)
    line = np.empty(width, np.uint16)
    for frame_row in range(start, stop):
        parity = frame_row & 1
        counts[frame_row] = 0
        for j in range(n):
            y = readout.sensor_row(frame_row, j, n)
            streams.words_row(y * width, key0, key1, words)
            sensor.mean_row(photons[frame_row], gain[y], hot[y], parity, n, chip, mean)
            sensor.electrons_row(mean, words, y * width, key0, key1, chip, electrons)
            readout.counts_row(electrons, offset[y], rows[y], columns, parity, words, out, noise, line)
            readout.bin_row(line, n, counts[frame_row])


def capture(
    photons: Photons,
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
    binning: int = 1,
) -> Counts:
    """Photons → counts on the CPU: bit for bit `readout.digitise(sensor.expose(…))`, in one pass.

    With binning n every frame pixel is the sum of the counts of n×n sensor pixels of one colour (2n apart two
    by two), each with its own noise, clipped and quantised by itself, and each given 1/n² of the light.

    Args:
        photons: `(height, width, 3)`, of the frame's pixels.
        maps: the camera's fixed maps, `(height·n, width·n)`.
        lines: the sensor's row and column noise.
        chip: the sensor's numbers for the exposure.
        out: the readout's numbers for the gain.
        key: the frame's Philox key.
        binning: n.
    """
    counts = np.empty(photons.shape[:2], np.uint16)
    planes = (photons, maps.gain, maps.hot_e_per_s, maps.offset_e, lines.rows_dn, lines.columns_dn)
    in_rows(_capture, len(counts), *planes, chip, out, binning, *key, counts)
    return Counts(counts)


def capture_torch(
    photons: Photons,
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
    binning: int,
    device: str,
) -> Counts:
    """`capture_tensor` of arrays, on a torch device."""
    plane, gain, hot, offset = (
        torch.from_numpy(np.ascontiguousarray(a)).to(device)
        for a in (photons, maps.gain, maps.hot_e_per_s, maps.offset_e)
    )
    counts = capture_tensor(plane, (gain, hot, offset), lines, chip, out, key, binning)
    return Counts(counts.cpu().numpy().astype(np.uint16))


def capture_tensor(
    photons: torch.Tensor,
    maps: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
    binning: int,
) -> torch.Tensor:
    """Photons → counts on the tensors' device: `capture`'s distributions, torch's numbers; int32 `(height, width)`.

    Args:
        photons: `(height, width, 3)`, of the frame's pixels.
        maps: PRNU, hot pixels' e⁻/s and DSNU of the camera, `(height·n, width·n)`.
        lines: the sensor's row and column noise.
        chip: the sensor's numbers for the exposure.
        out: the readout's numbers for the gain.
        key: the frame's, for generators of its own.
        binning: n.
    """
    device, (height, width), n = str(photons.device), photons.shape[:2], binning
    gain, hot_e_per_s, offset_e = maps
    if n > 1:
        tiles = photons.reshape(height // 2, 2, width // 2, 2, 3) / n**2
        photons = tiles.repeat_interleave(n, 0).repeat_interleave(n, 2).reshape(height * n, width * n, 3)
    electrons = sensor.expose_torch(photons, gain, hot_e_per_s, chip, streams.torch_generator(device, key, "electrons"))
    counts = readout.digitise_torch(electrons, offset_e, lines, out, streams.torch_generator(device, key, "counts"))
    return counts.reshape(height // 2, n, 2, width // 2, n, 2).sum(dim=(1, 4)).reshape(height, width)


class SimulatedArm:
    """One arm of a rig as a `Camera`.

    `look_at` puts a scene before it; every `grab` is the next frame of that scene.

    Attributes:
        serial: of the camera; its fixed maps belong to it.
        light: photons a perfect diffuser on axis sends to a pixel each µs, before the splitter.
        next_frame: key of the next frame's random numbers; each grab counts its shot up.
        start_s: when the next frame's exposure begins, in the time of the rig's light.
        table: count of every code that it sends; None: it sends counts.
    """

    def __init__(self, rig: Rig, arm: Arm, device: str = "cpu") -> None:
        self.rig, self.arm, self.device, self.serial = rig, arm, device, arm.serial
        self.sensor, self.binning = rig.sensor, rig.binning
        self.view = optics.view(arm, rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor, rig.binning)
        size = rig.height_px * rig.binning, rig.width_px * rig.binning
        self.maps = sensor.fixed_maps(rig.sensor, arm.serial, *size, arm.defects.value if arm.defects else None)
        self._gains = self._known_gains()
        self._at_white: Photons | None = None
        self.light = 0.0
        self.next_frame = Frame(0, 0, 0)
        self.start_s = 0.0
        self.table = table_of(rig.sensor.companding.value) if rig.sensor.companding else None

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
        self._at_white = self._lit(image)

    def _lit(self, image: Radiance) -> Photons:
        """Mean photons of each pixel before an image, shading under the rig's light included."""
        return self._shaded(optics.photons_at_sensor(image, self.view, 1.0), light.colour_temperature_k(self.rig.light))

    def _shaded(self, photons: Photons, temperature_k: float) -> Photons:
        if self.arm.shading is None:
            return photons
        tables = optics.shading_at(self.arm.shading.value, temperature_k)
        return optics.shaded(photons, tables, (self.rig.height_px, self.rig.width_px))

    def _known_gains(self) -> Shading | None:
        """What undoes the fall-off of a frame in even daylight, cos⁴ included; None: the rig states no shading.

        Of daylight, whatever the light: a camera goes on stating daylight's neutral, too.
        """
        if self.arm.shading is None:
            return None
        height, width = self.rig.height_px, self.rig.width_px
        even = optics.photons_at_sensor(Radiance(np.ones((height, width, 3), np.float32)), self.view, 1.0)
        even, nodes = self._shaded(even, D65_K), np.shape(self.arm.shading.value[0].red)
        down, across = positions(height, height), positions(width, width)
        # Reciprocals bend where shares are straight, and cos⁴ bends: each cell of the table becomes two and more.
        rows, columns = ((n - 1) * max(2, -(-GAIN_CELLS // (n - 1))) + 1 for n in nodes)
        gains = [fitted(even[..., band].max() / even[..., band], down, across, (rows, columns)) for band in range(3)]
        return edge_to_edge([gains[band] for band in map("RGB".index, self.sensor.cfa)])

    @property
    def sight(self) -> Photons:
        """Mean photons at each pixel for one photon from a perfect diffuser on axis.

        Raises:
            ValueError: no scene is before the arm.
        """
        if self._at_white is None:
            raise ValueError(f"camera {self.serial} has no scene set: call look_at() first")
        return self._at_white

    def grab(self, exposure_us: float, gain_db: float) -> Raw:
        """Take the next frame; see `Camera.grab`."""
        frame, self.next_frame = self.next_frame, self.next_frame._replace(shot=self.next_frame.shot + 1)
        photons = Photons(self.sight * np.float32(self.light * exposure_us))
        if self.rig.light is not None:
            photons *= self.levels(exposure_us, len(photons))[:, None, None]
        key = streams.key_words(*frame, self.serial)
        height, width = photons.shape[:2]
        chip = sensor.numbers(self.sensor, exposure_us, self.rig.temperature_c.value)
        out = readout.numbers(self.sensor, gain_db, self.serial)
        stream = streams.generator(*frame, self.serial, "line noise")
        maps = self.region(height, width)
        lines = readout.line_noise(
            self.sensor, gain_db, self.serial, height * self.binning, width * self.binning, stream
        )
        if self.device == "cpu":
            counts = capture(photons, maps, lines, chip, out, key, self.binning)
        else:
            counts = capture_torch(photons, maps, lines, chip, out, key, self.binning, self.device)
        provenance: dict[str, object] = {"rig": self.rig.name, **frame._asdict()}
        raw = self.describe(counts, exposure_us, gain_db, provenance)
        if self.table is None:
            return raw
        return replace(raw, counts=companded(counts, self.table), linearization=tuple(self.table.tolist()))

    def levels(self, exposure_us: float, rows: int) -> Float32[np.ndarray, " rows"]:
        """The rig's light on each row of a frame while it is exposed; the frame lies in the middle of the sensor's.

        Raises:
            ValueError: the rig states nothing of its light.
        """
        if self.rig.light is None:
            raise ValueError(f"rig {self.rig.name} has no light block")
        of_row = self.rig.row_time_us
        start_s = self.start_s + (self.rig.height_px - rows) // 2 * of_row * 1e-6
        return light.row_levels(self.rig.light, start_s, exposure_us, rows, of_row)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Top and left of the centred region, frame pixels: even ones, so that the tile stays."""
        return (self.rig.height_px - height) // 4 * 2, (self.rig.width_px - width) // 4 * 2

    def region(self, height: int, width: int) -> sensor.FixedMaps:
        """The fixed maps of the centred region."""
        n = self.binning
        top, left = (n * start for start in self._corner(height, width))
        at = (slice(top, top + height * n), slice(left, left + width * n))
        maps = self.maps
        return sensor.FixedMaps(maps.gain[at], maps.offset_e[at], maps.hot_e_per_s[at])

    @property
    def neutral(self) -> tuple[float, float, float]:
        """Camera RGB of a neutral grey, largest 1 (DNG AsShotNeutral)."""
        return self.sensor.neutral(self.rig.lens.near_infrared.value)

    @property
    def xyz_to_camera(self) -> tuple[tuple[float, float, float], ...]:
        """CIE XYZ (D65) → camera RGB (DNG ColorMatrix1): `diag(QE) · M · xyz_to_rec709`, white's largest is 1."""
        chip = self.sensor
        to_rec709 = np.linalg.inv(np.array(REC709_TO_XYZ))
        camera = np.array(chip.quantum_efficiency.value)[:, None] * chip.rec709_to_camera.value @ to_rec709
        camera /= (camera @ np.array(REC709_TO_XYZ).sum(axis=1)).max()
        return tuple((float(a), float(b), float(c)) for a, b, c in camera)

    @functools.cached_property
    def colours(self) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, "3 3"]]:
        """White balance and matrix of its raws, see `isp_sim.isp.develop.balance`."""
        return balance(self.neutral, self.xyz_to_camera)

    def describe(self, counts: Counts, exposure_us: float, gain_db: float, provenance: dict[str, object]) -> Raw:
        """Counts with the metadata of this camera at this setting."""
        chip, frame = self.sensor, (self.rig.height_px, self.rig.width_px)
        top, left = self._corner(*counts.shape)
        black = chip.black_level_dn.value * self.binning**2  # the nominal one: a camera does not know its own bias
        return Raw(
            counts=counts,
            cfa=chip.cfa,
            black_level_dn=(black, black, black, black),
            white_level_dn=chip.white_level_dn * self.binning**2,
            exposure_us=float(exposure_us),
            gain_db=float(gain_db),
            iso=round(chip.iso_at_0db.value * 10 ** (gain_db / 20)),
            neutral=self.neutral,
            xyz_to_camera=self.xyz_to_camera,
            noise_profile=(self.noise_profile(gain_db),) * 3,
            make=chip.make,
            model=chip.model,
            serial=self.serial,
            provenance=provenance,
            shading=self._gains and self._gains.of_part(top, left, counts.shape, frame),
            defects=defects_within(self._known_defects(), top, left, *counts.shape),
        )

    def _known_defects(self) -> Defects:
        """Frame pixels that a listed defect is part of: with binning n, one of n×n of a colour."""
        if self.arm.defects is None:
            return ()
        known, n, (height, width) = self.arm.defects.value, self.binning, (self.rig.height_px, self.rig.width_px)

        def of_frame(at: int) -> int:
            return at // (2 * n) * 2 + at % 2

        pixels = sorted({(of_frame(y), of_frame(x)) for x, y in known.pixels})
        rows, columns = ({of_frame(at) for at in lines} for lines in (known.dead_rows, known.dead_columns))
        return (
            *((y, x, y + 1, x + 1) for y, x in pixels),
            *((y, 0, y + 1, width) for y in sorted(rows)),
            *((0, x, height, x + 1) for x in sorted(columns)),
        )

    def noise_profile(self, gain_db: float) -> tuple[float, float]:
        """DNG's (S, O): variance `S·x + O` of a pixel at x = 0 … 1 of the range, every temporal noise in O.

        A sum of n×n pixels has n² times their independent variances and n³ times those of rows and columns.
        """
        chip, n = self.sensor, self.binning
        k = readout.system_gain(chip, gain_db)
        out = readout.numbers(chip, gain_db, self.serial)
        spread = 1.0 if out.gaussian else readout.tukey_std(out.tukey_lambda)
        row, _ = readout.noise_at(chip.row_noise.value, k, self.serial, "row noise")
        column, _ = readout.noise_at(chip.column_noise.value, k, self.serial, "column noise")
        wave = chip.periodic_noise.value.amplitude_dn
        alone, lines = (out.sigma_dn * spread) ** 2 + 1 / 12, row**2 + column**2 + wave**2 / 2
        range_dn = n**2 * (chip.white_level_dn - chip.black_level_dn.value)
        return k / range_dn, (n**2 * alone + n**3 * lines) / range_dn**2
