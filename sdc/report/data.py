"""What figures show: from the files of the runs on one dataset and backbone to tidy frames, a row per number.

Columns every frame begins with are ``method`` (``features`` is exact cosine on the features themselves), ``bits`` and
``seed``; precision, recall and mAP are in [0, 1].
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation import metrics as catalogue
from sdc.storage.codes import read_codes
from sdc.storage.columns import read_columns
from sdc.storage.manifest import Manifest

# A run, by the folder that holds its files and by the content of its metrics.json.
Runs = Sequence[tuple[Path, Mapping[str, Any]]]
_KEYS = ["method", "bits", "seed"]


def _frame(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=[*_KEYS, *columns])


def _key(run: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(run[key] for key in _KEYS)


def _trained(run: Mapping[str, Any]) -> str:
    """The dataset whose folder has what the training left."""
    return str(run.get("train_on", run["dataset"]))


def longest(runs: Runs) -> Runs:
    """The runs with the longest codes, the features aside."""
    coded = [run for run in runs if run[1]["method"] != "features"]
    most = max((run["bits"] for _, run in coded), default=0)
    return [(folder, run) for folder, run in coded if run["bits"] == most]


def map_by_bits(runs: Runs) -> pd.DataFrame:
    """``mAP`` and its confidence interval over queries, ``low`` to ``high``."""
    rows = []
    for _, run in runs:
        name = catalogue.headline(run["map_at"])
        rows.append((*_key(run), run[name], run.get(f"{name}_low"), run.get(f"{name}_high")))
    return _frame(rows, ["mAP", "low", "high"])


def radii(runs: Runs) -> pd.DataFrame:
    """``precision`` and ``recall`` within each ``radius``, in bits."""
    rows = []
    for _, run in runs:
        within = sorted(int(name.rpartition("radius")[2]) for name in run if name.startswith("precision@radius"))
        rows += [(*_key(run), r, run[f"precision@radius{r}"], run[f"recall@radius{r}"]) for r in within]
    return _frame(rows, ["radius", "precision", "recall"])


def ranks(runs: Runs) -> pd.DataFrame:
    """``precision`` and ``recall`` of the first ``k`` items: of codes on a grid of k, of features where scored."""
    rows: list[tuple[Any, ...]] = []
    for folder, run in runs:
        if run["method"] == "features":
            known = sorted(int(name[2:]) for name in run if name.startswith("P@"))
            rows += [(*_key(run), k, run[f"P@{k}"], run[f"recall@{k}"]) for k in known if f"recall@{k}" in run]
            continue
        columns = read_columns(folder / "ranks.csv")
        rows += [(*_key(run), int(k), *values) for k, *values in zip(*columns.values(), strict=True)]
    return _frame(rows, ["k", "precision", "recall"])


def pairs(runs: Runs) -> pd.DataFrame:
    """``positive_pairs`` and ``negative_pairs`` at each ``similarity``: of the features and of the longest codes."""
    rows = []
    features = [one for one in runs if one[1]["method"] == "features"]
    for folder, run in [*features, *longest(runs)]:
        columns = read_columns(folder / "pairs.csv")
        for similarity, *counts in zip(*columns.values(), strict=True):
            rows.append((*_key(run), similarity, *map(int, counts)))
    return _frame(rows, ["similarity", "positive_pairs", "negative_pairs"])


def classes(runs: Runs) -> pd.DataFrame:
    """``mAP`` and ``overlap`` of the queries of each ``class``, of the features and of the longest codes.

    The overlap of their positive and negative pairs is on the K + 1 similarities of codes of K bits, and of features in
    as many bins (blank where these were not counted). Classes without queries are left out.
    """
    rows = []
    coded = longest(runs)
    name = f"overlap_{1 + max((run['bits'] for _, run in coded), default=0)}_bins"
    for folder, run in [*(one for one in runs if one[1]["method"] == "features"), *coded]:
        with open(folder / "per_class.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["mAP"]:
                    overlap = row.get(name)
                    rows.append((*_key(run), row["class"], float(row["mAP"]), float(overlap) if overlap else None))
    return _frame(rows, ["class", "mAP", "overlap"]).astype({"mAP": float, "overlap": float})


def curves(runs: Runs) -> pd.DataFrame:
    """The ``value`` of every ``term`` of the loss in every ``epoch``, of the longest codes."""
    rows = []
    for folder, run in longest(runs):
        # The head may be one of another dataset.
        head = folder.parents[4] / _trained(run) / folder.relative_to(folder.parents[3])
        with open(head / "curve.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                terms = [name for name in row if name not in ("epoch", "learning_rate", "seconds")]
                rows += [(*_key(run), int(row["epoch"]), term, float(row[term])) for term in terms]
    return _frame(rows, ["epoch", "term", "value"])


def balance(runs: Runs, database: np.ndarray) -> pd.DataFrame:
    """The ``share`` of the database's codes that set each ``bit``; of the first seed.

    Args:
        runs: All runs.
        database: Boolean array over the manifest's rows, shape ``(n,)``.
    """
    rows: list[tuple[Any, ...]] = []
    seen = set()
    for folder, run in runs:
        if run["method"] == "features" or (run["method"], run["bits"]) in seen:
            continue
        seen.add((run["method"], run["bits"]))
        coded = read_codes(folder / "codes.h5")
        codes = coded.codes[database[coded.row]]
        ones = np.zeros(run["bits"], np.int64)
        for start in range(0, len(codes), 2**16):
            ones += np.unpackbits(codes[start : start + 2**16], axis=1).sum(axis=0, dtype=np.int64)
        rows += [(*_key(run), bit, count / len(codes)) for bit, count in enumerate(ones.tolist())]
    return _frame(rows, ["bit", "share"])


def costs(runs: Runs, results: Path) -> pd.DataFrame:
    """``bytes`` of an item, ``seconds`` of the training job (blank where nobody measured them) and ``mAP``.

    Args:
        runs: All runs.
        results: Folder below which Snakemake's benchmark files lie.
    """
    rows = []
    for _, run in runs:
        measured = results / "benchmarks/train" / f"{_trained(run)}/{run['backbone']}/{run['method']}"
        path = measured / f"{run['bits']}bit/seed{run['seed']}.tsv"
        seconds = float(path.read_text().split("\n")[1].split("\t")[0]) if path.exists() else None
        rows.append((*_key(run), run["bits"] // 8, seconds, run[catalogue.headline(run["map_at"])]))
    return _frame(rows, ["bytes", "seconds", "mAP"]).astype({"seconds": float})


def chosen(runs: Runs, methods: Sequence[str] = ()) -> Runs:
    """Of the longest codes and the first seed, these methods, as far as they are there.

    Without any, SDC and the best, the middle and the worst by mAP, in this order.
    """
    first: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for folder, run in longest(runs):
        first.setdefault(run["method"], (folder, run))
    if methods:
        return [first[name] for name in methods if name in first]
    ordered = sorted(first, key=lambda name: -first[name][1][catalogue.headline(first[name][1]["map_at"])])
    if not ordered:
        return []
    wanted = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    return [first[name] for name in dict.fromkeys([*(["sdc"] if "sdc" in first else []), *wanted])]


def retrieved(
    runs: Runs, listed: Manifest, picture: Callable[[str], Any] | None, queries: int = 4, top: int = 10
) -> pd.DataFrame:
    """What some runs find first for queries at equal steps in the list of queries sorted by class.

    Args:
        runs: Of codes of this manifest.
        listed: The manifest.
        picture: From a manifest path to an image; None where there are no pictures, and nothing to show then.
        queries: How many.
        top: How many items of each.

    Returns:
        ``query`` and ``row`` of the manifest, ``rank`` from 1, ``distance`` in bits, ``right`` (1: relevant), ``path``
        and ``picture``; the query itself has rank 0. Items at equal distances stand in database order.
    """
    columns = ["query", "rank", "row", "distance", "right"]
    if picture is None or not runs:
        return _frame([], [*columns, "path", "picture"])
    asked = listed.rows("query")
    classes = [min(listed.labels[row], default=-1) for row in asked]
    ordered = asked[np.argsort(classes, kind="stable")]
    asked = ordered[np.unique((np.arange(queries) + 0.5) * len(ordered) // queries).astype(int)]
    rows: list[tuple[Any, ...]] = []
    for query in asked.tolist():
        rows.append(("", 0, 0, query, 0, query, 0, 1))
    for folder, run in runs:
        coded = read_codes(folder / "codes.h5")
        database = listed.database[coded.row]
        items, codes = coded.row[database], coded.codes[database]
        for query in asked.tolist():
            own = coded.codes[coded.row == query]
            distances = hamming.distances(own, codes)[0]
            for rank, place in enumerate(np.argsort(distances, kind="stable")[:top], start=1):
                item = int(items[place])
                right = int(_relevant(listed, query, item))
                rows.append((*_key(run), query, rank, item, int(distances[place]), right))
    frame = _frame(rows, columns)
    paths = [listed.paths[row] for row in frame["row"]]
    pictures = {path: _opened(picture, path) for path in dict.fromkeys(paths)}
    return frame.assign(path=paths, picture=[pictures[path] for path in paths])


def _opened(picture: Callable[[str], Any], path: str) -> Any:
    """A picture, or a gray one where it cannot be read any more."""
    from PIL import Image

    try:
        return picture(path)
    except SDCError:
        return Image.new("RGB", (8, 8), "gray")


def _relevant(listed: Manifest, query: int, item: int) -> bool:
    if listed.relevance is None:
        return bool(set(listed.labels[query]) & set(listed.labels[item]))
    lists = listed.relevance[query]
    return any(item in rows for name, rows in lists.items() if name != "junk")
