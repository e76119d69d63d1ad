"""``sdc STAGE --option value``: each subcommand is the stage module of its name; no logic here.

Beside the stages there are ``sdc datasets``, ``sdc features`` and ``sdc compare``, for people.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdc import __version__
from sdc.errors import SDCError
from sdc.plan.shards import KINDS

# What is no stage but for people.
_TOOLS = {"datasets": "sdc.tools.datasets", "features": "sdc.tools.features", "compare": "sdc.tools.compare"}
_log = logging.getLogger("sdc")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON ({error})") from error


def _cutoff(text: str) -> int | None:
    return None if text in ("all", "None", "null") else int(text)


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no batch size; give auto or a number from 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sdc", description="Unsupervised hashing of images, stage by stage.")
    parser.add_argument("--version", action="version", version=__version__)
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")

    def stage(name: str, help: str, **options: dict[str, Any]) -> None:
        command = stages.add_parser(name, help=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for option, settings in options.items():
            settings.setdefault("required", "default" not in settings)
            command.add_argument(f"--{option.replace('_', '-')}", **settings)

    name, path, number = {"help": "name of the catalogue entry"}, {"type": Path}, {"type": int}
    entry = {"type": _json, "default": {}, "help": "the entry's settings as JSON"}
    manifest = {"type": Path, "help": "manifest.csv"}
    features = {"type": Path, "help": "folder of the feature shards"}
    device = {
        "default": "auto",
        "help": "auto (the environment's SDC_DEVICE, else the best there is), cpu, cuda, cuda:N, mps",
    }

    stage(
        "prepare",
        "list a dataset's images, labels and splits",
        dataset={**name},
        settings={**entry},
        out={**path, "help": "manifest.csv to write; .json and .relevance.json beside it"},
    )
    stage(
        "extract",
        "extract one shard of backbone features",
        manifest={**manifest},
        backbone={**name},
        settings={**entry},
        shard={**number, "help": "which shard, from 0"},
        shards={**number, "help": "of how many"},
        out={**path, "help": "feature shard (.h5) to write"},
        device={**device},
        batch_size={
            "type": _batch_size,
            "default": "auto",
            "help": "images per forward pass; auto is what suits the device. Halved where memory does not hold it",
        },
        kind={"choices": KINDS, "default": "clean", "help": "clean, or of augmented views of training pictures"},
        views={**number, "default": 4, "help": "views per picture"},
        augmentation={"choices": ("photographs", "scans"), "default": "photographs", "help": "what the pictures are"},
        view_seed={**number, "default": 0, "help": "of the draws of views"},
        decoding={**entry, "help": "how picture files are read, as JSON: truncated, orientation"},
    )
    stage(
        "train",
        "train a hash head on cached features",
        manifest={**manifest},
        features={**features},
        shards={**number, "help": "how many there are"},
        method={**name},
        settings={**entry},
        bits={**number, "help": "code length, a multiple of 8"},
        seed={**number, "help": "of the training"},
        out={**path, "help": "head.safetensors to write"},
        curve={**path, "help": "curve.csv to write"},
        device={**device},
        views={**path, "default": None, "help": "folder of the shards of augmented views, for methods that need them"},
        tokens={**path, "default": None, "help": "folder of the shards of patch tokens, for methods that need them"},
    )
    stage(
        "encode",
        "encode queries and database",
        manifest={**manifest},
        features={**features},
        shards={**number, "help": "how many there are"},
        head={**path, "help": "head.safetensors"},
        out={**path, "help": "codes.h5 to write"},
        train_on={"default": None, "help": "the dataset the head was trained on, where it is another"},
        recentre={"action": "store_true", "default": False, "help": "set bits above their mean over this database"},
    )
    stage(
        "evaluate",
        "score codes, or features by exact cosine; or, without a manifest, any two files of codes with labels",
        manifest={**manifest, "default": None},
        codes={**path, "default": None, "help": "codes.h5"},
        features={**features, "default": None},
        shards={**number, "default": 1, "help": "how many there are"},
        map_at={
            "type": _cutoff,
            "nargs": "+",
            "default": [1000],
            "help": "R of mAP@R, or all; the first goes in tables",
        },
        precision_at={**number, "nargs": "+", "default": [1, 5, 10, 100], "help": "K of P@K, hit rate, recall, NDCG"},
        ties={
            "choices": ("expected", "stable"),
            "default": "expected",
            "help": "items at equal distances: mean over all orders, or database order",
        },
        convention={
            "choices": ("standard", "official"),
            "default": "standard",
            "help": "which queries count and what divides AP: standard, or as the official code does",
        },
        query_codes={
            "default": None,
            "help": "npy, npz or HDF5 (FILE or FILE:NAME): packed bytes, 0 and 1, or -1 and 1",
        },
        database_codes={"default": None, "help": "likewise"},
        query_labels={"default": None, "help": "likewise: class indices, or a column per class"},
        database_labels={"default": None, "help": "likewise"},
        bits={**number, "default": None, "help": "code length of these, if the files do not say"},
        per_query={**path, "default": None, "help": "average_precision.csv to write, a row per query"},
        pairs={**path, "default": None, "help": "pairs.csv to write: positive and negative pairs by similarity"},
        ranks={**path, "default": None, "help": "ranks.csv to write: precision and recall by rank, of codes"},
        per_class={**path, "default": None, "help": "per_class.csv to write: size and mAP of every class"},
        jobs={**number, "default": os.cpu_count() or 1, "help": "processes that share the queries"},
        out={**path, "help": "metrics.json to write"},
    )
    stage(
        "aggregate",
        "make tables, figures and the report of many runs",
        results={**path, "help": "folder below which the runs lie"},
        selection={"type": _json, "help": "JSON: datasets, backbones, methods, bits and seeds, a list each"},
        out={**path, "nargs": "+", "help": "what to write; the names say what it is"},
        embed={**path, "nargs": "*", "default": [], "help": "tables (.html) and figures (.svg) for the report"},
        config={**entry, "help": "the whole config as JSON, for the report"},
        allow_missing={"action": "store_true", "default": False, "help": "leave gaps where runs failed, and say why"},
    )
    stage(
        "toy",
        "show on four classes and two bits what methods do to similarities that are all positive",
        out={**path, "nargs": "+", "help": "toy.svg, .pdf, .png, .gif, .csv; outcomes.csv"},
        seeds={**number, "default": 10, "help": "how many the outcomes are of"},
    )
    compare = stages.add_parser("compare", help="say whether two methods differ on the same queries")
    compare.add_argument("first", type=Path, help="average_precision.csv of a run")
    compare.add_argument("second", type=Path, help="that of another")
    datasets = stages.add_parser("datasets", help="list datasets and whether they are there; describe or check one")
    datasets.add_argument("action", nargs="?", choices=["describe", "check"], help="say what one needs, or check it")
    datasets.add_argument("name", nargs="?", help="of the dataset")
    datasets.add_argument("--root", help="where it lies")
    datasets.add_argument("--settings", type=_json, default={}, help="its settings as JSON")
    datasets.add_argument("--configfile", type=Path, help="config whose datasets to list, or that has the one to check")
    datasets.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    cached = stages.add_parser("features", help="describe, verify, export or link a set of feature shards")
    cached.add_argument("action", choices=["info", "verify", "export", "link"], help="link makes one array for h5py")
    cached.add_argument("folder", type=Path, help="results/features/DATASET/BACKBONE/KIND")
    cached.add_argument("--shards", type=int, help="of a folder that holds several sets, the one of so many")
    cached.add_argument("--manifest", type=Path, help="manifest.csv the set must be of; exports then have labels")
    cached.add_argument("--array", default="features", help="what to export: features, or token_means")
    cached.add_argument("--out", type=Path, help="what to export to: .npy or .parquet")
    cached.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage; returns the exit status: 0, or 2 after one line on what is wrong (1: a check found something)."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    stage = options.pop("stage")
    if stage == "datasets" and options["action"] == "check" and options["name"] is None:
        parser.error("which dataset? sdc datasets check NAME")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    began = time.perf_counter()
    try:
        if stage in _TOOLS:
            return int(importlib.import_module(_TOOLS[stage]).run(**options))
        _log.info("sdc %s %s %s", stage, __version__, json.dumps(options, default=str))
        importlib.import_module(f"sdc.stages.{stage}").run(**options)
    except (SDCError, OSError) as error:
        _log.error("sdc %s: error: %s", stage, " ".join(str(error).split()))
        return 2
    outputs = options["out"] if isinstance(options["out"], list) else [options["out"]]
    _log.info("done in %.2f s: %s", time.perf_counter() - began, " ".join(map(str, outputs)))
    return 0
