import json

import numpy as np
import pytest

from sdc import Index
from sdc.errors import SDCError, StorageError
from sdc.stages import index as stage
from sdc.storage.codes import Codes, read_codes, write_codes
from sdc.storage.heads import read_head
from sdc.storage.manifest import read_manifest


@pytest.fixture
def encoded(stages):
    """A ``Run`` with codes."""
    stages.extract()
    stages.train()
    stages.encode()
    return stages


def build(run, out="index", **options):
    stage.run(run.manifest, run.codes, run.head, run.out / out, **options)
    return run.out / out


def test_every_encoded_image_with_its_path_and_label(encoded):
    index = Index.load(build(encoded), {"method": "itq", "bits": 16, "seed": 0})
    codes, manifest = read_codes(encoded.codes), read_manifest(encoded.manifest)
    assert np.array_equal(index.codes, codes.codes)
    assert index.ids.tolist() == codes.row.tolist() == list(range(40))
    assert list(index.items.paths) == list(manifest.paths)
    assert list(index.items.labels) == [path.partition("/")[0] for path in manifest.paths]
    assert index.head.metadata == read_head(encoded.head).metadata
    assert index.map.rows.tolist() == index.ids.tolist() and np.ptp(index.map.places, axis=0).max() == 65535
    assert index.facts["recall"] == {"recall@10": 1.0, "queries": int(manifest.query.sum())}
    assert index.facts["dataset_settings"]["root"] == str(encoded.root)
    values = json.loads((encoded.out / "index/index.json").read_text())
    assert (values["engine"], values["engine_settings"], values["count"], values["bits"]) == ("flat", {}, 40, 16)
    assert values["made_from"] == {"head_xxh3": codes.attributes["head_xxh3"]}


def test_settings_choose_the_engine(encoded):
    index = Index.load(build(encoded, settings={"engine": "ivf", "nlist": 3, "nprobe": 1}))
    assert index.settings.as_dict() | {"engine": "ivf", "nlist": 3, "nprobe": 1} == index.settings.as_dict()
    assert 0 < index.facts["recall"]["recall@10"] <= 1
    with pytest.raises(SDCError, match="nprobe: is a setting of ivf"):
        build(encoded, "other", settings={"engine": "flat", "nprobe": 1})
    assert not (encoded.out / "other").exists()


def test_codes_by_the_heads_own_thresholds_where_they_are_recentred(encoded):
    codes = read_codes(encoded.codes)
    write_codes(encoded.codes, Codes(~codes.codes, codes.row, codes.attributes, codes.codes))
    assert np.array_equal(Index.load(build(encoded)).codes, codes.codes)


def test_codes_of_another_head_or_manifest_are_refused(encoded):
    encoded.train(seed=1, method="lsh")
    with pytest.raises(StorageError, match=r"head.safetensors: is of method lsh, expected itq; regenerate"):
        build(encoded)
    encoded.train(settings={"iterations": 3})
    with pytest.raises(StorageError, match=r"codes.h5: was encoded by another head than .*head.safetensors; regen"):
        build(encoded)
    encoded.prepare(seed=1)
    with pytest.raises(StorageError, match="codes.h5: was made from another manifest"):
        build(encoded)
    assert not (encoded.out / "index").exists()


def test_images_without_labels(stages, make_images):
    stages.root = make_images({"": 30}, root="holiday")
    stages.prepare(query=4, train=20)
    stages.extract()
    stages.train()
    stages.encode()
    index = Index.load(build(stages))
    assert len(index) == 30 and {*index.items.labels} == {""}
    assert index.map.rows.tolist() == index.ids.tolist() and np.ptp(index.map.places, axis=0).max() == 65535
    assert index.facts["recall"] == {"recall@10": 1.0, "queries": 4}
