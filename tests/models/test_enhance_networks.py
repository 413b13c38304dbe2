"""Enhancers: exact sizes, parts that join without seams, pictures of one colour, gradients that go where they ought."""

import numpy as np
import pytest
import torch
from torch import nn

from models.enhance.enhancer import of_network
from models.enhance.networks import sdag, sllen
from models.enhance.networks.gladnet import GladNet, pad_same, resize_nearest
from models.enhance.networks.sci import Calibration, sci_losses, stages
from models.enhance.networks.zero_dce import ZeroDcePlus, lift
from models.enhance.tiles import enhance_in_tiles
from models.enhance.weights import NETWORKS, build, load_sdag, save_sdag
from models.pose.network import Cpn

SETTINGS = {"sllen": {"classes": 5, "width": 4}, "ruas": {"denoise": True}}
RNG = torch.Generator


def drawn(name, spread=0.15, **settings):
    """A network whose weights are large enough to change a picture."""
    network = build(name, **(settings or SETTINGS.get(name, {}))).eval()
    generator = RNG().manual_seed(3)
    for parameter in network.parameters():
        if parameter.ndim > 1 and name != "gladnet":
            parameter.data.normal_(0, spread, generator=generator)
    return network


def trainable(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "count"),
    [("gladnet", 931_523), ("zero-dce", 79_416), ("zero-dce++", 10_561), ("sci", 258), ("ruas", 1_161)],
)
def test_networks_have_the_published_number_of_parameters(name, count):
    assert trainable(build(name)) == count


def test_ruass_cells_are_the_released_genotypes():
    """Of a cell the convolutions on its seven edges; 3 × 387 and 3 × 648 + 333 weights, 3,438 in all as released."""
    network = build("ruas", denoise=True)
    assert trainable(network) == 3_438

    def edges(cell):
        kinds = [
            f"{'res' * one.residual}{'dil' * (one.conv.dilation[0] > 1)}conv{one.conv.kernel_size[0]}"
            if one.conv
            else ""
            for one in cell.edges
        ]
        return " ".join(kind or "skip" for kind in kinds)

    for cell in network.stages:
        assert edges(cell) == "skip resconv1 resdilconv3 conv3 conv3 skip conv3" and trainable(cell) == 387
    for cell in network.denoiser.cells:
        assert edges(cell) == "resconv1 resconv1 resdilconv3 skip resconv1 resconv1 skip" and trainable(cell) == 648


def test_ruass_stages_are_their_formula():
    """Written out for the first two, the cell's steps by hand."""
    network = drawn("ruas").double()
    y = torch.rand(1, 3, 9, 7, generator=RNG().manual_seed(2), dtype=torch.float64)

    def largest(x):
        out = x.clone()
        for dy, dx in ((0, 1), (1, 0), (1, 1)):
            moved = torch.zeros_like(x)
            moved[..., : 9 - dy, : 7 - dx] = x[..., dy:, dx:]
            out = torch.maximum(out, moved)
        return out

    def conv(x, edge, dilation=1):
        side = edge.conv.weight.shape[-1]
        return nn.functional.conv2d(
            x, edge.conv.weight, edge.conv.bias, padding=side // 2 * dilation, dilation=dilation
        )

    def act(x):
        return torch.where(x > 0, x, 0.05 * x)

    def light_of(x, cell):
        e = cell.edges
        first = act(conv(x, e[1]) + x + x)
        second = act(conv(first, e[3]) + first)
        third = act(2 * second)
        sides = [act(x), act(conv(first, e[2], 2) + first), act(conv(second, e[4])), act(conv(third, e[6]))]
        joined = nn.functional.conv2d(torch.cat(sides, dim=1), cell.join.weight, cell.join.bias)
        return torch.sigmoid(joined).clamp(1e-3, 1)

    t = light_of(largest(y), network.stages[0])
    u = (y / t).clamp(0, 1)
    t2 = light_of(largest(u) - 0.5 * (u - y), network.stages[1])
    found = network.unrolled(y)
    assert len(found) == 3
    for (enhanced, light), (ours, its) in zip(found, ((u, t), ((y / t2).clamp(0, 1), t2)), strict=False):
        assert torch.allclose(enhanced, ours) and torch.allclose(light, its)


@pytest.mark.parametrize("denoise", [False, True])
def test_ruass_halo_is_as_wide_as_it_must_be(denoise):
    network = drawn("ruas", denoise=denoise).double()
    image = 0.2 * torch.rand(1, 3, 64, 60, generator=RNG().manual_seed(1), dtype=torch.float64)
    apart = []
    for halo in (network.halo, network.halo - 1):
        network.halo = halo
        with torch.inference_mode():
            apart.append((network(image) - enhance_in_tiles(network, image, 32)).abs().max())
    assert apart[0] < 1e-12 < apart[1]


def test_sdag_learns_176451_parameters_and_leaves_its_stem_and_the_pose_network_alone():
    with torch.random.fork_rng(devices=[]):
        pose = Cpn("resnet50", lsbn=True)
        network = sdag.Sdag(sdag.stem_of(pose))
    assert trainable(network) == 176_451 and sdag.SLOPE == 0.2 and sdag.CLAMP == 0.8
    before = {n: t.clone() for n, t in {**pose.state_dict(), **network.stem.state_dict(prefix="stem.")}.items()}
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-2)
    network.train()
    image = torch.rand(1, 3, 12, 12, generator=RNG().manual_seed(0))
    torch.stack(list(sdag.sdag_losses(network, image, RNG().manual_seed(1)).values())).sum().backward()
    optimiser.step()
    after = {**pose.state_dict(), **network.stem.state_dict(prefix="stem.")}
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in [*pose.parameters(), *network.stem.parameters()])
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.leave.parameters())


def test_the_guidance_reaches_the_enhanced_picture_through_a_frozen_network():
    with torch.random.fork_rng(devices=[]):
        network = sdag.Sdag(sdag.stem_of(Cpn("small"))).requires_grad_(False)
    image = torch.rand(1, 3, 8, 8, generator=RNG().manual_seed(0), requires_grad=True)
    sdag.guidance_loss(image, network).backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


def test_the_released_stem_is_vggs_first_two_convolutions_and_its_output_is_de_normalised(tmp_path):
    """38,720 weights at the picture's size: 3·64·9 + 64 and 64·64·9 + 64; of torchvision's file of weights."""
    generator = RNG().manual_seed(0)
    shapes = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}
    shapes |= {"features.2.weight": (64, 64, 3, 3), "features.2.bias": (64,), "classifier.6.bias": (7,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    torch.save(weights, tmp_path / "vgg16.pth")
    stem = sdag.vgg_stem(tmp_path / "vgg16.pth")
    assert sum(p.numel() for p in stem.parameters()) == 38_720
    image = torch.rand(1, 3, 8, 9, generator=generator)
    first = nn.functional.conv2d(
        (image - stem.mean) / stem.std, weights["features.0.weight"], weights["features.0.bias"], padding=1
    )
    wanted = nn.functional.conv2d(first.relu(), weights["features.2.weight"], weights["features.2.bias"], padding=1)
    assert torch.allclose(stem(image), wanted, atol=1e-4) and wanted.min() < 0  # no ReLU behind the second
    network = sdag.Sdag(stem)
    assert trainable(network) == 176_451
    nn.init.zeros_(network.leave.weight), nn.init.zeros_(network.leave.bias)
    assert torch.allclose(network(image), stem.mean.expand_as(image))
    save_sdag(network, tmp_path / "sdag.safetensors", {})
    assert torch.equal(load_sdag(tmp_path / "sdag.safetensors").stem(image), stem(image))
    torch.save({"features.0.weight": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="expected torchvision's VGG16"):
        sdag.vgg_stem(tmp_path / "other.pth")
    (tmp_path / "no.pth").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="weights alone"):
        sdag.vgg_stem(tmp_path / "no.pth")


def test_first_weights_are_drawn_as_released():
    """Zero-DCE and SCI: N(0, 0.02²); SCI's 4 convolutions have 81 weights each, Zero-DCE's largest 9,216 …"""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        drawn = [build("zero-dce"), build("sci"), Calibration()]
    for network in drawn:
        flat = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
        assert flat.std().item() == pytest.approx(0.02, rel=4 / (2 * len(flat)) ** 0.5)
    for network in drawn[1:]:
        assert all(not m.bias.any() for m in network.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)))


def test_an_invertible_block_can_be_undone():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        block = sdag.InvertibleBlock(7).double()
    x = torch.rand(2, 7, 6, 5, generator=RNG().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(block.inverse(block(x)), x, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_picture_in_parts_is_the_whole_picture(name):
    """Only the order of sums may differ: in float64 far below what a missing pixel of halo would do."""
    network = drawn(name).double()
    image = torch.rand(1, 3, 227, 141, generator=RNG().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        once, parts = network(image), enhance_in_tiles(network, image, 48)
    assert once.std() > 1e-3
    assert (once - parts).abs().max() < 1e-9


def test_a_halo_that_is_too_small_is_seen():
    """The test above can fail."""
    network = drawn("zero-dce").double()
    network.halo = 5
    image = torch.rand(1, 3, 60, 60, generator=RNG().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        assert (network(image) - enhance_in_tiles(network, image, 30)).abs().max() > 1e-9


def test_curves_found_on_a_small_picture_join_without_seams():
    network = drawn("zero-dce++")
    small = ZeroDcePlus(shrink=4).eval()
    small.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 61, 90, generator=RNG().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(small(image), enhance_in_tiles(small, image, 16))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("level", [0, 1, 77, 255])
def test_a_picture_of_one_colour_is_never_no_number(name, level):
    network = drawn(name)
    image = torch.full((1, 3, 40, 33), level / 255)
    with torch.inference_mode():
        assert network(image).isfinite().all()
    picture = np.full((40, 33, 3), level, np.uint8)
    assert of_network(network, name).enhance(picture).shape == picture.shape


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_gradients_of_pictures_of_one_colour_are_finite(name, level):
    network = drawn(name)
    image = torch.full((1, 3, 32, 32), level)
    network(image).square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_same_padding_puts_the_odd_zero_after():
    """96 → 48 pads 1 after; 3 → 2 pads 1 on both sides: the sizes of the first framework."""
    assert pad_same(torch.ones(1, 1, 96, 3)).shape == (1, 1, 97, 5)
    padded = pad_same(torch.ones(1, 1, 4, 4))[0, 0]
    assert padded[0].tolist() == [1, 1, 1, 1, 0] and padded[-1].tolist() == [0] * 5


def test_the_global_look_goes_down_to_two_pixels():
    sizes = []
    network = GladNet()
    for conv in network.down:
        conv.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-1]))
    network.glance(torch.rand(1, 3, 50, 60, generator=RNG().manual_seed(0)))
    assert sizes == [48, 24, 12, 6, 3, 2]


def test_nearest_takes_the_floor():
    x = torch.arange(2.0).reshape(1, 1, 1, 2)
    assert resize_nearest(x, (1, 3)).flatten().tolist() == [0, 0, 1]


def test_a_curve_of_one_doubles_what_is_dark_and_keeps_black_and_white():
    """x(2 − x) eight times: 1 − (1 − x)^256."""
    x = torch.tensor([0.0, 1e-4, 0.01, 1.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    wanted = 1 - (1 - x.double()) ** 256
    assert torch.allclose(lift(x, torch.ones(1, 3, 2, 2)).double(), wanted, atol=1e-5)
    assert torch.equal(lift(x, torch.zeros(1, 24, 2, 2)), x)


def test_sci_trains_three_stages_and_uses_one():
    """Each stage divides the picture itself by its light, as the released cascade does."""
    network, calibration = build("sci"), Calibration()
    image = torch.rand(2, 3, 16, 16, generator=RNG().manual_seed(0))
    passed = stages(network, calibration, image)
    assert len(passed) == 3 and torch.equal(passed[0][0], image)
    assert torch.allclose(passed[2][0], image + calibration((image / passed[1][1]).clamp(0, 1)), atol=1e-5)
    torch.stack(list(sci_losses(passed).values())).sum().backward()
    for module in (network, calibration):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def spoken(network):
    """A SLLEN whose segmenter has something to say, as after some training."""
    generator = RNG().manual_seed(5)
    for last in (network.attend.join, network.modulate.gamma, network.modulate.beta):
        last.weight.data.normal_(0, 0.1, generator=generator)
    return network


class TestSllen:
    def test_it_begins_as_a_plain_unet_and_the_segmenter_is_heard_from_the_first_step(self):
        network = build("sllen", classes=5, width=8)
        image = torch.rand(1, 3, 16, 16, generator=RNG().manual_seed(0))
        levels = network.encode(image)
        seen = network.segment(image, levels)
        other = seen._replace(logits=seen.logits.flip(1), embedded=seen.embedded + 1)
        assert torch.equal(network.enhance(levels, seen).image, network.enhance(levels, other).image)
        network.enhance(levels, seen).image.sum().backward()
        assert network.attend.join.weight.grad.abs().sum() > 0
        assert network.modulate.gamma.weight.grad.abs().sum() > 0

    def test_the_enhancers_losses_stop_before_the_segmenter(self):
        network = spoken(build("sllen", classes=5, width=8))
        image = torch.rand(1, 3, 16, 16, generator=RNG().manual_seed(0))
        levels = network.encode(image)
        network.enhance(levels, network.segment(image, levels)).image.sum().backward()
        assert all(p.grad is None for p in [*network.segmenter.parameters(), *network.classify.parameters()])
        for part in (network.encoder, network.embed, network.attend, network.modulate, network.enhancer):
            assert sum(p.grad.abs().sum() for p in part.parameters()) > 0

    def test_the_segmenters_loss_leaves_the_enhancer_alone_but_reaches_the_shared_encoder(self):
        network = build("sllen", classes=5, width=8)
        image = torch.rand(1, 3, 16, 16, generator=RNG().manual_seed(0))
        network.segment(image, network.encode(image)).logits.square().sum().backward()
        assert all(p.grad is None for p in [*network.enhancer.parameters(), *network.embed.parameters()])
        assert all(p.grad is not None for p in network.encoder.parameters())

    @pytest.mark.parametrize(
        ("without", "lacks"),
        [
            ({}, {"own_encoder"}),
            ({"attention": False}, {"own_encoder", "embed", "attend", "fuse"}),
            ({"modulation": False}, {"own_encoder", "modulate", "fuse"}),
            ({"fusion": False}, {"own_encoder", "fuse"}),
            ({"shared": False}, set()),
            (
                {"attention": False, "modulation": False},
                {"own_encoder", "inside", "segmenter", "classify", "embed", "attend", "modulate", "fuse"},
            ),
        ],
    )
    def test_the_ablations_lack_their_parts(self, without, lacks):
        network = build("sllen", **({"classes": 5, "width": 4} | without))
        parts = ("own_encoder", "inside", "segmenter", "classify", "embed", "attend", "modulate", "fuse")
        assert {name for name in parts if getattr(network, name) is None} == lacks
        image = torch.rand(1, 3, 16, 24, generator=RNG().manual_seed(0))
        assert network.eval()(image).shape == image.shape

    def test_both_branches_read_the_low_level_feature_side_by_side(self):
        """At an eighth of the size, 8w wide: what goes into the fusion is what each branch makes of the encoder's last
        level, neither of the other's."""
        network = spoken(build("sllen", classes=5, width=8)).eval()
        image = torch.rand(1, 3, 16, 24, generator=RNG().manual_seed(0))
        levels = network.encode(image)
        seen = network.segment(image, levels)
        assert levels[-1].shape == seen.embedded.shape == (1, 64, 2, 3)
        given = []
        network.fuse.register_forward_hook(lambda _m, inputs, _o: given.extend(inputs))
        network.enhance(levels, seen)
        assert torch.equal(given[0], network.attend(levels[-1], network.embed(seen.logits.softmax(dim=1))))
        assert torch.equal(given[1], network.modulate(levels[-1], seen.embedded))
        assert not torch.equal(given[0], given[1])

    def test_sllen_4_has_an_encoder_for_each_network(self):
        network = spoken(build("sllen", classes=5, width=8, shared=False))
        image = torch.rand(1, 3, 16, 16, generator=RNG().manual_seed(0))
        levels = network.encode(image)
        network.segment(image, levels).logits.square().sum().backward()
        assert all(p.grad is None for p in network.encoder.parameters())
        assert all(p.grad is not None for p in network.own_encoder.parameters())

    def test_attention_over_equal_neighbours_is_their_value(self):
        """All keys alike: the softmax is even and what is heard is the value, also at the rim."""
        with torch.random.fork_rng(devices=[]):
            attend = sllen.SemanticAttention(4, 6)
        high = torch.ones(1, 6, 3, 4)
        low = torch.rand(1, 4, 3, 4, generator=RNG().manual_seed(0))
        assert torch.allclose(attend(low, high), low + attend.join(attend.value(high)), atol=1e-6)

    def test_a_fusion_stays_between_what_it_fuses(self):
        with torch.random.fork_rng(devices=[]):
            fuse = sllen.Fusion(2)
        a, b = torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3)
        assert ((fuse(a, b) > 0) & (fuse(a, b) < 1)).all()
        nn.init.zeros_(fuse.weigh.weight), nn.init.zeros_(fuse.weigh.bias)
        assert torch.equal(fuse(a, b), torch.full_like(a, 0.5))
