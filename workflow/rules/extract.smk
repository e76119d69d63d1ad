rule extract:
    """Extract the features of one shard of a dataset, or of views of its training items, once."""
    input:
        unpack(extracted),
        weights=weights,
        vectors=vector_files,
    output:
        shard="results/features/{dataset}/{backbone}/{kind}/{shard}-of-{shards}.h5",
        record="results/features/{dataset}/{backbone}/{kind}/{shard}-of-{shards}.record.json",
    log:
        "results/logs/extract/{dataset}/{backbone}/{kind}/{shard}-of-{shards}.log",
    benchmark:
        "results/benchmarks/extract/{dataset}/{backbone}/{kind}/{shard}-of-{shards}.tsv"
    conda:
        "../../envs/features.yaml"
    threads: extract_threads
    resources:
        gpu=1,
        mem_mb=memory,
        runtime=minutes,
    params:
        settings=backbone_settings,
        features_version=registry.FEATURES_VERSION,
        views=view_options,
        decoding=decoding,
        expect=expect("dataset"),
    shell:
        """
        python -m sdc extract \
            --manifest {input.manifest:q} \
            --backbone {wildcards.backbone} \
            --settings {params.settings:q} \
            --shard {wildcards.shard} \
            --shards {wildcards.shards} \
            --kind {wildcards.kind} {params.views} \
            --decoding {params.decoding:q} \
            --expect {params.expect:q} \
            --out {output.shard:q} 2>{log:q}
        """
