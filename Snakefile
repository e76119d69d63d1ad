"""From pictures to short codes that retrieve well: manifest, features, heads, codes, metrics, tables."""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"


rule all:
    """Everything the config selects."""
    default_target: True
    input:
        "results/table1.csv",
        "results/metrics.csv",
        dataset_tables(),
