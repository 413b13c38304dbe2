"""An enhancer before a frozen pose network, as `models.pose.evaluation.find_poses` and `models.isp_table` take it."""

from models.enhance.enhancer import Enhancer
from models.isp_table import Way, labelled
from models.pose.backbone import LOW
from models.pose.inference import detect
from models.pose.recogniser import Recogniser
from models.pose.samples import PairSample
from models.scoring.average_precision import Detection


def enhanced_by(enhancer: Enhancer, recogniser: Recogniser, flip: str, lighting: int = LOW) -> Way:
    """The low-light picture enhanced, as 8 bits, then the network.

    Args:
        enhancer: of the whole picture.
        recogniser: frozen.
        flip: see `models.pose.inference.heatmaps`.
        lighting: how the network takes the enhanced picture. `LOW`: as its low-light input, each channel brought to a
            mean of 0.4 as every other row of our tables is; `WELL`: as if it were a well-lit picture.
    """

    def develop(sample: PairSample) -> list[Detection]:
        return detect(recogniser, enhancer.enhance(sample.low_light), labelled(sample), lighting, flip)

    return develop
