"""What a rig YAML says, as frozen models: every name carries its unit, every number its status and source.

Reading the files, with line numbers in the complaints, is `isp_sim.rigfile`.
"""

import math
from itertools import pairwise
from typing import Annotated, Generic, Literal, Self, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from isp_sim.companding import Knots, checked_knots
from isp_sim.faults import DefectDensities, DefectList, ShadingTables
from isp_sim.field_errors import FieldError

Value = TypeVar("Value")
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Opening = Annotated[float, Field(gt=0, le=1)]
PerBand = tuple[Opening, Opening, Opening]
WhiteBalance = Literal["before_demosaic", "after_demosaic"]
Matrix = tuple[tuple[Finite, Finite, Finite], tuple[Finite, Finite, Finite], tuple[Finite, Finite, Finite]]


class Model(BaseModel):
    """A block of a rig file: unknown keys are faults, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Model, Generic[Value]):
    """A number with its origin.

    Attributes:
        value: the number, in the unit its name says.
        status: `measured` on the device (or fitted to its frames), `published` by its maker or a paper,
            `proxy`: published for a sibling, `assumed`: nobody has published it.
        source: where it comes from, in words a reader can follow.
    """

    value: Value
    status: Literal["measured", "published", "proxy", "assumed"]
    source: Annotated[str, Field(min_length=3)]


NOT_STATED = Figure[NonNegative](value=0.0, status="assumed", source="not stated in the sensor file: none")
"""What a sensor file that says nothing of fixed rows and columns means: it has none."""


def _is_absent(value: object) -> bool:
    """Faults that a file does not have are not written: rigs keep the digests that they had before there were any."""
    return value is None


class NoiseSegment(Model):
    """Noise against gain: ln σ_DN = slope · ln K + intercept + N(0, spread), K in DN/e⁻.

    A slope of 1 is a noise constant in electrons, with intercept ln σ_e. Sensors with two conversion gains
    have two segments. `spread` is the scatter about the line; it is drawn once for a camera and a gain.

    Attributes:
        from_k_dn_per_e: the segment holds from this system gain upward.
        ln_sigma_slope, ln_sigma_intercept, ln_sigma_spread: the line.
        tukey_lambda: shape of the Tukey-λ law as `[[ln K, λ], …]`, interpolated; absent means Gaussian.
            With it σ is the law's scale, not its standard deviation.
    """

    from_k_dn_per_e: NonNegative = 0.0
    ln_sigma_slope: Finite
    ln_sigma_intercept: Finite
    ln_sigma_spread: NonNegative = 0.0
    tukey_lambda: tuple[tuple[Finite, Annotated[float, Field(gt=-0.5, lt=2)]], ...] | None = None


NoiseLaw = tuple[NoiseSegment, ...]


class PeriodicNoise(Model):
    """Interference on the rows: amplitude · sin(2π·row/period + φ), φ drawn each frame."""

    amplitude_dn: NonNegative
    period_rows: Positive


class Sensor(Model):
    """A camera's sensor in EMVA 1288 terms.

    Attributes:
        rec709_to_camera: rows R, G, B: share of each linear Rec. 709 band a pixel of that colour sees. The
            row sums are the response to neutral; their inverse is the white balance.
        gain_dn_per_e: system gain K at 0 dB.
        quantum_efficiency: of R, G, B pixels at their peak.
        dark_current_e_per_s: at `dark_current_reference_c`; doubles every `dark_current_doubling_k`.
        dsnu_e, dsnu_row_e, dsnu_column_e: standard deviations of the fixed offsets of single pixels, whole rows and
            whole columns: DSNU's pixel, row and column parts of EMVA 1288 release 4, whose squares add up to its
            square. `row_noise` and `column_noise` are the temporal ones, new in every frame.
        prnu_percent, prnu_row_percent, prnu_column_percent: likewise of the fixed gains, PRNU.
        hot_pixels_per_million, hot_pixel_e_per_s: their density; mean of their (exponential) extra current.
        defects: pixels and lines that see no light; absent: none.
        black_bias_dn: constant offset of each pixel of the 2×2 tile that the nominal black level does not
            know; the developing subtracts the nominal level alone.
        companding: knots `[code, count]` of what the camera sends, from [0, 0] to its frame's white level (after
            binning); absent: it sends the counts.
        row_time_us: each row's exposure begins so much after that of the row above (rolling shutter); absent or 0,
            all begin at once (global shutter).
        shot_noise: light comes in whole photons; `false` only in an ideal sensor, whose electrons are means.
    """

    name: str
    make: str
    model: str
    shot_noise: bool = True
    width_px: Figure[Annotated[int, Field(gt=0)]]
    height_px: Figure[Annotated[int, Field(gt=0)]]
    pixel_pitch_um: Figure[Positive]
    cfa: Literal["RGGB", "BGGR", "GRBG", "GBRG"]
    rec709_to_camera: Figure[Matrix]
    quantum_efficiency: Figure[PerBand]
    full_well_e: Figure[Positive]
    dark_current_e_per_s: Figure[NonNegative]
    dark_current_reference_c: Figure[Finite]
    dark_current_doubling_k: Figure[Positive]
    prnu_percent: Figure[NonNegative]
    prnu_row_percent: Figure[NonNegative] = NOT_STATED
    prnu_column_percent: Figure[NonNegative] = NOT_STATED
    dsnu_e: Figure[NonNegative]
    dsnu_row_e: Figure[NonNegative] = NOT_STATED
    dsnu_column_e: Figure[NonNegative] = NOT_STATED
    hot_pixels_per_million: Figure[NonNegative]
    hot_pixel_e_per_s: Figure[NonNegative]
    defects: Figure[DefectDensities] | None = Field(None, exclude_if=_is_absent)
    adc_bits: Figure[Annotated[int, Field(ge=8, le=16)]]
    black_level_dn: Figure[NonNegative]
    gain_dn_per_e: Figure[Positive]
    max_gain_db: Figure[NonNegative]
    iso_at_0db: Figure[Positive]
    read_noise: Figure[NoiseLaw]
    row_noise: Figure[NoiseLaw]
    column_noise: Figure[NoiseLaw]
    periodic_noise: Figure[PeriodicNoise]
    black_bias_dn: Figure[tuple[Finite, Finite, Finite, Finite]]
    companding: Figure[Annotated[Knots, AfterValidator(checked_knots)]] | None = Field(None, exclude_if=_is_absent)
    row_time_us: Figure[NonNegative] | None = Field(None, exclude_if=_is_absent)

    @model_validator(mode="after")
    def _black_fits_the_adc(self) -> Self:
        if self.black_level_dn.value >= self.white_level_dn:
            sentence = f"black_level_dn {self.black_level_dn.value} must lie below the ADC's top {self.white_level_dn}"
            raise FieldError(sentence, "black_level_dn", "adc_bits")
        return self

    @property
    def white_level_dn(self) -> int:
        """The ADC's largest count, DN: `2^bits − 1`."""
        return (1 << self.adc_bits.value) - 1

    def neutral(self, near_infrared: float = 0.0) -> tuple[float, float, float]:
        """Camera RGB of white, largest 1: `QE_c · (Σ_j M_cj + near infrared)`, normalised."""
        response = np.array(self.quantum_efficiency.value) * (
            np.array(self.rec709_to_camera.value).sum(axis=1) + near_infrared
        )
        scaled = response / response.max()
        return (float(scaled[0]), float(scaled[1]), float(scaled[2]))


class Lens(Model):
    """The shared lens.

    Attributes:
        defocus_um: diameter of the blur disc on the sensor.
        distortion: (k1, k2) of `scene = image·(1 + k1 ρ² + k2 ρ⁴)`, ρ in half image diagonals.
        near_infrared: light beyond 700 nm that reaches the silicon, as a share of the luminance band; the
            colour module has no IR-cut filter.
    """

    focal_length_mm: Figure[Positive]
    f_number: Figure[Positive]
    defocus_um: Figure[NonNegative]
    distortion: Figure[tuple[Finite, Finite]]
    near_infrared: Figure[NonNegative]


class BeamSplitter(Model):
    """Transmitted and reflected shares of R, G, B light; what is missing to 1 is absorbed."""

    transmittance: Figure[PerBand]
    reflectance: Figure[PerBand]

    @model_validator(mode="after")
    def _makes_no_light(self) -> Self:
        for band, out in zip("RGB", np.add(self.transmittance.value, self.reflectance.value), strict=True):
            if out > 1 + 1e-9:
                sentence = f"transmittance + reflectance of {band} is {out:.3f}, expected at most 1"
                raise FieldError(sentence, "transmittance", "reflectance")
        return self


class Flicker(Model):
    """Lamps on alternating current: light `1 + depth·cos(2π·frequency·t)`, twice the mains' frequency."""

    frequency_hz: Figure[Positive]
    depth: Figure[Share]


class Light(Model):
    """What the scene's light does beyond the scene's own radiance; see `isp_sim.light`.

    Attributes:
        colour: linear Rec. 709 of the light on a white, its largest 1; cameras go on stating daylight's neutral.
        flicker: of its lamps.
        level: `[[s, share], …]`, rising in time: straight lines between, the ends go on. Of a sequence's time.
    """

    colour: Figure[PerBand] | None = None
    flicker: Flicker | None = None
    level: Figure[Annotated[tuple[tuple[Finite, Positive], ...], Field(min_length=1)]] | None = None

    @model_validator(mode="after")
    def _time_rises(self) -> Self:
        moments = [moment for moment, _ in self.level.value] if self.level else []
        for place, (before, after) in enumerate(pairwise(moments), 1):
            if after <= before:
                raise FieldError(f"level's moments are {moments}: expected rising seconds", ("level", "value", place))
        if self.colour and max(self.colour.value) != 1:
            raise FieldError(f"colour is {list(self.colour.value)}: expected its largest to be 1", "colour")
        return self


class AutoExposure(Model):
    """How the well-lit arm's exposure follows the light of a sequence; see `isp_sim.auto_exposure`.

    Attributes:
        delay_frames: what a frame asks for holds from so many frames later on.
        speed: share of the way, in ln light, that one answer goes.
        longest_us: no exposure is longer; beyond it gain rises.
        flicker_hz: of the lamps; exposures of a period and more are whole periods.
    """

    delay_frames: Annotated[int, Field(ge=1, le=30)] = 2
    speed: Annotated[float, Field(gt=0, le=1)] = 1.0
    longest_us: Annotated[float, Field(ge=1, le=1e6)] = 30_000.0
    flicker_hz: Positive | None = None


class NdFilter(Model):
    """Neutral density filter: transmittance of R, G, B and of the near infrared, where such filters leak."""

    transmittance: Figure[PerBand]
    near_infrared_transmittance: Figure[Share]


class Geometry(Model):
    """How an arm's sensor sits behind the lens: image plane → sensor, about the centre, unbinned pixels.

    `sensor = shift + scale · R(rotation) · image / (1 + p·image)` with p = `perspective_per_px`.
    """

    rotation_deg: Figure[Finite]
    shift_px: Figure[tuple[Finite, Finite]]
    scale: Figure[Positive]
    perspective_per_px: Figure[tuple[Finite, Finite]]


class Isp(Model):
    """The camera's own developing: what `isp_sim.isp.develop` takes from the rig.

    Attributes:
        demosaic: `bilinear`, or `malvar2004` (5×5 linear, Malvar, He & Cutler, ICASSP 2004).
        white_balance: of the mosaic, before the demosaic, cut at white; or of the three planes after it, cut at
            black and at white, as with unsigned integers.
    """

    demosaic: Literal["bilinear", "malvar2004"]
    white_balance: WhiteBalance = "before_demosaic"


class Arm(Model):
    """One arm of the rig: a camera by serial number, its path, its place, its ISP.

    Attributes:
        shading: light lost beside the lens's cos⁴; its raws carry the gains that undo both. Absent: none is lost.
        defects: the camera's defective pixels, and no others: nothing is drawn; its raws list them. Absent: they are
            drawn as the sensor says, and nobody knows them.
    """

    serial: Annotated[str, Field(min_length=1)]
    path: Literal["transmitted", "reflected"]
    nd_filter: bool
    geometry: Geometry
    isp: Isp
    shading: Figure[ShadingTables] | None = Field(None, exclude_if=_is_absent)
    defects: Figure[DefectList] | None = Field(None, exclude_if=_is_absent)


class Mix(Model):
    """Scenes that share a list of exposure ratios; bases are their `[exposure_us, gain_db]`."""

    name: str
    ratios: Annotated[tuple[Annotated[float, Field(ge=1)], ...], Field(min_length=1)]
    bases: Annotated[tuple[tuple[Positive, NonNegative], ...], Field(min_length=1)]


class Schedule(Model):
    """Exposure and gain of every shot: a base is drawn evenly from all mixes; see `isp_sim.schedule`.

    Attributes:
        night: built-in scenes are at night, under lamps of so many lux, and nothing is metered.
    """

    night: bool = False
    mixes: Figure[Annotated[tuple[Mix, ...], Field(min_length=1)]]


class Rig(Model):
    """A whole rig.

    Attributes:
        width_px, height_px: of the frames, after binning.
        binning: the counts of n×n pixels of one colour are added up into one, after the ADC.
        meter_target: mean 8-bit level to which the well-lit arm's meter brings its picture.
        resampling: how the low-light picture is warped onto the well-lit one.
        extends: another rig file this one starts from.
        light: what the scene's light does; absent, it is daylight that stays as it is.
        auto_exposure: how exposure follows the light of a sequence, where it does.
    """

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    extends: str | None = None
    width_px: Annotated[int, Field(ge=64, multiple_of=2)]
    height_px: Annotated[int, Field(ge=64, multiple_of=2)]
    binning: Annotated[int, Field(ge=1, le=8)]
    temperature_c: Figure[Annotated[float, Field(ge=-100, le=150)]]
    meter_target: Figure[Annotated[float, Field(gt=0, lt=255)]]
    resampling: Literal["linear", "cubic"]
    sensor: Sensor
    lens: Lens
    beam_splitter: BeamSplitter
    nd_filter: NdFilter
    well_lit: Arm
    low_light: Arm
    schedule: Schedule
    light: Light | None = Field(None, exclude_if=_is_absent)
    auto_exposure: AutoExposure | None = Field(None, exclude_if=_is_absent)

    @property
    def row_time_us(self) -> float:
        """From one row of a frame to the next one, µs: the sensor's time times the binning; 0: all begin at once."""
        return self.sensor.row_time_us.value * self.binning if self.sensor.row_time_us else 0.0

    @model_validator(mode="after")
    def _fits_the_sensor(self) -> Self:
        top = self.sensor.white_level_dn * self.binning**2
        if top > 65535:
            bits = self.sensor.adc_bits.value
            sentence = f"binning {self.binning} of {bits} bits sums to {top}, expected at most 65535"
            raise FieldError(sentence, "binning", ("sensor", "adc_bits"))
        for side in ("width_px", "height_px"):
            needed, there = getattr(self, side) * self.binning, getattr(self.sensor, side).value
            if needed > there:
                sentence = f"{side} × binning is {needed}: the sensor has {there} pixels"
                raise FieldError(sentence, side, "binning", ("sensor", side))
        if self.sensor.companding and (last := self.sensor.companding.value[-1][1]) != top:
            sentence = f"sensor.companding ends at {last} DN: expected {top}, the frame's white level"
            raise FieldError(sentence, ("sensor", "companding"), "binning", ("sensor", "adc_bits"))
        return self

    @model_validator(mode="after")
    def _defects_lie_in_the_frame(self) -> Self:
        height, width = self.height_px * self.binning, self.width_px * self.binning
        for name, arm in (("well_lit", self.well_lit), ("low_light", self.low_light)):
            if arm.defects and (found := arm.defects.value.outside(height, width)):
                place = (name, "defects", "value", *found)
                there = getattr(arm.defects.value, found[0])[found[1]]
                is_it = f"{'.'.join(map(str, place))} is {there}"
                sentence = f"{is_it}: expected it in the frame before binning, {width}×{height}"
                raise FieldError(sentence, place, "width_px", "height_px", "binning")
        return self

    @model_validator(mode="after")
    def _two_cameras(self) -> Self:
        if self.well_lit.serial == self.low_light.serial:
            sentence = f"both arms name the camera {self.well_lit.serial!r}: each arm has its own serial"
            raise FieldError(sentence, ("low_light", "serial"), ("well_lit", "serial"))
        if self.well_lit.path == self.low_light.path:
            sentence = f"both arms take the {self.well_lit.path} light: one is transmitted, one reflected"
            raise FieldError(sentence, ("low_light", "path"), ("well_lit", "path"))
        return self

    @model_validator(mode="after")
    def _gains_are_in_reach(self) -> Self:
        for place, mix in enumerate(self.schedule.mixes.value):
            top = max(gain for _, gain in mix.bases) + 20 * math.log10(max(mix.ratios))
            if top > self.sensor.max_gain_db.value:
                limit = self.sensor.max_gain_db.value
                sentence = f"schedule mix {mix.name!r} needs {top:.2f} dB: the sensor's maximum is {limit} dB"
                raise FieldError(sentence, ("schedule", "mixes", "value", place), ("sensor", "max_gain_db"))
        return self
