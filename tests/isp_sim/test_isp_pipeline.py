"""Pipelines: every order, one vector, YAML faults by line, a region equals the whole, NaN names its image."""

import itertools
import shutil

import pytest
import torch

from isp_sim.isp.pipeline import Box, Entry, Pipeline, load_pipeline

ALL = tuple(name for name in Entry.model_fields if Entry.model_validate(name).step.plane == "srgb")
ROUNDED_BY_PLACE = {"gamma", "local_tone"}
E_G_S = ("exposure", "gamma", "smoothing")


def of(*names):
    return Pipeline(steps=tuple(Entry.model_validate(name) for name in names))


def random_images(batch=2, height=5, width=6, kind=torch.float64, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=stream, dtype=kind) * 0.9 + 0.05


def random_values(pipeline, image, seed=1):
    """Near where each parameter starts, another for each image."""
    base = pipeline.base(image)
    stream = torch.Generator().manual_seed(seed)
    return pipeline.steer(base, 0.1 * torch.randn(base.shape, generator=stream, dtype=base.dtype)).detach()


@pytest.mark.parametrize("order", itertools.permutations(E_G_S), ids="-".join)
def test_gradients_in_all_six_orders(order):
    pipeline, image = of(*order), random_images()
    values = random_values(pipeline, image).requires_grad_()
    assert torch.autograd.gradcheck(pipeline, (image.requires_grad_(), values), raise_exception=True)


@pytest.mark.parametrize("order", itertools.permutations(E_G_S), ids="-".join)
@pytest.mark.parametrize("level", [0.0, 1.0, -0.02])
def test_zeros_ones_and_negatives_give_finite_gradients_in_all_six_orders(order, level):
    pipeline = of(*order)
    image = torch.full((1, 3, 8, 8), level, requires_grad=True)
    values = random_values(pipeline, torch.full((1, 3, 8, 8), 0.01)).requires_grad_()
    pipeline(image, values).square().sum().backward()
    assert image.grad.isfinite().all() and values.grad.isfinite().all()


def test_the_whole_list_is_differentiable():
    pipeline, image = of(*ALL), random_images(1, 4, 5)
    values = random_values(pipeline, image).requires_grad_()
    assert torch.autograd.gradcheck(pipeline, (image.requires_grad_(), values))


def test_the_usual_pipeline_has_eight_parameters_by_name():
    assert Pipeline() == of(*E_G_S)
    assert Pipeline().names == (
        "exposure.gain",
        "gamma.gamma",
        *(f"smoothing.{sigma}.{channel}" for sigma in ("sigma_space", "sigma_range") for channel in "RGB"),
    )
    assert Pipeline().size == 8


@pytest.mark.parametrize("names", [("gamma",), ("smoothing", "exposure"), ALL, ALL[::-1]], ids=len)
def test_vector_and_unit_cube_go_there_and_back(names):
    pipeline, image = of(*names), random_images()
    values = random_values(pipeline, image)
    assert values.shape == (2, pipeline.size) and len(pipeline.names) == len(set(pipeline.names)) == pipeline.size
    assert torch.equal(torch.cat(pipeline.split(values), dim=1), values)
    assert torch.allclose(pipeline.from_unit(pipeline.to_unit(values)), values)


def test_order_matters_and_is_kept():
    image = random_images()
    values = torch.tensor([[4.0, 0.5]], dtype=torch.float64)
    assert torch.allclose(of("exposure", "gamma")(image, values), (image * 4) ** 0.5)
    assert torch.allclose(of("gamma", "exposure")(image, values.flip(1)), image**0.5 * 4)


def test_exposure_starts_at_mean_two_fifths_of_each_image_and_channel():
    image = random_images() * torch.tensor([0.1, 0.01], dtype=torch.float64)[:, None, None, None]
    shared = of("exposure")
    assert torch.allclose(shared(image, shared.base(image)).mean(dim=(1, 2, 3)), torch.full((2,), 0.4).double())
    each = of({"exposure": {"per_channel": True}})
    assert torch.allclose(each(image, each.base(image)).mean(dim=(2, 3)), torch.full((2, 3), 0.4).double())


@pytest.mark.parametrize("level", [0.0, -0.1, 1e-6, 50.0])
def test_exposure_starts_within_its_range_whatever_the_image(level):
    pipeline = Pipeline()
    image = torch.full((1, 3, 4, 4), level)
    assert pipeline(image, pipeline.base(image)).isfinite().all()


def test_parameters_that_learn_and_tensors_that_do_not():
    pipeline, image = Pipeline(), random_images()
    learned = torch.nn.Parameter(random_values(pipeline, image))
    pipeline(image, learned).sum().backward()
    assert (learned.grad != 0).all()
    assert not pipeline(image, learned.detach()).requires_grad


def test_one_vector_for_all_images_and_many_for_one():
    pipeline, image = of("smoothing", "exposure", "gamma"), random_images()
    values = random_values(pipeline, image)
    assert torch.equal(pipeline(image, values[:1]), pipeline(image, values[:1].expand(2, -1)))
    assert torch.equal(pipeline(image[:1], values)[1:], pipeline(image[:1], values[1:]))


@pytest.mark.parametrize(
    "names",
    [("exposure", "smoothing"), tuple(name for name in ALL if name not in ROUNDED_BY_PLACE), E_G_S, ALL],
    ids=["E-S", "all-but-gamma-and-tone", "E-G-S", "all"],
)
@pytest.mark.parametrize(
    "box", [Box(20, 15, 17, 9), Box(0, 0, 5, 5), Box(50, 30, 13, 11), Box(0, 0, 63, 41), Box(30, 20, 1, 1)]
)
def test_a_region_equals_the_whole(names, box):
    pipeline, image = of(*names), random_images(2, 41, 63, torch.float32)
    values = random_values(pipeline, image)
    inside = (..., slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    part, due = pipeline.region(image, values, box), pipeline(image, values)[inside]
    if ROUNDED_BY_PLACE & {*names}:  # the last bit of torch's power or mean depends on where in memory a pixel lies
        assert torch.allclose(part, due, rtol=0, atol=3e-6)
    else:
        assert torch.equal(part, due)


def test_a_regions_gradient_is_the_wholes():
    pipeline, image = Pipeline(), random_images(1, 20, 24).requires_grad_()
    values = random_values(pipeline, image).requires_grad_()
    box = Box(6, 5, 8, 7)
    part = torch.autograd.grad(pipeline.region(image, values, box).square().sum(), (image, values))
    whole = torch.autograd.grad(pipeline(image, values)[..., 5:12, 6:14].square().sum(), (image, values))
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(part, whole, strict=True))


@pytest.mark.parametrize("box", [Box(-1, 0, 3, 3), Box(0, 0, 7, 3), Box(0, 0, 0, 1), Box(2, 4, 3, 3)])
def test_a_box_outside_is_refused(box):
    with pytest.raises(ValueError, match="must lie within 6×5 pixels"):
        Pipeline().region(random_images(), torch.ones(1, 8), box)


def test_nan_names_its_image():
    pipeline, image = Pipeline(), random_images(3)
    values = pipeline.base(image)
    image[2, 1, 3, 3] = torch.nan
    with pytest.raises(ValueError, match="image 2 of the batch holds NaN"):
        pipeline(image, values)


def test_values_that_do_not_fit_are_told():
    pipeline, image = Pipeline(), random_images(3)
    values = pipeline.base(image)
    with pytest.raises(ValueError, match=r"parameters of shape \(3, 7\): expected \(batch, 8\)"):
        pipeline(image, values[:, :7])
    with pytest.raises(ValueError, match="3 images and parameters for 2"):
        pipeline(image, values[:2])
    with pytest.raises(ValueError, match=r"image of shape \(3, 1, 5, 6\)"):
        pipeline(image[:, :1], values)
    values = values.clone()
    values[1, 7] = 9
    with pytest.raises(ValueError, match=r"sigma_range\.B of image 1 is 9 of white: expected 0\.005 … 2"):
        pipeline(image, values)


def test_a_file_gives_steps_in_its_order_with_its_settings(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - saturation:\n  - smoothing: {window: 11, per_channel: false}\n  - gamma\n")
    pipeline = load_pipeline(path)
    assert pipeline.names == ("saturation.amount", "smoothing.sigma_space", "smoothing.sigma_range", "gamma.gamma")
    assert pipeline.halo == 5
    assert Pipeline.model_validate_json(pipeline.model_dump_json(exclude_unset=True)) == pipeline


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps:\n  - exposure\n  - smoothin\n", "mine.yaml:3: steps.1.smoothin: unknown field; did you mean 'smooth"),
        ("steps:\n  - gamma: {per_chanel: true}\n", "mine.yaml:2: steps.0.gamma.per_chanel: unknown field; did you"),
        (
            "steps:\n  - smoothing:\n      window: 8\n",
            "mine.yaml:3: steps.0.smoothing.window = 8: expected one of 3, 5",
        ),
        ("steps:\n  - smoothing: {window: wide}\n", "mine.yaml:2: steps.0.smoothing.window = 'wide'"),
        ("steps:\n  - gamma\n  - exposure\n  - gamma\n", "mine.yaml:4: steps: gamma is listed 2 times"),
        ("steps:\n  - gamma\n  - defects\n", "mine.yaml:3: steps: defects acts on "),
        ("steps: []\n", "mine.yaml:1: steps: no step is listed; expected at least one"),
        ("steps:\n  - gamma: {}\n    exposure: {}\n", "mine.yaml:2: steps.0: 2 steps in one line"),
        ("steps: [gamma, exposure, gamma]\n", "gamma is listed 2 times; each step may appear once"),
        ("step: [gamma]\n", "mine.yaml:1: step: unknown field; did you mean 'steps'?"),
        ("- gamma\n", "holds no mapping"),
        ("steps:\n  - 3\n", "mine.yaml:2: steps.0"),
    ],
)
def test_faults_of_a_file_are_told_by_line(tmp_path, text, told):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as fault:
        load_pipeline(path)
    assert told in str(fault.value)


def test_two_faults_are_told_together(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - gama\n  - smoothing: {window: 4}\n")
    with pytest.raises(ValueError) as fault:
        load_pipeline(path)
    assert len(str(fault.value).splitlines()) == 2


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
def test_compiled_without_a_break_it_is_the_same():
    pipeline, image = Pipeline(), random_images(2, 20, 22, torch.float32)
    values = random_values(pipeline, image).requires_grad_()
    compiled = torch.compile(lambda image, values: pipeline(image, values), fullgraph=True)
    ours, due = compiled(image, values), pipeline(image, values)
    assert torch.allclose(ours, due, atol=1e-5)
    found, expected = (torch.autograd.grad(out.square().sum(), values)[0] for out in (ours, due))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_bf16_autocast_leaves_the_picture_in_float32():
    pipeline, image = of(*ALL), random_images(1, 9, 9, torch.float32)
    values = random_values(pipeline, image)
    due = pipeline(image, values)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pipeline(image, values), due)
