rule prepare:
    """List a dataset's images, labels and splits."""
    input:
        vectors=vector_files,
    output:
        manifest="results/manifests/{dataset}.csv",
        facts="results/manifests/{dataset}.json",
        relevance="results/manifests/{dataset}.relevance.json",
    log:
        "results/logs/prepare/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare/{dataset}.tsv"
    # What is missing is found before anything is computed.
    priority: 1
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        settings=manifest_settings,
    shell:
        """
        python -m sdc prepare \
            --dataset {wildcards.dataset} \
            --settings {params.settings:q} \
            --out {output.manifest:q} 2>{log:q}
        """
