import io

import pandas as pd

from sdc.report.tables import metrics
from tests.support.report import SCORED as RUNS
from tests.support.report import runs_of


def test_long_form_has_every_number_once():
    frame = metrics.make(runs_of(RUNS))
    assert list(frame.columns) == ["dataset", "backbone", "method", "bits", "seed", "metric", "value"]
    assert len(frame) == 5 * 3
    assert frame[(frame.method == "sdc") & (frame.seed == 1) & (frame.metric == "mAP@100")].value.item() == 0.7
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert again.value.tolist() == frame.value.tolist()
