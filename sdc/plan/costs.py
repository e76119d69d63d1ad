"""What a run will cost, in words, before it starts: a model of what was measured (docs/results.md), and no promise."""

from collections.abc import Iterable, Mapping
from typing import Any

from sdc.errors import SDCError
from sdc.plan.entries import build_entry

# Seconds of a job beside its work, and of one with torch; of a step of training on one core, of each of its weights,
# and of each of these for a row; of an image by a network of ResNet-50's size, by pixels, and of a vector.
_START, _TORCH, _STEP, _WEIGHT, _ROW = 1.0, 3.0, 1e-3, 0.5e-9, 4 / 90e9
_IMAGE, _IMAGE_GPU, _PIXELS, _VECTOR = 0.1, 2e-3, 1e-3, 2e-5
_DIM = 1024  # of features that are not there yet


def lines(
    config: Mapping[str, Any],
    jobs: Iterable[tuple[str, Mapping[str, str]]],
    counts: Mapping[str, Mapping[str, int]],
    cores: int,
    gpu: bool = False,
) -> list[str]:
    """How many trainings there are, about how long all takes, and what each dataset that is worked on has.

    Args:
        config: The whole config.
        jobs: Rule and wildcards of each job that is to run.
        counts: By dataset, ``images``, ``query``, ``database`` and ``train``, as far as its manifest is there.
        cores: That share the jobs.
        gpu: Whether trainings and extractions have one.

    Returns:
        Lines to print; none where nothing is to be trained or extracted.
    """
    jobs = list(jobs)
    names = dict.fromkeys(wildcards["dataset"] for _, wildcards in jobs if "dataset" in wildcards)
    known = {name: counts.get(name) or _expected(config, name) for name in names}
    seconds = {"extract": 0.0, "train": 0.0, "": 0.0}
    trainings, unknown = 0, False
    for rule, wildcards in jobs:
        seconds[""] += _START
        if rule in ("extract", "train"):
            trainings += rule == "train"
            items = known[wildcards["dataset"]]
            unknown |= not {"images", "train"} <= items.keys()
            work = _training if rule == "train" else _extraction
            seconds[rule] += work(config, wildcards, items, gpu)
    if not (trainings or any(rule == "extract" for rule, _ in jobs)):
        return []
    parts = {"extraction": seconds["extract"], "training": seconds["train"], "all else": seconds[""]}
    shares = ", ".join(f"{name} {duration(value / cores)}" for name, value in parts.items() if value)
    what = f"{len(jobs):,} jobs, {trainings:,} of them trainings"
    total = "at least " * unknown + f"about {duration(sum(seconds.values()) / cores)}"
    on = f"{cores} core" + "s" * (cores != 1)
    return [
        f"{what}: {total} on {on} ({shares}), by a model: machines differ by several times",
        *(f"{name}: {_counted(known[name])}" for name in names),
    ]


def duration(seconds: float) -> str:
    """For people: ``40 s``, ``13 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _expected(config: Mapping[str, Any], dataset: str) -> dict[str, int]:
    """What a dataset has before its manifest is there, as far as a protocol or its files say so."""
    try:
        counts: dict[str, int] = build_entry(config, "datasets", dataset).expected_counts()
    except (OSError, SDCError):  # of which prepare says more
        return {}
    return counts if counts.get("images") else {}


def _counted(counts: Mapping[str, int]) -> str:
    if "images" not in counts:
        return "not counted yet; its manifest will say"
    splits = {"query": "queries", "database": "in the database", "train": "for training"}
    parts = [f"{counts[name]:,} {what}" for name, what in splits.items() if name in counts]
    return f"{counts['images']:,} items" + f" ({', '.join(parts)})" * bool(parts)


def _training(config: Mapping[str, Any], wildcards: Mapping[str, str], counts: Mapping[str, int], gpu: bool) -> float:
    """Seconds of steps on one core; of closed-form methods nothing."""
    method = build_entry(config, "methods", wildcards["method"])
    if not hasattr(method, "epochs"):
        return 0.0
    hidden = getattr(method, "hidden", None) or 0
    hidden, bits = _DIM if hidden == "dim" else hidden, int(wildcards["bits"])
    weights = _DIM * (hidden or bits) + hidden * bits
    rows = method.batch_size * (1 + bool(method.partnered or {"views", "tokens"} & {*method.requires}))
    step = _STEP + (0 if gpu else weights * (_WEIGHT + rows * _ROW))
    return float(_TORCH + method.epochs * (counts.get("train", 0) // method.batch_size) * step)


def _extraction(config: Mapping[str, Any], wildcards: Mapping[str, str], counts: Mapping[str, int], gpu: bool) -> float:
    """Seconds of a shard on one core."""
    source = build_entry(config, "backbones", wildcards["backbone"])
    each = _PIXELS if type(source).__name__ == "Pixels" else _IMAGE_GPU if gpu else _IMAGE
    each = _VECTOR if source.takes == "vectors" else each
    views = build_entry(config, "datasets", wildcards["dataset"]).views or 1
    items = counts.get("images", 0) if wildcards["kind"] == "clean" else views * counts.get("train", 0)
    return items / int(wildcards["shards"]) * each
