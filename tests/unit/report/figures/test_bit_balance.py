import pytest

from sdc.report.figures import bit_balance
from sdc.storage.columns import write_columns
from tests.support.report import BITS, lines, run, runs_of


def test_balance_is_of_the_first_seed(tmp_path):
    runs = runs_of([run(bits=8), run(bits=8, seed=1)], [run("features", 2048)], tmp_path)
    write_columns(runs.runs[0].folder / "bits.csv", {"bit": range(8), "share": [1, 0.5, 0, 0, 0, 0, 0, 0]})
    frame = bit_balance.frame(runs)
    assert frame["share"].tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0]
    assert frame["bit"].tolist() == list(range(8))
    assert set(frame["seed"]) == {0}


def test_bits_are_sorted():
    balance = lines(bit_balance.draw(BITS).axes[0])["SDC"]
    assert [y for _, y in balance] == [0, 20, 40, 50, 50, 60, 80, 100]
    assert [x for x, _ in balance] == pytest.approx([100 * place / 7 for place in range(8)])
