"""toy: two bits for four classes, where one can look at what methods do to similarities that are all positive."""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc import registry
from sdc.head import Head
from sdc.methods.base import TrainedMethod
from sdc.methods.data import Training
from sdc.report import theme
from sdc.report import toy as pictures
from sdc.storage.files import write_text

_log = logging.getLogger(__name__)
_PER_CLASS = 32
_EPOCHS = 100
# Defaults but for the rate, which suits a hundred items, and for the width of SDC's hidden layer.
_METHODS: Mapping[str, Mapping[str, Any]] = {
    "greedyhash": {"learning_rate": 1e-2},
    "bihalf": {"learning_rate": 1e-2},
    "sdc": {"learning_rate": 3e-3, "hidden": 64},
    "sdc_linear": {"type": "sdc", "learning_rate": 3e-3, "hidden": None},
}
_SHOWN = ("greedyhash", "bihalf", "sdc")
_STRIP = (0, 1, 3, 10, 30, 100)
_FRAMES = sorted({*_STRIP, *range(10), *range(10, 40, 3), *range(40, 100, 10)})


def run(out: Sequence[Path], seeds: int = 10) -> None:
    """Train two bits for four well separated classes, and show what becomes of them.

    Args:
        out: What to write, by suffix: ``.svg``, ``.pdf`` or ``.png``, the logits at some epochs; ``.gif``, at more of
            them; ``.csv``, the logits that are drawn: ``method``, ``epoch``, ``item``, ``class``, ``first``,
            ``second``; but ``outcomes.csv`` is a row per kind of features, method and seed: mean cosines within and
            between classes, how many codes the items have, and how many different ones are the most frequent of a class
            (``groups``).
        seeds: How many seeds the outcomes are of, of the features and of the training alike; figures show the first.
    """
    if any(path.name != "outcomes.csv" for path in out):
        features, labels = draw_features("plane", 0)
        course = {name: _course(name, features, _FRAMES) for name in _SHOWN}
    for path in out:
        if path.name == "outcomes.csv":
            write_text(path, _csv(_outcomes(seeds)))
        elif path.suffix == ".csv":
            write_text(path, _csv(_rows(course, labels)))
        elif path.suffix == ".gif":
            pictures.write_animation(path, course, labels)
        else:
            theme.save(pictures.strip(course, features, labels, _STRIP), path)
        _log.info("wrote %s", path)


def draw_features(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of four well separated classes.

    Args:
        kind: ``plane``: noisy directions of 15, 35, 55 and 75 degrees, so that all cosines are positive, as after a
            ReLU; ``centred``: these minus their mean; ``space``: around four random centres in eight dimensions, after
            a ReLU.
        seed: Of the draw.

    Returns:
        Features, shape ``(128, 2)`` or ``(128, 8)``, float32; and the class of each, shape ``(128,)``.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), _PER_CLASS)
    if kind == "space":
        centres = 1 + generator.standard_normal((4, 8))
        features = centres[labels] + 0.3 * generator.standard_normal((len(labels), 8))
    else:
        angles = np.deg2rad([15, 35, 55, 75])[labels]
        features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        features += 0.03 * generator.standard_normal(features.shape)
    features = np.maximum(features, 0)
    if kind == "centred":
        features -= features.mean(axis=0)
    return features.astype(np.float32), labels


def two_bits(name: str, **settings: Any) -> TrainedMethod:
    """A method of the toy with codes of two bits, which fill no byte and so are none that a config may ask for."""
    made = {"epochs": _EPOCHS, "batch_size": 32, **_METHODS[name], **settings}
    cls = registry.load("methods", made.pop("type", name))
    short: Any = dataclasses.make_dataclass(cls.__name__, [("bits", int, 2)], bases=(cls,), frozen=True, kw_only=True)
    method: TrainedMethod = short(**made)
    return method


def _course(name: str, features: np.ndarray, epochs: Sequence[int]) -> dict[int, np.ndarray]:
    """Logits after some epochs, shape ``(n, 2)``; after epoch 0 those of a head that has not learnt anything yet."""
    heads: list[Head] = []

    def watch(head: Head) -> float:
        heads.append(head)
        return len(heads)  # ever better, so that the last epoch counts

    two_bits(name, select="best", select_every=1).fit_head(Training(features), score=watch)
    fresh = two_bits(name, epochs=1, learning_rate=1e-12).fit_head(Training(features))[0]
    return {epoch: [fresh, *heads][epoch].logits(features) for epoch in epochs}


def _outcomes(seeds: int) -> list[dict[str, Any]]:
    rows = []
    for kind in ("plane", "centred", "space"):
        for seed in range(seeds):
            features, labels = draw_features(kind, seed)
            unit = features / np.linalg.norm(features, axis=1, keepdims=True)
            cosines, same = unit @ unit.T, labels[:, None] == labels
            for name in _METHODS:
                logits = two_bits(name, seed=seed).fit_head(Training(features))[0].logits(features)
                codes = (logits > 0) @ [2, 1]
                groups = {int(np.bincount(codes[labels == label]).argmax()) for label in range(4)}
                rows.append(
                    {
                        "features": kind,
                        "method": name,
                        "seed": seed,
                        "cosine_within": round(float(cosines[same].mean()), 3),
                        "cosine_between": round(float(cosines[~same].mean()), 3),
                        "codes": pictures.count_codes(logits),
                        "groups": len(groups),
                    }
                )
    return rows


def _rows(course: pictures.Course, labels: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "method": method,
            "epoch": epoch,
            "item": item,
            "class": int(labels[item]),
            "first": f"{first:.3f}",
            "second": f"{second:.3f}",
        }
        for method, epochs in course.items()
        for epoch, logits in epochs.items()
        for item, (first, second) in enumerate(logits)
    ]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
