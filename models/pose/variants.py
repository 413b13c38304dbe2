"""What Lee et al. compare (CVPR 2023, Tables 2 and 4), each as a choice of labels, norms and extra losses."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.data.normalisation import LOW, WELL
from models.pose.adversary import Adversary, FeatureAdversary, OutputAdversary
from models.pose.batches import CropPairs, targets
from models.pose.losses import LUPI_WEIGHT, feature_loss, heatmap_loss, lupi_loss
from models.pose.network import Cpn, PoseOutput

Lighting = Literal["low", "well"]


@dataclass(frozen=True)
class Variant:
    """A training of the pose network.

    Attributes:
        labelled: whose pictures' labels are learned from.
        lsbn: lighting-specific batch norm.
        style: what of the well-lit features the low-light ones follow: `gram` (LUPI), `features`, or nothing.
        paired: the well-lit picture is the low-light one's partner; else another shot of the batch.
        adversary: what a discriminator must not tell the lightings by.
        apart: each lighting goes through shared norms in a batch of its own, as in the released code's two calls;
            otherwise see `Cpn.both`.
    """

    labelled: tuple[Lighting, ...] = ("low", "well")
    lsbn: bool = False
    style: Literal["gram", "features"] | None = None
    paired: bool = True
    adversary: Literal["features", "output"] | None = None
    apart: bool = False


VARIANTS = {
    "baseline-low": Variant(("low",)),
    "baseline-well": Variant(("well",)),
    "baseline-all": Variant(),
    "baseline-all-apart": Variant(apart=True),
    "lupi": Variant(style="gram"),
    "lsbn": Variant(lsbn=True),
    "lsbn+lupi-feat": Variant(lsbn=True, style="features"),
    "lsbn+lupi": Variant(lsbn=True, style="gram"),
    "unpaired": Variant(lsbn=True, style="gram", paired=False),
    "uda": Variant(("well",), lsbn=True, style="gram"),
    "dann": Variant(adversary="features"),
    "advent": Variant(adversary="output"),
}
"""By the names that `models.train_pose --variant` takes. `uda`: the low-light pictures have no labels."""


class PoseLearner(nn.Module):
    """The network of a variant with its loss.

    Args:
        variant: one of `VARIANTS`.
        size: one of `models.pose.network.SIZES`.
        seed: of the first weights.

    Raises:
        ValueError: an unknown variant or size.
    """

    def __init__(self, variant: str, size: str, seed: int) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r}: expected one of {', '.join(VARIANTS)}")
        self.variant = VARIANTS[variant]
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights from the global generator
            torch.default_generator.manual_seed(seed)
            self.network = Cpn(size, lsbn=self.variant.lsbn)
            self.adversary: Adversary | None = None
            if self.variant.adversary == "features":
                self.adversary = FeatureAdversary(self.network.backbone.channels[-1])
            elif self.variant.adversary == "output":
                self.adversary = OutputAdversary()

    def losses(self, batch: CropPairs) -> dict[str, Tensor]:
        """Terms of the loss, by name; training minimises their sum.

        `low`, `well`: heatmaps; `style`: 10⁻⁶ times the features' distance; `adversary`: the discriminator's
        cross-entropy, whose gradient is reversed before it reaches the network.
        """
        variant, size = self.variant, batch.low_light.shape[-2:]
        well_batch = batch if variant.paired else CropPairs(*(x.roll(1, 0) for x in vars(batch).values()))
        low, well = self._seen(batch.low_light, well_batch.well_lit)
        terms = {}
        if well is not None and "well" in variant.labelled:
            terms["well"] = heatmap_loss(well, targets(well_batch.joints, size), well_batch.joints[..., 2])
        if low is not None and "low" in variant.labelled:
            terms["low"] = heatmap_loss(low, targets(batch.joints, size), batch.joints[..., 2])
        if low is None or well is None:
            return terms
        if variant.style is not None:
            distance = lupi_loss if variant.style == "gram" else feature_loss
            terms["style"] = LUPI_WEIGHT * distance(low.features, well.features)
        if self.adversary is not None:
            terms["adversary"] = self.adversary(low, well)
        return terms

    def _seen(self, low_light: Tensor, well_lit: Tensor) -> tuple[PoseOutput | None, PoseOutput | None]:
        """What the network makes of both lightings; None of one that the variant has no use for."""
        variant = self.variant
        if variant.apart:
            return self.network(low_light, LOW), self.network(well_lit, WELL)
        if variant.style is not None or variant.adversary is not None or len(variant.labelled) == 2:
            return self.network.both(low_light, well_lit)
        if variant.labelled == ("low",):
            return self.network(low_light, LOW), None
        return None, self.network(well_lit, WELL)
