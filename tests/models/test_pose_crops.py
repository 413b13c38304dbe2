"""Crops: geometry there and back, mirrors, lighting normalisation; the network over a picture."""

import numpy as np
import pytest
import torch

from isp_sim.scenes import JOINTS, Person
from models.data.crops import FLIP, Augmentation, crop, crop_affine, drawn_affine, joints_in_crop, mirrored
from models.data.normalisation import LOW, WELL, normalise
from models.pose.heatmaps import encode
from models.pose.losses import PoseOutput
from models.pose.network import Cpn
from models.recognisers.inference import detect
from models.recognisers.loading import of_ours

SIZE = (192, 144)


def someone(x=60.0, y=40.0, width=80.0, height=160.0):
    stream = np.random.default_rng(3)
    joints = tuple((x + width * a, y + height * b, 2) for a, b in stream.random((14, 2)).tolist())
    return Person(joints, (x, y, width, height))


def test_mirrored_joints_change_sides_and_twice_is_nothing():
    for joint, partner in enumerate(FLIP):
        assert JOINTS[joint].split("_")[-1] == JOINTS[partner].split("_")[-1]
        assert FLIP[partner] == joint
        assert (joint == partner) == (JOINTS[joint] in ("head", "neck"))


def test_the_grown_box_just_fits_the_crop():
    person = someone()
    affine = crop_affine(person.bbox, SIZE)
    x, y, w, h = person.bbox
    left, right = (affine @ (at - 0.5, y, 1) for at in (x, x + w))
    top, bottom = (affine @ (x, at - 0.5, 1) for at in (y, y + h))
    wide, high = (right - left)[0] * 1.2, (bottom - top)[1] * 1.3
    assert (wide <= SIZE[1] + 1e-6) and (high <= SIZE[0] + 1e-6)
    assert max(wide / SIZE[1], high / SIZE[0]) == pytest.approx(1)
    assert (left + right)[0] / 2 == pytest.approx((SIZE[1] - 1) / 2)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 25.0])
def test_a_dot_at_a_joint_lands_where_the_label_says(flip, rotation):
    person = someone(60, 60, 120, 200)
    affine = crop_affine(person.bbox, SIZE, 1.4, rotation)
    affine = mirrored(affine, SIZE[1]) if flip else affine
    moved = joints_in_crop(person, affine, SIZE, flip)
    for joint, (x, y, _) in enumerate(person.keypoints):
        yy, xx = np.mgrid[:330, :300]
        spot = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 32).astype(np.float32)
        seen = crop(np.repeat(spot[..., None], 3, 2), affine, SIZE)[0]
        cy, cx = np.mgrid[: SIZE[0], : SIZE[1]]
        at = (seen * cx).sum() / seen.sum(), (seen * cy).sum() / seen.sum()
        where = FLIP.index(joint) if flip else joint
        assert moved[where, :2] == pytest.approx(at, abs=0.6)


def test_joints_outside_the_crop_are_unlabelled():
    person = Person(tuple((1000.0, 1000.0, 2) for _ in range(14)), (60, 40, 80, 160))
    assert joints_in_crop(person, crop_affine(person.bbox, SIZE), SIZE, False).sum() == 0


def test_low_light_channels_get_a_mean_of_0_4_and_black_stays_black():
    picture = np.random.default_rng(0).poisson(1.5, (60, 50, 3)).astype(np.uint8)
    picture[..., 2] = 0
    light = normalise(picture, "mean-0.4")
    assert light.reshape(-1, 3).mean(axis=0) == pytest.approx([0.4, 0.4, 0.0], abs=1e-5)
    assert light.max() > 1  # not clipped
    assert np.isfinite(normalise(np.zeros((4, 4, 3), np.uint8), "mean-0.4")).all()


def test_a_shrinking_crop_averages_noise_away():
    noise = np.random.default_rng(1).standard_normal((800, 600, 3)).astype(np.float32)
    affine = crop_affine((0, 0, 600 / 1.2, 800 / 1.3), SIZE)
    assert crop(noise, affine, SIZE).std() < 1.2 / 4.2  # 4.2 px of picture to a px of crop


def test_training_draws_within_bounds_and_repeats_by_stream():
    drawn = [drawn_affine((0, 0, 80, 160), SIZE, Augmentation(), np.random.default_rng(n)) for n in range(300)]
    extents = extents_of([affine for affine, _ in drawn])
    assert extents.min() >= 0.7 - 1e-9 and extents.max() <= 1.25 + 1e-9
    assert 0.4 < np.mean([flip for _, flip in drawn]) < 0.6
    again, _ = drawn_affine((0, 0, 80, 160), SIZE, Augmentation(), np.random.default_rng(7))
    assert (again == drawn[7][0]).all()


def extents_of(affines, box=(0, 0, 80, 160)):
    """How much of a picture crops show, over the grown box."""
    base = np.sqrt(abs(np.linalg.det(crop_affine(box, SIZE)[:, :2])))
    return base / np.sqrt([abs(np.linalg.det(affine[:, :2])) for affine in affines])


def test_training_crops_have_the_extents_of_the_released_code():
    """`min(1.25, a)`, a even over 0.7 … 1.35: its mean, its share at 1.25 and its quartiles in closed form."""
    stream, count = np.random.default_rng(4), 20_000
    extents = extents_of([drawn_affine((0, 0, 80, 160), SIZE, Augmentation(), stream)[0] for _ in range(count)])
    mean = ((1.25**2 - 0.7**2) / 2 + 1.25 * (1.35 - 1.25)) / (1.35 - 0.7)
    assert mean == pytest.approx(1.02, abs=0.005)
    assert abs(extents.mean() - mean) < 4 * extents.std() / np.sqrt(count)
    assert extents.max() <= 1.25 + 1e-9
    widest, share = (extents > 1.25 - 1e-9).mean(), 0.1 / 0.65
    assert abs(widest - share) < 4 * np.sqrt(share * (1 - share) / count)
    assert np.quantile(extents, (0.25, 0.5, 0.75)) == pytest.approx(
        [0.7 + 0.65 * q for q in (0.25, 0.5, 0.75)], abs=0.02
    )


class Oracle(Cpn):
    """Answers with the right heatmaps: what is left is the geometry of crops and heatmaps."""

    def __init__(self, people):
        super().__init__("small")
        self.people = people

    def forward(self, image, lighting=LOW):
        targets = []
        for person in self.people:
            joints = joints_in_crop(person, crop_affine(person.bbox, self.input_size), self.input_size, False)
            at = torch.from_numpy((joints[:, :2] - 1.5) / 4)
            targets.append(encode(at[None], torch.ones(1, 14), 48, 36, 7)[0])
        return PoseOutput(torch.stack(targets), (), ())


def test_right_heatmaps_give_the_joints_back_in_picture_pixels():
    people = [someone(), someone(200, 30, 60, 120)]
    network = of_ours(Oracle(people))
    found = detect(network, np.zeros((300, 400, 3), np.uint8), people, WELL, flip="none")
    for person, detection in zip(people, found, strict=True):
        zoom = np.sqrt(abs(np.linalg.det(crop_affine(person.bbox, SIZE)[:, :2])))
        for (x, y, _), (a, b, s) in zip(person.keypoints, detection.keypoints, strict=True):
            assert abs(a - x) <= 0.5 * 4 / zoom + 0.01 and abs(b - y) <= 0.5 * 4 / zoom + 0.01
            assert s > 0.8


def test_the_flip_test_makes_a_mirror_symmetric_answer():
    network = of_ours(Cpn("small"))
    person = Person(tuple((50.0, 50.0, 2) for _ in range(14)), (20, 20, 60, 80))
    picture = np.random.default_rng(2).integers(0, 255, (120, 100, 3), np.uint8)
    (straight,) = detect(network, picture, [person], WELL)
    (turned,) = detect(network, picture[:, ::-1].copy(), [person], WELL)
    for joint, (x, y, _) in enumerate(straight.keypoints):
        a, b, _ = turned.keypoints[FLIP[joint]]
        assert (99 - a, b) == pytest.approx((x, y), abs=1e-3)


def test_frozen_means_frozen_and_gradients_reach_the_input():
    network = of_ours(Cpn("small", lsbn=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(1, 3, *SIZE, requires_grad=True)
    network(image).square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_an_unknown_flip_is_refused():
    person = someone()
    with pytest.raises(ValueError, match="flip 'left': expected one of none, right, released"):
        detect(of_ours(Cpn("small")), np.zeros((99, 99, 3), np.uint8), [person], LOW, flip="left")


@pytest.mark.parametrize(
    "what", [{"scale": (0.7, float("-inf"))}, {"scale": (1.3, 0.7)}, {"rotation_deg": float("nan")}]
)
def test_an_augmentation_that_cannot_be_drawn_is_refused(what):
    with pytest.raises(ValueError, match="expected 0 < smallest"):
        Augmentation(**what)
