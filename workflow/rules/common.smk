"""What the rules share: the checked config, wildcards, and the functions that choose files."""

import functools
import json
import os
import re
import shlex

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

import sdc.plan.checks
import sdc.plan.resources
import sdc.plan.selections
from sdc import devices, plan, registry
from sdc.errors import SDCError
from sdc.report import catalogue

try:
    plan.checks.check_config(config)
    # A variant of an ablation is a method like others.
    config.setdefault("methods", {}).update(plan.ablations.variant_entries(config))
except SDCError as error:
    raise WorkflowError(f"config: {error}") from None

# Said before anything runs, and in dry runs too: all of it at once. A job that needs it fails with its own line.
if workflow.exec_mode == ExecMode.DEFAULT:
    for dataset in plan.entries.datasets_used(config):
        if not os.path.exists(f"results/manifests/{dataset}.csv"):
            for line in plan.entries.missing(config, dataset):
                logger.warning(f"datasets.{dataset}: {line}")

if os.path.exists("results") and not os.access("results", os.W_OK):
    raise WorkflowError("results/ is read-only: make it writable, or run elsewhere with --directory")

# Where there is a GPU, one job at a time has it (snakemake --resources gpu=2 lifts that); elsewhere cores are the limit.
# workflow.cores stops where no --cores is given, as on a cluster; then a job may count on this machine's.
CORES = workflow.resource_settings.cores or os.cpu_count()
GPUS = devices.count_gpus()
# Whether results are where their names say; else a storage plugin brings each job its rule's input and nothing more. What
# is no result (images, weights, vectors) is no input then: the plugin would look for it in the store.
SHARED = workflow.storage_settings.default_storage_provider is None
# Whether this is a job that was submitted; and whether any is, which needs a limit to their number (--jobs).
REMOTE = workflow.exec_mode == ExecMode.REMOTE
SUBMITS = REMOTE or workflow.resource_settings.nodes is not None
# What is submitted together, as many as the profile says: runs of one dataset, backbone and method.
GROUP = "{dataset}-{backbone}-{method}" if SUBMITS else None
if "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", 1 if GPUS or REMOTE else CORES)
elif not SUBMITS and not GPUS:
    logger.warning("resources: gpu is given, and this machine has none: jobs compute on the CPU")


# A GPU belongs to a machine: each submission has its own.
resource_scopes:
    gpu="local",


# A container sees the code from any --directory too, and not only what its image was made with.
BINDS = [*os.environ.get("APPTAINER_BIND", "").split(","), ROOT]
os.environ.update(APPTAINER_BIND=",".join(filter(None, dict.fromkeys(BINDS))))

# Jobs find the package from any --directory and inside conda environments.
shell.prefix(f"set -euo pipefail; export PYTHONPATH={shlex.quote(ROOT)}; ")


def names(catalogue):
    """Every name of a catalogue, registered or in the config, as a regular expression."""
    return "|".join(map(re.escape, {**registry.CATALOGUES[catalogue], **config.get(catalogue, {})}))


wildcard_constraints:
    dataset=names("datasets"),
    backbone=names("backbones"),
    method=names("methods"),
    ablation="|".join(config.get("ablations", {})) or "none",
    figure="|".join(entry.name for entry in catalogue.entries("pair")),
    bits=r"\d+",
    seed=r"\d+",
    kind="|".join(plan.shards.KINDS),
    shard=r"\d+",
    shards=r"\d+",


def method_settings(wildcards):
    """The catalogue entry of a job's method as one JSON string."""
    return plan.entries.canonical(plan.entries.entry(config, "methods", wildcards.method))


def backbone_settings(wildcards):
    """The settings of a job's backbone for its dataset, as one JSON string."""
    made = plan.entries.backbone_settings(config, wildcards.dataset, wildcards.backbone)
    if wildcards.kind != "tokens":
        # How tokens are pooled changes nothing else.
        made.pop("tokens", None)
    return plan.entries.canonical(made)


def manifest_settings(wildcards):
    """What the manifest of a job's dataset depends on, as one JSON string."""
    return plan.entries.canonical(plan.entries.manifest_settings(config, wildcards.dataset))


def shards(wildcards):
    """How many shards the features of a job's dataset have."""
    return plan.shards.shard_count(config, wildcards.dataset)


def beside_manifest(wildcards):
    """The files that a manifest is read with, where a job gets nothing but its input.

    Elsewhere they are not listed: they say where the images are, and moving these does not change a feature.
    """
    if SHARED:
        return []
    return [f"results/manifests/{wildcards.dataset}{suffix}" for suffix in (".json", ".relevance.json")]


def kind_folder(wildcards, kind="clean"):
    """The folder of the features of a kind that a job reads."""
    return f"results/features/{wildcards.dataset}/{wildcards.backbone}/{kind}"


def feature_shards(wildcards, kind="clean"):
    """The feature shards a job reads."""
    return [f"{kind_folder(wildcards, kind)}/{name}.h5" for name in plan.shards.shard_names(shards(wildcards))]


def vector_files(wildcards):
    """The files of a job's dataset that holds vectors, as far as they are there; prepare says which are not."""
    made = plan.entries.vector_files(config, wildcards.dataset) if SHARED else []
    return [path for path in made if os.path.exists(path)]


def head(wildcards):
    """The head a job encodes with: trained on its own dataset, or on the one that names."""
    source = plan.entries.trained_on(config, wildcards.dataset)
    cell = plan.cells.Cell(source, wildcards.backbone, wildcards.method, wildcards.bits, wildcards.seed)
    return f"results/{cell.folder}/head.safetensors"


def head_options(wildcards):
    """The options of a job whose head was trained on another dataset."""
    made = plan.entries.head_settings(config, wildcards.dataset)
    return f"--train-on {made['train_on']}{' --recentre' * made['recentre']}" if made else ""


def training_kinds(wildcards):
    """The kinds of features a job's method trains on, by the option that takes them."""
    return plan.shards.training_kinds(config, wildcards.dataset, wildcards.backbone, wildcards.method)


def training_shards(wildcards):
    """The shards of every kind of feature a job's method trains on, by the option that takes them."""
    return {option: feature_shards(wildcards, kind) for option, kind in training_kinds(wildcards).items()}


if SHARED:

    def features_folder(wildcards):
        """The folder of the features a job reads."""
        return kind_folder(wildcards)

    def training_folders(wildcards):
        """The options that name the folders of what a job trains on."""
        kinds = training_kinds(wildcards)
        return " ".join(f"--{option} {kind_folder(wildcards, kind)}" for option, kind in kinds.items())

    def results_folder(wildcards):
        """The folder below which the runs of a table lie."""
        return "results"

else:
    # A job's input is where its storage plugin puts it. Elsewhere these are not used: what depends on the input is
    # not compared with the last time, and all results would be made anew.

    def features_folder(wildcards, input):
        return os.path.dirname(input.features[0])

    def training_folders(wildcards, input):
        return " ".join(f"--{option} {os.path.dirname(input[option][0])}" for option in training_kinds(wildcards))

    def results_folder(wildcards, input):
        path = input[0]
        return path[: path.rindex("results/") + len("results")]


def view_options(wildcards):
    """The options of a job that extracts augmented views; clean features depend on none of them."""
    if wildcards.kind == "clean":
        return ""
    made = plan.entries.view_settings(config, wildcards.dataset)
    return " ".join(f"--{option.replace('_', '-')} {value}" for option, value in made.items())


def decoding(wildcards):
    """How a job's image files are read, as one JSON string."""
    return plan.entries.canonical(plan.entries.decoding_settings(config, wildcards.dataset))


def extract_threads(wildcards):
    """An equal share of the cores for each shard that can run at a time: one per GPU, or one per core."""
    return max(1, CORES // min(int(wildcards.shards), GPUS or CORES))


@functools.lru_cache(maxsize=256)
def counts_of(sidecar, changed):
    """The counts of a manifest, read once and not for every job that asks; ``changed`` is when it was made."""
    with open(sidecar) as file:
        return json.load(file)["counts"]


def needs(wildcards, input, threads, rulename):
    """What a job needs, by the counts of its manifest and by what it reads, as far as these are there."""
    sidecar = f"results/manifests/{wildcards.dataset}.json"
    counts = counts_of(sidecar, os.stat(sidecar).st_mtime_ns) if os.path.exists(sidecar) else {}
    named = ((name, [paths] if isinstance(paths, str) else paths) for name, paths in input.items())
    sizes = {name: sum(os.path.getsize(path) for path in paths if os.path.exists(path)) for name, paths in named}
    return plan.resources.needs(rulename, dict(wildcards.items()), counts, sizes, threads)


def memory(wildcards, input, threads, rulename, attempt):
    """MB: what a job needs, and twice as much as the last time where it is tried again."""
    return needs(wildcards, input, threads, rulename).megabytes * 2 ** (attempt - 1)


def minutes(wildcards, input, threads, rulename, attempt):
    """Likewise, the minutes."""
    return needs(wildcards, input, threads, rulename).minutes * 2 ** (attempt - 1)


def scoring(wildcards):
    """The options of a job's metrics: R of mAP@R, K of precision@K, the rule of ties and the convention."""
    made = plan.entries.evaluation_settings(config, wildcards.dataset)
    map_at = made["map_at"] or "all"
    precision_at = " ".join(map(str, made["precision_at"]))
    return f"--map-at {map_at} --precision-at {precision_at} --ties {made['ties']} --convention {made['convention']}"


def weights(wildcards):
    """The state dict of a job's backbone, where the config names one: a new file makes new features."""
    return (SHARED and plan.entries.state_dict(config, wildcards.backbone)) or []


def in_results(paths):
    """Paths below the folder of results."""
    return [f"results/{path}" for path in paths]


def inputs_of(scope):
    """From a job's wildcards to what its tables and figures of a scope are made from."""
    reads = plan.selections.joined(entry.reads for entry in catalogue.entries(scope))
    return lambda wildcards: inputs(run_of(scope, wildcards), reads)


def inputs(run, reads):
    """The files of the runs of a selection that tables or figures are made from."""
    files = in_results(plan.selections.inputs(config, run, reads))
    return files + (benchmarks(run, "train") if reads.benchmarks else [])


def run_of(scope, wildcards):
    """The selection of a job's tables or figures of a scope."""
    if scope == "pair":
        return plan.selections.figure_run(config, wildcards.dataset, wildcards.backbone)
    return plan.selections.table_run(config, scope, dict(wildcards.items()))


def selection_of(scope):
    """From a job's wildcards to the selection of its tables and figures, as one JSON string."""
    return lambda wildcards: plan.entries.canonical(run_of(scope, wildcards))


def outputs_of(scope):
    """The files of the tables and figures of a scope by name, but for those that are made only if named."""
    return {
        entry.name: [
            flagged(entry, f"results/{entry.path}", suffix)
            for suffix in entry.suffixes
            if scope != "pair" or suffix in (".svg", ".csv")
        ]
        for entry in catalogue.entries(scope)
    }


def flagged(entry, path, suffix):
    """A file, which is part of Snakemake's own report if people read it there; labels say what it is and how to read it."""
    if suffix != entry.embedded or not entry.caption or entry.of not in ("everything", "pair"):
        return path + suffix
    kind, place = "table", {"category": "Tables"}
    if entry.of == "pair":
        kind, place = "figure", {"category": "{dataset}", "subcategory": "{backbone}"}
    return report(path + suffix, labels={kind: entry.title, "how to read it": entry.caption}, **place)


def names_made(wildcards, output):
    """The catalogue's name of each output of a job."""
    if "figure" in wildcards.keys():
        return [wildcards.figure] * len(output)
    named = ((name, [paths] if isinstance(paths, str) else paths) for name, paths in output.items())
    return [name for name, paths in named for path in paths]


def benchmarks(run, *stages):
    """What Snakemake measured of the jobs of a selection; what is there is not made again where that is lost."""
    files = plan.selections.benchmarks(config, run, stages)
    return in_results(
        path
        for stage in stages
        for path, artefact in files[stage].items()
        if not SHARED or os.path.exists(f"results/{path}") or not os.path.exists(f"results/{artefact}")
    )


def retrieved(wildcards):
    """What the runs retrieve whose neighbours the figures of a dataset and backbone show."""
    run = run_of("pair", wildcards)
    return in_results(f"{cell.folder}/retrieved.csv" for cell in plan.selections.retrieving(run))


def files_of(entry, suffix):
    """All files of a table or figure that the config has, in one format."""
    every = plan.selections.targets(config, entry.of)
    return [f"results/{entry.path.format(**wildcards)}{suffix}" for wildcards in every]


def everything():
    """Every table and figure of the config, in its first format."""
    return [path for entry in catalogue.entries() for path in files_of(entry, entry.suffixes[0])]


def report_figures():
    """The figures that are in the report, and their numbers."""
    drawn = catalogue.entries("pair")
    return [path for entry in drawn for suffix in (".svg", ".csv") for path in files_of(entry, suffix)]


def report_parts():
    """The tables, and the figures of ablations, that are in the report."""
    whole = [entry for entry in catalogue.entries() if entry.embedded and entry.of != "pair"]
    return [path for entry in whole for path in files_of(entry, entry.embedded)]


def incomplete_thumbnails(folder):
    """Commands that make the thumbnails of what runs retrieve that are there."""
    for wildcards in plan.selections.targets(config, "pair"):
        runs = plan.selections.runs_of(plan.selections.figure_run(config, **wildcards))
        there = [path for path in in_results(f"{cell.folder}/retrieved.csv" for cell in runs) if os.path.exists(path)]
        facts = f"results/manifests/{wildcards['dataset']}.json"
        out = f"{folder}/{plan.selections.thumbnails(**wildcards)}.png"
        if there:
            yield ["python", "-m", "sdc", "thumbnails", "--facts", facts, "--retrieved", *there, "--out", out]


def incomplete_report():
    """A command that makes the report of what there is, with gaps where jobs failed."""
    folder, run, table = "results/incomplete", run_of("everything", {}), catalogue.TABLES["table1"]
    tables = [f"{folder}/{table.path}{suffix}" for suffix in table.suffixes]
    calls = [(run, [table.name] * len(tables), tables, [])]
    for wildcards in plan.selections.targets(config, "pair"):
        drawn = [(entry, suffix) for entry in catalogue.entries("pair") for suffix in (".svg", ".csv")]
        paths = [f"{folder}/{entry.path.format(**wildcards)}{suffix}" for entry, suffix in drawn]
        calls.append((plan.selections.figure_run(config, **wildcards), [entry.name for entry, _ in drawn], paths, []))
    more = ["--embed", tables[-1], "--config", plan.entries.canonical(config)]
    calls.append((run, ["report"], [f"{folder}/report.html"], more))
    stage = ["python", "-m", "sdc", "aggregate", "--allow-missing", "--results", "results"]
    commands = list(incomplete_thumbnails(folder))
    commands += [
        [*stage, "--selection", plan.entries.canonical(run), *more, "--make", *make, "--out", *out]
        for run, make, out, more in calls
    ]
    return " && ".join(map(shlex.join, commands))


def whole_config(wildcards):
    """The config as one JSON string; a function of a job, for its braces are no wildcards."""
    return plan.entries.canonical(config)
