from sdc.report.benchmarks import Measured, read_benchmarks


def test_what_jobs_took_as_far_as_it_was_measured(tmp_path):
    for name, row in {"a": "1.5\t100", "b": "2.25\t300.4", "c": "0.1\tNA", "d": "0.2\t-"}.items():
        (tmp_path / f"{name}.tsv").write_text(f"s\tmax_rss\n{row}\n")
    assert read_benchmarks(tmp_path / f"{name}.tsv" for name in "abcde") == [
        Measured(1.5, 100), Measured(2.25, 300.4), Measured(0.1, None), Measured(0.2, None),
    ]  # fmt: skip
