"""An enhancer before a frozen pose network, a detector as `models.scoring.poses` has it."""

from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.enhance.enhancer import Enhancer
from models.recognisers.crowd import poses
from models.recognisers.detection import Detection
from models.recognisers.person_detector import PersonDetector
from models.recognisers.recogniser import Recogniser
from models.scoring.poses import Detector


def enhanced_by(
    enhancer: Enhancer,
    recogniser: Recogniser,
    flip: str,
    lighting: int = LOW,
    detector: PersonDetector | None = None,
) -> Detector:
    """The low-light picture enhanced, as 8 bits, then the network, and before it the detector if there is one.

    Args:
        enhancer: of the whole picture.
        recogniser: frozen.
        flip: see `models.recognisers.inference.heatmaps`.
        lighting: how the network takes the enhanced picture. `LOW`: as its low-light input, each channel brought to a
            mean of 0.4 as every other row of our tables is; `WELL`: as if it were a well-lit picture.
        detector: frozen, of the boxes in the enhanced picture; None takes the true ones.
    """

    def develop(sample: PairSample) -> list[Detection]:
        return poses(recogniser, enhancer.enhance(sample.low_light), sample.labelled, lighting, flip, detector)

    return develop
