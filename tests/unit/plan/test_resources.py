import pytest

from sdc.plan.resources import USUAL_COUNTS, needs

CONFIG = {"datasets": {"pets": {"type": "folder", "root": "pets"}, "large": {"type": "folder", "root": "large"}}}
WILDCARDS = {
    "dataset": "pets", "backbone": "vgg16", "method": "sdc", "bits": "64", "kind": "clean", "shards": "1",
}  # fmt: skip
COUNTS = {"images": 60_000, "query": 1_000, "database": 59_000, "train": 5_000}
SHARD = {"features": 60_000 * 4096 * 4}
STAGES = ["prepare", "extract", "train", "encode", "evaluate", "evaluate_features", "index", "aggregate_thumbnails"]


def needed(stage, counts=COUNTS, sizes=SHARD, threads=1, gpu=False, config=CONFIG, **wildcards):
    return needs({**CONFIG, **config}, stage, {**WILDCARDS, **wildcards}, counts, sizes, threads, gpu)


@pytest.mark.parametrize("stage", STAGES)
def test_needs_grow_with_the_data(stage):
    small, large = (
        needed(stage, {name: factor * count for name, count in COUNTS.items()}, threads=2) for factor in (1, 1000)
    )
    assert all(isinstance(number, int) for number in (*small, *large))
    assert 50 <= small.megabytes < large.megabytes
    assert 10 <= small.minutes <= large.minutes


def test_needs_of_what_is_not_there_yet_are_those_of_the_protocol_or_of_a_usual_dataset():
    assert needed("train", {}) == needed("train", USUAL_COUNTS)
    cifar = {"images": 60_000, "query": 1_000, "database": 59_000, "train": 5_000}
    for stage in STAGES:
        assert needed(stage, {}, dataset="cifar10") == needed(stage, cifar, dataset="cifar10")
    assert needed("train", {}, {}, dataset="digits", method="sdc_plus").megabytes < 1500


def test_training_needs_memory_for_its_own_rows():
    def megabytes(sizes, **backbone):
        return needed("train", sizes=sizes, config={"backbones": {"vgg16": backbone}}, method="bihalf").megabytes

    # 5,000 rows of 4096 float32 are 82 MB, and take as much where they are stored in half of it.
    assert 80 <= megabytes(SHARD) - megabytes({}) <= 200
    assert megabytes({"features": SHARD["features"] // 2}, dtype="float16") == megabytes(SHARD)
    assert 1_000 <= megabytes(SHARD | {"views": 10**9}) - megabytes(SHARD) <= 1_500
    assert 2_000 <= megabytes(SHARD | {"views": 10**9}, dtype="float16") - megabytes(SHARD, dtype="float16") <= 3_000


# What benchmarks/memory.py printed, or its peak() where it runs no such job: MB of a job, of one thread.
MEASURED = [
    ("prepare", {"dataset": "digits"}, {}, {}, 45),
    ("prepare", {"dataset": "cifar10"}, COUNTS, {}, 443),
    ("prepare", {}, {}, {}, 46),  # of 500 images
    ("prepare", {}, {}, {}, 55),  # of 20,000
    ("prepare", {}, {}, {"vectors": 10_000 * 512 * 4}, 96),
    ("prepare", {}, COUNTS, {"vectors": 60_000 * 1280 * 4}, 99),
    ("prepare_splits", {}, {}, {}, 45),
    ("prepare_splits", {}, COUNTS, {}, 56),
    ("extract", {"dataset": "digits", "backbone": "pixels"}, {"images": 1797}, {}, 691),
    ("extract", {"dataset": "digits", "backbone": "pixels", "kind": "views"}, {"images": 1797}, {}, 864),
    ("extract", {"backbone": "imported"}, {"images": 1000}, {"vectors": 1000 * 64 * 4}, 59),
    ("extract", {"backbone": "imported"}, {"images": 10_000}, {"vectors": 10_000 * 512 * 4}, 116),
    ("extract", {"backbone": "imported"}, COUNTS, {"vectors": 60_000 * 1280 * 4}, 176),
    ("extract", {"backbone": "mobilenet_v2"}, {"images": 200}, {}, 1093),
    ("extract", {"backbone": "resnet18"}, {"images": 200}, {}, 1173),
    ("extract", {"backbone": "resnet50"}, {"images": 128}, {}, 1509),
    ("train", {"method": "lsh"}, COUNTS, {"features": 60_000 * 1280 * 4}, 119),
    ("train", {"method": "itq"}, COUNTS, {"features": 60_000 * 1280 * 4}, 260),
    ("train", {"method": "itq"}, {**COUNTS, "train": 10_000}, SHARD, 1582),
    ("train", {"method": "sdc"}, {"images": 1797, "train": 853}, {"features": 1797 * 64 * 4}, 751),
    ("train", {"method": "sdc"}, COUNTS, {"features": 60_000 * 1280 * 4}, 927),
    ("train", {"method": "sdc"}, {**COUNTS, "train": 10_000}, SHARD, 1638),
    ("train", {"method": "ssdh"}, COUNTS, {"features": 60_000 * 1280 * 4}, 1046),
    ("encode", {"method": "itq"}, COUNTS, {"features": 60_000 * 1280 * 4}, 209),
    ("encode", {"method": "itq"}, COUNTS, SHARD, 210),
    ("encode", {"method": "sdc"}, COUNTS, {"features": 60_000 * 1280 * 4}, 451),
    ("evaluate", {}, COUNTS, {}, 238),
    ("evaluate_features", {}, COUNTS, {"features": 60_000 * 1280 * 4}, 523),
    (
        "evaluate_features",
        {},
        {"images": 2_000, "query": 500, "database": 1_500, "train": 500},
        {"features": 2_000 * 64 * 4},
        122,
    ),
]


@pytest.mark.parametrize(("stage", "wildcards", "counts", "sizes", "megabytes"), MEASURED)
def test_what_is_asked_is_what_was_measured_and_at_most_half_more(stage, wildcards, counts, sizes, megabytes):
    assert megabytes <= needed(stage, counts, sizes, **wildcards).megabytes <= 1.5 * megabytes


def test_an_extraction_needs_memory_by_its_network_and_the_size_of_its_images():
    def megabytes(backbone="resnet50", threads=1, sizes=None, gpu=False, **settings):
        config = {"backbones": {backbone: settings}} if settings else {}
        return needed(
            "extract", sizes=sizes or {}, threads=threads, gpu=gpu, config=config, backbone=backbone
        ).megabytes

    assert megabytes("mobilenet_v2") < megabytes() < megabytes("vgg16") < megabytes("vit_h_14")
    assert (
        megabytes() < megabytes(threads=4) < megabytes(threads=4, crop=448) < megabytes(threads=4, crop=448, scales=[2])
    )
    assert megabytes() < megabytes(gpu=True)
    own = {"type": "timm", "name": "vit_base_patch16_224"}
    assert megabytes("own", **own) < megabytes("own", sizes={"weights": 10**9}, **own)
    assert needed("extract", backbone="imported").megabytes < 500


def test_more_shards_and_threads_are_less_time():
    def minutes(shards, threads):
        return needed("extract", sizes={}, threads=threads, shards=str(shards)).minutes

    assert minutes(1, 1) > minutes(2, 1) > minutes(2, 4)
