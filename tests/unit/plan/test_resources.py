import pytest

from sdc.plan.resources import USUAL_COUNTS, needs

WILDCARDS = {"bits": "64", "kind": "clean", "shards": "1"}


COUNTS = {"images": 60_000, "query": 1_000, "database": 59_000, "train": 5_000}


SHARD = {"features": 60_000 * 4096 * 4}


@pytest.mark.parametrize("stage", ["prepare", "extract", "train", "encode", "evaluate", "evaluate_features", "index"])
def test_needs_grow_with_the_data(stage):
    wildcards = {name: value for name, value in WILDCARDS.items() if stage == "extract" or name == "bits"}
    small, large = (
        needs(stage, wildcards, {name: factor * count for name, count in COUNTS.items()}, SHARD, 2)
        for factor in (1, 1000)
    )
    assert all(isinstance(number, int) for number in small)
    assert 1_000 <= small.megabytes < large.megabytes
    assert 10 <= small.minutes < large.minutes


def test_needs_of_what_is_not_there_yet_are_those_of_a_usual_dataset():
    assert needs("train", WILDCARDS, {}, {}, 1) == needs("train", WILDCARDS, USUAL_COUNTS, {}, 1)


def test_training_needs_memory_for_its_own_rows():
    def needed(counts, sizes):
        return needs("train", {"bits": "64"}, counts, sizes, 1).megabytes

    # 60,000 rows of 4096 float32 are 983 MB, a twelfth of them 82 MB, and their float32 copies no more than 328 MB.
    assert 300 <= needed(COUNTS, SHARD) - needed(COUNTS, {}) <= 400
    views = {"views": 10**9}
    assert 3_900 <= needed(COUNTS, SHARD | views) - needed(COUNTS, SHARD) <= 4_100


def test_more_shards_and_threads_are_less_time():
    def minutes(shards, threads):
        return needs("extract", {**WILDCARDS, "shards": str(shards)}, COUNTS, {}, threads).minutes

    assert minutes(1, 1) > minutes(2, 1) > minutes(2, 4)
