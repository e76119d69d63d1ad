from sdc.report.tables import runs
from tests.support.report import SCORED as RUNS
from tests.support.report import runs_of


def test_wide_form_is_a_row_per_run():
    frame = runs.make(runs_of(RUNS))
    assert len(frame) == 5
    assert list(frame.columns[:6]) == ["dataset", "backbone", "method", "bits", "seed", "version"]
