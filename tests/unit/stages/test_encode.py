import dataclasses

import numpy as np
import pytest

from sdc import hamming
from sdc.errors import StorageError
from sdc.head import Head
from sdc.stages import encode, extract, train
from sdc.storage.codes import read_codes
from sdc.storage.features import Features
from sdc.storage.heads import read_head, write_head
from sdc.storage.manifest import read_manifest


def test_codes_of_queries_and_database(stages):
    stages.extract()
    stages.train()
    stages.encode()
    codes = read_codes(stages.codes)
    assert codes.row.tolist() == list(range(40))
    features = Features(stages.features, 2).read()
    assert np.array_equal(codes.codes, read_head(stages.head).encode(features))
    assert (codes.attributes["method"], codes.attributes["bits"], codes.attributes["seed"]) == ("itq", 16, 0)


def test_training_rows_outside_the_database_get_no_code(stages, make_images):
    stages.root = make_images(
        {"query/a": 2, "query/b": 2, "database/a": 5, "database/b": 5, "train/a": 9, "train/b": 9}, root="x"
    )
    stages.prepare()
    stages.extract()
    stages.train()
    stages.encode()
    manifest = read_manifest(stages.manifest)
    assert read_codes(stages.codes).row.tolist() == np.flatnonzero(~manifest.train).tolist()


def test_head_of_other_features_is_refused(stages):
    stages.extract()
    stages.train()
    stages.extract(settings={"size": 5})
    with pytest.raises(
        StorageError, match=r"head.safetensors: is of transform size=4 .*, expected size=5 .*; regenerate"
    ):
        stages.encode()
    assert not stages.codes.exists()


@pytest.mark.parametrize(("model", "dim"), [("mobilenet_v3_small", 576), ("resnet18", 512)])
def test_heads_on_tokens_encode_their_means(stages, model, dim):
    settings = {"weights": "none", "resize": 32, "crop": 32}
    extract.run(stages.manifest, model, settings, 0, 1, stages.features / "0-of-1.h5", "cpu")
    attributes = Features(stages.features, 1).attributes
    identity = {key: attributes[key] for key in ("dataset", "backbone", "weights", "transform")}
    identity["manifest_xxh3"] = read_manifest(stages.manifest).xxh3
    identity |= {"method": "wch", "bits": 16, "seed": 0, "version": "0", "input": "token_means"}
    weight = np.random.default_rng(0).standard_normal((16, dim)).astype(np.float32)
    head = Head(("linear",), {"0.weight": weight, "0.bias": np.zeros(16, np.float32)}, identity)
    write_head(stages.head, head)
    stages.encode(shards=1)
    array = "token_means" if model == "mobilenet_v3_small" else "features"
    expected = head.encode(Features(stages.features, 1, array=array).read())
    assert np.array_equal(read_codes(stages.codes).codes, expected)


def test_head_of_another_width_is_refused(stages):
    stages.extract()
    stages.train()
    head = read_head(stages.head)
    weight = np.ones((16, 5), np.float32)
    write_head(stages.head, dataclasses.replace(head, arrays={**head.arrays, "0.weight": weight}))
    with pytest.raises(StorageError, match=r"head.safetensors: takes 5 numbers per image, .*features holds 48; regen"):
        stages.encode()


@pytest.fixture
def transferred(imported, clustered, tmp_path):
    """``transferred(…)``: codes of one dataset of vectors by a head trained on another, whose vectors lie elsewhere."""

    def run(weights="net", **options):
        features, labels = clustered(120, 24)
        source = imported("source", features, labels)
        head = tmp_path / "head.safetensors"
        train.run(source, tmp_path / "source", 2, "itq", {}, 16, 0, head, tmp_path / "curve.csv", "cpu")
        target = imported("target", clustered(90, 24, seed=1)[0] + 3, labels[:90], weights=weights)
        encode.run(target, tmp_path / "target", 2, head, tmp_path / "codes.h5", **options)
        return read_manifest(target), read_head(head), read_codes(tmp_path / "codes.h5")

    return run


def test_head_of_another_dataset(transferred, tmp_path):
    manifest, head, codes = transferred(train_on="source")
    assert np.array_equal(codes.codes, head.encode(Features(tmp_path / "target", 2).read()))
    assert codes.codes_raw is None
    expected = {"dataset": "target", "train_on": "source", "manifest_xxh3": manifest.xxh3, "method": "itq"}
    assert {key: codes.attributes[key] for key in expected} == expected
    assert "thresholds" not in codes.attributes


def test_recentred_bits_are_set_above_their_mean_over_the_database(transferred, tmp_path):
    manifest, head, codes = transferred(train_on="source", recentre=True)
    features = Features(tmp_path / "target", 2).read()
    logits = head.logits(features)
    assert np.array_equal(hamming.unpack(codes.codes), logits > logits[manifest.database].mean(axis=0))
    assert np.array_equal(codes.codes_raw, head.encode(features))
    # The vectors lie to one side of what the head was trained on: by its own thresholds, bits are nearly constant.
    balance = [np.abs(hamming.unpack(held).mean(axis=0) - 0.5).mean() for held in (codes.codes, codes.codes_raw)]
    assert balance[0] < 0.15 < balance[1]
    assert codes.attributes["thresholds"] == "mean over the database"


def test_head_of_another_dataset_must_be_named_and_of_the_same_vectors(transferred):
    with pytest.raises(StorageError, match=r"head.safetensors: was made from another manifest"):
        transferred()
    with pytest.raises(StorageError, match=r"head.safetensors: is of dataset source, expected elsewhere"):
        transferred(train_on="elsewhere")
    with pytest.raises(StorageError, match=r"head.safetensors: is of weights net, expected other net"):
        transferred(weights="other net", train_on="source")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"dataset": "pets"}, r"folder.json: is of dataset folder, expected pets"),
        ({"backbone": "vgg16"}, r"0-of-2.h5: is of backbone pixels, expected vgg16"),
        ({"method": "sdc"}, r"head.safetensors: is of method itq, expected sdc"),
        ({"bits": 32}, r"head.safetensors: is of bits 16, expected 32"),
        ({"seed": 1}, r"head.safetensors: is of seed 0, expected 1"),
    ],
)
def test_another_runs_files_are_refused(stages, expect, message):
    stages.extract()
    stages.train()
    known = {"dataset": "folder", "backbone": "pixels", "method": "itq", "bits": 16, "seed": 0}
    encode.run(stages.manifest, stages.features, 2, stages.head, stages.codes, expect=known)
    stages.codes.unlink()
    with pytest.raises(StorageError, match=f"{message}; regenerate it with: snakemake"):
        encode.run(stages.manifest, stages.features, 2, stages.head, stages.codes, expect={**known, **expect})
    assert not stages.codes.exists()
