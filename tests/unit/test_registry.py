import pytest

from sdc import registry
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


@pytest.mark.parametrize(
    ("catalogue", "name", "settings", "message"),
    [
        ("methods", "itq", {"iteration": 3}, r"methods.itq.iteration: unknown key .*did you mean 'iterations'"),
        ("methods", "itq", {"bits": 3}, r"methods.itq.bits: unknown key"),
        ("methods", "mine", {}, r"methods.mine: key 'type' is missing"),
        ("methods", "mine", {"type": "itk"}, r"methods.mine.type: 'itk' is not known; .*did you mean 'itq'"),
        ("backbones", "vgg16", {"weight": "none"}, r"backbones.vgg16.weight: unknown key .*did you mean 'weights'"),
        ("datasets", "digits", {"query": 0}, r"datasets.digits.query: 0 is not allowed; expected integer >= 1 or"),
    ],
)
def test_bad_entries(catalogue, name, settings, message):
    with pytest.raises(SDCError, match=message):
        registry.build(catalogue, name, settings)
