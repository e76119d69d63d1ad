"""Queries shared among processes: threads would wait for one another, as NumPy counts alone."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from sdc import interrupts
from sdc.errors import SDCError
from sdc.evaluation.ranking import BLOCK_QUERIES, Hamming, Ranking, spans

# Pairs of query and item for which a process of its own pays: some 50 ms of them.
JOB_PAIRS = 10_000_000


def joined(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Columns of consecutive queries, one after the other."""
    first, *rest = parts
    return {name: np.concatenate([values, *(part[name] for part in rest)]) for name, values in first.items()}


def share_out(
    score: Callable[[range], dict[str, np.ndarray]], ranking: Ranking, jobs: int | None
) -> dict[str, np.ndarray]:
    """The columns of all queries of a ranking, each process scoring some.

    Args:
        score: From consecutive queries to columns.
        ranking: If by Hamming distance, of enough pairs and on Linux, processes are forked; else there is one.
        jobs: Processes at the most; None for one per core.

    Raises:
        SDCError: If a process dies.
    """
    queries = range(len(ranking))
    jobs = min(jobs or os.cpu_count() or 1, len(queries) * ranking.size // JOB_PAIRS)
    # Elsewhere than on Linux a fork is missing or may hang.
    if jobs < 2 or not isinstance(ranking, Hamming) or sys.platform != "linux":
        return score(queries)
    import multiprocessing
    from multiprocessing.connection import Connection

    # Forked, so that codes and labels are shared and not sent.
    context = multiprocessing.get_context("fork")
    own, *others = spans(queries, -(-len(queries) // (jobs * BLOCK_QUERIES)) * BLOCK_QUERIES)
    workers, parent = [], os.getpid()

    def work(pipe: Connection, span: range) -> None:
        interrupts.end_with_parent(parent)
        pipe.send(score(span))

    for span in others:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(sender, span))
        process.start()
        sender.close()
        workers.append((receiver, process))
    try:
        parts = [score(own), *(receiver.recv() for receiver, _ in workers)]
    except EOFError:
        raise SDCError("a process of the evaluation died, perhaps for want of memory; try --jobs 1") from None
    finally:
        for receiver, process in workers:
            receiver.close()
            process.kill()  # It has ended, unless this one failed.
            process.join()
    return joined(parts)
