import pytest

from sdc.errors import SDCError
from sdc.stages import prepare
from sdc.storage.manifest import read_manifest


def test_manifest_and_sidecar(stages):
    manifest = read_manifest(stages.manifest)
    assert manifest.facts["dataset"] == "folder"
    assert manifest.facts["settings"]["root"] == str(stages.root)
    assert manifest.facts["counts"] == {"images": 40, "query": 6, "database": 34, "train": 16}
    assert manifest.facts["protocol"] == "per-class draw"


def test_same_settings_same_bytes(stages):
    before = [path.read_bytes() for path in sorted(stages.manifest.parent.iterdir())]
    stages.prepare()
    assert [path.read_bytes() for path in sorted(stages.manifest.parent.iterdir())] == before


def test_failure_writes_nothing(tmp_path):
    with pytest.raises(SDCError, match="none: not found"):
        prepare.run("folder", {"root": str(tmp_path / "none")}, tmp_path / "out/m.csv")
    assert not (tmp_path / "out").exists()
