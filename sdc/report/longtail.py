"""The table of long-tailed data: what a method finds of classes with many training items, and of those with few.

A run is the content of its ``metrics.json``.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sdc.errors import SDCError
from sdc.evaluation import metrics as catalogue
from sdc.report import theme
from sdc.report.tables import Row, Table

GROUPS = ("head", "middle", "tail", "all")
_NOTE = (
    "{headline} in percent on {dataset}, mean over seeds, of queries of the third of the classes with most training "
    "items (head), of the next (middle), of the third with fewest (tail), and of all; ties: {ties}; AP over "
    "{denominator}. {protocol}; {train} training items."
)


def table(
    runs: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]] = (),
    missing: Mapping[Any, str] = MappingProxyType({}),
) -> Table:
    """One dataset's table: a row per backbone and method; for each code length head, middle, tail and all.

    Args:
        runs: All runs of the table; rows and columns keep their order.
        baselines: What the features themselves give, by backbone: rows below the methods, never the best.
        missing: Why there are no metrics, by identity (dataset, backbone, method, bits, seed): gaps of the table.

    Raises:
        SDCError: If a run has no groups of classes, because these hardly differ in size.
    """
    lengths = list(dict.fromkeys([*(run["bits"] for run in runs), *(bits for _, _, _, bits, _ in missing)]))
    scores: dict[tuple[Row, str], list[float]] = collections.defaultdict(list)
    for run in [*runs, *baselines]:
        for bits in [run["bits"]] if run["method"] != "features" else lengths:
            for group, score in _scores(run).items():
                scores[(run["backbone"], run["method"]), f"{bits}/{group}"].append(score)
    gaps: dict[tuple[Row, str], str] = {
        ((backbone, method), f"{bits}/{group}"): reason
        for (_, backbone, method, bits, _), reason in missing.items()
        for group in GROUPS
    }
    titles: dict[Row, Row] = {row: (row[0], theme.title(row[1])) for row, _ in [*scores, *gaps]}
    features: dict[Row, Row] = {
        (run["backbone"], run["method"]): (run["backbone"], "(cosine of the features)") for run in baselines
    }
    return Table(
        title="Long tail",
        names=("backbone", "method"),
        scores=dict(scores),
        columns=[f"{bits}/{group}" for bits in lengths for group in GROUPS],
        titles=titles | features,
        unranked=set(features),
        gaps=gaps,
        notes=[_NOTE.format(**run, headline=catalogue.headline(run["map_at"])) for run in runs[:1]],
    )


def _scores(run: Mapping[str, Any]) -> dict[str, float]:
    """MAP in percent by group of classes."""
    name = catalogue.headline(run["map_at"])
    if f"{name}/head" not in run:
        raise SDCError(
            f"{run['dataset']}: classes have about as many training items each, so there is no head and no tail; "
            f"set datasets.{run['dataset']}.long_tail"
        )
    return {group: 100 * run[name if group == "all" else f"{name}/{group}"] for group in GROUPS}
