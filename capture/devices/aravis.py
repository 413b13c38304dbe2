"""GigE Vision and USB3 Vision cameras of any maker through Aravis 0.8 (Debian: gir1.2-aravis-0.8, python3-gi).

Aravis brings a fake camera for tests without hardware: `arv-fake-gv-camera-0.8 -i 127.0.0.1`.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from capture.devices import Describe, Device
from isp_sim.raw import Raw
from isp_sim.units import Counts

SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")
"""Where Debian keeps `gi`, which has no wheel: looked in where an environment of its own does not have it."""
BUFFERS = 3


def load_aravis() -> ModuleType:
    """Aravis through GObject introspection.

    Raises:
        ValueError: it is not installed, or built for another Python.
    """
    try:
        gi = importlib.import_module("gi")
    except ImportError:
        sys.path.append(str(SYSTEM_PACKAGES))  # at the end: nothing else comes from there before our own
        try:
            gi = importlib.import_module("gi")
        except ImportError:
            raise ValueError("GigE Vision cameras need Aravis: apt install gir1.2-aravis-0.8 python3-gi") from None
        finally:
            sys.path.remove(str(SYSTEM_PACKAGES))
    try:
        gi.require_version("Aravis", "0.8")
    except ValueError:
        raise ValueError("GigE Vision cameras need Aravis 0.8: apt install gir1.2-aravis-0.8") from None
    return importlib.import_module("gi.repository.Aravis")


class AravisCamera(Device):
    """One camera, opened by its serial number, triggered by software or by a line.

    Args:
        serial: of the camera.
        describe: makes a `Raw` of its counts.
        size: (height, width) of the frames.
        cfa: the sensor's tile.
        bits: of the ADC; formats are tried from `Bayer…12` and 16 to `Mono16`, whose pixels are taken as they come.
        line: input the trigger comes from, as `Line0`; None: by software.

    Raises:
        ValueError: no such camera, or it refuses a setting.
    """

    def __init__(
        self, serial: str, describe: Describe, size: tuple[int, int], cfa: str, bits: int, line: str | None = None
    ) -> None:
        self.aravis: Any = load_aravis()
        self.serial, self._describe, self._size, self._line = serial, describe, size, line
        self.camera: Any = self.aravis.Camera.new(_identity(self.aravis, serial))
        self._stream: Any = None
        try:
            formats = set(self.camera.dup_available_pixel_formats_as_strings())
            wanted = [f"Bayer{cfa[:2]}{bits}", f"Bayer{cfa[:2]}16", "Mono16"]
            chosen = next((name for name in wanted if name in formats), None)
            if chosen is None:
                raise ValueError(
                    f"Aravis camera {serial}: offers {', '.join(sorted(formats))}; expected one of {', '.join(wanted)}"
                )
            self.camera.set_pixel_format_from_string(chosen)
            self.camera.set_region(0, 0, size[1], size[0])
            self.camera.set_acquisition_mode(self.aravis.AcquisitionMode.CONTINUOUS)
            self.camera.set_trigger(line or "Software")
        except _error() as fault:
            raise ValueError(f"Aravis camera {serial}: {fault}") from None

    def prepare(self, exposure_us: float, gain_db: float) -> None:
        """See `Device`. A stream of its own for every frame: nothing of an earlier trigger is left in it."""
        for name, value, (low, high) in (
            ("exposure", exposure_us, self.camera.get_exposure_time_bounds()),
            ("gain", gain_db, self.camera.get_gain_bounds()),
        ):
            if not low <= value <= high:
                raise ValueError(f"Aravis camera {self.serial}: {name} {value:g}: expected {low:g} to {high:g}")
        try:
            self._stop()
            self.camera.set_exposure_time(float(exposure_us))
            self.camera.set_gain(float(gain_db))
            self._stream = self.camera.create_stream(None, None)
            payload = self.camera.get_payload()
            for _ in range(BUFFERS):
                self._stream.push_buffer(self.aravis.Buffer.new_allocate(payload))
            self.camera.start_acquisition()
        except _error() as fault:
            raise OSError(f"Aravis camera {self.serial}: {fault}") from None

    def trigger(self) -> None:
        """See `Device`."""
        if self._line is None:
            self.camera.software_trigger()

    def fetch(self, timeout_s: float) -> Raw:
        """See `Device`."""
        buffer = self._stream.timeout_pop_buffer(int(timeout_s * 1e6))
        if buffer is None:
            raise TimeoutError(f"Aravis camera {self.serial}: no frame within {timeout_s:g} s")
        status = buffer.get_status()
        if status != self.aravis.BufferStatus.SUCCESS:
            raise OSError(f"Aravis camera {self.serial}: the frame came incomplete: {status.value_nick}")
        counts = np.frombuffer(buffer.get_data(), np.uint16)[: self._size[0] * self._size[1]].reshape(self._size)
        metadata: dict[str, object] = {
            "device": "aravis",
            "serial": self.serial,
            "settings_from": "camera",
            "block": int(buffer.get_frame_id()),
            "timestamp": int(buffer.get_timestamp()),
        }
        exposure_us, gain_db = self.camera.get_exposure_time(), self.camera.get_gain()
        self._stop()
        return self._describe(Counts(counts.copy()), float(exposure_us), float(gain_db), metadata)

    def _stop(self) -> None:
        if self._stream is not None:
            self.camera.stop_acquisition()
            self._stream = None

    def close(self) -> None:
        """See `Device`."""
        try:
            self._stop()
        finally:
            self.camera = None


def _identity(aravis: Any, serial: str) -> str:
    """Aravis's own name of the camera with a serial number. Raises ValueError: there is none."""
    aravis.update_device_list()
    known = {aravis.get_device_serial_nbr(n): aravis.get_device_id(n) for n in range(aravis.get_n_devices())}
    if serial not in known:
        raise ValueError(f"Aravis camera {serial}: not found; connected are {', '.join(sorted(known)) or 'none'}")
    return str(known[serial])


def _error() -> type[Exception]:
    """GLib's one exception, which introspection raises for every fault."""
    error: type[Exception] = importlib.import_module("gi.repository.GLib").Error
    return error
