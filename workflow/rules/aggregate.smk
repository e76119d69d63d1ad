rule aggregate:
    """Make the tables over everything the config selects."""
    input:
        table_metrics,
    output:
        long="results/metrics.csv",
        table=multiext("results/table1", ".csv", ".md", ".tex"),
        page=report(
            "results/table1.html", caption="../report/table.rst", category="Tables", labels={"table": "Table 1"}
        ),
        overlap=multiext("results/tables/overlap", ".csv", ".md", ".tex", ".html"),
    log:
        "results/logs/aggregate/table1.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    params:
        results=results_folder,
        selection=table_selection,
    shell:
        """
        python -m sdc aggregate \
            --results {params.results:q} \
            --selection {params.selection:q} \
            --out {output:q} 2>{log:q}
        """


use rule aggregate as aggregate_dataset with:
    output:
        "results/tables/{dataset}/{bits}.csv",
    log:
        "results/logs/aggregate_dataset/{dataset}/{bits}.log",


use rule aggregate as aggregate_part with:
    output:
        multiext("results/tables/{part}", ".csv", ".md", ".tex", ".html"),
    log:
        "results/logs/aggregate_part/{part}.log",


use rule aggregate as aggregate_longtail with:
    output:
        multiext("results/tables/longtail/{dataset}", ".csv", ".md", ".tex", ".html"),
    log:
        "results/logs/aggregate_longtail/{dataset}.log",


use rule aggregate as aggregate_ablation with:
    output:
        multiext("results/tables/ablation/{ablation}", ".csv", ".md", ".tex", ".html"),
    log:
        "results/logs/aggregate_ablation/{ablation}.log",


use rule aggregate as aggregate_heat_map with:
    output:
        multiext("results/figures/ablation/{ablation}", ".svg", ".pdf", ".png"),
    log:
        "results/logs/aggregate_heat_map/{ablation}.log",


use rule aggregate as aggregate_figures with:
    input:
        figure_inputs,
    output:
        [
            report(
                f"results/figures/{{dataset}}/{{backbone}}/{name}.svg",
                caption=f"../report/{name}.rst",
                category="{dataset}",
                subcategory="{backbone}",
                labels={"figure": kind.title},
            )
            for name, kind in figures.FIGURES.items()
        ],
        [f"results/figures/{{dataset}}/{{backbone}}/{name}.csv" for name in figures.FIGURES],
    log:
        "results/logs/aggregate_figures/{dataset}/{backbone}.log",
    params:
        results=results_folder,
        selection=figure_selection,


use rule aggregate_figures as aggregate_figure with:
    output:
        multiext("results/figures/{dataset}/{backbone}/{figure}", ".pdf", ".png"),
    log:
        "results/logs/aggregate_figure/{dataset}/{backbone}/{figure}.log",


rule aggregate_report:
    """Put tables, figures and what is known of the run on one page."""
    input:
        metrics=table_metrics,
        figures=[path for pair in figure_pairs() for path in figure_files(*pair, ".svg", ".csv")],
        embed=report_parts(),
    output:
        "results/report.html",
    log:
        "results/logs/aggregate_report/report.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    params:
        results=results_folder,
        selection=table_selection,
        config=whole_config,
    shell:
        """
        python -m sdc aggregate \
            --results {params.results:q} \
            --selection {params.selection:q} \
            --embed {input.embed:q} \
            --config {params.config:q} \
            --out {output:q} 2>{log:q}
        """


onerror:
    # With --keep-going, everything that could be made is there.
    if workflow.execution_settings.keep_going:
        log_file = "results/logs/aggregate_report/incomplete.log"
        os.makedirs(os.path.dirname(log_file), exist_ok=True)
        shell(f"({incomplete_report()}) 2>{log_file}".replace("{", "{{").replace("}", "}}"))
        logger.warning(
            "some jobs failed: results/incomplete/report.html shows what there is, and why the rest is not"
        )
