import json

from sdc import registry
from sdc.cli import main


def test_every_backbone_is_a_line(capsys):
    assert main(["backbones"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == [*registry.BACKBONES]


def test_backbones_say_what_they_take_and_need(capsys):
    assert main(["backbones", "--json"]) == 0
    listed = {backbone.pop("name"): backbone for backbone in json.loads(capsys.readouterr().out)}
    assert (listed["imported"]["takes"], listed["imported"]["tokens"]) == ("vectors", "no")
    assert (listed["resnet50"]["takes"], listed["resnet50"]["tokens"]) == ("images", "yes")
    assert [listed[name]["needs"] for name in ("timm", "module", "pixels", "vgg16")] == ["name", "factory", "", ""]
