rule prepare:
    """List a dataset's images and their labels."""
    input:
        vectors=vector_files,
    output:
        images="results/manifests/{dataset}.images.csv",
        record="results/manifests/{dataset}.images.json",
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
        settings=listing_settings,
    shell:
        """
        python -m sdc prepare \
            --dataset {wildcards.dataset} \
            --settings {params.settings:q} \
            --out {output.images:q} 2>{log:q}
        """


rule prepare_splits:
    """Say which images are queries, database and training items; features do not depend on it."""
    input:
        unpack(images),
    output:
        manifest="results/manifests/{dataset}.csv",
        relevance="results/manifests/{dataset}.relevance.json",
        record="results/manifests/{dataset}.json",
    log:
        "results/logs/prepare_splits/{dataset}.log",
    priority: 1
    # A second's work, which is not worth a place in a queue.
    localrule: True
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
            --images {input.images:q} \
            --out {output.manifest:q} 2>{log:q}
        """
