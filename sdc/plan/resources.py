"""What a job needs of a machine: a model of what was measured (benchmarks/memory.py), asked for with some room."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from sdc import registry
from sdc.plan.entries import backbone_settings, build_entry, entry
from sdc.plan.networks import USUAL, Network, networks
from sdc.plan.scoring import compiling_pays


class Needs(NamedTuple):
    """What a scheduler is asked for: MB of memory and minutes, rather too many than too few."""

    megabytes: int
    minutes: int


# What is assumed of a dataset until its manifest is there, where its protocol does not say it; and how many images are
# to be listed then: a job that takes more is tried again with twice as much.
USUAL_COUNTS = {"images": 100_000, "query": 5_000, "database": 100_000, "train": 10_000}
LISTED = 20_000
# Asked for: so many times what the model says. docs/cluster.md has what it came to.
ROOM = 1.2
# MB that CUDA takes beside all else, which was not measured; and Snakemake itself, which runs the job on a cluster.
CUDA, SNAKEMAKE = 3_000, 250
# Rows of a forward pass, on a CPU of each core and on a GPU; and of an encoded block.
BATCH, GPU_BATCH, ENCODED = 16, 256, 2048


def needs(
    config: Mapping[str, Any],
    stage: str,
    wildcards: Mapping[str, str],
    counts: Mapping[str, int],
    sizes: Mapping[str, int],
    threads: int,
    gpu: bool = False,
) -> Needs:
    """What a job of a stage needs, by counts and dimensions.

    Memory is that of libraries beside what grows with the data; minutes are those of a slow core.

    Args:
        config: The whole config.
        stage: Name of the rule.
        wildcards, threads: Of the job.
        counts: Of the dataset: ``images``, ``query``, ``database`` and ``train``; what is missing is assumed.
        sizes: Bytes of what is there of each input of the rule, by its name: ``features``, ``views``, ``tokens``,
            ``weights``, ``vectors``. The dimension of features is known from nothing else.
        gpu: Whether it computes on a GPU.
    """
    lists = stage in ("prepare", "prepare_splits")
    known = {**_expected_counts(config, wildcards["dataset"], LISTED if lists else USUAL_COUNTS["images"]), **counts}
    images, trained, pairs = known["images"], known["train"], known["query"] * known["database"]
    # MB of a row of features as they are stored, and in all.
    stored = sizes.get("features", 0) / 1e6
    row = stored / images
    manifest = 150e-6 * images
    codes = images * int(wildcards.get("bits", 0)) / 8e6
    if lists:
        megabytes, minutes = 45.0, 60 + images / 10_000
        if stage == "prepare":
            blocks = min(40, 2.2e-6 * sizes.get("vectors", 0))
            megabytes += 300e-6 * images + _arrays(config, wildcards["dataset"]) + blocks
    elif stage == "extract":
        items = images if wildcards["kind"] == "clean" else 10 * trained
        megabytes = _extraction(config, wildcards, sizes, threads, gpu)
        minutes = 30 + items / int(wildcards["shards"]) / threads / 120
    elif stage == "train":
        megabytes, minutes = _training(config, wildcards, trained, row, sizes, gpu), 20 + trained / 250
    elif stage == "encode":
        # GELU takes several arrays of a block's neurons.
        neuron = 30e-6 if "sdc" in _kind(config, "methods", wildcards["method"]) else 10e-6
        blocks = 2 * min(stored, 64) + neuron * min(images, ENCODED) * _hidden(config, wildcards, row)
        megabytes, minutes = 55 + blocks + 3 * codes, 10 + images / 50_000
    elif stage == "evaluate":
        compiled = compiling_pays(known["query"], known["database"], int(wildcards["bits"]))
        megabytes, minutes = (200 if compiled else 60) + 4 * codes, 10 + pairs / 6e8
    elif stage == "evaluate_features":
        # Similarities, and what blocks of them are ranked and counted in.
        tables = min(537, 4e-6 * pairs) + min(80, 50e-6 * pairs)
        megabytes = 70 + tables + 2 * min(stored, 64) + 2 * row * known["query"]
        minutes = 10 + pairs / 6e7
    elif stage == "index":
        # Ids, paths and labels, a graph of links, the largest of the engines, and what draws the map.
        megabytes, minutes = 350 + 4 * codes + 500e-6 * images, 10 + images / 20_000
    elif stage == "aggregate_thumbnails":
        megabytes, minutes = 200, 30
    else:
        raise AssertionError(stage)
    return Needs(math.ceil(ROOM * (megabytes + manifest)), math.ceil(minutes))


def _expected_counts(config: Mapping[str, Any], dataset: str, images: int) -> dict[str, int]:
    """The counts of a dataset before its manifest is there: its protocol's, or usual ones and so many images."""
    source = build_entry(config, "datasets", dataset)
    protocol = source.protocols.get(getattr(source, "protocol", ""))
    usual = {**USUAL_COUNTS, "images": images}
    counts = {name: getattr(protocol, name, None) or count for name, count in usual.items()}
    images = source.size or (counts["query"] + counts["database"] if protocol else counts["images"])
    return {name: min(count, images) for name, count in {**counts, "images": images}.items()}


def _arrays(config: Mapping[str, Any], dataset: str) -> float:
    """MB of a dataset whose images are read as one array."""
    module = registry.DATASETS[_kind(config, "datasets", dataset)].partition(":")[0]
    return {"sdc.datasets.cifar": 370.0, "sdc.datasets.mnist": 150.0}.get(module, 0.0)


def _kind(config: Mapping[str, Any], catalogue: str, name: str) -> str:
    """What an entry of the catalogue is: the name that is registered."""
    return str(entry(config, catalogue, name).get("type", name))


def _extraction(
    config: Mapping[str, Any], wildcards: Mapping[str, str], sizes: Mapping[str, int], threads: int, gpu: bool
) -> float:
    """MB of an extraction.

    Weights are there twice while they are loaded, and again where bfloat16 is tried; what the first pass of a core
    takes then takes that room.
    """
    dataset, backbone = wildcards["dataset"], wildcards["backbone"]
    settings = backbone_settings(config, dataset, backbone, wildcards["kind"])
    source = build_entry(config, "backbones", backbone)
    if source.takes == "vectors":
        return 52 + min(115, 3e-6 * (sizes.get("vectors") or math.inf))
    model = settings.get("type", backbone)
    arrays = _arrays(config, dataset)
    if model == "pixels":  # Only views need torchvision.
        return (620 if wildcards["kind"] == "clean" else 790) + arrays + CUDA * gpu
    network: Network = networks().get(model, USUAL)
    weights = max(sizes.get("weights", 0) / 1e6, network.weights)
    edge = (settings.get("crop") or network.edge) * max(getattr(source, "scales", (1.0,)))
    image = 1.3 * network.activations * (edge / network.edge) ** 2
    if gpu:  # Batches that wait in bytes, decoded and pinned; activations are on the GPU.
        return 970 + arrays + CUDA + 2 * weights + 3 * GPU_BATCH * 9e-6 * edge**2
    return 990 + arrays + 1.5 * weights + (max(weights, BATCH * image) + 0.8 * (threads - 1) * BATCH * image)


def _training(
    config: Mapping[str, Any],
    wildcards: Mapping[str, str],
    trained: int,
    row: float,
    sizes: Mapping[str, int],
    gpu: bool,
) -> float:
    """MB of a training: rows in float32; of a layer its weights, gradients, moments and copies; tables of pairs."""
    method = build_entry(config, "methods", wildcards["method"])
    widening = 2 if build_entry(config, "backbones", wildcards["backbone"]).dtype == "float16" else 1
    rows = trained * row * widening
    name = _kind(config, "methods", wildcards["method"])
    if not hasattr(method, "epochs"):
        return 60 + rows * (2 if name == "lsh" else 9)
    views = (sizes.get("views", 0) * widening + 2 * sizes.get("tokens", 0)) / 1e6
    weights = widening * row * _hidden(config, wildcards, row)
    tables = 0.0
    if getattr(method, "similarity", "") == "diffusion":
        tables = 60 + 36e-6 * min(trained, 16_384) ** 2
    elif name == "ssdh":
        tables = 10 * rows + 50e-6 * 512 * trained
    # Large layers have their products from another library.
    layers = 8 * weights + min(130, 6 * weights)
    return 630 + 1.3 * rows + 1.1 * views + layers + tables + CUDA * gpu


def _hidden(config: Mapping[str, Any], wildcards: Mapping[str, str], row: float) -> float:
    """Neurons of a head's hidden layer; none of a linear head."""
    hidden = getattr(build_entry(config, "methods", wildcards["method"]), "hidden", None) or 0
    return 1e6 * row / 4 if hidden == "dim" else hidden
