rule aggregate:
    """Make the tables over everything the config selects."""
    input:
        inputs_of("everything"),
    output:
        **outputs_of("everything"),
    log:
        "results/logs/aggregate/table1.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    params:
        results=results_folder,
        selection=selection_of("everything"),
        make=names_made,
    shell:
        """
        python -m sdc aggregate \
            --results {params.results:q} \
            --selection {params.selection:q} \
            --make {params.make} \
            --out {output:q} 2>{log:q}
        """


use rule aggregate as aggregate_dataset with:
    input:
        inputs_of("code length"),
    output:
        **outputs_of("code length"),
    log:
        "results/logs/aggregate_dataset/{dataset}/{bits}.log",
    localrule: True
    params:
        selection=selection_of("code length"),


use rule aggregate as aggregate_part with:
    input:
        inputs_of("instance"),
    output:
        **outputs_of("instance"),
    log:
        "results/logs/aggregate_part/instance.log",
    localrule: True
    params:
        selection=selection_of("instance"),


use rule aggregate as aggregate_longtail with:
    input:
        inputs_of("long tail"),
    output:
        **outputs_of("long tail"),
    log:
        "results/logs/aggregate_longtail/{dataset}.log",
    localrule: True
    params:
        selection=selection_of("long tail"),


use rule aggregate as aggregate_ablation with:
    input:
        inputs_of("ablation"),
    output:
        **outputs_of("ablation"),
    log:
        "results/logs/aggregate_ablation/{ablation}.log",
    localrule: True
    params:
        selection=selection_of("ablation"),


use rule aggregate as aggregate_heat_map with:
    input:
        inputs_of("two settings"),
    output:
        **outputs_of("two settings"),
    log:
        "results/logs/aggregate_heat_map/{ablation}.log",
    localrule: True
    params:
        selection=selection_of("two settings"),


use rule aggregate as aggregate_figures with:
    input:
        inputs_of("pair"),
    output:
        **outputs_of("pair", ".svg", ".csv"),
    log:
        "results/logs/aggregate_figures/{dataset}/{backbone}.log",
    localrule: True
    params:
        selection=selection_of("pair"),


use rule aggregate_figures as aggregate_figure with:
    output:
        multiext("results/figures/{dataset}/{backbone}/{figure}", ".pdf", ".png"),
    log:
        "results/logs/aggregate_figure/{dataset}/{backbone}/{figure}.log",
    localrule: True


rule aggregate_thumbnails:
    """Make small images of what the methods retrieve that the figures show."""
    input:
        # Images that lie elsewhere are the same images.
        facts=ancient("results/manifests/{dataset}.json"),
        retrieved=retrieved,
    output:
        sheet="results/thumbnails/{dataset}/{backbone}.png",
        index="results/thumbnails/{dataset}/{backbone}.csv",
    log:
        "results/logs/aggregate_thumbnails/{dataset}/{backbone}.log",
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    shell:
        """
        python -m sdc thumbnails \
            --facts {input.facts:q} \
            --retrieved {input.retrieved:q} \
            --out {output.sheet:q} 2>{log:q}
        """


rule aggregate_report:
    """Put tables, figures and what is known of the run on one page."""
    input:
        metrics=lambda wildcards: inputs(run_of("everything", {}), plan.selections.Reads()),
        manifests=ancient(expand("results/manifests/{dataset}.json", dataset=config["run"]["datasets"])),
        benchmarks=lambda wildcards: benchmarks(run_of("everything", {}), "prepare", "extract", "train"),
        figures=report_figures(),
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
        selection=selection_of("everything"),
        config=whole_config,
    shell:
        """
        python -m sdc aggregate \
            --results {params.results:q} \
            --selection {params.selection:q} \
            --embed {input.embed:q} \
            --config {params.config:q} \
            --make report \
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
