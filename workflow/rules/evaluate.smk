rule evaluate:
    """Score one run's codes, and write what its figures are drawn from."""
    input:
        unpack(manifest),
        codes=ancient("results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5"),
        record="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/encode.record.json",
        neighbours=neighbours,
    output:
        metrics="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/metrics.json",
        per_query="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/average_precision.csv",
        pairs="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/pairs.csv",
        ranks="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/ranks.csv",
        per_class="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/per_class.csv",
        bits="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/bits.csv",
        retrieved="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/retrieved.csv",
        record="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/evaluate.record.json",
    log:
        "results/logs/evaluate/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    group:
        GROUP
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        scoring=scoring,
        neighbours=lambda wildcards, input: options({"neighbours": path for path in input.neighbours[:1]}),
        expect=expect(*RUN),
    shell:
        """
        python -m sdc evaluate \
            --manifest {input.manifest:q} \
            --codes {input.codes:q} \
            {params.scoring} {params.neighbours} \
            --expect {params.expect:q} \
            --jobs {threads} \
            --out {output.metrics:q} 2>{log:q}
        """


rule evaluate_features:
    """Score the exact cosine baseline: the features themselves, without codes; and find the neighbours by it."""
    input:
        unpack(manifest),
        features=feature_shards,
    output:
        metrics="results/baselines/{dataset}/{backbone}/metrics.json",
        per_query="results/baselines/{dataset}/{backbone}/average_precision.csv",
        pairs="results/baselines/{dataset}/{backbone}/pairs.csv",
        per_class="results/baselines/{dataset}/{backbone}/per_class.csv",
        overlaps="results/baselines/{dataset}/{backbone}/overlaps.csv",
        neighbours="results/baselines/{dataset}/{backbone}/neighbours.h5",
        neighbours_record="results/baselines/{dataset}/{backbone}/neighbours.record.json",
        record="results/baselines/{dataset}/{backbone}/evaluate.record.json",
    log:
        "results/logs/evaluate_features/{dataset}/{backbone}.log",
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        folder=features_folder,
        shards=shards,
        scoring=scoring,
        expect=expect("dataset", "backbone"),
    shell:
        """
        python -m sdc evaluate \
            --manifest {input.manifest:q} \
            --features {params.folder:q} \
            --shards {params.shards} \
            {params.scoring} \
            --expect {params.expect:q} \
            --jobs {threads} \
            --out {output.metrics:q} 2>{log:q}
        """
