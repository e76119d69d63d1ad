import re

import numpy as np
import pytest

from sdc.plan.costs import duration, lines

WILDCARDS = {"backbone": "vgg16", "kind": "clean", "shards": "2", "bits": "64", "seed": "0"}
COUNTS = {"images": 60_000, "query": 1_000, "database": 59_000, "train": 5_000}


def jobs(dataset="pets", methods=("lsh", "sdc"), shards=2):
    of = {"dataset": dataset, **WILDCARDS}
    trainings = [("train", {**of, "method": method}) for method in methods]
    return [("prepare", of), *[("extract", of)] * shards, *trainings, ("aggregate", {})]


def said(config, jobs, counts, **options):
    first, *datasets = lines(config, jobs, counts, **{"cores": 2, **options})
    amount, unit = re.search(r"about (\S+) (s|min|h) on", first).groups()
    return first, datasets, float(amount) * {"s": 1, "min": 60, "h": 3600}[unit]


PETS = {"datasets": {"pets": {"type": "folder", "root": "pets"}}}


def test_what_a_run_will_cost():
    first, datasets, seconds = said(PETS, jobs(), {"pets": COUNTS})
    assert first.startswith("6 jobs, 2 of them trainings: about ")
    assert re.search(r"on 2 cores \(extraction 50 min, training \S+ \S+, all else \S+ s\), by a model", first)
    assert datasets == ["pets: 60,000 items (1,000 queries, 59,000 in the database, 5,000 for training)"]
    # It grows with what there is to do, and falls with cores and with a GPU.
    more = {"pets": {**COUNTS, "train": 50_000}}
    assert said(PETS, jobs(), more)[2] > seconds > said(PETS, jobs(shards=1), {"pets": COUNTS})[2]
    assert said(PETS, jobs(), {"pets": COUNTS}, cores=8)[2] < seconds / 3
    assert said(PETS, jobs(), {"pets": COUNTS}, gpu=True)[2] < seconds / 3


def test_what_is_not_known_yet_is_said():
    first, datasets, _ = said(PETS, jobs(), {})
    assert ": at least about" in first
    assert datasets == ["pets: not counted yet; its manifest will say"]


def test_nothing_where_nothing_is_trained_or_extracted():
    assert lines(PETS, [("evaluate", {"dataset": "pets"}), ("aggregate", {})], {}, cores=2) == []


def test_protocols_and_the_heads_of_files_are_known_before_any_manifest(tmp_path):
    assert said({}, jobs("cifar10"), {})[1] == [
        "cifar10: 60,000 items (1,000 queries, 59,000 in the database, 5,000 for training)"
    ]
    assert said({}, jobs("digits"), {})[1] == [
        "digits: 1,797 items (100 queries, 1,697 in the database, 848 for training)"
    ]
    np.save(tmp_path / "v.npy", np.ones((50_000, 2), np.float32))
    mine = {"type": "features", "file": str(tmp_path / "v.npy")}
    (line,) = said({"datasets": {"mine": mine}}, jobs("mine"), {})[1]
    assert line == "mine: 50,000 items (1,000 queries, 49,000 in the database, 10,000 for training)"
    (line,) = said({"datasets": {"mine": {**mine, "query": 5}}}, jobs("mine"), {})[1]
    assert line == "mine: 50,000 items (5 queries, 49,995 in the database, 10,000 for training)"
    labelled = {**mine, "query": 5, "labels": "l.txt"}  # of a class
    assert said({"datasets": {"mine": labelled}}, jobs("mine"), {})[1] == ["mine: 50,000 items"]
    (tmp_path / "v.npy").write_bytes(b"damaged")
    assert said({"datasets": {"mine": mine}}, jobs("mine"), {})[1] == ["mine: not counted yet; its manifest will say"]


@pytest.mark.parametrize(("seconds", "text"), [(0.1, "1 s"), (60, "60 s"), (780, "13 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert duration(seconds) == text
