rule encode:
    """Encode queries and database with one head."""
    input:
        manifest="results/manifests/{dataset}.csv",
        beside=beside_manifest,
        features=feature_shards,
        head=head,
    output:
        "results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5",
    log:
        "results/logs/encode/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    group:
        GROUP
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        features=features_folder,
        shards=shards,
        head=head_options,
    shell:
        """
        python -m sdc encode \
            --manifest {input.manifest:q} \
            --features {params.features:q} \
            --shards {params.shards} \
            --head {input.head:q} {params.head} \
            --out {output:q} 2>{log:q}
        """
