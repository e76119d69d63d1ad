rule aggregate:
    """Make the tables over everything the config selects."""
    input:
        table_metrics,
    output:
        long="results/metrics.csv",
        table=multiext("results/table1", ".csv", ".md", ".tex", ".html"),
    log:
        "results/logs/aggregate/table1.log",
    conda:
        "../../envs/tables.yaml"
    params:
        selection=table_selection,
    shell:
        """
        python -m sdc aggregate \
            --results results \
            --selection {params.selection:q} \
            --out {output:q} 2>{log:q}
        """


use rule aggregate as aggregate_dataset with:
    output:
        "results/tables/{dataset}/{bits}.csv",
    log:
        "results/logs/aggregate_dataset/{dataset}/{bits}.log",
