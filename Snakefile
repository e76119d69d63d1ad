"""From images to short codes that retrieve well: manifest, features, heads, codes, metrics, tables."""

import os

from snakemake.utils import min_version

min_version("9.20")

# Of this file: workflow.basedir is that of the Snakefile that Snakemake was started with, which may use this as a module.
ROOT = workflow.current_basedir.get_path_or_uri(secret_free=True)


configfile: f"{ROOT}/config.yaml"


# Where jobs run in containers (--sdm apptainer): the image that the Containerfile makes.
container: os.environ.get("SDC_IMAGE", "sdc.sif")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/aggregate.smk"


rule all:
    """Everything the config selects."""
    default_target: True
    input:
        "results/report.html",
        in_results(targets.everything(config)),
