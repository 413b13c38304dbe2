"""LibRaw (through rawpy) as an ISP under test: its demosaicers, noise reductions and tone curve as parameters.

What is fixed: no scaling by the picture's content (`adjust_maximum_thr=0`), white balance of the shot, sRGB primaries,
16 bits. LibRaw falls back to AHD for a demosaicer it lacks without a word, so only those it has are offered. After it
has developed, a process forked from this one hangs: spawn.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import rawpy
from jaxtyping import Float32

from isp_sim.isp.params import ParamSpec
from isp_sim.raw_files import libraw
from models.tuning.tunable import Setting, TunableParameter

DEMOSAICS = ("LINEAR", "VNG", "PPG", "AHD", "DCB")
"""From the plain to the edge-directed; those that need LibRaw's GPL packs are not among them. Nor are DHT and AAHD:
after wavelet denoising they give stripes and false colours (LibRaw's issue 683, closed as not planned)."""
FBDD = {
    "off": rawpy.FBDDNoiseReductionMode.Off,
    "light": rawpy.FBDDNoiseReductionMode.Light,
    "full": rawpy.FBDDNoiseReductionMode.Full,
}
HIGHLIGHTS = {
    "clip": rawpy.HighlightMode.Clip,
    "ignore": rawpy.HighlightMode.Ignore,
    "blend": rawpy.HighlightMode.Blend,
    "reconstruct": rawpy.HighlightMode.ReconstructDefault,
}
NOISE_THRESHOLDS = (0, 25, 50, 100, 200, 400, 800, 1600, 3200)
"""Wavelet threshold, of 65535 before the curve; 0 is off, then by doublings."""
MEDIAN_PASSES = (0, 1, 2, 3, 4)
RANGES = (
    ParamSpec("gamma_power", 1.0, 5.0, 2.222, "log", "", "the curve is x^(1/power); 2.222 is BT.709"),
    ParamSpec("gamma_slope", 0.5, 64.0, 4.5, "log", "", "of the curve's straight foot, where low light lives"),
    ParamSpec("bright", 0.25, 256.0, 1.0, "log", "×", "before the curve; cut at white"),
    ParamSpec("exp_shift", 0.25, 8.0, 1.0, "log", "×", "before demosaicing; cut at white"),
)


class LibRawIsp:
    """LibRaw, set by its own names; the defaults are LibRaw's but for what the module fixes."""

    @cached_property
    def parameters(self) -> Sequence[TunableParameter]:
        """In the order of the path: before, at and after demosaicing, then the curve."""
        demosaics = tuple(name for name in DEMOSAICS if rawpy.DemosaicAlgorithm[name].isSupported)
        return (
            TunableParameter.of_choices("noise_thr", NOISE_THRESHOLDS, 0, "wavelet denoising of the mosaic"),
            TunableParameter.of_choices("fbdd", tuple(FBDD), "off", "denoising before demosaicing"),
            TunableParameter.of_choices("demosaic", demosaics, "AHD", "from plain to edge-directed"),
            TunableParameter.of_choices("median_passes", MEDIAN_PASSES, 0, "3×3 medians of the colour differences"),
            TunableParameter.of_choices("highlight", tuple(HIGHLIGHTS), "clip", "what becomes of saturated pixels"),
            TunableParameter.of_choices(
                "auto_bright", (False, True), False, "LibRaw brightens until 1 % of the pixels are white"
            ),
            *(TunableParameter(spec) for spec in RANGES),
        )

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """See `BlackBoxIsp`.

        Raises:
            ValueError: LibRaw cannot develop the file.
        """
        with libraw(raw) as opened:
            codes = opened.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm[str(settings["demosaic"])],
                noise_thr=float(settings["noise_thr"]) or None,
                fbdd_noise_reduction=FBDD[str(settings["fbdd"])],
                median_filter_passes=int(settings["median_passes"]),
                highlight_mode=HIGHLIGHTS[str(settings["highlight"])],
                no_auto_bright=not settings["auto_bright"],
                gamma=(float(settings["gamma_power"]), float(settings["gamma_slope"])),
                bright=float(settings["bright"]),
                exp_shift=float(settings["exp_shift"]),
                adjust_maximum_thr=0,
                use_camera_wb=True,
                output_color=rawpy.ColorSpace.sRGB,
                output_bps=16,
                user_flip=0,
            )
        return np.asarray(codes, np.float32) / np.float32(65535)
