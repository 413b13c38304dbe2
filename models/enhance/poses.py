"""An enhancer before a frozen pose network, as `models.scoring.poses.find_poses` and `models.isp.table` take it."""

from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.enhance.enhancer import Enhancer
from models.isp.table import Way, labelled
from models.recognisers.detection import Detection
from models.recognisers.inference import detect
from models.recognisers.recogniser import Recogniser


def enhanced_by(enhancer: Enhancer, recogniser: Recogniser, flip: str, lighting: int = LOW) -> Way:
    """The low-light picture enhanced, as 8 bits, then the network.

    Args:
        enhancer: of the whole picture.
        recogniser: frozen.
        flip: see `models.recognisers.inference.heatmaps`.
        lighting: how the network takes the enhanced picture. `LOW`: as its low-light input, each channel brought to a
            mean of 0.4 as every other row of our tables is; `WELL`: as if it were a well-lit picture.
    """

    def develop(sample: PairSample) -> list[Detection]:
        return detect(recogniser, enhancer.enhance(sample.low_light), labelled(sample), lighting, flip)

    return develop
