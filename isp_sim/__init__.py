"""A camera-ISP hardware-in-the-loop simulator: light flows in one direction, and the files show it.

`LIGHT_PATH` is the whole program in a table; a test holds it against the functions' signatures.
"""

from typing import NamedTuple

__version__ = "0.1.0"


class Stage(NamedTuple):
    """One step of the light.

    Attributes:
        name: what happens.
        function: `module:function` that does it.
        takes: plane that goes in (`isp_sim.units`); `-` for a source.
        gives: plane that comes out.
        unit: of what comes out.
    """

    name: str
    function: str
    takes: str
    gives: str
    unit: str


LIGHT_PATH = (
    Stage("scene", "isp_sim.scenes:Scene", "-", "Radiance", "relative, 1 = perfect diffuser"),
    Stage("lens", "isp_sim.optics:through_lens", "Radiance", "Radiance", "relative"),
    Stage("arm", "isp_sim.optics:photons_at_sensor", "Radiance", "Photons", "photons a pixel and band"),
    Stage("sensor", "isp_sim.sensor:expose", "Photons", "Electrons", "e⁻ a pixel"),
    Stage("readout", "isp_sim.readout:digitise", "Electrons", "Counts", "DN"),
    Stage("raw", "isp_sim.raw:normalise", "Counts", "Mosaic", "black 0, white 1"),
    Stage("develop", "isp_sim.isp.develop:develop_linear", "Mosaic", "LinearRgb", "linear Rec. 709"),
    Stage("encode", "isp_sim.isp.develop:encode_srgb", "LinearRgb", "Srgb", "sRGB, 0 … 1"),
)
"""Every plane the light passes through, in order."""
