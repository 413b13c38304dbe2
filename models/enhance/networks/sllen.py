"""SLLEN (*Semantic-aware Low-Light image Enhancement Network*, arXiv 2211.11571): an enhancer that knows what it sees.

A U-Net's encoder is shared by a segmenter (SSaN) and an enhancer (LLEmN). Its coarsest level, the low-level feature,
goes through two branches side by side: one attends to what HSEB embeds of the segmenter's map (HSBAB), the other is
modulated by a feature from the segmenter's inside (RSAEB). FFB fuses the two by weight, and the enhancer's decoder goes
on from there, with the encoder's levels concatenated.

The paper gives the blocks and their wiring, not all numbers. Ours, chosen so that a picture can be enhanced part by
part: widths of `width · (1, 2, 4, 8)`, attention over a 3×3 neighbourhood of the coarse grid in place of the whole
picture, and a segmenter that learns from the segmentation loss alone: the enhancer's losses stop before it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.enhance.tiles import Tileable, Window

HSEB_CHANNELS = (32, 128, 512)
NEIGHBOURHOOD = 3
ATTENDED = 64
"""Channels of queries and keys."""
STEPS = 3
"""Poolings of the encoder."""


@dataclass(frozen=True)
class SllenParts:
    """What a SLLEN is made of; with neither branch it is a plain U-Net.

    Attributes:
        classes: of the semantic maps.
        width: channels of the finest level.
        attention: HSEB and HSBAB.
        modulation: RSAEB.
        fusion: FFB; without it the mean of the two branches is taken. One branch alone needs none.
        shared: segmenter and enhancer have one encoder; else the segmenter has its own (SLLEN-4).
    """

    classes: int
    width: int = 32
    attention: bool = True
    modulation: bool = True
    fusion: bool = True
    shared: bool = True

    @property
    def semantic(self) -> bool:
        """Whether a segmenter is needed."""
        return self.attention or self.modulation


class Segmented(NamedTuple):
    """What the segmenter sees.

    Attributes:
        logits: `(batch, classes, height, width)`.
        embedded: IEF, between its encoder and its decoder, `(batch, 8w, height/8, width/8)`.
    """

    logits: Tensor
    embedded: Tensor


class Enhanced(NamedTuple):
    """What the enhancer gives.

    Attributes:
        image: `(batch, 3, height, width)`, 0 … 1.
        features: its decoder's, coarse to fine: `4w` at a quarter, `2w` at half, `w` at full size.
    """

    image: Tensor
    features: tuple[Tensor, ...]


class Sllen(Tileable):
    """The network, made of its parts."""

    halo, multiple = 104, 2**STEPS

    def __init__(self, parts: SllenParts) -> None:
        super().__init__()
        self.parts, w = parts, parts.width
        widths = (w, 2 * w, 4 * w, 8 * w)
        self.encoder = _encoder(widths)
        self.own_encoder = _encoder(widths) if parts.semantic and not parts.shared else None
        self.inside = _block(8 * w, 8 * w) if parts.semantic else None
        self.segmenter = _Decoder(widths) if parts.semantic else None
        self.classify = nn.Conv2d(w, parts.classes, 1) if parts.semantic else None
        self.embed = SemanticEmbedding(parts.classes) if parts.attention else None
        self.attend = SemanticAttention(8 * w, HSEB_CHANNELS[-1]) if parts.attention else None
        self.modulate = Modulation(8 * w) if parts.modulation else None
        self.fuse = Fusion(8 * w) if parts.attention and parts.modulation and parts.fusion else None
        self.enhancer = _Decoder(widths)
        self.leave = nn.Conv2d(w, 3, 3, padding=1)
        self._draw()

    def _draw(self) -> None:
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # He et al., ICCV 2015: torch's own lets the signal of a U-Net die out
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        for part in self.modules():  # what the segmenter has to say begins at nothing: it knows nothing yet
            for last in (part.join,) if isinstance(part, SemanticAttention) else ():
                nn.init.zeros_(last.weight)
            for last in (part.gamma, part.beta) if isinstance(part, Modulation) else ():
                nn.init.zeros_(last.weight)

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """The enhancer's encoder's levels, fine to coarse; sides must be multiples of 8."""
        return _levels(self.encoder, image)

    def segment(self, image: Tensor, levels: tuple[Tensor, ...]) -> Segmented:
        """SSaN: which class is where; from the levels of the shared encoder, or from the picture by its own."""
        assert self.inside is not None and self.segmenter is not None and self.classify is not None
        seen = levels if self.own_encoder is None else _levels(self.own_encoder, image)
        embedded = self.inside(seen[-1])
        return Segmented(self.classify(self.segmenter(embedded, seen[:-1])[-1]), embedded)

    def enhance(self, levels: tuple[Tensor, ...], seen: Segmented | None) -> Enhanced:
        """LLEmN: the picture from the levels and what the segmenter saw, which gets no gradient from here."""
        low, branches = levels[-1], []
        if self.embed is not None and self.attend is not None:
            assert seen is not None
            branches.append(self.attend(low, self.embed(seen.logits.detach().softmax(dim=1))))
        if self.modulate is not None:
            assert seen is not None
            branches.append(self.modulate(low, seen.embedded.detach()))
        if self.fuse is not None:
            low = self.fuse(*branches)
        elif branches:
            low = torch.stack(branches).mean(dim=0)
        features = self.enhancer(low, levels[:-1])
        return Enhanced(torch.sigmoid(self.leave(features[-1])), tuple(features))

    def detail(self, part: Tensor, glance: Tensor | None, window: Window, size: tuple[int, int]) -> Tensor:
        """See `Tileable`."""
        height, width = part.shape[-2:]
        padded = pad_to_multiple(part, self.multiple)
        levels = self.encode(padded)
        seen = self.segment(padded, levels) if self.parts.semantic else None
        return self.enhance(levels, seen).image[..., :height, :width]

    def classes(self, image: Tensor) -> Tensor:
        """The likeliest class of each pixel, `(batch, height, width)`, of a picture of any size."""
        height, width = image.shape[-2:]
        padded = pad_to_multiple(image, self.multiple)
        return self.segment(padded, self.encode(padded)).logits.argmax(1)[..., :height, :width]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """The last row and column repeated below and to the right, up to multiples."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def _block(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, 3, padding=1), nn.ReLU(), nn.Conv2d(outgoing, outgoing, 3, padding=1), nn.ReLU()
    )


def _encoder(widths: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList(_block(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True))


def _levels(encoder: nn.ModuleList, image: Tensor) -> tuple[Tensor, ...]:
    levels, x = [], image
    for n, block in enumerate(encoder):
        x = block(x if n == 0 else F.max_pool2d(x, 2))
        levels.append(x)
    return tuple(levels)


class _Decoder(nn.Module):
    """Up from the coarsest level, the encoder's concatenated at each."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.rise = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairs)
        self.blocks = nn.ModuleList(_block(2 * b, b) for _, b in pairs)

    def forward(self, coarse: Tensor, skips: tuple[Tensor, ...]) -> list[Tensor]:
        x, features = coarse, []
        for n, skip in enumerate(reversed(skips)):
            # Nearest: a part's grid then doubles as the whole's does, also at its rim.
            x = self.rise[n](F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = self.blocks[n](torch.cat([skip, x], dim=1))
            features.append(x)
        return features


class SemanticEmbedding(nn.Module):
    """HSEB: the map of class probabilities through three 3×3 convolutions (32, 128, 512), each pooled, each ReLU."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = zip((classes, *HSEB_CHANNELS[:-1]), HSEB_CHANNELS, strict=True)
        self.layers = nn.Sequential(
            *(m for a, b in widths for m in (nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()))
        )

    def forward(self, probabilities: Tensor) -> Tensor:
        """`(batch, 512, height/8, width/8)`."""
        embedded: Tensor = self.layers(probabilities)
        return embedded


class SemanticAttention(nn.Module):
    """HSBAB: `low + W·Σ_j softmax_j(q·k_j/√d)·v_j`, j over the 3×3 neighbours on the coarse grid that exist.

    Args:
        channels: of the low-level features, which ask.
        semantic: channels of the high-level ones, which answer.
    """

    def __init__(self, channels: int, semantic: int) -> None:
        super().__init__()
        self.ask = nn.Conv2d(channels, ATTENDED, 1)
        self.answer = nn.Conv2d(semantic, ATTENDED, 1)
        self.value = nn.Conv2d(semantic, channels, 1)
        self.join = nn.Conv2d(channels, channels, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Both `(batch, …, height, width)` on one grid; gives the low-level features' shape."""
        there = high.new_ones(1, 1, *high.shape[-2:])
        values = self.value(high)
        query, key = self.ask(low) / ATTENDED**0.5, self.answer(high)
        hears = _neighbours(there)
        fits = (query[:, :, None] * _neighbours(key)).sum(dim=1).masked_fill(hears[:, 0] == 0, -torch.inf)
        heard = (fits.softmax(dim=1)[:, None] * _neighbours(values)).sum(dim=2)
        attended: Tensor = low + self.join(heard)
        return attended


def _neighbours(x: Tensor) -> Tensor:
    """`(batch, channels, 9, height, width)`: each pixel's 3×3 neighbours, 0 where there is none."""
    batch, channels, height, width = x.shape
    taken = F.unfold(x, NEIGHBOURHOOD, padding=NEIGHBOURHOOD // 2)
    return taken.reshape(batch, channels, NEIGHBOURHOOD**2, height, width)


class Modulation(nn.Module):
    """RSAEB: `x·(1 + tanh γ(e)) + β(e)`, γ and β of 3×3, ReLU, 1×1 over the segmenter's intermediate feature e."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.gamma, self.beta = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """The low-level feature x under what the segmenter embeds."""
        inside = self.inside(embedded)
        modulated: Tensor = x * (1 + torch.tanh(self.gamma(inside))) + self.beta(inside)
        return modulated


class Fusion(nn.Module):
    """FFB: `s·a + (1 − s)·m`, `s = σ(1×1 of both)` for each pixel and channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, attended: Tensor, modulated: Tensor) -> Tensor:
        """The two branches as one."""
        share = torch.sigmoid(self.weigh(torch.cat([attended, modulated], dim=1)))
        fused: Tensor = share * attended + (1 - share) * modulated
        return fused
