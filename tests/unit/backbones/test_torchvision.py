import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model

from sdc.backbones.forward import Forward
from sdc.backbones.torchvision import Torchvision
from sdc.errors import SDCError


@pytest.mark.parametrize(("model", "dim"), [("mobilenet_v2", 1280), ("resnet18", 512), ("googlenet", 1024)])
def test_features_are_the_input_of_the_last_linear(model, dim):
    module = Torchvision(model=model, weights="none").module()
    batch = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = module(batch)
    assert features.shape == (2, dim)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_features_of_a_state_dict_classify_as_the_whole_network(tmp_path):
    torch.manual_seed(3)
    whole = get_model("resnet18", weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "state.pth")
    backbone = Torchvision(model="resnet18", weights=str(tmp_path / "state.pth"))
    batch = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(whole.fc(backbone.module()(batch)), whole(batch), atol=1e-6)
    assert backbone.weights_id() == "sha256:" + hashlib.sha256((tmp_path / "state.pth").read_bytes()).hexdigest()


def test_vgg16_is_after_the_second_relu_without_dropout():
    module = Torchvision(model="vgg11", weights="none").module()  # the same classifier on a smaller trunk
    with torch.no_grad():
        features = module(torch.rand(1, 3, 64, 64))
        again = module(torch.rand(1, 3, 64, 64))
    assert features.shape == again.shape == (1, 4096)
    assert features.min() == 0


@pytest.mark.heavy
def test_vgg16_and_vit_widths():
    batch = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert Torchvision(model="vgg16", weights="none").module()(batch).shape == (1, 4096)
        assert Torchvision(model="vit_b_16", weights="none").module()(batch).shape == (1, 768)
        assert Torchvision(model="resnet50", weights="none").module()(batch).shape == (1, 2048)


def test_network_without_weights_is_the_same_each_time_and_leaves_the_global_state_alone():
    state = torch.random.get_rng_state()
    first, second = (Torchvision(model="resnet18", weights="none").module().state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_transform_is_that_of_the_weights_unless_set():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    usual = Torchvision(model="mobilenet_v2", weights="none")
    assert usual.transform()(image).shape == (3, 224, 224)
    assert "resize_size=[256]" in usual.transform_id()
    assert "resize_size=[232]" in Torchvision(model="mobilenet_v2").transform_id()
    own = Torchvision(
        model="mobilenet_v2", weights="none", resize=32, crop=30, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1)
    )
    for part in ("crop_size=[30]", "resize_size=[32]", "InterpolationMode.BICUBIC", "mean=[0, 0, 0]", "std=[1, 1, 1]"):
        assert part in own.transform_id()
    expected = image.resize((48, 32), Image.Resampling.BICUBIC)
    left, top = round((48 - 30) / 2), round((32 - 30) / 2)
    expected = np.asarray(expected)[top : top + 30, left : left + 30].transpose(2, 0, 1) / 255
    assert own.transform()(image).numpy() == pytest.approx(expected, abs=1e-6)


def test_weights_ids():
    assert Torchvision(model="vgg16").weights_id() == "IMAGENET1K_V1"
    assert Torchvision(model="resnet50").weights_id() == "IMAGENET1K_V2"
    assert Torchvision(model="resnet50", weights="IMAGENET1K_V1").weights_id() == "IMAGENET1K_V1"
    assert Torchvision(model="resnet50", weights="none").weights_id() == "none"


def test_published_weights_are_their_file(monkeypatch):
    from torchvision.models import ResNet50_Weights

    first, second = (each.url[-12:-4] for each in (ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2))
    monkeypatch.setattr("sdc.backbones.torchvision.hash_of_weights", lambda path, model: f"sha256:{second}{'0' * 56}")
    names = ["none", "IMAGENET1K_V1", "IMAGENET1K_V2", f"sha256:{second}{'0' * 56}", f"sha256:{first}{'1' * 56}"]
    file = Torchvision(model="resnet50", weights="file.pth")
    assert [file.has_weights(name) for name in names] == [False, False, True, True, False]
    published = Torchvision(model="resnet50", weights="IMAGENET1K_V1")
    assert [published.has_weights(name) for name in names] == [False, True, False, False, True]


def test_other_weights_leave_the_transform():
    published = Torchvision(model="resnet50", weights="IMAGENET1K_V2", interpolation="bicubic")
    file = published.with_weights("file.pth")
    assert (file.weights, file.resize, file.crop, file.interpolation) == ("file.pth", 232, None, "bicubic")
    assert file.transform_id() == published.transform_id() != Torchvision(model="resnet50").transform_id()
    assert published.with_weights("IMAGENET1K_V1").transform_id() == published.transform_id()


def test_unknown_weights_name():
    with pytest.raises(
        SDCError, match=r"backbones.vgg16.weights: 'IMAGENET' is not known; allowed: default, none, IMAGENET1K_V1"
    ):
        Torchvision(model="vgg16", weights="IMAGENET").module()


@pytest.mark.parametrize("kind", ["missing", "other model", "no state", "pickle"])
def test_weights_that_do_not_fit_are_named(tmp_path, kind):
    path = tmp_path / "state.pth"
    if kind == "other model":
        torch.save(get_model("alexnet", weights=None).state_dict(), path)
    elif kind == "no state":
        path.write_bytes(b"no state dict")
    elif kind == "pickle":
        torch.save(print, path)
    message = {"missing": "no such weights file", "pickle": "holds objects of builtins.print, which are not loaded"}
    with pytest.raises(SDCError, match=f"state.pth: {message.get(kind, 'is not a state dict that fits resnet18')}"):
        Torchvision(model="resnet18", weights=str(path)).module()


def test_download_that_fails_says_what_to_do(monkeypatch):
    import torchvision.models

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models, "get_model", fail)
    with pytest.raises(
        SDCError, match=r"weights: .*IMAGENET1K_V1 cannot be downloaded \(no network\); put the state dict"
    ):
        Torchvision(model="vgg16").module()


def test_folding_batch_norms_changes_rounding_only(tmp_path):
    torch.manual_seed(1)
    whole = get_model("mobilenet_v2", weights=None).eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics of their own, as after training
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    torch.save(whole.state_dict(), tmp_path / "state.pth")
    module = Torchvision(model="mobilenet_v2", weights=str(tmp_path / "state.pth")).module()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in module.modules())
    whole.classifier = torch.nn.Identity()
    batch = torch.rand(4, 3, 96, 96)
    with torch.no_grad():
        expected = whole(batch)
        assert torch.nn.functional.cosine_similarity(module(batch), expected).min() > 0.99999
        assert torch.allclose(module(batch), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_a_view_is_only_scaled_and_normalised():
    backbone = Torchvision(model="mobilenet_v2", weights="none", resize=40, crop=30, mean=(0, 0, 0), std=(1, 1, 1))
    assert backbone.view_size(Image.new("RGB", (70, 50))) == (30, 30)
    view = np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8)
    pixels = backbone.resizer(view=True)(Image.fromarray(view))
    assert np.array_equal(pixels, view)
    found = backbone.scaler()(torch.from_numpy(pixels)[None])[0].numpy()
    assert found == pytest.approx(view.transpose(2, 0, 1) / 255, abs=1e-6)
    assert "resize_size=[40]" in backbone.transform_id()


def outputs(model, size):
    """Features, clean outputs and tokens of two random images."""
    backbone = Torchvision(model=model, weights="none", resize=size, crop=size)
    batch = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        return backbone.module()(batch), backbone.clean_module()(batch), backbone.token_module()(batch)


# Models whose features are the means of the cells of the last feature map, with its edge for pictures of that size.
@pytest.mark.parametrize(
    ("model", "size", "edge"),
    [
        ("resnet18", 64, 2),
        ("resnet18", 32, 1),
        ("mobilenet_v2", 96, 3),
        ("swin_t", 64, 2),
        ("shufflenet_v2_x0_5", 64, 2),
    ],
)
def test_features_that_are_the_means_of_the_tokens_stay_alone(model, size, edge):
    features, clean, tokens = outputs(model, size)
    assert torch.equal(clean, features)
    assert tokens.shape == (2, edge**2, features.shape[1])
    assert torch.allclose(tokens.mean(1), features, atol=1e-5 * features.abs().max().item())


@pytest.mark.parametrize(
    ("model", "size", "parts", "dim", "width"),
    [
        ("vgg11", 64, 4, 4096, 512),
        ("mobilenet_v3_small", 64, 4, 1024, 576),
        ("convnext_tiny", 64, 4, 768, 768),
        ("vit_b_32", 224, 49, 768, 768),
    ],
)
def test_means_of_tokens_come_beside_features_that_are_something_else(model, size, parts, dim, width):
    features, (clean, means), tokens = outputs(model, size)
    assert features.shape == (2, dim)
    assert torch.equal(clean, features)
    assert tokens.shape == (2, parts, width)
    assert torch.allclose(tokens.mean(1), means, atol=1e-6)


def test_cells_are_those_of_the_feature_map_and_layers_after_it_are_left_out():
    backbone = Torchvision(model="vgg11", weights="none", resize=96, crop=96)
    batch = torch.rand(1, 3, 96, 96)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        trunk = get_model("vgg11", weights=None).eval().features
        tokens = backbone.token_module()
        assert torch.equal(tokens(batch), trunk(batch).flatten(2).mT)
    assert not [layer for layer in tokens.modules() if isinstance(layer, torch.nn.Linear)]


def test_patches_of_a_transformer_are_normalised_and_without_the_class_token():
    backbone = Torchvision(model="vit_b_32", weights="none")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = get_model("vit_b_32", weights=None).eval()
    batch = torch.rand(1, 3, 224, 224)
    seen = []
    whole.encoder.ln.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        whole(batch)
        tokens = backbone.token_module()(batch)
        features = backbone.module()(batch)
    assert torch.allclose(tokens, seen[0][:, 1:], atol=1e-5)
    assert torch.allclose(features, seen[0][:, 0], atol=1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "model",
    "alexnet densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 regnet_y_400mf "
    "resnext50_32x4d swin_v2_t vgg11_bn vit_b_16".split(),
)
def test_every_family_has_tokens(model):
    crop = Torchvision(model=model, weights="none").transform().crop_size[0]
    _, clean, tokens = outputs(model, crop)
    means = clean if isinstance(clean, torch.Tensor) else clean[1]
    assert tokens.shape[1] > 1
    assert torch.allclose(tokens.mean(1), means, atol=1e-5 * means.abs().max().item())


def test_generalised_mean_is_of_the_last_feature_map():
    options = {"model": "resnet18", "weights": "none", "resize": 96, "crop": 96}
    backbone = Torchvision(**options, pool="gem")
    batch = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        tokens = backbone.token_module()(batch)
        features, means = backbone.clean_module()(batch)
        assert torch.equal(tokens, Torchvision(**options).token_module()(batch))
        assert torch.equal(backbone.module()(batch), features)
    assert torch.allclose(features, tokens.clamp(min=1e-6).pow(3).mean(1).pow(1 / 3), atol=1e-5)
    assert torch.allclose(means, tokens.mean(1), atol=1e-5)
    assert "pool=gem" in backbone.transform_id()


def test_generalised_mean_of_a_sequence_is_refused():
    with pytest.raises(SDCError, match="backbones.vit_b_32.pool: gem needs a feature map, and this has tokens"):
        Torchvision(model="vit_b_32", weights="none", pool="gem").module()


def test_several_scales_are_averaged_beside_the_tokens_means():
    options = {"model": "resnet18", "weights": "none", "resize": 96, "crop": 96}
    batch = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        features, means = Torchvision(**options, scales=(0.7071, 1, 1.4142)).clean_module()(batch)
        plain = Torchvision(**options).module()(batch)
    assert torch.allclose(features.norm(dim=1), torch.ones(2), atol=1e-6)
    assert torch.allclose(means, plain, atol=1e-5)
    assert torch.nn.functional.cosine_similarity(features, plain).min() > 0.8


@pytest.mark.parametrize(
    "model",
    [
        "resnet18",
        *(pytest.param(name, marks=pytest.mark.heavy) for name in "vgg11 vit_b_32 swin_t convnext_tiny".split()),
    ],
)
def test_lower_precision_is_that_of_autocast(model):
    backbone = Torchvision(model=model, weights="none")
    batch = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        exact = backbone.module()(batch).numpy()
        with torch.autocast("cpu", torch.bfloat16):
            expected = backbone.module()(batch).float().numpy()
    (found,) = Forward(backbone.module(), torch.device("cpu"), "bfloat16")(batch)
    scale = np.abs(exact).max()
    assert np.abs(found - expected).max() < 0.01 * scale
    assert 0 < np.abs(found - exact).max() < 0.1 * scale


def test_tokens_pooled_to_a_grid():
    batch = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        every = Torchvision(model="resnet18", weights="none").token_module()(batch)
        few = Torchvision(model="resnet18", weights="none", tokens=1).token_module()(batch)
    assert every.shape == (2, 9, 512)
    assert torch.allclose(few, every.mean(1, keepdim=True), atol=1e-5)
    with pytest.raises(SDCError, match=r"tokens: 0 is not allowed; expected integer >= 1"):
        Torchvision(model="resnet18", tokens=0)
