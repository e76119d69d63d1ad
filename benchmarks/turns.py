"""Ways to do the same that take turns, each in its own process, so that ratios hold when a machine's speed drifts."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def serve(work: Callable[[], Any], orders: Connection) -> None:
    """Work as often as it is ordered and send the seconds; at the end send what the work gives."""
    result = work()
    while orders.recv():
        orders.send(seconds(work))
    orders.send(result)


def take_turns(
    target: Callable[..., None], ways: Mapping[str, tuple[Any, ...]], rounds: int
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Run ways beside each other, one working at a time.

    Args:
        target: Called in a new process with the way's name, its arguments and a connection to ``serve``.
        ways: Arguments of each way.
        rounds: How often each works, after a first time that does not count.

    Returns:
        Seconds of each way in each round, and what each way's work gives.
    """
    context = multiprocessing.get_context("spawn")
    connections: dict[str, Connection] = {}
    processes = []
    for name, arguments in ways.items():
        connections[name], there = context.Pipe()
        processes.append(context.Process(target=target, args=(name, *arguments, there)))
        processes[-1].start()

    def ask(name: str, more: bool) -> Any:
        connections[name].send(more)
        return connections[name].recv()

    times = [{name: ask(name, more=True) for name in ways} for _ in range(rounds + 1)][1:]
    results = {name: ask(name, more=False) for name in ways}
    for process in processes:
        process.join()
    return times, results
