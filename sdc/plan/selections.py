"""What tables, figures and the report are made of: the runs, and the files of these that they read."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from sdc import registry
from sdc.plan.ablations import ablation_run, has_heat_map
from sdc.plan.cells import Cell, baseline, cells, computed, narrowed, run_once
from sdc.plan.entries import datasets_used, entry, instance_datasets, trained_on
from sdc.plan.shards import shard_count, shard_names, training_kinds

# What a table or figure is of: all that the config selects; one dataset and code length; the datasets of instance
# retrieval; a dataset with a long tail; an ablation; one of two settings; a dataset and backbone.
Scope = Literal["everything", "code length", "instance", "long tail", "ablation", "two settings", "pair"]


class Reads(NamedTuple):
    """Which files a table or figure is made from, by their names.

    Attributes:
        runs: Of every run.
        baselines: Of exact cosine on the features, where the selection has that.
        training: Of the folder in which a run's head was trained, which may be another dataset's.
        benchmarks: Whether also what Snakemake measured of the training.
        thumbnails: Whether also the thumbnails of what runs retrieve.
    """

    runs: tuple[str, ...] = ("metrics.json",)
    baselines: tuple[str, ...] = ("metrics.json",)
    training: tuple[str, ...] = ()
    benchmarks: bool = False
    thumbnails: bool = False


def joined(reads: Iterable[Reads]) -> Reads:
    """All that several tables or figures read."""
    *names, benchmarks, thumbnails = zip(*reads, strict=True)
    runs, baselines, training = (tuple(dict.fromkeys(itertools.chain.from_iterable(each))) for each in names)
    return Reads(runs, baselines, training, any(benchmarks), any(thumbnails))


def selection(config: Mapping[str, Any], scope: Scope, wildcards: Mapping[str, str]) -> dict[str, Any]:
    """The selection of a table or figure: all that the config selects, or the part of it that it is of.

    Args:
        config: The whole config.
        scope: What the table or figure is of.
        wildcards: Which: ``dataset``, ``backbone``, ``bits`` or ``ablation``; see ``targets``.
    """
    run, features = config["run"], config.get("evaluation", {}).get("features", True)
    if "ablation" in wildcards:
        run = ablation_run(config, wildcards["ablation"])
    elif scope == "instance":
        run = {**run, "datasets": instance_datasets(config)}
    run = narrowed(run, **{f"{axis}s": wildcards[axis] for axis in ("dataset", "backbone") if axis in wildcards})
    if "bits" in wildcards:
        run = narrowed(run, bits=int(wildcards["bits"]))
    if scope == "pair":
        run["only"] = {name: only for name, only in run.get("only", {}).items() if name == wildcards["backbone"]}
        run["retrieval"] = config.get("report", {}).get("retrieval", [])
    else:
        run["entries"] = selected_entries(config, run)
    features = features and scope not in ("code length", "ablation", "two settings")
    return {**run, "once": run_once({**config, "run": run}), "features": features}


def runs_of(run: Mapping[str, Any]) -> list[Cell]:
    """The runs that a selection's cells have their metrics from, each once."""
    return list(dict.fromkeys(computed(cell, run) for cell in cells(run)))


def pairs(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every dataset and backbone of a selection."""
    return list(itertools.product(run["datasets"], run["backbones"]))


def _training(config: Mapping[str, Any], run: Mapping[str, Any]) -> list[Cell]:
    """Where the heads of a selection's runs were trained."""
    trained = (cell._replace(dataset=trained_on(config, cell.dataset)) for cell in runs_of(run))
    return list(dict.fromkeys(trained))


def inputs(config: Mapping[str, Any], run: Mapping[str, Any], reads: Reads) -> list[str]:
    """The files below ``results/`` that a table or figure of a selection is made from, but for ``benchmarks``."""
    scored = (*reads.runs, "evaluate.record.json") if reads.runs else ()
    files = [f"{cell.folder}/{name}" for cell in runs_of(run) for name in scored]
    trained = (*reads.training, "train.record.json") if reads.training else ()
    files += [f"{cell.folder}/{name}" for cell in _training(config, run) for name in trained]
    if run["features"]:
        names = (*reads.baselines, "evaluate.record.json") if reads.baselines else ()
        files += [f"{baseline(*pair)}/{name}" for pair in pairs(run) for name in names]
    if reads.thumbnails:
        suffixes = (".png", ".csv", ".record.json")
        files += [f"{thumbnails(*pair)}{suffix}" for pair in pairs(run) for suffix in suffixes]
    return files


def benchmarks(
    config: Mapping[str, Any], run: Mapping[str, Any], stages: Iterable[str] = ("prepare", "extract", "train")
) -> dict[str, dict[str, str]]:
    """By stage, the benchmark files of a selection's jobs below ``results/``, each with the artefact its job makes."""
    trained = _training(config, run)
    kinds = dict.fromkeys((*pair, "clean") for pair in pairs(run))
    for names in dict.fromkeys(cell[:3] for cell in trained):
        kinds |= dict.fromkeys((*names[:2], kind) for kind in training_kinds(config, *names).values())
    shards = ["/".join((*kind, name)) for kind in kinds for name in shard_names(shard_count(config, kind[0]))]
    datasets = datasets_used({**config, "run": run})
    artefacts = {
        "prepare": {dataset: f"manifests/{dataset}.images.csv" for dataset in datasets},
        "extract": {shard: f"features/{shard}.h5" for shard in shards},
        "train": {cell.name: f"{cell.folder}/head.safetensors" for cell in trained},
    }
    return {
        stage: {f"benchmarks/{stage}/{name}.tsv": path for name, path in artefacts[stage].items()} for stage in stages
    }


def thumbnails(dataset: str, backbone: str) -> str:
    """Where the thumbnails of a dataset and backbone lie below ``results/``, without suffix."""
    return f"thumbnails/{dataset}/{backbone}"


def retrieving(run: Mapping[str, Any]) -> list[Cell]:
    """The runs whose neighbours are shown: of the longest codes and the first seed, of the chosen methods or of all."""
    longest = narrowed(run, bits=max(run["bits"]), seeds=run["seeds"][0])
    return [cell for cell in runs_of(longest) if not run["retrieval"] or cell.method in run["retrieval"]]


def targets(config: Mapping[str, Any], scope: Scope) -> list[dict[str, str]]:
    """Which tables or figures of a scope the config has: the wildcards of each."""
    run, ablations = config["run"], config.get("ablations", {})
    if scope == "code length":
        return [{"dataset": name, "bits": str(bits)} for name, bits in itertools.product(run["datasets"], run["bits"])]
    if scope == "pair":
        return [{"dataset": dataset, "backbone": backbone} for dataset, backbone in pairs(run)]
    if scope == "long tail":
        return [{"dataset": name} for name in run["datasets"] if entry(config, "datasets", name).get("long_tail")]
    if scope in ("ablation", "two settings"):
        return [{"ablation": name} for name in ablations if scope == "ablation" or has_heat_map(config, name)]
    return [{}] * (scope == "everything" or bool(instance_datasets(config)))


def selected_entries(config: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What tables must know of everything a selection names, by catalogue and name; nothing where all is by default.

    That is the settings of methods; of datasets and backbones, whose settings metrics repeat as far as they matter,
    just their ``type``: a key that changes no metric then makes no table again.
    """
    selected: dict[str, dict[str, Any]] = {}
    for catalogue in registry.CATALOGUES:
        entries = {name: entry(config, catalogue, name) for name in run[catalogue]}
        if catalogue != "methods":
            entries = {name: {key: known[key] for key in known if key == "type"} for name, known in entries.items()}
        selected[catalogue] = {name: known for name, known in entries.items() if known}
    return selected
