import pytest

from sdc.errors import SDCError, StorageError
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
    with pytest.raises(SDCError, match="none: no such file"):
        prepare.run("folder", {"root": str(tmp_path / "none")}, tmp_path / "out/m.csv")
    assert not (tmp_path / "out").exists()


def test_the_list_alone_then_splits_from_it(stages, tmp_path):
    settings = {"root": str(stages.root), "query": 3, "train": 8}
    prepare.run("folder", {"root": str(stages.root)}, tmp_path / "m.images.csv")
    assert sorted(path.name for path in tmp_path.glob("m.*")) == ["m.images.csv", "m.images.json"]
    stages.root.rename(tmp_path / "elsewhere")  # splits need no image
    prepare.run("folder", settings, tmp_path / "m.csv", tmp_path / "m.images.csv")
    for name in ("images.csv", "csv", "relevance.json"):
        assert (tmp_path / f"m.{name}").read_bytes() == (stages.manifest.parent / f"folder.{name}").read_bytes()
    assert read_manifest(tmp_path / "m.csv").facts == read_manifest(stages.manifest).facts


def test_the_list_of_another_dataset_is_refused(stages, tmp_path):
    prepare.run("digits", {}, tmp_path / "m.images.csv")
    with pytest.raises(StorageError, match=r"m.images.json: is of dataset digits, expected folder; regenerate it with"):
        prepare.run("folder", {"root": str(stages.root)}, tmp_path / "m.csv", tmp_path / "m.images.csv")
    assert not (tmp_path / "m.csv").exists()
