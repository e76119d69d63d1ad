"""The schema of configs, as editors have it and as configs are checked by."""

import json

import jsonschema
import pytest
import yaml

from sdc import registry
from sdc.errors import SDCError
from sdc.plan import schema
from sdc.plan.checks import check_config

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh"], "bits": [16], "seeds": [0]}


@pytest.fixture(scope="module")
def committed(root):
    return jsonschema.Draft202012Validator(json.loads((root / "workflow/schemas/config.schema.json").read_text()))


def test_the_committed_schema_is_that_of_the_code(root):
    again = "regenerate it with: python -m sdc.plan.schema > workflow/schemas/config.schema.json"
    assert (root / "workflow/schemas/config.schema.json").read_text() == schema.text(), again


def test_editors_have_every_key_of_every_entry(committed):
    document = committed.schema
    committed.check_schema(document)
    for catalogue, known in registry.CATALOGUES.items():
        entries = document["properties"][catalogue]["properties"]
        assert set(entries) == set(known)
        for name in known:
            cls = registry.load(catalogue, name).__name__
            assert entries[name] == {"$ref": f"#/$defs/{catalogue}.{cls}"}
            fields = document["$defs"][f"{catalogue}.{cls}.fields"]
            assert set(fields["properties"]) == set(registry.entry_schema(catalogue, name, {})["properties"])
    hidden = document["$defs"]["methods.SDC.fields"]["properties"]["hidden"]
    assert hidden["description"]
    assert "default" in hidden


def test_shipped_configs_name_the_schema_and_pass(root, committed):
    paths = [root / "config.yaml", *sorted((root / "configs").glob("*.yaml"))]
    for path in paths:
        first = path.read_text().partition("\n")[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (path.parent / first.partition("=")[2]).resolve() == root / "workflow/schemas/config.schema.json"
        committed.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"methods": {"sdc": {"epoch": 3}}},
        {"methods": {"sdc": {"epochs": 0}}},
        {"methods": {"mine": {"epochs": 3}}},
        {"methods": {"mine": {"type": "sdc", "epoch": 3}}},
        {"methods": {"lsh": {"preset": "papers"}}},
        {"datasets": {"pets": {"type": "folders"}}},
        {"datasets": {"digits": {"shards": "2"}}},
        {"backbones": {"vgg16": {"pool": "max"}}},
        {"evaluation": {"ties": "none"}},
        {"run": {**RUN, "bits": [12]}},
        {"runs": RUN},
    ],
)
def test_editors_and_checks_refuse_the_same(committed, change):
    assert not committed.is_valid({"run": RUN, **change})
    with pytest.raises(SDCError):
        check_config({"run": RUN, **change})


@pytest.mark.parametrize(
    "change", [{}, {"methods": {"mine": {"type": "sdc", "epochs": 3}, "sdc": {"preset": "code"}}},
               {"datasets": {"pets": {"type": "folder", "root": "x"}}, "backbones": {"net": {"type": "resnet18"}}}],
)  # fmt: skip
def test_editors_and_checks_take_the_same(committed, change):
    committed.validate({"run": RUN, **change})
    check_config({"run": RUN, **change})
