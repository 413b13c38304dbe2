"""Pairs whose low-light pictures an enhancer made: Lee et al. train and judge "LIME + all" of their Table 2 on such."""

from dataclasses import replace

from models.data.samples import PairSample, PairSource
from models.enhance.enhancer import Enhancer


class EnhancedPairs:
    """Pairs with the low-light picture enhanced, in 8 bits; the raw and what came before 8 bits are left out.

    Args:
        source: of the pairs.
        enhancer: of the whole picture.
    """

    def __init__(self, source: PairSource, enhancer: Enhancer) -> None:
        self._source, self._enhancer = source, enhancer

    def __len__(self) -> int:
        """Groups of the source."""
        return len(self._source)

    def names(self, index: int) -> list[str]:
        """Names of group `index`."""
        return self._source.names(index)

    def group(self, index: int) -> list[PairSample]:
        """Group `index`, enhanced."""
        return [
            replace(shot, low_light=self._enhancer.enhance(shot.low_light), pre_quantisation=None, raw=None)
            for shot in self._source.group(index)
        ]
