# What each rule makes the tables and figures of, and its logs.
AGGREGATES = {
    "aggregate": ("everything", "results/logs/aggregate/table1.log"),
    "aggregate_dataset": ("code length", "results/logs/aggregate_dataset/{dataset}/{bits}.log"),
    "aggregate_part": ("instance", "results/logs/aggregate_part/instance.log"),
    "aggregate_longtail": ("long tail", "results/logs/aggregate_longtail/{dataset}.log"),
    "aggregate_ablation": ("ablation", "results/logs/aggregate_ablation/{ablation}.log"),
    "aggregate_heat_map": ("two settings", "results/logs/aggregate_heat_map/{ablation}.log"),
    "aggregate_figures": ("pair", "results/logs/aggregate_figures/{dataset}/{backbone}.log"),
}

for rule_name, (scope, log_file) in AGGREGATES.items():

    rule:
        """Make the tables and figures of a scope: of everything the config selects, or of a part of it."""
        name:
            rule_name
        input:
            inputs_of(scope),
        output:
            **outputs_of(scope),
        log:
            log_file,
        localrule: True
        conda:
            "../../envs/tables.yaml"
        params:
            results=results_folder,
            selection=selection_of(scope),
            make=names_made,
            out=files_made,
        shell:
            """
            python -m sdc aggregate \
                --results {params.results:q} \
                --selection {params.selection:q} \
                --make {params.make} \
                --out {params.out:q} 2>{log:q}
            """


use rule aggregate_figures as aggregate_figure with:
    output:
        multiext("results/figures/{dataset}/{backbone}/{figure}", ".pdf", ".png"),
    log:
        "results/logs/aggregate_figure/{dataset}/{backbone}/{figure}.log",
    localrule: True


rule aggregate_thumbnails:
    """Make small images of what the methods retrieve that the figures show."""
    input:
        unpack(retrieved),
        # Images that lie elsewhere are the same images.
        facts=ancient("results/manifests/{dataset}.json"),
    output:
        sheet="results/thumbnails/{dataset}/{backbone}.png",
        index="results/thumbnails/{dataset}/{backbone}.csv",
        record="results/thumbnails/{dataset}/{backbone}.record.json",
    log:
        "results/logs/aggregate_thumbnails/{dataset}/{backbone}.log",
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        expect=expect("dataset", "backbone", retrieving),
    shell:
        """
        python -m sdc thumbnails \
            --facts {input.facts:q} \
            --retrieved {input.retrieved:q} \
            --expect {params.expect:q} \
            --out {output.sheet:q} 2>{log:q}
        """


rule aggregate_report:
    """Put tables, figures and what is known of the run on one page."""
    input:
        metrics=lambda wildcards: inputs(run_of("everything", {}), catalogue.TABLES["table1"].reads),
        manifests=ancient(expand("results/manifests/{dataset}.json", dataset=config["run"]["datasets"])),
        benchmarks=lambda wildcards: benchmarks(run_of("everything", {}), "prepare", "extract", "train"),
        figures=in_results(targets.report_figures(config)),
        embed=in_results(targets.report_parts(config)),
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
        embed=lambda wildcards, input: [path for path in input.embed if not path.endswith(".record.json")],
    shell:
        """
        python -m sdc aggregate \
            --results {params.results:q} \
            --selection {params.selection:q} \
            --embed {params.embed:q} \
            --config {params.config:q} \
            --make report \
            --out {output:q} 2>{log:q}
        """


onstart:
    # Once, and not by the jobs themselves.
    if workflow.exec_mode == ExecMode.DEFAULT:
        jobs = [(job.rule.name, dict(job.wildcards.items())) for job in workflow.dag.needrun_jobs()]
        counts = {dataset: manifest_counts(dataset) for dataset in plan.entries.datasets_used(config)}
        for line in plan.costs.lines(config, jobs, counts, 1 if SUBMITS else CORES, GPUS > 0):
            logger.info(line)


onerror:
    # With --keep-going, everything that could be made is there.
    if workflow.execution_settings.keep_going:
        log_file = "results/logs/aggregate_report/incomplete.log"
        os.makedirs(os.path.dirname(log_file), exist_ok=True)
        calls = targets.incomplete(config, Path("results"), Path("results/incomplete"))
        command = f"({' && '.join(map(shlex.join, calls))}) 2>{log_file}"
        shell(command.replace("{", "{{").replace("}", "}}"))
        logger.warning(
            "some jobs failed: results/incomplete/report.html shows what there is, and why the rest is not"
        )
