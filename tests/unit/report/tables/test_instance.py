from sdc.report.tables import instance
from sdc.report.tables.typeset import render
from tests.support.report import paper as cell
from tests.support.report import runs_of


def instance_run(dataset, method, bits, scores, raw):
    metrics = scores | ({f"raw_{name}": score - 0.1 for name, score in scores.items()} if raw else {})
    return {
        "dataset": dataset, "backbone": "imported", "method": method, "bits": bits, "seed": 0, **metrics,
        "map_at": 100 if dataset == "gldv2" else 4993, "ties": "t", "denominator": "d",
    }  # fmt: skip


def test_instance_table_has_setups_and_thresholds_as_trained():
    oxford = {"mAP@4993": 0.3, "mAP_easy": 0.5, "mAP_medium": 0.4, "mAP_hard": 0.3}
    runs = [
        instance_run(dataset, method, bits, scores, dataset != "gldv2")
        for dataset, scores in (("gldv2", {"mAP@100": 0.12}), ("roxford5k", oxford))
        for method in ("lsh", "sdc") for bits in (128, 512)
    ]  # fmt: skip
    features = [{**one, "method": "features", "bits": 65536} for one in (runs[0], runs[-1])]
    table = instance.make(runs_of(runs, features, published={("gldv2", "imported", "sdc", 512): cell(12.1)}))
    assert table.columns == [
        "gldv2/128", "gldv2/512",
        *(f"roxford5k/{setup}/{bits}" for bits in (128, 512) for setup in ("easy", "medium", "hard")),
    ]  # fmt: skip
    assert render(table, ".csv").splitlines()[1:] == [
        "imported,lsh,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
        "imported,sdc,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
        "imported,raw_lsh,,,40.0,30.0,20.0,40.0,30.0,20.0",
        "imported,raw_sdc,,,40.0,30.0,20.0,40.0,30.0,20.0",
        "imported,features,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
    ]
    markdown = render(table, ".md")
    assert "SDC (thresholds as trained)" in markdown
    assert markdown.count("paper 12.1 (-0.1)") == 1
    assert "<u>" not in markdown  # equal numbers are all the best
    missing = {
        ("roxford5k", "imported", "sdc", 128, 0): "encode: failed",
        ("rparis6k", "imported", "sdc", 128, 0): "why",
    }
    gaps = instance.make(runs_of([one for one in runs if one["bits"] == 512], missing=missing))
    assert {column for _, column in gaps.gaps} == {
        "roxford5k/easy/128", "roxford5k/medium/128", "roxford5k/hard/128", "rparis6k/128",
    }  # fmt: skip
