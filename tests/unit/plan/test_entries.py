import pytest

from sdc.plan.entries import (
    backbone_settings,
    build_entry,
    canonical,
    decoding_settings,
    entry,
    evaluation_settings,
    head_settings,
    instance_datasets,
    manifest_settings,
    state_dict,
    trained_on,
    view_settings,
    weights_file,
)
from sdc.plan.shards import shard_count

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


@pytest.mark.parametrize(
    ("weights", "file"),
    [("IMAGENET1K_V1", None), ("none", None), ("a.pth", "a.pth"), ("dir/state", "dir/state"), ("x.pt", "x.pt")],
)
def test_weights_file(weights, file):
    assert weights_file({"weights": weights}) == file


def test_settings_that_do_not_change_the_manifest_are_kept_from_it():
    later = {"shards": 2, "map_at": 5, "precision_at": [1], "views": 3, "augmentation": "photographs"}
    config = {"datasets": {"digits": {"query": 3, **later}}}
    assert manifest_settings(config, "digits") == {"query": 3}
    scored = {"map_at": 5, "precision_at": [1], "ties": "expected", "convention": "standard"}
    assert evaluation_settings(config, "digits") == scored
    config["evaluation"] = {"ties": "stable", "features": False}
    assert evaluation_settings(config, "digits") == {**scored, "ties": "stable"}
    assert shard_count(config, "digits") == 2


def test_views_depend_on_their_number_the_augmentation_and_the_datasets_seed():
    assert view_settings({}, "digits") == {"views": 4, "augmentation": "scans", "view_seed": 0}
    assert view_settings({}, "cifar10") == {"views": 4, "augmentation": "photographs", "view_seed": 42}
    config = {"datasets": {"pets": {"type": "folder", "views": 2, "seed": 9, "shards": 3}}}
    assert view_settings(config, "pets") == {"views": 2, "augmentation": "photographs", "view_seed": 9}


def test_canonical_does_not_depend_on_order():
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == '{"a": 2, "b": 1}'


def test_preset_of_the_config_is_that_of_methods_without_their_own():
    config = {"preset": "code", "methods": {"sdc": {"epochs": 3}, "itq": {"preset": "original"}}}
    assert entry(config, "methods", "sdc") == {"preset": "code", "epochs": 3}
    assert entry(config, "methods", "lsh") == {"preset": "code"}
    assert entry(config, "methods", "itq") == {"preset": "original"}
    assert entry(config, "datasets", "digits") == {}


def test_preprocessing_of_a_protocol_gives_way_to_the_entry_of_the_backbone(monkeypatch):
    from sdc.datasets.digits import Digits

    monkeypatch.setattr(Digits, "preprocessing", {"resize": 224, "interpolation": "bicubic"})
    config = {"backbones": {"vgg16": {"resize": 256}}}
    assert backbone_settings(config, "digits", "vgg16") == {"resize": 256, "interpolation": "bicubic"}
    assert backbone_settings(config, "digits", "pixels") == {}


def test_decoding_is_said_only_where_it_is_not_the_usual():
    config = {"datasets": {"folder": {"root": "x", "truncated": "load"}}}
    assert decoding_settings(config, "folder") == {"truncated": "load"}
    assert decoding_settings({}, "folder") == decoding_settings({}, "digits") == {}
    # With on_error: skip, they decide what is listed.
    assert manifest_settings(config, "folder") == {"root": "x", "truncated": "load"}


def test_a_limit_of_pixels_is_part_of_decoding_only_where_it_says_what_is_scaled():
    config = {"datasets": {"folder": {"root": "x", "max_megapixels": 200}}}
    assert decoding_settings(config, "folder") == {}
    config["datasets"]["folder"]["oversized"] = "scale"
    assert decoding_settings(config, "folder") == {"oversized": "scale", "max_megapixels": 200}


CLIP = {"clip": {"type": "features", "file": "x.npy"}}


def test_weights_of_vectors_are_words_and_no_file():
    config = {"backbones": {"imported": {"weights": "openai/clip"}, "resnet18": {"weights": "a.pth"}}}
    assert state_dict(config, "imported") is None
    assert state_dict(config, "resnet18") == "a.pth"
    assert build_entry({"datasets": CLIP}, "datasets", "clip").vector_files() == ["x.npy"]
    assert build_entry({}, "datasets", "digits").vector_files() == []


def test_heads_are_of_the_dataset_itself_or_of_the_one_it_names():
    config = {"datasets": {**CLIP, "pets": {"type": "folder", "root": "x", "train_on": "digits", "recentre": False}}}
    assert [trained_on(config, name) for name in ("pets", "clip", "digits")] == ["digits", "clip", "digits"]
    assert head_settings(config, "pets") == {"train_on": "digits", "recentre": False}
    assert head_settings(config, "clip") == {}
    # Neither changes the manifest.
    assert manifest_settings(config, "pets") == {"type": "folder", "root": "x"}


def test_missing_names_what_is_not_there(tmp_path):
    config = {"datasets": {"folder": {"root": str(tmp_path / "gone")}}}
    assert build_entry(config, "datasets", "folder").missing() == [
        f"{tmp_path}/gone: no such file or folder; {tmp_path}/ holds nothing"
    ]
    assert build_entry({}, "datasets", "digits").missing() == []


def test_instance_datasets_are_those_with_listed_relevance():
    datasets = {"oxford": {"type": "roxford5k"}}
    run = {**RUN, "datasets": ["digits", "gldv2", "oxford", "sop"]}
    assert instance_datasets({"run": run, "datasets": datasets}) == ["gldv2", "oxford"]
