"""Published noise parameters and spectral curves → sensor files; what `calibration.published` does."""

import math
from pathlib import Path

from calibration.bodies import A7S2, ELD_BODIES, Body
from calibration.emva.noise_tables import STEP_ISO, EldCamera, NoiseTables, two_lines
from calibration.output import Document, figure
from calibration.sensor_yaml import sensor_yaml
from calibration.spectral import rec709_to_camera

ELD = "ELD (Wei et al., CVPR 2020), Vandermode/ELD @53d5408"
PMN = "PMN (Feng et al., ACM MM 2022), megvii-research/PMN @d207d3e"
CURVES = "wetadigital/physlight"
MAKER = "specification by the maker"
WHITE_DN = 16383


def sensor_files(tables: NoiseTables, curves: Path) -> dict[str, str]:
    """File name → text of all six sensor files.

    Args:
        tables: the noise parameters.
        curves: folder of the spectral sensitivities.

    Raises:
        ValueError: a camera is missing, a curve's file is broken, or a number is none a sensor can have.
        FileNotFoundError: a curve's file is missing.
    """
    absent = sorted({body.eld for body in ELD_BODIES.values()} - set(tables.eld))
    if absent:
        raise ValueError(f"the noise parameters lack ELD.{', ELD.'.join(absent)}")
    documents = {
        name: {"name": name, **_common(body, curves), **_eld_figures(body, tables.eld[body.eld])}
        for name, body in ELD_BODIES.items()
    }
    documents["sony_a7s2"] = {"name": "sony_a7s2", **_common(A7S2, curves), **_pmn_figures(tables)}
    return {f"{name}.yaml": _text(document) for name, document in documents.items()}


def _common(body: Body, curves: Path) -> Document:
    """What the maker states, the colour, and what is not published."""
    file, owner = body.curves
    colour = (
        f"{CURVES}, sensitivities of the {owner} read as response to energy; least squares over the ColorChecker's "
        "patches under D65, exact for white"
    )
    matrix = rec709_to_camera(curves / file).tolist()
    return {
        "make": body.make,
        "model": body.model,
        "width_px": figure(body.width_px, "published", MAKER),
        "height_px": figure(body.height_px, "published", MAKER),
        "pixel_pitch_um": figure(body.pixel_pitch_um, "published", MAKER),
        "cfa": "RGGB",
        "rec709_to_camera": figure(matrix, "published" if owner == body.model else "proxy", colour),
        "quantum_efficiency": figure([0.5] * 3, "assumed", "no published peak; the matrix carries the ratios"),
        "dark_current_e_per_s": figure(0.1, "assumed", "no published rate; exposures are far below a second"),
        "dark_current_reference_c": figure(25, "assumed", "room temperature"),
        "dark_current_doubling_k": figure(7, "assumed", "usual for silicon"),
        "prnu_percent": figure(0.5, "assumed", "usual for CMOS"),
        "prnu_row_percent": figure(0, "assumed", "no published map"),
        "prnu_column_percent": figure(0, "assumed", "no published map"),
        "dsnu_e": figure(0.5, "assumed", "no published map; below the read noise"),
        "dsnu_row_e": figure(0, "assumed", "no published map; the row noise is taken to be temporal"),
        "dsnu_column_e": figure(0, "assumed", "no published map"),
        "hot_pixels_per_million": figure(20, "assumed", "no published count"),
        "hot_pixel_e_per_s": figure(50, "assumed", "no published rate"),
        "adc_bits": figure(14, "published", MAKER),
        "column_noise": figure([], "assumed", "the publication has no such term"),
        "periodic_noise": figure({"amplitude_dn": 0, "period_rows": 16}, "assumed", "the publication has none"),
    }


def _eld_figures(body: Body, camera: EldCamera) -> Document:
    """Gain and noise by one of ELD's lines."""
    profile = camera.profile_1 if body.profile == 1 else camera.profile_2
    if profile is None:
        raise ValueError(f"ELD.{body.eld} lacks Profile-{body.profile}")
    lines = f"{ELD}, Profile-{body.profile}"
    grid = "No gains are given with its lambda, two for each doubling of ISO from Kmin up are assumed"
    bias = f"{ELD}, color_bias, first row, assumed to be of the lowest ISO and in the order R, G1, G2, B"
    return {
        "full_well_e": _full_well(body.black_level_dn, camera.k_min, "assumed"),
        "black_level_dn": figure(body.black_level_dn, "assumed", "usual for 14-bit raws of this maker and time"),
        "gain_dn_per_e": figure(camera.k_min, "published", f"{ELD}, Kmin"),
        "max_gain_db": figure(20 * math.log10(camera.k_max / camera.k_min), "published", f"{ELD}, Kmax / Kmin"),
        "iso_at_0db": figure(100, "assumed", "not in ELD; its A7S2 has at Kmin, within 2 %, PMN's K of ISO 100"),
        "read_noise": figure(
            [{**profile.read.segment(), "tukey_lambda": camera.shapes_over_gain()}],
            "published",
            f"{lines}, G_scale{body.note}. {grid}",
        ),
        "row_noise": figure([profile.row.segment()], "published", f"{lines}, R_scale"),
        "black_bias_dn": figure(list(camera.color_bias[0]), "published", bias),
    }


def _pmn_figures(tables: NoiseTables) -> Document:
    """The A7S2's gain and noise by PMN's table, a line on either side of the step in its conversion gain."""
    table = tables.native()
    base, last = min(table), max(table)
    low, high = table[base], table[last]
    below = max(iso for iso in table if iso < STEP_ISO)
    fitted = f"a line fitted to ISO {base}-{below}, another to ISO {STEP_ISO}-{last}"
    native = f"{PMN}; the native range begins here, ISO 50 to 80 of the table repeat the noise of 100 to 160"
    return {
        "full_well_e": _full_well(low.black_dn, low.k, "published"),
        "black_level_dn": figure(low.black_dn, "published", f"{PMN}, bl"),
        "gain_dn_per_e": figure(low.k, "published", f"{PMN}, Kmax of ISO {base}"),
        "max_gain_db": figure(20 * math.log10(high.k / low.k), "published", f"{PMN}, Kmax of ISO {last} over {base}"),
        "iso_at_0db": figure(base, "published", native),
        "read_noise": figure(
            two_lines(table, lambda row: row.read, shaped=True), "published", f"{PMN}, sigTL and lam; {fitted}"
        ),
        "row_noise": figure(two_lines(table, lambda row: row.row, shaped=False), "published", f"{PMN}, sigR; {fitted}"),
        "black_bias_dn": figure([low.bias_dn] * 4, "published", f"{PMN}, bias"),
    }


def _full_well(black_dn: int, k: float, status: str) -> Document:
    return figure((WHITE_DN - black_dn) / k, status, f"fills the ADC at 0 dB, ({WHITE_DN} - {black_dn}) DN over K")


def _text(document: Document) -> str:
    """A sensor file with its head."""
    head = (
        f"# {document['make']} {document['model']}, made by `python -m calibration.published`: edit that, not this.\n"
        "# From noise parameters of ELD (Vandermode/ELD @53d5408, MIT) or PMN (megvii-research/PMN @d207d3e,\n"
        "# Apache-2.0), whichever a figure names, and spectral curves of wetadigital/physlight (Apache-2.0).\n"
    )
    return head + sensor_yaml(document)
