"""Whether a config can be run: its shape, its names and settings, how much it asks for, and what goes with what."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from sdc import registry
from sdc.errors import SDCError
from sdc.plan import schema
from sdc.plan.ablations import ablation_run, variant_count, variant_entries
from sdc.plan.cells import AXES, cells
from sdc.plan.entries import build_entry, check_kinds, datasets_used, trained_on
from sdc.plan.indexing import Indexing
from sdc.plan.resources import USUAL_COUNTS
from sdc.plan.shards import shard_count, training_kinds
from sdc.settings import check, check_name

# Runs, each of which is three jobs, and feature shards that these read: Snakemake plans some hundred jobs a second, and
# looks at some thousand files, so that either takes it minutes.
MOST_RUNS, MOST_READS = 100_000, 1_000_000


def check_config(config: Mapping[str, Any]) -> None:
    """Check a whole config: its shape, its names and their settings.

    Raises:
        SDCError: One line with key, value, what is allowed and the nearest name.
    """
    check(config, schema.shape())
    for catalogue in registry.CATALOGUES:
        for name, entry in config.get(catalogue, {}).items():
            registry.check_entry(catalogue, name, entry)
        items = {"enum": registry.names(catalogue, config)}
        check(config["run"], {"properties": {catalogue: {"items": items}}}, where="run")
    methods = {"items": {"enum": list(config["run"]["methods"])}}
    for backbone, only in config["run"].get("only", {}).items():
        check_name("only", backbone, config["run"]["backbones"], where="run")
        check({backbone: only}, {"properties": {backbone: methods}}, where="run.only")
    check(config.get("report", {}), {"properties": {"retrieval": methods}}, where="report")
    for bits in config["run"]["bits"]:
        Indexing(**config.get("index", {})).chosen(USUAL_COUNTS["images"], bits)
    _check_size(config)
    _check_combinations({**config, "methods": {**config.get("methods", {}), **variant_entries(config)}})


def _check_size(config: Mapping[str, Any]) -> None:
    """Check that so many runs, and shards that they read, can be planned."""
    run = config["run"]
    methods = len(run["methods"]) + sum(variant_count(config, name) for name in config.get("ablations", {}))
    of_dataset = math.prod(len(run[axis]) for axis in AXES[1:] if axis != "methods") * methods
    runs, product = of_dataset * len(run["datasets"]), " x ".join(AXES)
    if runs > MOST_RUNS:
        raise SDCError(f"run: {product} are {runs:,} runs, and at most {MOST_RUNS:,} can be planned; select less")
    reads = sum(of_dataset * shard_count(config, dataset) for dataset in run["datasets"])
    if reads > MOST_READS:
        most = f"and at most {MOST_READS:,} can be planned; lower shards of a dataset"
        raise SDCError(f"run: {runs:,} runs would read {reads:,} shards, {most}")


def _check_combinations(config: Mapping[str, Any]) -> None:
    """Check that backbones take what the datasets hold, and that methods can be trained on it."""
    trained = {name: trained_on(config, name) for name in (*config["run"]["datasets"], *config.get("datasets", {}))}
    sources = {dataset: build_entry(config, "datasets", dataset) for dataset in datasets_used(config)}
    for backbone in config["run"]["backbones"]:
        network = build_entry(config, "backbones", backbone)
        for dataset, source in sources.items():
            check_kinds(dataset, source, backbone, network)
    selections = [config["run"], *(ablation_run(config, name) for name in config.get("ablations", {}))]
    every = itertools.chain.from_iterable(map(cells, selections))
    for dataset, backbone, method in dict.fromkeys((trained[cell.dataset], *cell[1:3]) for cell in every):
        if sources[dataset].vector_files() or "labels" in build_entry(config, "methods", method).requires:
            training_kinds(config, dataset, backbone, method)
