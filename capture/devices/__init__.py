"""Cameras of every make behind one protocol: Basler (pylon), GigE Vision (Aravis), simulated arm, a folder's frames.

Each is an `isp_sim.camera.Camera`; taking a pair at one moment needs its three steps apart.
"""

from collections.abc import Callable
from typing import Protocol

from isp_sim.camera import Camera
from isp_sim.raw import Raw
from isp_sim.units import Counts

Describe = Callable[[Counts, float, float, dict[str, object]], Raw]
"""Counts, true exposure (µs) and gain (dB), provenance → `Raw`; the rest comes from the rig's arm (`SimulatedArm`)."""


READY_S = 5.0
"""How long a camera may take to be ready for its trigger."""


class Device(Camera, Protocol):
    """A camera that is triggered."""

    def grab(self, exposure_us: float, gain_db: float) -> Raw:
        """One frame; see `Camera.grab`."""
        self.prepare(exposure_us, gain_db)
        self.trigger()
        return self.fetch(exposure_us * 1e-6 + READY_S)

    def prepare(self, exposure_us: float, gain_db: float) -> None:
        """Set exposure and gain, discard frames still in transit, be ready for the trigger.

        Raises:
            ValueError: the camera cannot do that exposure or gain.
            OSError: it does not answer.
        """
        ...

    def trigger(self) -> None:
        """Expose now; where another camera's line triggers, do nothing."""
        ...

    def fetch(self, timeout_s: float) -> Raw:
        """The frame of the trigger, with the settings the camera reports.

        Raises:
            TimeoutError: none came in time.
            OSError: it came incomplete.
        """
        ...

    def close(self) -> None:
        """Let the camera go."""
        ...
