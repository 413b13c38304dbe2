"""Steps before sRGB: of the mosaic, and of linear light by what its noise is; see `isp_sim.isp.steps`."""

from typing import Literal

import torch
from pydantic import Field

from isp_sim.isp import defects, illuminant, non_local, raw_operators
from isp_sim.isp.raw_light import RawLight
from isp_sim.isp.steps import Step


class Defects(Step):
    """Mends defective pixels, listed or found."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(defects.mended)
    param_specs = (defects.THRESHOLD,)
    knows_noise = True
    listed: bool = True

    @property
    def halo(self) -> int:
        """Neighbours of a colour, and of a cluster's rim."""
        return defects.HALO

    def known(self, raw: RawLight) -> dict[str, object]:
        """NoiseProfile, tile and the list, if it counts."""
        return {"noise": raw.noise, "cfa": raw.develop.cfa, "listed": raw.listed if self.listed else None}


class LensShading(Step):
    """Makes up for the light that the lens loses towards the corners."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(raw_operators.lens_shading)
    param_specs = (raw_operators.SHADING,)
    rescales = True

    def known(self, raw: RawLight) -> dict[str, object]:
        """The raw's gains."""
        return {"gains": raw.gains}


class RowNoise(Step):
    """Takes off what each row is read too high."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(raw_operators.without_rows)
    param_specs = (raw_operators.ROWS,)
    knows_noise = True

    def known(self, raw: RawLight) -> dict[str, object]:
        """Offsets, found in the whole picture."""
        return {"rows": raw.rows}


class Denoising(Step):
    """Non-local means over several scales, by the noise that the metadata know."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(non_local.denoise)
    param_specs = (non_local.STRENGTH,)
    knows_noise = True
    levels: int = Field(3, ge=1, le=5)

    @property
    def settings(self) -> dict[str, int]:
        """Scales."""
        return {"levels": self.levels}

    @property
    def halo(self) -> int:
        """Of all scales together."""
        return non_local.halo(self.levels)

    @property
    def grid(self) -> int:  # type: ignore[override]
        """A tile of the coarsest scale."""
        return 1 << self.levels

    def known(self, raw: RawLight) -> dict[str, object]:
        """NoiseProfile and tile."""
        return {"noise": raw.noise, "cfa": raw.develop.cfa}


class BlackPoint(Step):
    """Takes off what clipped noise adds."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(raw_operators.black_point)
    param_specs = (raw_operators.BLACK,)
    knows_noise = True

    def known(self, raw: RawLight) -> dict[str, object]:
        """Noise and mean of the whole picture."""
        return {"spread": raw.spread, "mean": raw.mean}


class AutoWhiteBalance(Step):
    """Gains by the light's colour, estimated in the whole raw."""

    plane: Literal["mosaic"] = "mosaic"
    operator = staticmethod(raw_operators.auto_white_balance)
    param_specs = (raw_operators.BALANCE,)
    rescales = True
    method: illuminant.Method = "learned"

    def known(self, raw: RawLight) -> dict[str, object]:
        """The light and the neutral that the raw states."""
        neutral = 1 / raw.develop.gains
        with torch.no_grad():
            light = illuminant.estimate(raw.thumbnail, neutral, self.method)
        return {"light": light, "neutral": neutral, "cfa": raw.develop.cfa}


class ChromaDenoising(Step):
    """Smooths colour along luma."""

    plane: Literal["linear"] = "linear"
    operator = staticmethod(raw_operators.chroma_denoising)
    param_specs = (raw_operators.CHROMA,)
    grid = raw_operators.COARSE

    @property
    def halo(self) -> int:
        """Two boxes and an interpolation."""
        return raw_operators.COARSE * (2 * raw_operators.CHROMA_REACH + 2)


class Desaturation(Step):
    """Less colour where light is little above noise."""

    plane: Literal["linear"] = "linear"
    operator = staticmethod(raw_operators.desaturation)
    param_specs = (raw_operators.DOUBT,)
    grid = raw_operators.COARSE
    knows_noise = True

    @property
    def halo(self) -> int:
        """A box and an interpolation."""
        return raw_operators.COARSE * (raw_operators.DOUBT_REACH + 2)

    def known(self, raw: RawLight) -> dict[str, object]:
        """NoiseProfile."""
        return {"noise": raw.noise}
