"""What Lee et al. compare (CVPR 2023, Tables 2 and 4), each as a choice of labels, norms and extra losses."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from models.data.normalisation import LOW, WELL
from models.pose.adversary import Adversary, FeatureAdversary, OutputAdversary
from models.pose.batches import CropPairs
from models.pose.losses import feature_loss, lupi_loss

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


def variant_of(name: str) -> Variant:
    """A variant by its name.

    Raises:
        ValueError: an unknown one.
    """
    if name not in VARIANTS:
        raise ValueError(f"variant {name!r}: expected one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


class PoseNetwork(Protocol):
    """What a variant can train: `models.pose.network.Cpn`, `models.recognisers.pretrained.PretrainedPose`.

    An output has `features`, coarsest last, for LUPI and DANN, and `heatmaps` for AdvEnt.

    Attributes:
        lsbn: whether its backbone has a norm for each lighting.
        maps: heatmaps.
        feature_channels: of the coarsest features.
        style_weight: of LUPI's term, whose size depends on the features'.
    """

    lsbn: bool
    maps: int
    feature_channels: int
    style_weight: float

    def __call__(self, image: Tensor, lighting: int) -> Any:
        """Output for one lighting's crops."""
        ...

    def both(self, low_light: Tensor, well_lit: Tensor) -> tuple[Any, Any]:
        """Outputs for both lightings' crops of the same people."""
        ...

    def loss(self, output: Any, joints: Tensor) -> Tensor:
        """How far an output is from the joints, `(batch, joints, 3)` in crop px with COCO's visibility."""
        ...


class PoseLearner(nn.Module):
    """A network with the loss of a variant.

    Args:
        variant: one of `VARIANTS`.
        network: its backbone's norms as the variant has them.
        seed: of a discriminator's first weights.

    Raises:
        ValueError: an unknown variant, or a network with other norms.
    """

    def __init__(self, variant: str, network: PoseNetwork, seed: int) -> None:
        super().__init__()
        self.variant = variant_of(variant)
        if network.lsbn != self.variant.lsbn:
            raise ValueError(f"variant {variant}: a network with LSBN {network.lsbn}, expected {self.variant.lsbn}")
        self.network = network
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights from the global generator
            torch.default_generator.manual_seed(seed)
            self.adversary: Adversary | None = None
            if self.variant.adversary == "features":
                self.adversary = FeatureAdversary(network.feature_channels)
            elif self.variant.adversary == "output":
                self.adversary = OutputAdversary(network.maps)

    def losses(self, batch: CropPairs) -> dict[str, Tensor]:
        """Terms of the loss, by name; training minimises their sum.

        `low`, `well`: poses; `style`: the weighted distance of the features; `adversary`: the discriminator's
        cross-entropy, whose gradient is reversed before it reaches the network.
        """
        variant = self.variant
        well_batch = batch if variant.paired else CropPairs(*(x.roll(1, 0) for x in vars(batch).values()))
        low, well = self._seen(batch.low_light, well_batch.well_lit)
        terms = {}
        if well is not None and "well" in variant.labelled:
            terms["well"] = self.network.loss(well, well_batch.joints)
        if low is not None and "low" in variant.labelled:
            terms["low"] = self.network.loss(low, batch.joints)
        if low is None or well is None:
            return terms
        if variant.style is not None:
            distance = lupi_loss if variant.style == "gram" else feature_loss
            terms["style"] = self.network.style_weight * distance(low.features, well.features)
        if self.adversary is not None:
            terms["adversary"] = self.adversary(low, well)
        return terms

    def _seen(self, low_light: Tensor, well_lit: Tensor) -> tuple[Any, Any]:
        """What the network makes of both lightings; None of one that the variant has no use for."""
        variant = self.variant
        if variant.apart:
            return self.network(low_light, LOW), self.network(well_lit, WELL)
        if variant.style is not None or variant.adversary is not None or len(variant.labelled) == 2:
            return self.network.both(low_light, well_lit)
        if variant.labelled == ("low",):
            return self.network(low_light, LOW), None
        return None, self.network(well_lit, WELL)
