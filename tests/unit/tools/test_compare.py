import numpy as np

from sdc.cli import main
from sdc.storage.columns import write_precisions


def test_difference_interval_and_chance_are_printed(tmp_path, capsys):
    scores = np.random.default_rng(0).random(50)
    for name, values in {"a": scores, "b": scores + 0.02}.items():
        write_precisions(tmp_path / f"{name}.csv", dict(enumerate(values.tolist())))
    assert main(["compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) == 0
    text = capsys.readouterr().out
    assert " +2.00  second less first; 95 % interval +2.00 to +2.00, p = 0.0002" in text
    assert "over 50 queries" in text


def test_other_queries_are_refused(tmp_path, caplog):
    write_precisions(tmp_path / "a.csv", {0: 0.5, 1: 0.5})
    write_precisions(tmp_path / "b.csv", {0: 0.5, 2: 0.5})
    assert main(["compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) == 2
    assert "scored on different queries" in caplog.text
    assert main(["compare", str(tmp_path / "a.csv"), str(tmp_path / "gone.csv")]) == 2
    assert "gone.csv: no such file or folder; " in caplog.text
