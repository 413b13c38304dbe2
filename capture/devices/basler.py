"""Basler cameras through pylon (`pip install isp-sim[basler]`), and pylon's emulated ones.

`PYLON_CAMEMU=2` in the environment gives two emulated cameras, serials 0815-0000 and 0815-0001; `show` makes a frame
the image they expose. They implement triggers, exposure, gain and failed buffers, but their pixels do not depend on the
settings, and they send neither timestamps nor chunks.
"""

import contextlib
import importlib
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from capture.devices import READY_S, Describe, Device
from isp_sim.dataset import write_plane
from isp_sim.raw import Raw
from isp_sim.units import Counts

EMULATED = "BaslerCamEmu"


def load_pylon() -> ModuleType:
    """The `pypylon.pylon` module.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module("pypylon.pylon")
    except ImportError:
        raise ValueError("Basler cameras need pypylon: pip install 'isp-sim[basler]'") from None


class BaslerCamera(Device):
    """One camera, opened by its serial number, triggered by software or by a line.

    Args:
        serial: on the camera's label.
        describe: makes a `Raw` of its counts.
        size: (height, width) of the frames.
        cfa: the sensor's tile, which names the pixel format.
        bits: of the ADC; up to 12 come as 12, more as 16.
        line: input the trigger comes from, as `Line1`; None: by software.

    Raises:
        ValueError: no such camera, or it refuses a setting.
    """

    def __init__(
        self, serial: str, describe: Describe, size: tuple[int, int], cfa: str, bits: int, line: str | None = None
    ) -> None:
        self.pylon = load_pylon()
        self.serial, self._describe, self._size, self._line = serial, describe, size, line
        factory = self.pylon.TlFactory.GetInstance()
        found = {device.GetSerialNumber(): device for device in factory.EnumerateDevices()}
        if serial not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ValueError(f"Basler camera {serial}: not found; connected are {known}")
        self.emulated = found[serial].GetDeviceClass() == EMULATED
        self._folder = tempfile.TemporaryDirectory() if self.emulated else None
        self.camera: Any = self.pylon.InstantCamera(factory.CreateDevice(found[serial]))
        self._format = f"Bayer{cfa[:2]}{12 if bits <= 12 else 16}"
        self._failing = 0
        try:
            self._open(size)
        except self.pylon.GenericException as fault:
            self.close()
            raise ValueError(f"Basler camera {serial}: {_sentence(fault)}") from None

    def _open(self, size: tuple[int, int]) -> None:
        camera = self.camera
        camera.Open()
        camera.PixelFormat.Value = self._format
        camera.Width.Value, camera.Height.Value = size[1], size[0]
        camera.TriggerSelector.Value, camera.TriggerMode.Value = "FrameStart", "On"
        camera.TriggerSource.Value = self._line or "Software"
        if self.emulated:
            camera.ImageFileMode.Value, camera.TestImageSelector.Value = "On", "Off"
        elif camera.GetNodeMap().GetNode("ChunkModeActive") is not None:
            with contextlib.suppress(self.pylon.GenericException):  # no chunks: settings are read from the camera
                camera.ChunkModeActive.Value = True
                for chunk in ("ExposureTime", "Gain", "Timestamp"):
                    camera.ChunkSelector.Value = chunk
                    camera.ChunkEnable.Value = True

    def show(self, raw: Raw) -> None:
        """Make a frame the image an emulated camera exposes; 12 bits are the upper ones of 16, as pylon expects.

        Raises:
            ValueError: a real camera, or a frame of another size.
        """
        if self._folder is None:
            raise ValueError(f"Basler camera {self.serial}: only an emulated one can be shown a frame")
        if raw.counts.shape != self._size:
            raise ValueError(
                f"Basler camera {self.serial}: a frame of {raw.counts.shape[::-1]} px, expected {self._size[::-1]}"
            )
        path = Path(self._folder.name) / "before.png"
        write_plane(path, raw.counts << 4 if self._format.endswith("12") else raw.counts)
        self.camera.StopGrabbing()
        self.camera.ImageFilename.Value = str(path)

    def fail_next(self, count: int = 1) -> None:
        """Let an emulated camera's next buffers fail, to test who takes them again."""
        self._failing = count

    def prepare(self, exposure_us: float, gain_db: float) -> None:
        """See `Device`. Grabbing starts anew, so no frame of an earlier trigger is left in the queue."""
        camera = self.camera
        try:
            camera.StopGrabbing()
            camera.ExposureTime.Value = float(exposure_us)
            camera.Gain.Value = float(gain_db)
            camera.StartGrabbing(self.pylon.GrabStrategy_OneByOne)
            if self._failing:
                camera.ForceFailedBufferCount.Value = 1
                camera.ForceFailedBuffer.Execute()
                self._failing -= 1
            waiting = self.pylon.TimeoutHandling_Return
            if self._line is None and not camera.WaitForFrameTriggerReady(int(READY_S * 1000), waiting):
                raise TimeoutError(f"Basler camera {self.serial}: not ready for its trigger after {READY_S:g} s")
        except self.pylon.OutOfRangeException as fault:
            raise ValueError(
                f"Basler camera {self.serial}: exposure {exposure_us:g} µs, gain {gain_db:g} dB: {_sentence(fault)}"
            ) from None
        except self.pylon.GenericException as fault:
            raise OSError(f"Basler camera {self.serial}: {_sentence(fault)}") from None

    def trigger(self) -> None:
        """See `Device`."""
        if self._line is None:
            self.camera.ExecuteSoftwareTrigger()

    def fetch(self, timeout_s: float) -> Raw:
        """See `Device`."""
        try:
            result = self.camera.RetrieveResult(max(1, int(timeout_s * 1000)), self.pylon.TimeoutHandling_Return)
            if not result.IsValid():
                raise TimeoutError(f"Basler camera {self.serial}: no frame within {timeout_s:g} s")
            try:
                if not result.GrabSucceeded():
                    raise OSError(f"Basler camera {self.serial}: the frame came incomplete: {result.ErrorDescription}")
                counts = Counts(np.ascontiguousarray(result.Array, dtype=np.uint16))
                exposure_us, gain_db, metadata = self._settings(result)
            finally:
                result.Release()
        except self.pylon.GenericException as fault:
            raise OSError(f"Basler camera {self.serial}: {_sentence(fault)}") from None
        return self._describe(counts, exposure_us, gain_db, metadata)

    def _settings(self, result: Any) -> tuple[float, float, dict[str, object]]:
        """True exposure and gain: of the frame's chunks, or else as the camera reports them."""
        exposure, gain, source = self.camera.ExposureTime, self.camera.Gain, "camera"
        if result.IsChunkDataAvailable():
            exposure, gain, source = result.ChunkExposureTime, result.ChunkGain, "chunk"
        metadata: dict[str, object] = {
            "device": "basler",
            "serial": self.serial,
            "settings_from": source,
            "block": int(result.BlockID),
            "timestamp": int(result.TimeStamp),
        }
        return float(exposure.Value), round(float(gain.Value), 4), metadata

    def close(self) -> None:
        """See `Device`."""
        self.camera.Close()
        if self._folder is not None:
            self._folder.cleanup()


def _sentence(fault: Exception) -> str:
    """The message without the file and line of its own sources."""
    return str(fault).split(" : ")[0].strip().rstrip(".")
