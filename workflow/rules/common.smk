"""What the rules share: the checked config, wildcards, and the functions that choose files."""

import itertools
import os
import re

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

from sdc import devices, grid, registry
from sdc.errors import SDCError

try:
    with open(f"{workflow.basedir}/workflow/schemas/config.schema.yaml") as schema:
        grid.check_config(config, yaml.safe_load(schema))
except SDCError as error:
    raise WorkflowError(f"config: {error}") from None

# Said before anything runs, and in dry runs too: all of it at once. A job that needs it fails with its own line.
if workflow.exec_mode == ExecMode.DEFAULT:
    for dataset in grid.datasets_used(config):
        if not os.path.exists(f"results/manifests/{dataset}.csv"):
            for line in grid.missing(config, dataset):
                logger.warning(f"datasets.{dataset}: {line}")

if os.path.exists("results") and not os.access("results", os.W_OK):
    raise WorkflowError("results/ is read-only: make it writable, or run elsewhere with --directory")

# Where there is a GPU, one job at a time has it (snakemake --resources gpu=2 lifts that); elsewhere cores are the limit.
# workflow.cores stops where no --cores is given, as on a cluster; then a job may count on this machine's.
CORES = workflow.resource_settings.cores or os.cpu_count()
GPUS = devices.count_gpus()
if "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", 1 if GPUS else CORES)

# Jobs find the package from any --directory and inside conda environments.
shell.prefix(f"set -euo pipefail; export PYTHONPATH='{workflow.basedir}'; ")


def names(catalogue):
    """Every name of a catalogue, registered or in the config, as a regular expression."""
    return "|".join(map(re.escape, {**registry.CATALOGUES[catalogue], **config.get(catalogue, {})}))


wildcard_constraints:
    dataset=names("datasets"),
    backbone=names("backbones"),
    method=names("methods"),
    bits=r"\d+",
    seed=r"\d+",
    kind="|".join(grid.KINDS),
    shard=r"\d+",
    shards=r"\d+",


def method_settings(wildcards):
    """The catalogue entry of a job's method as one JSON string."""
    return grid.canonical(grid.entry(config, "methods", wildcards.method))


def backbone_settings(wildcards):
    """The settings of a job's backbone for its dataset, as one JSON string."""
    return grid.canonical(grid.backbone_settings(config, wildcards.dataset, wildcards.backbone))


def manifest_settings(wildcards):
    """What the manifest of a job's dataset depends on, as one JSON string."""
    return grid.canonical(grid.manifest_settings(config, wildcards.dataset))


def shards(wildcards):
    """How many shards the features of a job's dataset have."""
    return grid.shard_count(config, wildcards.dataset)


def features_folder(wildcards, kind="clean"):
    """The folder of the features a job reads."""
    return f"results/features/{wildcards.dataset}/{wildcards.backbone}/{kind}"


def feature_shards(wildcards, kind="clean"):
    """The feature shards a job reads."""
    return [f"{features_folder(wildcards, kind)}/{name}.h5" for name in grid.shard_names(shards(wildcards))]


def vector_files(wildcards):
    """The files of a job's dataset that holds vectors, as far as they are there; prepare says which are not."""
    made = grid.vector_files(config, wildcards.dataset)
    return [path for path in made if os.path.exists(path)]


def head(wildcards):
    """The head a job encodes with: trained on its own dataset, or on the one that names."""
    source = grid.trained_on(config, wildcards.dataset)
    cell = grid.Cell(source, wildcards.backbone, wildcards.method, wildcards.bits, wildcards.seed)
    return f"results/{cell.folder}/head.safetensors"


def head_options(wildcards):
    """The options of a job whose head was trained on another dataset."""
    made = grid.head_settings(config, wildcards.dataset)
    return f"--train-on {made['train_on']}{' --recentre' * made['recentre']}" if made else ""


def training_kinds(wildcards):
    """The kinds of features a job's method trains on, by the option that takes them."""
    return grid.training_kinds(config, wildcards.dataset, wildcards.backbone, wildcards.method)


def training_shards(wildcards):
    """The shards of every kind of feature a job's method trains on."""
    return [shard for kind in training_kinds(wildcards).values() for shard in feature_shards(wildcards, kind)]


def training_folders(wildcards):
    """The options that name their folders."""
    kinds = training_kinds(wildcards)
    return " ".join(f"--{option} {features_folder(wildcards, kind)}" for option, kind in kinds.items())


def view_options(wildcards):
    """The options of a job that extracts augmented views; clean features depend on none of them."""
    if wildcards.kind == "clean":
        return ""
    made = grid.view_settings(config, wildcards.dataset)
    return " ".join(f"--{option.replace('_', '-')} {value}" for option, value in made.items())


def decoding(wildcards):
    """How a job's picture files are read, as one JSON string."""
    return grid.canonical(grid.decoding_settings(config, wildcards.dataset))


def extract_threads(wildcards):
    """An equal share of the cores for each shard that can run at a time: one per GPU, or one per core."""
    return max(1, CORES // min(int(wildcards.shards), GPUS or CORES))


def scoring(wildcards):
    """The options of a job's metrics: R of mAP@R, K of precision@K, the rule of ties and the convention."""
    made = grid.evaluation_settings(config, wildcards.dataset)
    map_at = made["map_at"] or "all"
    precision_at = " ".join(map(str, made["precision_at"]))
    return f"--map-at {map_at} --precision-at {precision_at} --ties {made['ties']} --convention {made['convention']}"


def weights(wildcards):
    """The state dict of a job's backbone, where the config names one: a new file makes new features."""
    return grid.state_dict(config, wildcards.backbone) or []


def table_run(wildcards):
    """The selection of a table: the config's, narrowed to the table's dataset and code length where it has them."""
    features = config.get("evaluation", {}).get("features", True)
    run = {**config["run"], "once": grid.run_once(config), "features": features}
    if "dataset" not in wildcards.keys():
        return run
    return {**grid.narrowed(run, datasets=wildcards.dataset, bits=int(wildcards.bits)), "features": False}


def table_metrics(wildcards):
    """The metrics of all runs of a table."""
    run = table_run(wildcards)
    runs = dict.fromkeys(grid.computed(cell, run) for cell in grid.cells(run))
    folders = [cell.folder for cell in runs]
    if run["features"]:
        folders += [grid.baseline(*pair) for pair in itertools.product(run["datasets"], run["backbones"])]
    return [f"results/{folder}/{name}" for folder in folders for name in ("metrics.json", "average_precision.csv")]


def table_selection(wildcards):
    """The selection of a table as one JSON string."""
    return grid.canonical(table_run(wildcards))


def dataset_tables():
    """The tables of every dataset and code length of the config."""
    run = config["run"]
    return [f"results/tables/{dataset}/{bits}.csv" for dataset in run["datasets"] for bits in run["bits"]]
