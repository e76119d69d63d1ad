from sdc.report.figures import cost
from sdc.storage.files import write_text
from tests.support.report import COSTS, lines, run, runs_of


def test_cost_of_a_head_of_another_dataset(tmp_path):
    write_text(tmp_path / "benchmarks/train/others/pixels/sdc/16bit/seed0.tsv", "s\tmax_rss\n12.5\t-\n")
    frame = cost.frame(runs_of([run(train_on="others")], results=tmp_path))
    assert frame[["bytes", "seconds", "mAP"]].values.tolist() == [[2, 12.5, 0.5]]


def test_cost_that_nobody_measured_is_blank(tmp_path):
    frame = cost.frame(runs_of([run()], results=tmp_path))
    assert frame["seconds"].isna().all()
    assert frame["seconds"].dtype == float


def test_what_was_measured_is_drawn():
    by_bytes, by_seconds = cost.draw(COSTS).axes[:2]
    assert lines(by_bytes) == {"features": [[256, 90]], "SDC": [[2, 50], [4, 70]]}
    assert lines(by_seconds) == {"SDC": [[10, 50], [20, 70]]}
