"""Cameras whose noise and spectral curves are published: what their makers state, and which tables describe them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """A camera: what its maker states, which tables describe it.

    Attributes:
        eld: its name in ELD.
        black_level_dn: usual for such raws; the tables are given after its subtraction.
        curves: file of spectral sensitivities, and the model they were measured on.
        profile: which of ELD's two sets of lines; most cameras have the first alone.
        note: why that one.
    """

    eld: str
    make: str
    model: str
    width_px: int
    height_px: int
    pixel_pitch_um: float
    black_level_dn: int
    curves: tuple[str, str]
    profile: int = 1
    note: str = ""


CANON_CURVES = ("Canon_EOS_5D_Mark_IV_380_780_5.json", "EOS 5D Mark IV")
NIKON_CURVES = ("Nikon_D850_380_780_5.json", "D850")
SONY_CURVES = ("Sony_ILCE-7SM2_380_780_5.json", "ILCE-7SM2")
WHY_PROFILE_2 = (
    "; of its two profiles the one that scatters less (0.004 against 0.24). Profile-1 is 5.2 times this at the lowest "
    "gain and 0.41 times at the highest, so below ISO 800 this one, with 0.6 to 0.9 e-, is likely too quiet"
)
A7S2 = Body("SonyA7S2", "Sony", "ILCE-7SM2", 4240, 2832, 8.4, 512, SONY_CURVES)
D850 = Body("NikonD850", "Nikon", "D850", 8256, 5504, 4.35, 400, NIKON_CURVES, profile=2, note=WHY_PROFILE_2)
ELD_BODIES = {
    "canon_eos_5d4": Body("CanonEOS5D4", "Canon", "EOS 5D Mark IV", 6720, 4480, 5.36, 512, CANON_CURVES),
    "canon_eos_700d": Body("CanonEOS700D", "Canon", "EOS 700D", 5184, 3456, 4.3, 2048, CANON_CURVES),
    "canon_eos_70d": Body("CanonEOS70D", "Canon", "EOS 70D", 5472, 3648, 4.1, 2048, CANON_CURVES),
    "nikon_d850": D850,
    "sony_a7s2_eld": A7S2,
}
