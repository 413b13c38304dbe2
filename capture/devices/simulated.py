"""Devices without hardware: an arm of the simulated rig, and frames of a folder played again."""

from dataclasses import replace

from capture.devices import Device
from isp_sim.camera import SimulatedArm
from isp_sim.raw import Raw


class SimulatedDevice(Device):
    """An arm of the simulated rig; `arm.look_at` and `arm.light` put something before it."""

    def __init__(self, arm: SimulatedArm) -> None:
        self.arm, self.serial = arm, arm.serial
        self._settings = (0.0, 0.0)
        self._triggered = False

    def prepare(self, exposure_us: float, gain_db: float) -> None:
        """See `Device`."""
        self._settings, self._triggered = (exposure_us, gain_db), False

    def trigger(self) -> None:
        """See `Device`."""
        self._triggered = True

    def fetch(self, timeout_s: float) -> Raw:
        """See `Device`."""
        if not self._triggered:
            raise TimeoutError(f"camera {self.serial}: no frame; it was not triggered")
        self._triggered = False
        return self.arm.grab(*self._settings)

    def close(self) -> None:
        """Nothing to let go."""


class ReplayDevice(Device):
    """Plays frames that were taken before: `show` one, and the next trigger takes it.

    Attributes:
        shown: the frame before the camera.
    """

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self.shown: Raw | None = None

    def show(self, raw: Raw) -> None:
        """Put a frame before the camera."""
        self.shown = raw

    def prepare(self, exposure_us: float, gain_db: float) -> None:
        """See `Device`."""

    def trigger(self) -> None:
        """See `Device`."""

    def fetch(self, timeout_s: float) -> Raw:
        """See `Device`; the frame keeps its own settings, a mismatch of settings is found by `trigger.take`."""
        if self.shown is None:
            raise TimeoutError(f"camera {self.serial}: no frame to play: call show() first")
        return replace(self.shown, serial=self.serial)

    def close(self) -> None:
        """Nothing to let go."""
