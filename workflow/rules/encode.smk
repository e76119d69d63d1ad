rule encode:
    """Encode queries and database with one head."""
    input:
        unpack(manifest),
        features=feature_shards,
        head=head,
    output:
        codes="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5",
        record="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/encode.record.json",
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
        expect=expect(*RUN),
    shell:
        """
        python -m sdc encode \
            --manifest {input.manifest:q} \
            --features {params.features:q} \
            --shards {params.shards} \
            --head {input.head[0]:q} {params.head} \
            --expect {params.expect:q} \
            --out {output.codes:q} 2>{log:q}
        """
