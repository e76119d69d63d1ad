"""Runs and frames that tests of tables, figures and the page are made of."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sdc.plan.cells import Cell
from sdc.report import published
from sdc.report.runs import Run, Runs
from sdc.storage.records import RUN, expected, stage_record, write_record


def runs_of(metrics, baselines=(), results=Path("results"), missing=(), **more):
    """Runs with these metrics, whose files lie where ``folder_of`` says."""
    return Runs(
        runs=[Run(one, folder_of(results, one)) for one in metrics],
        baselines=[Run(one, folder_of(results, one)) for one in baselines],
        missing={Cell(*identity): why for identity, why in dict(missing).items()},
        results=results,
        thumbnails=results,
        **more,
    )


def folder_of(results, metrics):
    """The folder of a run."""
    return Path(results) / Cell(*(metrics[axis] for axis in Cell._fields)).folder


def write_records(results):
    """The records of all runs and baselines below a folder, as their jobs leave them."""
    for path in Path(results).rglob("metrics.json"):
        files = [
            file for file in path.parent.iterdir() if file.suffix in (".csv", ".json") and ".record" not in file.name
        ]
        facts = expected(json.loads(path.read_text()), *RUN)
        write_record(stage_record(path.parent, "evaluate"), "evaluate", facts, sorted(files))
    for path in Path(results).rglob("curve.csv"):
        dataset, backbone, method, bits, seed = path.parent.parts[-5:]
        facts = {"dataset": dataset, "backbone": backbone, "method": method}
        facts |= {"bits": int(bits.removesuffix("bit")), "seed": int(seed.removeprefix("seed"))}
        write_record(stage_record(path.parent, "train"), "train", facts, [path])


def run(method="sdc", bits=16, seed=0, score=0.5, **more):
    """The metrics of a run, as far as figures need them."""
    return {"dataset": "toys", "backbone": "pixels", "method": method, "bits": bits, "seed": seed,
            "map_at": 10, "mAP@10": score, "mAP@10_low": score - 0.1, "mAP@10_high": score + 0.1, **more}  # fmt: skip


def scored(method, bits, seed, score, backbone="pixels"):
    """The metrics of a run, as far as tables need them."""
    return {
        "dataset": "digits", "backbone": backbone, "method": method, "bits": bits, "seed": seed, "version": "1",
        "mAP@100": score, "P@1": 0.5, "map_at": 100,
        "ties": "expected over random order", "denominator": "relevant items",
    }  # fmt: skip


# Two methods, one of which is there at two code lengths.
SCORED = [
    scored("sdc", 32, 0, 0.5),
    scored("sdc", 32, 1, 0.7),
    scored("sdc", 16, 0, 0.4),
    scored("itq", 32, 0, 0.61),
    scored("itq", 32, 1, 0.61),
]


def paper(value, status="clear", backbone="vgg16"):
    """A cell of the paper."""
    return published.Cell("Table 1", "cifar10", backbone, "sdc", {}, 16, value, status)


def frame(rows, *columns):
    return pd.DataFrame(rows, columns=["method", "bits", "seed", *columns])


MAP = frame(
    [("features", 2048, 0, 0.9, 0.8, 1.0)]
    + [(name, bits, seed, score + 0.1 * seed, 0, 1)
       for name, score in (("sdc", 0.5), ("itq", 0.3)) for bits in (16, 32) for seed in (0, 1)],
    "mAP", "low", "high",
)  # fmt: skip
RADII = frame(
    [("sdc", 16, 0, r, 1 / (r + 1), r / 16) for r in range(17)] + [("sdc", 16, 1, r, 0.0, 0.0) for r in range(17)],
    "radius", "precision", "recall",
)  # fmt: skip
NEIGHBOURS = frame(
    [("sdc", bits, seed, k, share + seed / 5) for bits, share in ((16, 0.4), (32, 0.5)) for seed in (0, 1)
     for k in (1, 10)],
    "k", "share",
)  # fmt: skip
RANKS = frame(
    [("features", 2048, 0, k, 0.9, k / 100) for k in (1, 5)]
    + [("itq", bits, 0, k, 0.5, k / 100) for bits in (16, 32) for k in (1, 10, 100)],
    "k", "precision", "recall",
)  # fmt: skip
PAIRS = frame(
    [("features", 2048, 0, s, p, n) for s, p, n in ((0.5, 3, 0), (0.0, 1, 2), (-0.5, 0, 2))]
    + [("sdc", 16, seed, s, p, n) for seed in (0, 1) for s, p, n in ((1.0, 5, 0), (0.0, 0, 0), (-1.0, 0, 3))],
    "similarity", "positive_pairs", "negative_pairs",
)  # fmt: skip
CURVES = frame(
    [("sdc", 16, 0, epoch, term, value / (epoch + 1))
     for epoch in range(3) for term, value in (("loss", 4.0), ("calibration", 3.0))],
    "epoch", "term", "value",
)  # fmt: skip
BITS = frame(
    [("sdc", 8, 0, bit, share) for bit, share in enumerate([0.5, 0, 1, 0.2, 0.8, 0.4, 0.6, 0.5])], "bit", "share"
)
COSTS = frame([("features", 2048, 0, 256, np.nan, 0.9), ("sdc", 16, 0, 2, 10.0, 0.5), ("sdc", 32, 0, 4, 20.0, 0.7)],
              "bytes", "seconds", "mAP")  # fmt: skip
CLASSES = frame(
    [(method, bits, seed, name, score + 0.1 * seed, 0.6 - score / 2)
     for method, bits, scores in (("features", 2048, (0.3, 0.5, 0.4)), ("itq", 16, (0.9, 0.9, 0.9)),
                                  ("sdc", 16, (0.3, 0.8, 0.5)))
     for seed in (0, 1) for name, score in zip(("cat", "dog", "owl"), scores, strict=True)],
    "class", "mAP", "overlap",
)  # fmt: skip
RETRIEVED = frame(
    [("", None, None, 7, 0, 7, 0, 1, "q", Image.new("RGBA", (40, 40), "red"))]
    + [("sdc", 16, 0, 7, rank, rank, rank, right, str(rank), Image.new("RGBA", (40, 40), "blue"))
       for rank, right in ((1, 1), (2, 0))],
    "query", "rank", "row", "distance", "right", "path", "image",
)  # fmt: skip
# Of each figure of a dataset and backbone.
FRAMES = {
    "similarities": PAIRS, "map_by_bits": MAP, "neighbours": NEIGHBOURS, "precision_recall": RADII,
    "precision_at_k": RANKS, "precision_within_radius": RADII, "training": CURVES, "bit_balance": BITS,
    "classes": CLASSES, "cost": COSTS, "retrieval": RETRIEVED,
}  # fmt: skip


def lines(axes):
    """What is drawn in axes, by label."""
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
