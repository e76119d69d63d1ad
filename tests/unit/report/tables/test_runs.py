from sdc.report.tables import runs
from tests.support.report import runs_of
from tests.support.report import scored as run

RUNS = [
    run("sdc", 32, 0, 0.5),
    run("sdc", 32, 1, 0.7),
    run("sdc", 16, 0, 0.4),
    run("itq", 32, 0, 0.61),
    run("itq", 32, 1, 0.61),
]


def test_wide_form_is_a_row_per_run():
    frame = runs.make(runs_of(RUNS))
    assert len(frame) == 5
    assert list(frame.columns[:6]) == ["dataset", "backbone", "method", "bits", "seed", "version"]
