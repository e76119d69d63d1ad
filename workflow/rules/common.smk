"""What the rules share: the checked config, wildcards, and what the plan says of a job."""

import functools
import json
import os
import re
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

import sdc.plan.checks
import sdc.plan.config_files
import sdc.plan.costs
import sdc.plan.resources
from sdc import devices, interrupts, plan, registry
from sdc.datasets import problems
from sdc.errors import SDCError
from sdc.plan import selections
from sdc.plan.entries import canonical
from sdc.report import catalogue, targets

if set(ROOT) & set("{}"):
    raise WorkflowError(f"{ROOT}: Snakemake takes braces in the path of a checkout for wildcards; move it elsewhere")

try:
    for path in workflow.configfiles if workflow.exec_mode == ExecMode.DEFAULT else ():
        plan.config_files.check_keys(path)
    plan.checks.check_config(config)
    # A variant of an ablation is a method like others.
    config.setdefault("methods", {}).update(plan.ablations.variant_entries(config))
except SDCError as error:
    raise WorkflowError(f"config: {error}") from None

# Said before anything runs, and in dry runs too: all of it at once. A job that needs it fails with its own line.
if workflow.exec_mode == ExecMode.DEFAULT:
    lacking = {
        dataset: plan.entries.build_entry(config, "datasets", dataset).missing()
        for dataset in plan.entries.datasets_used(config)
        if not os.path.exists(f"results/manifests/{dataset}.images.csv")
    }
    for line in problems.said_once(lacking):
        logger.warning(line)

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


# Jobs that run beside each other share the memory that is free now (snakemake --resources mem_mb=8000 says otherwise).
if "mem_mb" not in workflow.global_resources and not SUBMITS:
    workflow.register_resource("mem_mb", devices.available_bytes() // 10**6)


# A GPU belongs to a machine: each submission has its own.
resource_scopes:
    gpu="local",


# A container sees the code from any --directory too, and not only what its image was made with.
BINDS = [*os.environ.get("APPTAINER_BIND", "").split(","), ROOT]
os.environ.update(APPTAINER_BIND=",".join(filter(None, dict.fromkeys(BINDS))))

# Jobs find the package from any --directory and inside conda environments, and end when this process does.
shell.prefix(
    f"set -euo pipefail; export PYTHONPATH={shlex.quote(ROOT)} {interrupts.VARIABLE}={interrupts.own_process()}; "
)


wildcard_constraints:
    dataset="|".join(map(re.escape, registry.names("datasets", config))),
    backbone="|".join(map(re.escape, registry.names("backbones", config))),
    method="|".join(map(re.escape, registry.names("methods", config))),
    ablation="|".join(config.get("ablations", {})) or "none",
    figure="|".join(entry.name for entry in catalogue.entries("pair")),
    bits=r"\d+",
    seed=r"\d+",
    kind="|".join(plan.shards.KINDS),
    shard=r"\d+",
    shards=r"\d+",


def of_job(function, *wanted, write=canonical):
    """From a job's wildcards to what a function of the plan says of some of them, by default as JSON."""
    return lambda wildcards: write(function(config, *(wildcards[name] for name in wanted)))


def expect(*wanted):
    """From a job's wildcards to whose files it reads, as JSON: the values of some of them, or what a function says."""

    def of(wildcards):
        values = {}
        for each in wanted:
            values |= each(wildcards) if callable(each) else {each: wildcards[each]}
        return canonical({key: int(value) if key in ("bits", "seed") else value for key, value in values.items()})

    return of


RUN = plan.cells.Cell._fields


def options(values):
    """Values by name as options of a command: ``--map-at all --precision-at 1 5 --recentre``."""
    words = []
    for name, value in values.items():
        texts = list(map(str, value)) if isinstance(value, list) else [str(value)] * (value is not True)
        words += [f"--{name.replace('_', '-')}", *texts] * (value is not False)
    return " ".join(words)


shards = of_job(plan.shards.shard_count, "dataset", write=int)
training_kinds = of_job(plan.shards.training_kinds, "dataset", "backbone", "method", write=dict)
listing_settings = of_job(plan.entries.listing_settings, "dataset")
manifest_settings = of_job(plan.entries.manifest_settings, "dataset")
decoding = of_job(plan.entries.decoding_settings, "dataset")
view_options = of_job(plan.entries.view_settings, "dataset", "kind", write=options)
backbone_settings = of_job(plan.entries.backbone_settings, "dataset", "backbone", "kind")
method_settings = of_job(lambda config, method: plan.entries.entry(config, "methods", method), "method")
head_options = of_job(plan.entries.head_settings, "dataset", write=options)
scoring = of_job(plan.entries.evaluation_settings, "dataset", write=options)
whole_config = of_job(dict)
index_settings = of_job(lambda config: config.get("index", {}))


# Whether a file has changed Snakemake tells by the record beside it: small, so that content counts and not its time, which
# a copy may have lost. Other files, but for metrics, are inputs that are read and not looked at.
def recorded(paths):
    """Files and their records, as a job's input."""
    return [path if path.endswith(".json") else ancient(path) for path in paths]


def images(wildcards):
    """The list of a dataset's images, by name."""
    stem = f"results/manifests/{wildcards.dataset}"
    return {"images": ancient(f"{stem}.images.csv"), "images_record": f"{stem}.images.json"}


def manifest(wildcards):
    """The manifest of a dataset and what it is read with, by name."""
    stem = f"results/manifests/{wildcards.dataset}"
    truth = ancient(f"{stem}.relevance.json")
    return {"manifest": ancient(f"{stem}.csv"), "relevance": truth, "manifest_record": f"{stem}.json"}


def extracted(wildcards):
    """What a shard is made from: the images, and for views which of them are for training.

    Others do not depend on that, but wait for it: where too few images are in a class, it is said before hours of work.
    """
    files, splits = images(wildcards), manifest(wildcards)
    if wildcards.kind != "clean":
        return {**splits, **files}
    return {"manifest": files["images"], **files, "splits": ancient(splits["manifest_record"])}


def feature_shards(wildcards, kind="clean"):
    """The feature shards a job reads."""
    folder = f"results/features/{wildcards.dataset}/{wildcards.backbone}/{kind}"
    names = plan.shards.shard_names(shards(wildcards))
    return recorded(f"{folder}/{name}{suffix}" for suffix in (".h5", ".record.json") for name in names)


def neighbours(wildcards):
    """The exact cosine neighbours that a job's codes should find, unless the config leaves out what needs them."""
    stem = f"results/baselines/{wildcards.dataset}/{wildcards.backbone}/neighbours"
    features = config.get("evaluation", {}).get("features", True)
    return recorded([f"{stem}.h5", f"{stem}.record.json"]) if features else []


def training_shards(wildcards):
    """The shards of every kind of feature a job's method trains on, by the option that takes them."""
    return {option: feature_shards(wildcards, kind) for option, kind in training_kinds(wildcards).items()}


def vector_files(wildcards):
    """The files of a job's dataset that holds vectors, as far as they are there; prepare says which are not."""
    paths = plan.entries.build_entry(config, "datasets", wildcards.dataset).vector_files() if SHARED else []
    return [path for path in paths if os.path.exists(path)]


def weights(wildcards):
    """The state dict of a job's backbone, where the config names one: a new file makes new features."""
    return (SHARED and plan.entries.state_dict(config, wildcards.backbone)) or []


def head(wildcards):
    """The head a job encodes with: trained on its own dataset, or on the one that names."""
    source = plan.entries.trained_on(config, wildcards.dataset)
    cell = plan.cells.Cell(source, wildcards.backbone, wildcards.method, wildcards.bits, wildcards.seed)
    return recorded(f"results/{cell.folder}/{name}" for name in ("head.safetensors", "train.record.json"))


# Folders are those of a job's input, which a storage plugin may put anywhere. Snakemake does not compare parameters
# that depend on input with the last time's: the input itself says it all.
def features_folder(wildcards, input):
    """The folder of the features a job reads."""
    return os.path.dirname(input.features[0])


def training_folders(wildcards, input):
    """The options that name the folders of what a job trains on."""
    return options({option: os.path.dirname(input[option][0]) for option in training_kinds(wildcards)})


def results_folder(wildcards, input):
    """The folder below which the runs of a table lie."""
    path = next(iter(input), "results/")
    return path[: path.rindex("results/") + len("results")]


def extract_threads(wildcards):
    """An equal share of the cores for each shard that can run at a time: one per GPU, or one per core."""
    return max(1, CORES // min(int(wildcards.shards), GPUS or CORES))


@functools.lru_cache(maxsize=256)
def counts_of(sidecar, changed):
    """The counts of a manifest, read once and not for every job that asks; ``changed`` is when it was written.

    Of a damaged one there are none, or numbers that are not right: the job itself refuses it, and its remedy must run.
    """
    try:
        with open(sidecar, encoding="utf-8") as file:
            counts = json.load(file)["counts"].items()
        return {name: min(count, 10**12) for name, count in counts if isinstance(count, int) and count >= 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def manifest_counts(dataset):
    """The counts of a dataset's manifest, if it is there."""
    sidecar = f"results/manifests/{dataset}.json"
    return counts_of(sidecar, os.stat(sidecar).st_mtime_ns) if os.path.exists(sidecar) else {}


def by_name(files):
    """A job's input or output files: lists of paths by name."""
    return {name: [paths] if isinstance(paths, str) else paths for name, paths in files.items()}


def needs(wildcards, input, threads, rulename):
    """What a job needs, by the counts of its manifest and by what it reads, as far as these are there."""
    counts = manifest_counts(wildcards.dataset)
    sizes = {name: sum(map(os.path.getsize, filter(os.path.exists, paths))) for name, paths in by_name(input).items()}
    stage, gpu = own_name(rulename), on_gpu(rulename)
    return plan.resources.needs(config, stage, dict(wildcards.items()), counts, sizes, threads, gpu)


def own_name(rulename):
    """The name of a rule here; a Snakefile that uses this one as a module may give it another."""
    return next(name for name, proxy in rules._rules.items() if proxy.rule.name == rulename)


def on_gpu(rulename):
    """Whether the jobs of a rule compute on a GPU. Those that are submitted do if they ask for one."""
    gpus = workflow.get_rule(rulename).resources.get("gpu")
    return gpus is not None and (gpus.value != 0 if SUBMITS else GPUS > 0)


def memory(wildcards, input, threads, rulename, attempt):
    """MB: what a job needs, and twice as much as the last time where it is tried again.

    A job that is submitted has a Snakemake of its own. What this machine has not is said once, before anything runs; the
    job then has the machine for itself.
    """
    asked = needs(wildcards, input, threads, rulename).megabytes * 2 ** (attempt - 1)
    if SUBMITS:
        return asked + plan.resources.SNAKEMAKE
    free = workflow.global_resources["mem_mb"].value
    if asked > free:
        say_too_large(rulename, wildcards.dataset, wildcards.get("backbone"), asked, free)
    return asked


@functools.lru_cache(maxsize=256)
def say_too_large(rulename, dataset, backbone, asked, free):
    """Say that a job needs more memory than there is."""
    what = f"{rulename} of {dataset}" + (f" by {backbone}" if backbone else "")
    remedy = {
        "extract": "fewer threads take less (--set-threads extract=1)",
        "train": "fewer training items or a smaller hidden layer take less",
    }.get(own_name(rulename), "a smaller dataset takes less")
    logger.warning(
        f"resources: {what} needs about {asked:,} MB of memory, and {free:,} MB are free: it may be killed; free some, "
        f"run it elsewhere, or set --resources mem_mb={asked} if this is not so; {remedy}"
    )


def minutes(wildcards, input, threads, rulename, attempt):
    """Likewise, the minutes."""
    return needs(wildcards, input, threads, rulename).minutes * 2 ** (attempt - 1)


def in_results(paths):
    """Files below the folder of results and their records, as a job's input."""
    return recorded(f"results/{path}" for path in paths)


def run_of(scope, wildcards):
    """The selection of a job's tables or figures of a scope."""
    return selections.selection(config, scope, dict(wildcards.items()))


def selection_of(scope):
    """From a job's wildcards to the selection of its tables and figures, as one JSON string."""
    return lambda wildcards: canonical(run_of(scope, wildcards))


def inputs_of(scope):
    """From a job's wildcards to what its tables and figures of a scope are made from."""
    reads = selections.joined(entry.reads for entry in catalogue.entries(scope))
    return lambda wildcards: inputs(run_of(scope, wildcards), reads)


def inputs(run, reads):
    """The files of the runs of a selection that tables or figures are made from."""
    files = in_results(selections.inputs(config, run, reads))
    return files + (benchmarks(run, "train") if reads.benchmarks else [])


def benchmarks(run, *stages):
    """What Snakemake measured of the jobs of a selection; what is there is not made again where that is lost."""
    files = selections.benchmarks(config, run, stages)
    return in_results(
        path
        for stage in stages
        for path, artefact in files[stage].items()
        if not SHARED or os.path.exists(f"results/{path}") or not os.path.exists(f"results/{artefact}")
    )


def outputs_of(scope):
    """The files of the tables and figures of a scope by name, but for those that are made only if named; their records."""
    known = catalogue.entries(scope)
    files = {
        entry.name: [
            flagged(entry, f"results/{entry.path}", suffix)
            for suffix in entry.suffixes
            if scope != "pair" or suffix in (".svg", ".csv")
        ]
        for entry in known
    }
    return {**files, "records": [f"results/{entry.path}.record.json" for entry in known]}


def flagged(entry, path, suffix):
    """A file, which is part of Snakemake's own report if people read it there; labels say what it is and how to read it."""
    if suffix != entry.embedded or not entry.caption or entry.of not in ("everything", "pair"):
        return path + suffix
    kind, place = "table", {"category": "Tables"}
    if entry.of == "pair":
        kind, place = "figure", {"category": "{dataset}", "subcategory": "{backbone}"}
    return report(path + suffix, labels={kind: entry.title, "how to read it": entry.caption}, **place)


def names_made(wildcards, output):
    """The catalogue's name of each table or figure that a job makes."""
    if "figure" in wildcards.keys():
        return [wildcards.figure] * len(output)
    return [name for name, paths in by_name(output).items() if name != "records" for _ in paths]


def files_made(wildcards, output):
    """Likewise, the file."""
    return [path for path in output if not path.endswith(".record.json")]


def retrieved(wildcards):
    """What the runs retrieve whose neighbours the figures of a dataset and backbone show, by name."""
    folders = [cell.folder for cell in selections.retrieving(run_of("pair", wildcards))]
    names = {"retrieved": "retrieved.csv", "records": "evaluate.record.json"}
    return {key: in_results(f"{folder}/{name}" for folder in folders) for key, name in names.items()}


def retrieving(wildcards):
    """The runs of ``retrieved``, in their order."""
    return {"runs": [cell._asdict() for cell in selections.retrieving(run_of("pair", wildcards))]}
