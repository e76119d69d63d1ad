"""What the rules share: the checked config, wildcards, and the functions that choose files."""

import functools
import itertools
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
from sdc.report import figures

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
    part="instance",
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


def table_run(wildcards):
    """The selection of a table: the config's, narrowed to the table's datasets and code length; or of its ablation."""
    run, features = config["run"], config.get("evaluation", {}).get("features", True)
    if "bits" in wildcards.keys():
        run, features = plan.cells.narrowed(run, datasets=wildcards.dataset, bits=int(wildcards.bits)), False
    elif "dataset" in wildcards.keys():
        run = plan.cells.narrowed(run, datasets=wildcards.dataset)
    elif "ablation" in wildcards.keys():
        run, features = plan.ablations.ablation_run(config, wildcards.ablation), False
    elif "part" in wildcards.keys():
        run = {**run, "datasets": plan.entries.instance_datasets(config)}
    once, entries = plan.cells.run_once({**config, "run": run}), plan.selections.selected_entries(config, run)
    return {**run, "once": once, "entries": entries, "features": features}


def table_metrics(wildcards):
    """The metrics of all runs of a table."""
    run = table_run(wildcards)
    runs = dict.fromkeys(plan.cells.computed(cell, run) for cell in plan.cells.cells(run))
    folders = [cell.folder for cell in runs]
    if run["features"]:
        folders += [plan.cells.baseline(*pair) for pair in itertools.product(run["datasets"], run["backbones"])]
    return [f"results/{folder}/{name}" for folder in folders for name in ("metrics.json", "average_precision.csv")]


def table_selection(wildcards):
    """The selection of a table as one JSON string."""
    return plan.entries.canonical(table_run(wildcards))


def further_tables():
    """Tables of instance retrieval and of long tails, if there are any; those of ablations, and heat maps."""
    made = [f"results/tables/ablation/{name}.csv" for name in config.get("ablations", {})]
    mapped = [name for name in config.get("ablations", {}) if plan.ablations.has_heat_map(config, name)]
    made += [f"results/figures/ablation/{name}.svg" for name in mapped]
    tailed = [
        name for name in config["run"]["datasets"] if plan.entries.entry(config, "datasets", name).get("long_tail")
    ]
    made += [f"results/tables/longtail/{name}.csv" for name in tailed]
    return made + ["results/tables/instance.csv"] * bool(plan.entries.instance_datasets(config))


def figure_run(dataset, backbone):
    """The selection of the figures of a dataset and backbone."""
    run = {axis: config["run"][axis] for axis in ("methods", "bits", "seeds")}
    only = {name: methods for name, methods in config["run"].get("only", {}).items() if name == backbone}
    features = config.get("evaluation", {}).get("features", True)
    run |= {"datasets": [dataset], "backbones": [backbone], "only": only, "features": features}
    run["retrieval"] = config.get("report", {}).get("retrieval", [])
    return {**run, "once": plan.cells.run_once({**config, "run": run})}


def figure_selection(wildcards):
    """The selection of a job's figures as one JSON string."""
    return plan.entries.canonical(figure_run(wildcards.dataset, wildcards.backbone))


def figure_inputs(wildcards):
    """What a job's figures are drawn from."""
    run = figure_run(wildcards.dataset, wildcards.backbone)
    made = dict.fromkeys(plan.cells.computed(cell, run) for cell in plan.cells.cells(run))
    names = ("metrics.json", "pairs.csv", "ranks.csv", "per_class.csv", "codes.h5")
    files = [f"results/{cell.folder}/{name}" for cell in made for name in names]
    heads = [cell._replace(dataset=plan.entries.trained_on(config, cell.dataset)) for cell in made]
    files += [f"results/{cell.folder}/curve.csv" for cell in heads]
    if run["features"]:
        folder = plan.cells.baseline(wildcards.dataset, wildcards.backbone)
        files += [f"results/{folder}/{name}" for name in ("metrics.json", "pairs.csv", "per_class.csv")]
    return [f"results/manifests/{wildcards.dataset}.csv", *files]


def figure_files(dataset, backbone, *suffixes, folder="results"):
    """The figures of a dataset and backbone."""
    return [f"{folder}/figures/{dataset}/{backbone}/{name}{suffix}" for name in figures.FIGURES for suffix in suffixes]


def figure_pairs():
    """Every dataset and backbone of the config."""
    return list(itertools.product(config["run"]["datasets"], config["run"]["backbones"]))


def report_parts():
    """The tables, and the figures of ablations, that go into the report."""
    made = ("results/table1.csv", *further_tables(), "results/tables/overlap.csv")
    return [re.sub(r"\.csv$", ".html", path) for path in made]


def incomplete_report():
    """A command that makes the report of what there is, with gaps where jobs failed."""
    folder, run = "results/incomplete", table_run({})
    tables = [f"{folder}/table1{suffix}" for suffix in (".csv", ".md", ".tex", ".html")]
    calls = [(run, tables, [])]
    calls += [(figure_run(*pair), figure_files(*pair, ".svg", ".csv", folder=folder), []) for pair in figure_pairs()]
    calls += [(run, [f"{folder}/report.html"], ["--embed", tables[-1], "--config", plan.entries.canonical(config)])]
    stage = ["python", "-m", "sdc", "aggregate", "--allow-missing", "--results", "results"]
    commands = [[*stage, "--selection", plan.entries.canonical(run), *more, "--out", *out] for run, out, more in calls]
    return " && ".join(map(shlex.join, commands))


def whole_config(wildcards):
    """The config as one JSON string; a function of a job, for its braces are no wildcards."""
    return plan.entries.canonical(config)


def dataset_tables():
    """The tables of every dataset and code length of the config."""
    run = config["run"]
    return [f"results/tables/{dataset}/{bits}.csv" for dataset in run["datasets"] for bits in run["bits"]]
