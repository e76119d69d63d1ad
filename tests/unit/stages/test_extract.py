import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from sdc import registry, storage
from sdc.backbones.pixels import Pixels
from sdc.errors import SDCError


def test_features_are_those_of_each_image_in_manifest_order(stages):
    stages.extract(shards=3)
    manifest = storage.read_manifest(stages.manifest)
    features = storage.Features(stages.features, 3, manifest.sha256)
    transform = Pixels(model="pixels", size=4).transform()
    expected = [transform(Image.open(stages.root / path)).numpy() for path in manifest.paths]
    assert np.array_equal(features.read(), np.stack(expected))


def test_attributes_say_what_the_shard_depends_on(stages):
    stages.extract()
    with h5py.File(stages.features / "1-of-2.h5") as file:
        attributes = dict(file.attrs)
        assert file["row"][:].tolist() == list(range(20, 40))
    expected = {
        "schema": "sdc.features/1", "dataset": "folder", "backbone": "pixels", "weights": "none", "kind": "clean",
        "manifest_sha256": storage.sha256_of(stages.manifest), "features_version": registry.FEATURES_VERSION,
        "rows": 40, "shard": 1, "shards": 2, "start": 20, "stop": 40, "dtype": "float32",
        "transform": "size=4 channels=rgb scale=1/255", "torch": str(torch.__version__),
    }  # fmt: skip
    assert {key: attributes[key] for key in expected} == expected


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_size_and_shards_do_not_change_the_values(stages, batch_size):
    stages.extract(shards=1)
    expected = storage.Features(stages.features, 1).read()
    stages.extract(shards=4, batch_size=batch_size)
    assert np.array_equal(storage.Features(stages.features, 4).read(), expected)


def test_again_is_the_same_bytes(stages):
    stages.extract(shards=1)
    first = (stages.features / "0-of-1.h5").read_bytes()
    stages.extract(shards=1)
    assert (stages.features / "0-of-1.h5").read_bytes() == first


def test_half_precision_storage(stages):
    stages.extract(settings={"size": 4, "dtype": "float16"})
    with h5py.File(stages.features / "0-of-2.h5") as file:
        assert file["features"].dtype == np.float16


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_image_that_cannot_be_decoded_fails_and_is_named(stages, damage):
    path = stages.root / storage.read_manifest(stages.manifest).paths[3]
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SDCError, match=rf"{path}: cannot be decoded"):
        stages.extract()
    assert not list(stages.features.iterdir())


def test_skipped_images_are_in_no_shard(stages):
    path = stages.root / "cat/0003.png"
    path.write_bytes(path.read_bytes()[:100])
    stages.prepare(on_error="skip")
    stages.extract()
    assert len(storage.Features(stages.features, 2)) == 39


@pytest.mark.parametrize("batch_size", [1, 16])
def test_images_of_several_sizes_need_a_size(stages, make_images, batch_size):
    make_images({"cat": 1}, size=(9, 9))
    with pytest.raises(SDCError, match=r"differ in size; set backbones.pixels.size"):
        stages.extract(settings={"channels": "rgb"}, batch_size=batch_size)
    assert not list(stages.features.glob("*.part"))


def test_more_shards_than_images(stages):
    with pytest.raises(SDCError, match="datasets.folder.shards: 50 shards for 40 images; lower it"):
        stages.extract(shards=50, only=[0])


def test_features_that_overflow_are_refused_by_image(stages, monkeypatch):
    monkeypatch.setattr(Pixels, "module", lambda self: torch.nn.Threshold(2.0, 1e9))
    with pytest.raises(SDCError, match=r"png: its features hold NaN or infinity as float16; .* or set dtype: float32"):
        stages.extract(settings={"size": 4, "dtype": "float16"})


def test_real_network_and_speed_are_logged(stages, caplog):
    from sdc.stages import extract

    caplog.set_level("INFO")
    out = stages.features / "0-of-1.h5"
    extract.run(
        stages.manifest, "resnet18", {"weights": "none", "resize": 32, "crop": 32}, 0, 1, out, "cpu", batch_size=8
    )
    assert storage.Features(stages.features, 1).shape == (40, 512)
    assert "40 images in" in caplog.text
    assert "images/s" in caplog.text
