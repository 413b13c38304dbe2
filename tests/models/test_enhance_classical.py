"""Classical enhancers: against closed forms and a dense solver; enhancers by name, file and factory."""

import contextlib
import hashlib
import io
import zipfile

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from models.enhance.classical import multigrid, srie
from models.enhance.classical.dehazing import dehz
from models.enhance.classical.histogram import clahe, gamma
from models.enhance.classical.lime import illumination, lime, weights
from models.enhance.classical.multigrid import Grid, solve
from models.enhance.classical.retinex import blur, multi_scale_retinex, retinex_with_colour_restoration
from models.enhance.enhancer import CLASSICAL, Enhancer, load_enhancer
from models.enhance.networks.sdag import Sdag, stem_of
from models.enhance.weights import build, load_enhancer_network, load_sdag, save_enhancer, save_sdag
from models.pose.network import Cpn


def noise(height=40, width=50, seed=0):
    return np.random.default_rng(seed).integers(0, 60, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("level", [0, 1, 100, 255])
def test_a_picture_of_one_colour_stays_one_colour(name, level):
    picture = np.full((40, 48, 3), level, np.uint8)
    out = CLASSICAL[name](picture)
    assert out.dtype == np.uint8 and out.shape == picture.shape
    assert out.max() - out.min() <= 1


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_dark_picture_becomes_brighter(name):
    assert CLASSICAL[name](noise()).mean() > noise().mean()


def test_gamma_is_its_formula():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    assert np.array_equal(gamma(picture, 0.5), np.rint(255 * np.sqrt(picture / 255)).astype(np.uint8))


def test_dehz_is_its_formula():
    """R = 205 beside an airlight of 255: t = 1 − 0.8·205/255 = 0.357, 2t² = 0.255; 255 − (50/−t + 255) = 196."""
    picture = np.full((60, 60, 3), 50, np.uint8)
    picture[:, :20] = 0
    t = 2 * (1 - 0.8 * 205 / 255) ** 2
    assert np.unique(dehz(picture)[:, 30:]).tolist() == [round(50 / t)]
    assert np.unique(dehz(picture)[:, :20]).tolist() == [0]


def test_colour_restoration_weighs_by_the_share_of_a_channel():
    """Grey: C = 46·ln(125/3), the same everywhere, and the display takes it out: MSRCR of grey is MSR."""
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    apart = retinex_with_colour_restoration(grey).astype(int) - multi_scale_retinex(grey)
    assert np.abs(apart).max() <= 1
    assert np.abs(retinex_with_colour_restoration(noise()).astype(int) - multi_scale_retinex(noise())).max() > 5


def test_clahe_spreads_what_is_narrow():
    assert clahe(noise()).std() > noise().std()


def test_limes_sparse_system_is_the_dense_one():
    """(1 + α Σ Dᵀ diag(w) D) written out with difference matrices."""
    stream = np.random.default_rng(1)
    height, width, alpha = 5, 4, 0.15
    brightest = stream.random((height, width))
    down, right = weights(brightest)
    assert (down[-1] == 0).all() and (right[:, -1] == 0).all() and (down[:-1] > 0).all()
    place = np.arange(height * width).reshape(height, width)
    dense = np.eye(height * width)
    for weight, pairs in ((down, (place[:-1], place[1:])), (right, (place[:, :-1], place[:, 1:]))):
        for a, b in zip(*(p.ravel() for p in pairs), strict=True):
            difference = np.zeros(height * width)
            difference[a], difference[b] = -1, 1
            dense += alpha * weight.ravel()[a] * np.outer(difference, difference)
    grid = Grid(np.ones((height, width)), alpha * down, alpha * right)
    columns = [grid.times(one.reshape(height, width)).ravel() for one in np.eye(height * width)]
    assert np.allclose(np.stack(columns, axis=1), dense) and np.allclose(grid.diagonal().ravel(), np.diag(dense))
    wanted = np.linalg.solve(dense, brightest.ravel()).reshape(height, width)
    assert np.abs(illumination(brightest, alpha) - wanted).max() < 1e-3


def test_lime_without_smoothness_divides_by_the_brightest_channel():
    picture = noise() + np.uint8(40)
    top = picture.max(axis=2, keepdims=True) / 255
    wanted = np.clip(255 * (picture / 255) / top**0.8 + 0.5, 0, 255).astype(np.uint8)
    assert np.abs(lime(picture, alpha=0.0).astype(int) - wanted).max() <= 1


def test_lime_keeps_an_edge_and_smooths_texture():
    plane = np.full((30, 40), 0.1)
    plane[:, 20:] = 0.6
    stream = np.random.default_rng(0)
    light = illumination(np.clip(plane + stream.normal(0, 0.01, plane.shape), 0, 1))
    assert light[:, :20].std() < 0.01 and abs(light[:, 30:].mean() - light[:, :10].mean()) > 0.3


def test_lime_says_so_where_the_solver_does_not_settle(monkeypatch):
    monkeypatch.setattr(multigrid, "MAX_STEPS", 1)
    with pytest.raises(ArithmeticError, match="1 steps"):
        lime(noise())


def dense_srie(value, turns):
    """The same steps with matrices: D written out, each system by elimination; everything flat."""
    place = np.arange(value.size).reshape(value.shape)
    d = np.zeros((2, value.size, value.size))
    for axis, (a, b) in enumerate(((place[:-1], place[1:]), (place[:, :-1], place[:, 1:]))):
        d[axis, a.ravel(), a.ravel()], d[axis, a.ravel(), b.ravel()] = -1, 1
    s = np.log(np.maximum(value.ravel(), 1))
    r, light, b = 0 * s, s.copy(), np.zeros((2, value.size))
    for _ in range(turns):
        weighted = np.exp(r)[None, :, None] * d
        seen = weighted @ r + b
        target = np.sign(seen) * np.maximum(np.abs(seen) - 0.5, 0)
        system = np.eye(value.size) + 0.01 * sum(one.T @ one for one in weighted)
        right = s - light + 0.01 * sum(one.T @ t for one, t in zip(weighted, target - b, strict=True))
        r = np.minimum(np.linalg.solve(system, right), 0)
        bent = np.exp(light)[None, :, None] * d
        light = np.maximum(np.linalg.solve(np.eye(value.size) + 0.1 * sum(one.T @ one for one in bent), s - r), s)
        b = b + weighted @ r - target
    return np.exp(r).reshape(value.shape), np.exp(light).reshape(value.shape)


def test_sries_turns_are_those_written_out_with_matrices(monkeypatch):
    value = np.random.default_rng(3).integers(0, 256, (6, 7)).astype(float)
    monkeypatch.setattr(srie, "TURNS", 4)
    monkeypatch.setattr(multigrid, "TOLERANCE", 1e-10)
    wanted = dense_srie(value, 4)
    assert wanted[0].std() > 0.1
    for found, due in zip(srie.decomposed(value), wanted, strict=True):
        assert np.allclose(found, due, rtol=1e-6)


def test_sries_objective_falls_and_the_product_is_the_picture():
    """Squares on an even floor under a light that falls off to the right."""
    value = np.full((60, 80), 180.0)
    value[20:40, 10:30] = value[25:45, 50:70] = 90
    value = np.rint(value * np.linspace(1, 0.2, 80))
    s = np.log(value)
    reflectance, light = srie.decomposed(value)
    assert (reflectance <= 1).all() and (light >= value - 1e-9).all()
    least = srie.objective(np.log(reflectance), np.log(light), s)
    assert least < 0.1 * srie.objective(np.zeros_like(s), s, s)
    assert np.abs(reflectance * light / value - 1).mean() < 0.03
    inside, outside = reflectance[25:35, 15:25].mean(), reflectance[25:35, 35:45].mean()
    assert inside < 0.75 * outside


def test_sries_even_picture_has_its_gamma_corrected_and_black_stays_black():
    picture = np.full((20, 24, 3), (60, 30, 15), np.uint8)
    due = np.array([60, 30, 15]) * (255 / 60) ** (1 - 1 / 2.2)
    assert np.abs(CLASSICAL["srie"](picture)[5, 5] - due).max() <= 1
    assert not CLASSICAL["srie"](np.zeros((20, 24, 3), np.uint8)).any()


def test_sries_slopes_are_transposed():
    """⟨Dx, y⟩ = ⟨x, Dᵀy⟩."""
    stream = np.random.default_rng(4)
    x, down, right = stream.random((3, 5, 7))
    along = srie.gradient(x)
    assert np.isclose((along[0] * down + along[1] * right).sum(), (x * srie.transposed_gradient(down, right)).sum())


def test_a_coarser_grid_is_the_same_system_for_what_is_even_in_its_cells():
    """Galerkin: with P the repetition in 2×2, Pᵀ·A·P is the coarser grid, also where a side is odd."""
    stream = np.random.default_rng(2)
    shape, small = (7, 9), (4, 5)
    down, right = stream.random(shape), stream.random(shape)
    down[-1], right[:, -1] = 0, 0
    grid = Grid(np.ones(shape), down, right)
    coarse = stream.random(small)
    fine = grid.times(coarse.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]])
    padded = np.pad(fine, [(0, 1), (0, 1)])
    summed = padded.reshape(4, 2, 5, 2).sum(axis=(1, 3))
    assert np.allclose(grid.coarser().times(coarse), summed)


def test_a_dark_noisy_picture_settles_with_weights_over_six_decades():
    """What an ExLPose picture is like: black, a code or two, a lamp; plain conjugate gradients take thousands."""
    dark = np.random.default_rng(0).poisson(0.3, (150, 200)) / 255
    dark[60:80, 90:110] = 0.8
    down, right = weights(dark)
    assert down.max() / down[:-1].min() > 1e3
    grid = Grid(np.ones_like(dark), 0.15 * down, 0.15 * right)
    light = solve(grid, dark, dark)
    assert np.linalg.norm(grid.times(light) - dark) <= 1.01 * multigrid.TOLERANCE * np.linalg.norm(dark)


def test_a_wide_blur_on_a_shrunk_picture_is_close_to_the_whole_ones():
    image = cv2.GaussianBlur(np.random.default_rng(0).random((300, 400, 3)).astype(np.float32), (0, 0), 10)
    direct = cv2.GaussianBlur(image, (0, 0), 30, borderType=cv2.BORDER_REFLECT)
    assert np.abs(blur(image, 30) - direct).max() < 0.1 * np.ptp(direct)


def test_retinex_takes_an_even_light_away():
    """ln of a product is a sum: a picture under half the light gives the same, to the codes' rounding."""
    texture = 100 + 80 * np.sin(np.arange(200) / 3)
    picture = np.rint(np.broadcast_to(texture[None, :, None], (120, 200, 3))).astype(np.uint8)
    whole, half = multi_scale_retinex(picture), multi_scale_retinex((picture // 2).astype(np.uint8))
    assert np.abs(whole.astype(float) - half).mean() < 4


@pytest.mark.parametrize("name", ["gladnet", "zero-dce", "zero-dce++", "sci", "ruas", "sllen"])
def test_weights_come_back_as_they_were(tmp_path, name):
    network = build(name, 3, **{"sllen": {"classes": 4, "width": 4}, "ruas": {"denoise": True}}.get(name, {}))
    save_enhancer(network, name, "mean-0.4", tmp_path / "w.safetensors", {"why": "test"})
    again, model, scaling = load_enhancer_network(tmp_path / "w.safetensors")
    assert (model, scaling) == (name, "mean-0.4")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )
    assert not any(p.requires_grad for p in again.parameters())
    assert load_enhancer(tmp_path / "w.safetensors").parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("lsbn", [True, False])
def test_a_guidance_network_comes_back_with_its_stem(tmp_path, lsbn):
    with torch.random.fork_rng(devices=[]):
        network = Sdag(stem_of(Cpn("small", lsbn=lsbn))).eval()
    save_sdag(network, tmp_path / "s.safetensors", {})
    image = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_sdag(tmp_path / "s.safetensors")(image), network(image))
    with pytest.raises(ValueError, match="expected the weights of one"):
        load_enhancer(tmp_path / "s.safetensors")


class Half(nn.Module):
    """A foreign U-Net in little: fails unless sides are multiples of 4."""

    def forward(self, x):
        pooled = nn.functional.avg_pool2d(nn.functional.avg_pool2d(x, 2), 2)
        return x * 0.5 + 0 * nn.functional.interpolate(pooled, scale_factor=4.0), pooled


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_an_enhancer_of_any_make(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("ISP_SIM_TRUST", "1")
    path = tmp_path / f"half.{kind}"
    example = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    if kind == "pt":
        torch.jit.trace(Half().eval(), example).save(path)
    else:
        torch.export.save(torch.export.export(Half().eval(), (example,)), path)
    picture = noise(45, 47)
    out = load_enhancer(path).enhance(picture)
    assert out.shape == picture.shape and np.abs(out.astype(int) - picture / 2).max() <= 0.5


def factory():
    return Enhancer("same", lambda picture: picture)


def test_an_enhancer_from_a_factory():
    assert load_enhancer(f"{__name__}:factory").name == "same"


@pytest.mark.parametrize("name", ["nothing", "no.safetensors", "no.pt", "os:getcwd", "nowhere.at.all:x"])
def test_what_is_no_enhancer_is_told(name):
    with pytest.raises(ValueError, match=r"--enhancer|not a whole"):
        load_enhancer(name)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_a_strangers_program_is_not_run_but_refused_with_its_digest(tmp_path, kind, monkeypatch):
    path, planted = tmp_path / f"net.{kind}", tmp_path / "planted"
    torch.export.save(torch.export.export(Half().eval(), (torch.rand(1, 3, 48, 48),)), path.with_suffix(".pt2"))
    stream = io.BytesIO()
    torch.save(Bomb(planted), stream)
    with zipfile.ZipFile(path.with_suffix(".pt2")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (inputs,) = (name for name in parts if "sample_inputs" in name)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {inputs: stream.getvalue()}).items():
            archive.writestr(name, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"--enhancer .*net\.{kind}: is a program .*--trust .*SHA-256 {digest}"):
        load_enhancer(path)
    assert not planted.exists()
    if kind == "pt2":  # trusted, it runs: what the help says of such files is true
        monkeypatch.setenv("ISP_SIM_TRUST", "1")
        with contextlib.suppress(ValueError):
            load_enhancer(path)
        assert planted.exists()


def test_a_file_that_torch_cannot_read_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ISP_SIM_TRUST", "1")
    (tmp_path / "x.pt").write_bytes(b"no torchscript")
    with pytest.raises(ValueError, match="torch cannot load it"):
        load_enhancer(tmp_path / "x.pt")
