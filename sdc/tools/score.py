"""``sdc score``: the metrics of anybody's codes, from files of codes and labels."""

import logging
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from sdc import __version__
from sdc.errors import SDCError
from sdc.evaluation.code_health import CodeHealth
from sdc.evaluation.metrics import measure
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.limits import AnyBits, Items, OutputFile, OutputFolder, Threads
from sdc.plan.scoring import CONVENTION, MAP_AT, PRECISION_AT, RULE, Convention, Rule
from sdc.storage.code_files import read_codes
from sdc.storage.columns import write_columns, write_precisions
from sdc.storage.files import write_json
from sdc.storage.label_files import number_classes, read_labels
from sdc.storage.sources import External

_log = logging.getLogger(__name__)


def run(
    *,
    query_codes: str,
    database_codes: str,
    query_labels: str,
    database_labels: str,
    out: OutputFile,
    bits: AnyBits | None = None,
    map_at: Sequence[Items | Literal["all"]] = (MAP_AT,),
    precision_at: Sequence[Items] = PRECISION_AT,
    ties: Rule = RULE,
    convention: Convention = CONVENTION,
    external: External = "refuse",
    files: OutputFolder | None = None,
    jobs: Threads | None = None,
) -> int:
    """Score the codes of any project, from files of codes and labels.

    Example:
        sdc score --query-codes q.npy --database-codes d.npy --query-labels ql.npy --database-labels dl.npy
            --out metrics.json

    Args:
        query_codes: npy, npz, HDF5, Parquet or pt (``FILE`` or ``FILE:NAME``): packed bytes, 0 and 1, or -1 and 1.
        database_codes: Likewise.
        query_labels: Likewise, or a csv or txt file: classes by number or name, or a column per class.
        database_labels: Likewise.
        out: JSON file of metrics to write.
        bits: Code length, if the files do not say.
        map_at: R of mAP@R, the first is the headline; ``all`` for the whole database.
        precision_at: K of precision, hit rate, recall and NDCG.
        ties: How items at equal distances stand in metrics whose name does not say: ``expected`` or ``stable``.
        convention: Which queries count and what divides AP: ``standard``, or as the ``official`` code does.
        external: HDF5 files that lead to data in other files: ``refuse`` them, or ``follow`` them.
        files: Folder for average_precision.csv (for ``sdc compare``), pairs.csv, ranks.csv and bits.csv.
        jobs: Threads that share the queries; one per core if not given.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If a file cannot be read, the files do not fit each other, or no query has a relevant item.
    """
    began = time.perf_counter()
    query, database = (read_codes(path, bits, external) for path in (query_codes, database_codes))
    if query.bits != database.bits:
        raise SDCError(
            f"code lengths differ: {query.bits} bits in {query_codes}, {database.bits} in {database_codes}; "
            "encode both with the same head"
        )
    classes = []
    for path, codes, source in ((query_labels, query, query_codes), (database_labels, database, database_codes)):
        classes.append(read_labels(path, complete=True, external=external))
        if len(classes[-1].counts) != len(codes.codes):
            raise SDCError(
                f"{path}: has {len(classes[-1].counts)} labels for the {len(codes.codes)} codes of {source}; "
                "give the labels of these very items"
            )
    both = len(query.codes) if np.array_equal(query.codes, database.codes) else 0
    if both:
        _log.warning(
            "queries and database are the same %d codes: each query finds itself, which makes scores too high", both
        )
    labels, _ = number_classes(classes)
    count = len(query.codes)
    relevance = SharedLabels(labels[:count], labels[count:])
    distances = Hamming(query.codes, database.codes, query.bits)
    scores = evaluate(distances, relevance, map_at, precision_at, ties, convention, jobs)
    health = CodeHealth(database.codes, query.bits)
    if files is not None:
        write_precisions(files / "average_precision.csv", scores.precisions(np.arange(len(query.codes))))
        write_columns(files / "pairs.csv", scores.histogram())
        write_columns(files / "ranks.csv", scores.ranks())
        write_columns(files / "bits.csv", health.columns())
    metrics = {
        "query_codes": query_codes, "database_codes": database_codes, "bits": query.bits, **scores.report(),
        **measure(health), "queries_in_database": both, "zero_outputs": query.zeros + database.zeros,
        "version": __version__, "seconds": round(time.perf_counter() - began, 3),
    }  # fmt: skip
    write_json(out, metrics)
    return 0
