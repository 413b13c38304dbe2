"""Enhancers with their losses, as the training loop takes them: a batch in, weighted terms out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isp_sim import streams
from models.enhance.networks import sllen_losses as sl
from models.enhance.networks.gladnet import GladNet, weighted_l1
from models.enhance.networks.ruas import DENOISE_SHARE, Ruas, denoise_loss, ruas_losses
from models.enhance.networks.sci import SIGMA, Calibration, Sci, reflectance, sci_losses, stages
from models.enhance.networks.sdag import Sdag, guidance_loss, sdag_losses
from models.enhance.networks.sllen import Sllen
from models.enhance.networks.zero_dce import PLUS_WEIGHTS, WEIGHTS, ZeroDce, ZeroDcePlus, lift, zero_dce_losses
from models.enhance.patches import PatchBatch, Patches


@dataclass(frozen=True)
class Guidance:
    """What guides an enhancer that has no target.

    Attributes:
        network: frozen `Sdag`.
        weight: of `|enhanced − SDAG(enhanced)|`; the paper's is 1.
    """

    network: Sdag
    weight: float = 1.0

    def terms(self, enhanced: Tensor) -> dict[str, Tensor]:
        """`guidance`, to be added to the enhancer's own."""
        return {"guidance": self.weight * guidance_loss(enhanced, self.network)}


class GladNetLearner(nn.Module):
    """GLADNet before its well-lit partner.

    Args:
        network: learns.
        weights: of R, G, B.
    """

    def __init__(self, network: GladNet, weights: tuple[float, float, float]) -> None:
        super().__init__()
        self.network, self.weights = network, weights

    def losses(self, batch: PatchBatch) -> dict[str, Tensor]:
        """`l1`."""
        return {"l1": weighted_l1(self.network(batch.low_light), batch.well_lit, self.weights)}


class ZeroDceLearner(nn.Module):
    """Zero-DCE or Zero-DCE++ on low-light pictures alone.

    Args:
        network: learns.
        guidance: frozen, held outside, so that no checkpoint or optimiser sees it.
    """

    def __init__(self, network: ZeroDce | ZeroDcePlus, guidance: Guidance | None = None) -> None:
        super().__init__()
        self.network = network
        self._outside = (guidance,)

    def losses(self, batch: PatchBatch) -> dict[str, Tensor]:
        """`spatial`, `colour`, `exposure`, `smoothness`; `guidance` where there is one."""
        curves = self.network.curves(batch.low_light)
        enhanced = lift(batch.low_light, curves)
        weights = PLUS_WEIGHTS if isinstance(self.network, ZeroDcePlus) else WEIGHTS
        terms = zero_dce_losses(batch.low_light, enhanced, curves, weights)
        (guidance,) = self._outside
        return terms | (guidance.terms(enhanced) if guidance else {})


class SciLearner(nn.Module):
    """SCI on low-light pictures alone: three stages joined by a calibration that is not needed later.

    Args:
        network: learns, and stays.
        guidance: frozen, held outside; it judges the first stage's result, the one that is used.
        sigma: of the smoothness.
    """

    def __init__(self, network: Sci, guidance: Guidance | None = None, sigma: float = SIGMA) -> None:
        super().__init__()
        self.network, self.calibration, self.sigma = network, Calibration(), sigma
        self._outside = (guidance,)

    def losses(self, batch: PatchBatch) -> dict[str, Tensor]:
        """`fidelity`, `smoothness`; `guidance` where there is one."""
        passed = stages(self.network, self.calibration, batch.low_light)
        (guidance,) = self._outside
        terms = sci_losses(passed, self.sigma)
        return terms | (guidance.terms(reflectance(*passed[0])) if guidance else {})


class RuasLearner(nn.Module):
    """RUAS on low-light pictures alone; the denoiser's losses do not reach the illumination.

    Args:
        network: learns.
        guidance: frozen, held outside; it judges the result that is used.
        sigma: of the smoothness.
    """

    def __init__(self, network: Ruas, guidance: Guidance | None = None, sigma: float = SIGMA) -> None:
        super().__init__()
        self.network, self.sigma = network, sigma
        self._outside = (guidance,)

    def losses(self, batch: PatchBatch) -> dict[str, Tensor]:
        """`fidelity`, `smoothness`; `denoise` and `guidance` where there are such."""
        enhanced, light = self.network.unrolled(batch.low_light)[-1]
        terms = ruas_losses(batch.low_light, light, self.sigma)
        if self.network.denoiser is not None:
            fixed = enhanced.detach()
            terms["denoise"] = DENOISE_SHARE * denoise_loss(self.network.denoised(fixed), fixed)
        (guidance,) = self._outside
        return terms | (guidance.terms(self.network.denoised(enhanced)) if guidance else {})


class SdagLearner(nn.Module):
    """The guidance network on enhanced low-light pictures, or on well-lit ones.

    Args:
        network: its stem is frozen.
        enhancer: frozen, held outside; None: the well-lit pictures are rebuilt.
        cosine: see `models.enhance.networks.sdag.likeness`.
    """

    def __init__(self, network: Sdag, enhancer: nn.Module | None = None, cosine: str = "batch") -> None:
        super().__init__()
        self.network, self.cosine = network, cosine
        self._outside = (enhancer,)

    def losses(self, batch: PatchBatch) -> dict[str, Tensor]:
        """`rebuilt`, `degraded`, `ranking`."""
        drawn = streams.torch_generator("cpu", streams.key_words(batch.key[0], *batch.key[1:]), "sdag noise")
        return sdag_losses(self.network, self.rebuilt_from(batch.low_light, batch.well_lit), drawn, self.cosine)

    def rebuilt_from(self, low_light: Tensor, well_lit: Tensor) -> Tensor:
        """The pictures to rebuild: the low-light ones enhanced, or the well-lit ones."""
        (enhancer,) = self._outside
        if enhancer is None:
            return well_lit
        with torch.no_grad():
            enhanced: Tensor = enhancer(low_light)
        return enhanced.clamp(0, 1)


@dataclass(frozen=True)
class SllenBatch:
    """What SLLEN learns from in a step.

    Attributes:
        enhance: pairs for the enhancer.
        segment: low-light patches with classes for the segmenter.
    """

    enhance: PatchBatch | None
    segment: PatchBatch | None


class SllenLearner(nn.Module):
    """SLLEN's enhancer and segmenter.

    Args:
        network: learns.
        gradient_level: E, the mean gradient of well-lit pictures.
        extract: the perceptual loss's frozen features, held outside; None leaves that loss out.
        without: names of losses that are left out.
    """

    def __init__(
        self,
        network: Sllen,
        gradient_level: float,
        extract: Callable[[Tensor], Tensor] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.network, self.gradient_level, self.without = network, gradient_level, frozenset(without)
        self._outside = (extract,)

    def losses(self, batch: SllenBatch) -> dict[str, Tensor]:
        """`segmentation` of the segmenter's patches; the five of the enhancer's."""
        terms: dict[str, Tensor] = {}
        if batch.segment is not None:
            seen = self.network.segment(batch.segment.low_light, self.network.encode(batch.segment.low_light))
            terms["segmentation"] = sl.segmentation_loss(seen.logits, batch.segment.classes)
        return terms | (self._enhancing(batch.enhance) if batch.enhance is not None else {})

    def _enhancing(self, batch: PatchBatch) -> dict[str, Tensor]:
        network, (extract,) = self.network, self._outside
        levels = network.encode(batch.low_light)
        semantic = network.parts.semantic
        found = network.enhance(levels, network.segment(batch.low_light, levels) if semantic else None)
        with torch.no_grad():
            taught = network.encode(batch.well_lit)[-2::-1]
        terms = {
            "fidelity": sl.fidelity_loss(found.image, batch.well_lit),
            "distillation": sl.distillation_loss(found.features, taught),
            "illumination": sl.illumination_loss(batch.low_light, found.image),
            "gradient": sl.gradient_loss(found.image, self.gradient_level),
        }
        if extract is not None and "perceptual" not in self.without:
            terms["perceptual"] = sl.perceptual_loss(found.image, batch.well_lit, extract)
        return {name: sl.WEIGHTS[name] * term for name, term in terms.items() if name not in self.without}


def sllen_batches(
    enhance: Patches, segment: Patches | None, apart: int = 0
) -> Callable[[int], Iterator[tuple[float, SllenBatch]]]:
    """One batch for the segmenter, one for the enhancer, in turn; or one network after the other.

    Args:
        enhance: for the enhancer.
        segment: for the segmenter; the shorter of both ends the epoch; None: the enhancer's alone.
        apart: first epoch of the enhancer, before which the segmenter learns alone (SLLEN-4); 0: in turn.
    """

    def epoch(number: int) -> Iterator[tuple[float, SllenBatch]]:
        if segment is None or 0 < apart <= number:
            yield from ((share, SllenBatch(batch, None)) for share, batch in enhance(number))
        elif apart:
            yield from ((share, SllenBatch(None, batch)) for share, batch in segment(number))
        else:
            for (share, batch), (_, other) in zip(enhance(number), segment(number), strict=False):
                yield share, SllenBatch(None, other)
                yield share, SllenBatch(batch, None)

    return epoch
