"""What a rig file of pairs from raw photographs says; `isp_sim.photo_pairs.pairs` makes them."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from isp_sim.field_errors import FieldError
from isp_sim.rig import Figure, Finite, Model, NonNegative, Rig, Share
from isp_sim.rigfile import load_rig_or

KIND = "raw-pairs"
"""What such a file says under `kind`."""
CONTRAST_END = -100.0
"""Lowest contrast of the editor that the paper used."""
Range = tuple[Finite, Finite]


class Noise(Model):
    """Sensor noise at the lower exposure, which the paper did not have.

    Attributes:
        added: whether it is.
        profile: (S, O) of the variance `S·x + O` at x = 0 … 1 of the range, where a raw has none of its own.
    """

    added: bool
    profile: Figure[tuple[NonNegative, NonNegative]]


class PhotoPairRig(Model):
    """What a rig file of `kind: raw-pairs` says.

    Attributes:
        width_px, height_px: larger frames are made smaller by whole factors to fit.
        demosaic: see `isp_sim.rig.Isp`.
        exposure_ev: E is drawn evenly from here.
        contrast: C likewise, −100 … 0.
        contrast_slope: slope of the contrast line at C = −100; between there and 0, where it is 1, in proportion.
        pivot: level that contrast leaves alone: the one given, or with `key` the picture's log-mean.
        pivot_level: sRGB, 0 … 1.
        tone_strength: share of the smoothstep (`isp_sim.transfer.tone`) in the tone curve, the rest is a straight line;
            the smoothstep alone squares the shadows.
        black_share, white_share, grey_share: of the pairs that are all black, all white, both grey.
        desaturated_share: of the low-light pictures whose saturation is reduced.
        lowest_saturation: to which, at most; drawn evenly up to 1.
    """

    kind: Literal["raw-pairs"]
    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    width_px: Annotated[int, Field(ge=64)]
    height_px: Annotated[int, Field(ge=64)]
    demosaic: Literal["bilinear", "malvar2004"]
    exposure_ev: Figure[Range]
    contrast: Figure[Range]
    contrast_slope: Figure[Annotated[float, Field(gt=0, le=1)]]
    pivot: Literal["fixed", "key"]
    pivot_level: Figure[Share]
    tone_strength: Figure[Share]
    noise: Noise
    black_share: Figure[Share]
    white_share: Figure[Share]
    grey_share: Figure[Share]
    desaturated_share: Figure[Share]
    lowest_saturation: Figure[Share]

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        for name, (low, high), least, most in (
            ("exposure_ev", self.exposure_ev.value, -10.0, 0.0),
            ("contrast", self.contrast.value, CONTRAST_END, 0.0),
        ):
            if not least <= low <= high <= most:
                raise FieldError(
                    f"{name}: is {[low, high]}; expected a low end and a high end within {least:g} … {most:g}", name
                )
        shares = self.black_share.value + self.white_share.value + self.grey_share.value
        if shares > 1:
            sentence = f"black_share + white_share + grey_share is {shares:g}; expected at most 1"
            raise FieldError(sentence, "black_share", "white_share", "grey_share")
        return self


def load_any_rig(name: str | Path) -> Rig | PhotoPairRig:
    """Read a rig of either kind: two arms, or pairs from raw photographs. Raises as `isp_sim.rigfile.load_rig`."""
    return load_rig_or(KIND, PhotoPairRig, name)


def any_rig_of(text: str) -> Rig | PhotoPairRig:
    """A rig of either kind from its JSON."""
    model = PhotoPairRig if json.loads(text).get("kind") == KIND else Rig
    return model.model_validate_json(text)
