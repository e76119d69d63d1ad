import pytest

from sdc import SDC, registry
from sdc.errors import SDCError


def test_every_registered_target_can_be_loaded():
    for catalogue, names in registry.CATALOGUES.items():
        for name in names:
            assert registry.load(catalogue, name).__name__


def test_build_gives_the_class_with_the_entry_and_what_is_given():
    method = registry.build("methods", "itq", {"iterations": 3}, bits=16, seed=2)
    assert (type(method).__name__, method.iterations, method.bits, method.seed) == ("ITQ", 3, 16, 2)


def test_type_makes_a_second_entry_of_a_kind():
    backbone = registry.build("backbones", "tiny", {"type": "resnet18", "weights": "none"})
    assert backbone.model == "resnet18"
    assert registry.build("datasets", "pets", {"type": "folder", "root": "here"}).root == "here"


def test_preset_is_where_a_method_starts_from():
    method = registry.build("methods", "sdc", {"preset": "code"}, bits=16, seed=2)
    assert method == SDC.preset("code", bits=16, seed=2)
    assert (method.hidden, method.weight_decay, method.epochs) == ("dim", 1e-5, 100)


def test_entry_overrides_its_preset_key_by_key():
    entry = {"type": "sdc", "preset": "instance", "epochs": 3, "hidden": 64}
    method = registry.build("methods", "mine", entry)
    assert (method.epochs, method.hidden, method.batch_size, method.quantisation) == (3, 64, 256, 0.01)


def test_only_methods_have_presets():
    with pytest.raises(SDCError, match="datasets.digits.preset: unknown key"):
        registry.build("datasets", "digits", {"preset": "paper"})


@pytest.mark.parametrize(
    ("catalogue", "name", "settings", "message"),
    [
        ("methods", "itq", {"iteration": 3}, r"methods.itq.iteration: unknown key .*did you mean 'iterations'"),
        ("methods", "itq", {"bits": 3}, r"methods.itq.bits: unknown key"),
        ("methods", "sdc", {"preset": "papers"}, r"methods.sdc.preset: 'papers' is not known; .*did you mean 'paper'"),
        ("methods", "mine", {}, r"methods.mine: is not known, and has no type; allowed: lsh, sh, .*, orthohash$"),
        ("datasets", "cifar11", {}, r"datasets.cifar11: is not known, .*; did you mean 'cifar100'|'cifar10'"),
        ("methods", "mine", {"type": "itk"}, r"methods.mine.type: 'itk' is not known; .*did you mean 'itq'"),
        ("backbones", "vgg16", {"weight": "none"}, r"backbones.vgg16.weight: unknown key .*did you mean 'weights'"),
        (
            "datasets",
            "digits",
            {"query": 0},
            r"datasets.digits.query: 0 is not allowed; expected integer >= 1, <= 1000000000 or",
        ),
    ],
)
def test_bad_entries(catalogue, name, settings, message):
    with pytest.raises(SDCError, match=message):
        registry.build(catalogue, name, settings)


@pytest.mark.parametrize("kind", [["sdc"], {"sdc": 1}, 3, None])
def test_types_that_are_no_names_are_refused(kind):
    with pytest.raises(SDCError, match=r"methods.mine.type: .* is not known; allowed: "):
        registry.build("methods", "mine", {"type": kind})


def test_settings_of_a_backbone_build_the_same_again():
    backbone = registry.build("backbones", "mine", {"type": "resnet18", "weights": "none", "scales": [1, 0.5]})
    settings = registry.settings_of(backbone)
    assert (settings["type"], settings["scales"], settings["precision"]) == ("resnet18", [1, 0.5], "auto")
    assert registry.settings_of(registry.build("backbones", "mine", settings)) == settings
