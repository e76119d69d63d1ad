r"""What do codes of equal size find? Hash heads beside FAISS's quantisers, at 8 to 160 bytes an image.

    python benchmarks/bytes.py --manifest results/manifests/D.csv --features results/features/D/B --shards 6 \
        --out docs/equal-bytes

Everything learns from the training split and is asked with the test queries. Heads see the features as they are, as in
the pipeline; FAISS's quantisers and signs see them at unit length, less the training mean, where Euclidean distances
order items as the cosine does. A row of a method and a size has:

- bytes an image, all that is stored for it; and what is stored once (head, codebooks, rotation), in MB;
- mAP@1000 by labels; recall@10 of the exact cosine neighbours; both with the query coded as the database is, and
  ``asymmetric`` with the query as it is. All are expected over the orders of ties;
- recall@10 where the first 40, 100 and 400, by the code, are ordered by the cached features, 2 bytes a dimension more;
- queries a second in one thread: the first ten of the database, by FAISS.

Prints a table, and writes it and two figures against bytes to --out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import machine
import numpy as np
import pandas as pd

from sdc import registry
from sdc.errors import SDCError
from sdc.evaluation.ranking import Cosine, spans
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.methods.base import HashMethod
from sdc.report import theme
from sdc.storage.features import Features
from sdc.storage.files import writing
from sdc.storage.manifest import read_manifest

SIZES = (8, 16, 32, 64, 160)
HEADS = ("sdc", "sdc_plus", "cibhash", "crovca", "itq", "pca_rotation", "lsh")
QUANTISERS = ("PQ", "OPQ", "RaBitQ", "signs", "rotated signs")
RESCORED = (40, 100, 400)
TIMED = 200  # queries

# Similarities of some queries to the whole database, (q, N), float32.
Similarities = Callable[[range], np.ndarray]


class Data(NamedTuple):
    """Features and labels of the three splits.

    Attributes:
        train, query, database: Features, shapes ``(n, dim)``, float32.
        relevance: By labels.
        given: What heads learn from beside features, by kind.
        nearest: Positions of the ten nearest database items by exact cosine, shape ``(Q, 10)``.
    """

    train: np.ndarray
    query: np.ndarray
    database: np.ndarray
    relevance: SharedLabels
    given: dict[str, np.ndarray]
    nearest: np.ndarray


class Row(NamedTuple):
    """How a code answers.

    Attributes:
        size: Bytes an image.
        shared: Bytes stored once.
        coded, asymmetric: Similarities with the query coded, and as it is; None where there is no such thing.
        answer: Finds the first ten for some queries, by FAISS.
    """

    size: int
    shared: int
    coded: Similarities | None
    asymmetric: Similarities
    answer: Callable[[int], object]


class Ranked(Cosine):
    """Rankings by any similarities."""

    def __init__(self, similarities: Similarities, queries: int, size: int) -> None:
        super().__init__(np.empty((queries, 0)), lambda: (), size)
        self._of = similarities

    def _similarities(self, queries: range) -> Iterator[tuple[int, np.ndarray]]:
        for some in spans(queries, 128):
            yield some.start, self._of(some)


def main() -> None:
    """Measure every method at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="folder that holds clean/, views/ and so on")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes an image")
    parser.add_argument("--methods", nargs="+", default=[*HEADS, *QUANTISERS], choices=[*registry.METHODS, *QUANTISERS])
    parser.add_argument("--map-at", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="folder for the table and the figures")
    options = parser.parse_args()
    print(machine.describe())
    data = read(options.manifest, options.features, options.shards)
    rows = []
    for method in options.methods:
        for size in options.sizes:
            began = time.perf_counter()
            try:
                row = quantiser(method, size, data) if method in QUANTISERS else head(method, size, data)
            except SDCError as error:
                print(f"{method} at {size} bytes: {error}")
                continue
            rows.append({"method": theme.title(method), **measured(row, data, options.map_at)})
            print(f"{method} at {size} bytes: {time.perf_counter() - began:.0f} s", flush=True)
    table = pd.DataFrame(rows)
    print(table.to_markdown(index=False, floatfmt=".1f"))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        with writing(options.out / "equal-bytes.csv") as part:
            table.to_csv(part, index=False, float_format="%.4f")
        for name, label in {"mAP": f"mAP@{options.map_at} (%)", "recall": "recall@10 (%)"}.items():
            theme.save(drawn(table, name, label), options.out / f"{name.lower()}.svg")


def read(path: Path, folder: Path, shards: int) -> Data:
    """The features that a manifest's splits have in a folder of shards."""
    manifest = read_manifest(path)
    expected = {"images_xxh3": manifest.images_xxh3}
    clean = Features(folder / "clean", shards, expected).read()
    query, database, train = (clean[manifest.rows(split)] for split in ("query", "database", "train"))
    given = {kind: Features(folder / kind, shards, expected).read() for kind in ("views",) if (folder / kind).exists()}
    relevance = SharedLabels(*(manifest.labels.take(manifest.rows(split)) for split in ("query", "database")))
    nearest = Cosine(query, lambda: [database], len(database)).nearest(10)
    return Data(train, query, database, relevance, given, nearest)


def head(method: str, size: int, data: Data) -> Row:
    """A hash head of 8 bits a byte: Hamming distances; asymmetric, the outputs of the query's head against bits."""
    hashing = registry.build("methods", method, {"centred": True} if method == "lsh" else {}, bits=8 * size)
    assert isinstance(hashing, HashMethod)
    given = {kind: rows for kind, rows in data.given.items() if kind in hashing.requires}
    hashing.fit(data.train, **given)
    codes = hashing.encode(data.database)
    index = faiss.IndexBinaryFlat(8 * size)
    index.add(codes)
    queries, bits = hashing.encode(data.query), signs(codes)
    outputs = hashing.head.logits(data.query, np.float32)
    return Row(
        size=codes.shape[1],
        shared=sum(array.nbytes for array in hashing.head.arrays.values()),
        coded=lambda some: signs(queries[some.start : some.stop]) @ bits.T,
        asymmetric=lambda some: outputs[some.start : some.stop] @ bits.T,
        answer=lambda query: index.search(queries[query : query + 1], 10),
    )


def signs(codes: np.ndarray) -> np.ndarray:
    """-1 and 1 of packed codes, shape ``(n, bits)``, float32."""
    return np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1


def quantiser(method: str, size: int, data: Data) -> Row:
    """One of FAISS's quantisers, or all signs; ``SDCError`` if it has no code of this size."""
    mean = unit(data.train).mean(axis=0)
    train, query, database = (
        np.ascontiguousarray(unit(rows) - mean) for rows in (data.train, data.query, data.database)
    )
    dim = train.shape[1]
    if method in ("signs", "rotated signs"):
        if 8 * size != dim:
            raise SDCError(f"the signs of {dim} dimensions are {dim / 8:g} bytes")
        shared = 4 * dim
        if method == "rotated signs":
            rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0].astype(np.float32)
            shared += rotation.nbytes
            query, database = query @ rotation, database @ rotation
        codes, queries = np.packbits(database > 0, axis=1), np.packbits(query > 0, axis=1)
        bits = signs(codes)
        binary = faiss.IndexBinaryFlat(dim)
        binary.add(codes)
        return Row(
            size=size,
            shared=shared,
            coded=lambda some: signs(queries[some.start : some.stop]) @ bits.T,
            asymmetric=lambda some: query[some.start : some.stop] @ bits.T,
            answer=lambda place: binary.search(queries[place : place + 1], 10),
        )
    # RaBitQ stores two numbers beside its bits.
    kept = 8 * (size - 8)
    if method == "RaBitQ" and not 0 < kept <= dim:
        raise SDCError(f"8 bytes are numbers, which leaves {kept} of {dim} dimensions")
    name = {"PQ": f"PQ{size}", "OPQ": f"OPQ{size}_{dim},PQ{size}", "RaBitQ": f"PCA{kept},RaBitQ"}[method]
    index = faiss.index_factory(dim, name)
    index.train(train)
    index.add(database)
    assert index.sa_code_size() == size, (name, index.sa_code_size())

    def asymmetric(some: range) -> np.ndarray:
        distances, items = index.search(query[some.start : some.stop], len(database))
        found = np.empty_like(distances)
        np.put_along_axis(found, items, -distances, axis=1)
        return found

    def coded(some: range) -> np.ndarray:
        # Both sides by their codes: distances between what they decode to.
        rows = decoded(query[some.start : some.stop])
        return 2 * rows @ database_decoded.T - lengths

    def decoded(rows: np.ndarray) -> np.ndarray:
        result: np.ndarray = index.sa_decode(index.sa_encode(np.ascontiguousarray(rows)))
        return result

    database_decoded = decoded(database) if method != "RaBitQ" else np.empty((0, 0))
    lengths = np.square(database_decoded).sum(axis=1)
    return Row(
        size=size,
        shared=len(faiss.serialize_index(index)) - size * len(database),
        # An estimator of distances to a query as it is, with nothing of the kind between two codes.
        coded=None if method == "RaBitQ" else coded,
        asymmetric=asymmetric,
        answer=lambda place: index.search(query[place : place + 1], 10),
    )


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows ``(n, dim)`` at length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def measured(row: Row, data: Data, map_at: int) -> dict[str, Any]:
    """The columns of a row."""
    columns: dict[str, Any] = {"bytes": row.size, "stored once, MB": row.shared / 1e6}
    queries, size = len(data.query), len(data.database)
    for name, similarities in {"": row.coded, ", asymmetric": row.asymmetric}.items():
        if similarities is None:
            columns |= dict.fromkeys((f"mAP{name}", f"recall{name}"), np.nan)
            continue
        ranked = Ranked(similarities, queries, size)
        columns[f"mAP{name}"] = 100 * evaluate(ranked, data.relevance, [map_at], []).mean
        recall = np.mean([found(similarities(some), data.nearest[some.start : some.stop], (10, *RESCORED))
                          for some in spans(range(queries), 100)], axis=0)  # fmt: skip
        columns[f"recall{name}"] = 100 * recall[0]
        if similarities is (row.coded or row.asymmetric):
            rescored = {f"rescored {count}": 100 * share for count, share in zip(RESCORED, recall[1:], strict=True)}
    faiss.omp_set_num_threads(1)
    began = time.perf_counter()
    for query in range(TIMED):
        row.answer(query % queries)
    rate = TIMED / (time.perf_counter() - began)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    return {**columns, **rescored, "queries/s": rate}


def found(similarities: np.ndarray, nearest: np.ndarray, among: tuple[int, ...]) -> list[float]:
    """Expected shares of each query's nearest that are among the first so many by similarity, means over queries.

    Args:
        similarities: Shape ``(q, N)``.
        nearest: Positions, shape ``(q, T)``.
        among: Numbers of items; in the order of the shares.
    """
    own = np.take_along_axis(similarities, nearest, axis=1)
    ordered = np.sort(similarities, axis=1)
    size = similarities.shape[1]
    before = np.stack([size - np.searchsorted(*pair, side="right") for pair in zip(ordered, own, strict=True)])
    ties = np.stack([size - np.searchsorted(*pair, side="left") for pair in zip(ordered, own, strict=True)]) - before
    return [float((np.clip(count - before, 0, ties) / ties).mean()) for count in among]


@theme.style()
def drawn(table: pd.DataFrame, name: str, label: str) -> Any:
    """A column of the table against bytes, both on one panel: coded queries solid, asymmetric ones dotted."""
    figure, axes = theme.subplots(size=(6.4, 4.2))
    panel = axes[0, 0]
    titles = {theme.title(method): method for method in registry.METHODS}
    for title, rows in table.groupby("method", sort=False):
        look = theme.look(titles.get(str(title), str(title)))
        for column, dashes in {name: "solid", f"{name}, asymmetric": "dotted"}.items():
            if rows[column].notna().any():
                shown = str(title) if dashes == "solid" or rows[name].isna().all() else None
                panel.plot(
                    rows["bytes"], rows[column], color=look.colour, marker=look.marker, linestyle=dashes, label=shown
                )
    panel.set(xscale="log", xlabel="bytes an image (log scale)", ylabel=label, ylim=(0, None))
    sizes = sorted(table["bytes"].unique())
    panel.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    panel.minorticks_off()
    figure.legend(loc="outside right upper")
    return figure


if __name__ == "__main__":
    main()
