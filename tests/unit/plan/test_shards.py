import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.plan.shards import shard_names, shard_range, training_kinds


@given(st.integers(1, 40), st.integers(0, 500))
def test_shard_ranges_cover_every_row_once_and_evenly(shards, rows):
    ranges = [shard_range(shard, shards, rows) for shard in range(shards)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == rows
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    sizes = [stop - start for start, stop in ranges]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("shard", "shards"), [(-1, 2), (2, 2), (9, 2), (0, 0)])
def test_there_is_no_other_shard(shard, shards):
    with pytest.raises(SDCError, match=rf"--shard {shard}: there are {shards} shards; give 0 to {shards - 1}"):
        shard_range(shard, shards, 100)


def test_shard_names_sort_as_numbers():
    assert shard_names(1) == ["0-of-1"]
    names = shard_names(12)
    assert names[0] == "00-of-12"
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("dataset", "backbone", "method", "kinds"),
    [
        ("cifar10", "vgg16", "itq", {"features": "clean"}),
        ("cifar10", "vgg16", "dpn", {"features": "clean"}),
        ("cifar10", "vgg16", "cibhash", {"features": "clean", "views": "views"}),
        ("cifar10", "vgg16", "nsh", {"features": "clean", "views": "views_asymmetric"}),
        ("digits", "vgg16", "nsh", {"features": "clean", "views": "views"}),
        ("cifar10", "vgg16", "wch", {"features": "clean", "tokens": "tokens"}),
        ("cifar10", "pixels", "wch", {"features": "clean", "views": "views"}),
        ("pictures", "network", "mine", {"features": "clean", "tokens": "tokens"}),
    ],
)
def test_training_reads_the_kinds_its_method_requires(dataset, backbone, method, kinds):
    config = {
        "datasets": {"pictures": {"type": "folder"}},
        "backbones": {"network": {"type": "resnet18"}},
        "methods": {"mine": {"type": "wch"}},
    }
    assert training_kinds(config, dataset, backbone, method) == kinds
