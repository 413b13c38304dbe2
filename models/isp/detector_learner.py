"""The predictor learns from a frozen detector's loss: whole low-light pictures, developed, and everybody's box."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

from isp_sim import streams
from isp_sim.isp.raw_light import size_of
from isp_sim.scenes import Person
from models.data.normalisation import normalise
from models.data.samples import PairSample
from models.detector.batches import boxes_in_window
from models.detector.losses import detection_losses, targets
from models.isp.learned import LearnedIsp
from models.isp.learner import Input, LowLightBatch
from models.isp.table import Method, developed
from models.recognisers.detection import Detection
from models.recognisers.person_detector import PersonDetector, seen_size
from models.scoring.average_precision import Protocol, figure
from models.scoring.boxes import BoxScore, score_boxes
from models.scoring.poses import LOW_SPLITS, Poses


class DetectorIspLearner(nn.Module):
    """The learned ISP with a detector's loss; the detector is held outside, so that no checkpoint or optimiser sees it.

    Args:
        isp: predictor and pipeline.
        detector: frozen.
    """

    def __init__(self, isp: LearnedIsp, detector: PersonDetector) -> None:
        super().__init__()
        self.isp = isp
        self._outside = (detector,)

    def losses(self, batch: LowLightBatch) -> dict[str, Tensor]:
        """What the frozen detector's heads lack after the ISP, the mean over pictures of `detection_losses`."""
        (detector,) = self._outside
        device = batch.joints.device
        terms: list[Mapping[str, Tensor]] = []
        with torch.autocast(device.type, enabled=False):  # gains of 1,000 and σ of 0.005 need float32
            drawn = streams.torch_generator("cpu", streams.key_words(batch.key[0], *batch.key[1:]), "predictor")
            values = self.isp.of_pictures(batch.pictures, batch.exposures, drawn)
            for number, (picture, people) in enumerate(zip(batch.pictures, batch.people, strict=True)):
                heads = detector(self.isp.pipeline(picture, values[number : number + 1]))
                height, width = heads.pose.centre.shape[2:]
                boxes = torch.from_numpy(boxes_seen(people, size_of(picture), detector.side)).to(device)
                terms.append(detection_losses(heads, targets(boxes, height, width, 1)))
        return {name: torch.stack([one[name] for one in terms]).mean() for name in terms[0]}


def boxes_seen(people: Iterable[Person], size: tuple[int, ...], side: int) -> np.ndarray:
    """Everybody's box in a whole picture as a detector sees it, as `models.detector.losses.targets` takes boxes.

    Args:
        people: in picture px.
        size: (height, width) of the picture.
        side: longer side of what the detector sees, px.
    """
    seen = seen_size(size, side)
    zoom = np.array([seen[1] / size[1], seen[0] / size[0]])
    affine = np.column_stack([np.diag(zoom), (zoom - 1) / 2])
    found = boxes_in_window(people, affine, seen)
    return np.column_stack([np.zeros(len(found)), found]).astype(np.float32)


def compare_boxes(
    isp: LearnedIsp, detector: PersonDetector, what: Input, samples: Iterable[PairSample]
) -> dict[Method, dict[str, BoxScore]]:
    """The detector's scores on low-light pictures as they are, at a mean of 0.4, and behind the learned ISP.

    Args:
        isp: learned.
        detector: frozen.
        what: of a shot the ISP develops.
        samples: shots nobody was trained on.
    """
    device = next(detector.network.parameters()).device
    isp = isp.to(device).eval()
    rows = {method: Poses() for method in (Method.NONE, Method.MEAN_SCALED, Method.LEARNED)}
    for shot in samples:
        lit = developed(isp, shot, what, device)
        images = (normalise(shot.low_light, "none"), normalise(shot.low_light, "mean-0.4"), lit)
        for poses, image in zip(rows.values(), images, strict=True):
            found = [Detection.nowhere(box) for box in detector.find_in(image)]
            poses.add_low_light(shot.split, shot.name, shot.people, found)
    protocol = Protocol(boxes=detector.name)
    return {
        method: {split: score_boxes(poses.truth[split], poses.found[split], protocol) for split in LOW_SPLITS}
        for method, poses in rows.items()
    }


def box_table(rows: Mapping[Method, Mapping[str, BoxScore]]) -> Table:
    """Box AP, AP50 and people found at IoU .50, of each split, for a terminal."""
    table = Table(title="the frozen detector on low-light pictures: box AP / AP50 / people found, %")
    for heading in ("picture", *LOW_SPLITS):
        table.add_column(heading, justify="left" if heading == "picture" else "right")
    for method, splits in rows.items():
        scores = [splits[split] for split in LOW_SPLITS]
        figures = [" / ".join(map(figure, (one.ap, one.ap50, one.recall50))) for one in scores]
        table.add_row(str(method), *figures)
    return table
