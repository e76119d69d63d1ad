"""aggregate: from the metrics of many runs to tables, figures and the report."""

from __future__ import annotations

import collections
import functools
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from sdc import registry
from sdc.evaluation import metrics as catalogue
from sdc.evaluation import significance
from sdc.plan.cells import Cell, baseline, cells, computed
from sdc.report import ablations, data, figures, gaps, longtail, page, published, tables, theme
from sdc.storage.columns import read_precisions
from sdc.storage.files import read_json, write_text
from sdc.storage.manifest import read_manifest

_log = logging.getLogger(__name__)


def run(
    results: Path,
    selection: Mapping[str, Any],
    out: Sequence[Path],
    embed: Sequence[Path] = (),
    config: Mapping[str, Any] = MappingProxyType({}),
    allow_missing: bool = False,
) -> None:
    """Write tables and figures over all runs of a selection, and the report.

    Args:
        results: Folder below which the runs lie.
        selection: ``{datasets, backbones, methods, bits, seeds}``, a list each; ``once``, the methods of which the
            first seed's run stands for all; whether the ``features`` themselves are a row; ``entries``, what the config
            says of the names; ``retrieval``, the methods of that figure (``data.chosen``); and of an ``ablation`` what
            its methods stand for (``ablation_run``).
        out: What to write, by name: ``metrics.csv`` is every metric of every run in long form; tables, as CSV or, by
            suffix, ``.md``, ``.tex`` and ``.html`` for people: of an ablation, or ``table1`` (mAP by backbone and
            method against dataset and bits), ``instance`` and ``overlap``, and those in a folder ``longtail``;
            pictures: an ablation's heat map; any other CSV is one row per run with all its metrics. A name of
            ``figures.FIGURES`` is a figure or, as CSV, what it shows; the selection then is of one dataset and
            backbone. ``report.html`` is all of it on one page.
        embed: Tables (``.html``) and figures of ablations (``.svg``) that go into the report; the figures of the
            selection are looked for in ``figures/{dataset}/{backbone}/`` beside the report.
        config: The whole config, which the report shows.
        allow_missing: Where runs are missing because a job failed, leave gaps and say why.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
    """
    computed_by = {cell: computed(cell, selection) for cell in cells(selection)}
    why = gaps.reasons(results, dict.fromkeys(computed_by.values())) if allow_missing else {}
    missing: dict[Any, str] = {cell: why[run] for cell, run in computed_by.items() if run in why}
    folders = {cell: results / run.folder for cell, run in computed_by.items() if cell not in missing}
    runs = [{**read_json(folder / "metrics.json"), "seed": cell.seed} for cell, folder in folders.items()]
    pairs = itertools.product(selection["datasets"], selection["backbones"]) if selection.get("features") else ()
    scored = [results / baseline(*pair) for pair in pairs]
    scored = [folder for folder in scored if not allow_missing or (folder / "metrics.json").exists()]
    baselines = [read_json(folder / "metrics.json") for folder in scored]
    shown: dict[Path, dict[str, Any]] = {}
    for folder, run in zip([*scored, *folders.values()], [*baselines, *runs], strict=True):
        shown.setdefault(folder, run)  # a run that stands for all seeds counts once
    drawn = _Drawn(results, list(shown.items()), selection.get("retrieval", ()))
    alike: set[Cell] = set()
    references: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    if any(path.stem == "table1" for path in out):
        alike, best = _query_by_query(
            {cell: read_precisions(folder / "average_precision.csv") for cell, folder in folders.items()}
        )
        references = _references(runs, baselines, best)
    paper = published.beside(runs, selection.get("entries", {}))
    ablation = selection.get("ablation")
    for path in out:
        if path.name == "report.html":
            text = _report(results, selection, path.parent, list(shown.values()), embed, config, missing)
            write_text(path, text)
        elif path.stem in figures.FIGURES:
            if not shown:
                continue  # all of them failed
            drawn.write(path)
        elif ablation and path.suffix in (".svg", ".pdf", ".png"):
            theme.save(ablations.heat_map(ablation, runs), path)
        elif ablation:
            write_text(path, ablations.table(ablation, runs, missing, paper).render(path.suffix))
        elif path.name == "metrics.csv":
            write_text(path, tables.long_form([*runs, *baselines]).to_csv(index=False, lineterminator="\n"))
        elif path.stem == "table1":
            write_text(path, tables.render(runs, path.suffix, alike, references, missing, paper))
        elif path.stem == "instance":
            write_text(path, tables.instance(runs, baselines, missing, paper).render(path.suffix))
        elif path.stem == "overlap":
            write_text(path, tables.overlap(runs, baselines).render(path.suffix))
        elif path.parent.name == "longtail":
            write_text(path, longtail.table(runs, baselines, missing).render(path.suffix))
        else:
            write_text(path, tables.wide_form(runs).to_csv(index=False, lineterminator="\n"))
        _log.info("wrote %s", path)


def _query_by_query(
    precisions: Mapping[Cell, Mapping[int, float]],
) -> tuple[set[Cell], dict[tuple[str, str, int], float]]:
    """What only the scores of single queries tell.

    Returns:
        The runs, but the best, that the paired bootstrap cannot tell from the best method of their backbone, dataset
        and code length (p >= 0.05; average precision is averaged over seeds first), and for each of these the mAP, the
        mean over seeds, of whoever chose the best method for every query. Nothing where there is but one method.
    """
    groups: dict[tuple[str, str, int], list[Cell]] = collections.defaultdict(list)
    for cell in precisions:
        groups[cell.backbone, cell.dataset, cell.bits].append(cell)
    alike, best = set(), {}
    for key, group in groups.items():
        methods = list(dict.fromkeys(cell.method for cell in group))
        seeds = list(dict.fromkeys(cell.seed for cell in group))
        # A method of which a run is missing cannot be compared.
        methods = [method for method in methods if sum(cell.method == method for cell in group) == len(seeds)]
        group = [cell for cell in group if cell.method in methods]
        if len(methods) < 2:
            continue
        # By the official convention, which queries count may depend on the codes: those that count for every run.
        queries = sorted(set.intersection(*(set(precisions[cell]) for cell in group)))
        if not queries:
            continue
        values = [precisions[cell][query] for cell in group for query in queries]
        scores = np.array(values).reshape(len(methods), len(seeds), len(queries))
        best[key] = float(scores.max(axis=0).mean())
        means = scores.mean(axis=1).T
        first = int(means.mean(axis=0).argmax())
        chances = significance.p_values(means, first)
        held = {method for method, p in zip(methods, chances, strict=True) if p >= 1 - significance.LEVEL}
        alike |= {cell for cell in group if cell.method in held - {methods[first]}}
    return alike, best


def _references(
    runs: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]],
    best: Mapping[tuple[str, str, int], float],
) -> dict[tuple[str, str], dict[tuple[str, int], float]]:
    """Rows of the table that are no method: by backbone and name, mAP by dataset and code length."""
    rows: dict[tuple[str, str], dict[tuple[str, int], float]] = collections.defaultdict(dict)
    for run in baselines:
        for bits in dict.fromkeys(other["bits"] for other in runs):
            rows[run["backbone"], "features"][run["dataset"], bits] = run[catalogue.headline(run["map_at"])]
    for (backbone, dataset, bits), score in best.items():
        rows[backbone, "best_of_all"][dataset, bits] = score
    return dict(rows)


class _Drawn:
    """The figures of one dataset and backbone and their frames, each made when it is first asked for.

    Args:
        results: Folder below which manifests and benchmark files lie.
        runs: Of the dataset and backbone.
        retrieval: Methods whose finds are shown; see ``data.chosen``.
    """

    def __init__(self, results: Path, runs: data.Runs, retrieval: Sequence[str] = ()) -> None:
        self._results, self._runs, self._retrieval = results, runs, retrieval
        self._frame = functools.cache(self._make)
        self._figure = functools.cache(lambda name: figures.draw(name, self._frame(name)))

    def write(self, path: Path) -> None:
        """Write the figure of the path's stem, or its frame, by the path's suffix."""
        if path.suffix == ".csv":
            frame = self._frame(path.stem).drop(columns="picture", errors="ignore")
            write_text(path, frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
        else:
            theme.save(self._figure(path.stem), path)

    def _make(self, name: str) -> pd.DataFrame:
        simple = {
            "similarities": data.pairs, "map_by_bits": data.map_by_bits, "precision_recall": data.radii,
            "precision_within_radius": data.radii, "precision_at_k": data.ranks, "training": data.curves,
            "classes": data.classes,
        }  # fmt: skip
        if name in simple:
            return simple[name](self._runs)
        if name == "cost":
            return data.costs(self._runs, self._results)
        dataset = self._runs[0][1]["dataset"]
        listed = read_manifest(self._results / f"manifests/{dataset}.csv")
        if name == "bit_balance":
            return data.balance(self._runs, listed.database)
        held = registry.build("datasets", dataset, listed.facts["settings"])
        picture = None if held.vector_files() else held.opener()
        return data.retrieved(data.chosen(self._runs, self._retrieval), listed, picture)


def _report(
    results: Path,
    selection: Mapping[str, Any],
    beside: Path,
    runs: Sequence[Mapping[str, Any]],
    embed: Sequence[Path],
    config: Mapping[str, Any],
    missing: Mapping[Cell, str],
) -> str:
    """The page of a selection; its figures lie in ``figures/`` beside it."""
    groups = {}
    for dataset, backbone in itertools.product(selection["datasets"], selection["backbones"]):
        folder = beside / "figures" / dataset / backbone
        found = [name for name in figures.FIGURES if (folder / f"{name}.svg").exists()]
        groups[f"{dataset}, {backbone}"] = [page.figure(name, folder, f"{dataset}-{backbone}") for name in found]
    parts = [page.embedded(path) for path in embed]
    groups["Ablations"] = [part for part in parts if part.svg]
    sidecars = {dataset: results / f"manifests/{dataset}.json" for dataset in selection["datasets"]}
    return page.render(
        tables=[part for part in parts if part.html],
        groups={title: group for title, group in groups.items() if group},
        facts=page.facts(runs),
        manifests={dataset: read_json(path) for dataset, path in sidecars.items() if path.exists()},
        stages=page.costs(
            {
                stage: sorted(
                    path
                    for dataset in selection["datasets"]
                    for path in (results / "benchmarks" / stage).rglob("*.tsv")
                    if dataset in (path.stem, path.relative_to(results / "benchmarks" / stage).parts[0])
                )
                for stage in ("prepare", "extract", "train")
            }
        ),
        gaps=[{**cell._asdict(), "method": theme.title(cell.method), "reason": why} for cell, why in missing.items()],
        config=json.dumps(dict(config), indent=2) if config else "",
    )
