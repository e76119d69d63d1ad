rule train:
    """Train one hash head on cached training features; one thread, so that the result does not depend on --cores."""
    input:
        unpack(training_shards),
        unpack(manifest),
    output:
        head="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/head.safetensors",
        curve="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/curve.csv",
        record="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/train.record.json",
    log:
        "results/logs/train/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.tsv"
    group:
        GROUP
    conda:
        "../../envs/heads.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=memory,
        runtime=minutes,
    params:
        folders=training_folders,
        shards=shards,
        settings=method_settings,
        expect=expect("dataset", "backbone", training_kinds),
    shell:
        """
        python -m sdc train \
            --manifest {input.manifest:q} \
            {params.folders} \
            --shards {params.shards} \
            --method {wildcards.method} \
            --settings {params.settings:q} \
            --bits {wildcards.bits} \
            --seed {wildcards.seed} \
            --expect {params.expect:q} \
            --out {output.head:q} \
            --curve {output.curve:q} 2>{log:q}
        """
