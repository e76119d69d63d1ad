"""How far positive and negative pairs overlap before and after hashing, and what that goes with."""

from collections.abc import Iterator, Mapping
from typing import Any

from sdc.evaluation.feature_pairs import FeaturePairs
from sdc.evaluation.metrics import METRICS, Metric, entry_of, headline, is_unlabelled, values_of
from sdc.evaluation.ranked_queries import RankedQueries
from sdc.report import theme
from sdc.report.runs import Runs
from sdc.report.tables.table import Table

_OVERLAP = next(metric for metric in METRICS if metric.of is FeaturePairs and metric.parameter == "B")


def make(runs: Runs) -> Table:
    """A row per dataset, backbone, code length and method; columns of all metrics that have one, mAP the last.

    In percent: the overlap of the similarities of positive and negative pairs, of features in as many bins as the codes
    have similarities; the chance that a positive pair is more similar than a negative one (AUC), which needs no bins;
    how many exact cosine neighbours codes find; what they say of the health of codes; and mAP. Blank where relevance is
    listed or there are no labels.
    """
    table = Table(title="Overlap", names=("dataset", "backbone", "bits", "method"))
    by_features = {}
    for baseline in runs.baselines:
        binned = {_OVERLAP.key(1 + bits): value for (name, bits), value in baseline.overlaps().items() if not name}
        by_features[baseline.metrics["dataset"], baseline.metrics["backbone"]] = {**baseline.metrics, **binned}
    for run in runs.metrics:
        row = (run["dataset"], run["backbone"], str(run["bits"]), run["method"])
        sides = {"features": by_features.get(row[:2], {}), "codes": run}
        for metric, side in _columns():
            for heading, value in _values(metric, sides[side], run):
                column = f"{side}: {heading}"
                table.columns += [column] * (column not in table.columns)
                if value is not None:
                    table.scores.setdefault((row, column), []).append(value)
        table.unranked.add(row)
        table.titles[row] = (*row[:3], theme.title(row[3]))
    table.notes = [
        "Percent, mean over seeds; overlap of codes on their K + 1 similarities, of features in K + 1 bins; "
        "neighbours@K: how many of the K nearest by exact cosine are among the first K; bit imbalance: mean of "
        "|2 p - 1|, p the share of codes that set a bit; codes in use: per item of the database."
    ]
    if unlabelled := dict.fromkeys(run["dataset"] for run in runs.metrics if is_unlabelled(run)):
        table.notes.append(f"No labels, and so nothing that needs them: {', '.join(unlabelled)}.")
    return table


def _columns() -> Iterator[tuple[Metric, str]]:
    """The metrics that have a column, each with the side it is measured on."""
    last = entry_of(headline(1))
    headings = dict.fromkeys(metric.column for metric in METRICS if metric.column)
    for heading in sorted(headings, key=lambda heading: heading == getattr(last, "column", "")):
        for side in ("features", "codes"):
            for metric in METRICS:
                fits = metric.of is RankedQueries or (metric.of is FeaturePairs) == (side == "features")
                if metric.column == heading and fits:
                    yield metric, side


def _values(metric: Metric, measured: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Heading and value, in percent if it is a share, for each value of a family's parameter that is of this run."""
    scale = 100 if metric.unit == "share" else 1
    known = {None: None, "R": run.get("map_at"), "B": run["bits"] + 1}
    if metric.parameter in known:
        value = measured.get(metric.key(known[metric.parameter]))
        yield metric.column, None if value is None else scale * value
        return
    for parameter, value in values_of(metric, measured).items():
        yield metric.column.format(**{metric.parameter or "": parameter}), scale * value
