import json

from sdc import registry
from sdc.cli import main


def test_every_method_is_a_line(capsys):
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == [*registry.METHODS]


def test_methods_say_what_they_learn_from_and_their_source(capsys):
    assert main(["methods", "--json"]) == 0
    listed = {method["name"]: method for method in json.loads(capsys.readouterr().out)}
    assert listed["wch"] == {
        "name": "wch",
        "learns from": "features, tokens",
        "is": "trained",
        "source": "Yu et al., ACCV 2022",
        "about": "Patches of two views attend to each other; patch-wise similarities weigh the contrast of the codes",
    }
    assert listed["itq"]["is"] == "closed form"
    assert "labels" in listed["dpn"]["learns from"]
