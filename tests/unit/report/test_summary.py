import pytest

from sdc.report.summary import summary
from sdc.storage.columns import write_precisions
from tests.support.report import folder_of, run, runs_of


@pytest.fixture
def runs(tmp_path):
    """SDC is 20 points ahead of ITQ on each of 50 queries at 32 bits; at 16 bits nobody looks."""

    def make(ahead=0.2, noise=0.0, **more):
        metrics = [run("itq", 32, seed, 0.4) for seed in (0, 1)] + [
            run("sdc", 32, seed, 0.4 + ahead) for seed in (0, 1)
        ]
        for one in metrics:
            score = one["mAP@10"]
            held = {row: score + (noise if row % 2 else -noise) * (one["method"] == "sdc") for row in range(50)}
            write_precisions(folder_of(tmp_path, one) / "average_precision.csv", held)
        return runs_of([run("sdc", 16, 0, 0.9), *metrics], results=tmp_path, **more)

    return make


def test_what_won_by_how_much_and_beyond_chance(runs):
    assert summary(runs(baselines=[run("features", 2048, 0, 0.65)])) == [
        "toys, pixels, 32 bits: SDC is best, mAP@10 60.0 %, 20.0 points ahead of ITQ (40.0), beyond chance (paired "
        "bootstrap over 50 queries). The floats themselves have 65.0 by exact cosine (-5.0)."
    ]
    assert summary(runs(ahead=0.01, noise=0.3)) == [
        "toys, pixels, 32 bits: SDC is best, mAP@10 41.0 %, 1.0 points ahead of ITQ (40.0); not beyond chance: ITQ may "
        "be as good (paired bootstrap over 50 queries)."
    ]


def test_one_method_wins_nothing_and_no_run_says_nothing():
    assert summary(runs_of([run("sdc", 32, 0, 0.5)])) == ["toys, pixels, 32 bits: SDC has mAP@10 50.0 %."]
    assert summary(runs_of([])) == []
