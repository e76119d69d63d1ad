rule evaluate:
    """Score one run's ranking of the database."""
    input:
        manifest="results/manifests/{dataset}.csv",
        relevance="results/manifests/{dataset}.relevance.json",
        codes="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5",
    output:
        metrics="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/metrics.json",
        per_query="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/average_precision.csv",
    log:
        "results/logs/evaluate/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        scoring=scoring,
    shell:
        """
        python -m sdc evaluate \
            --manifest {input.manifest:q} \
            --codes {input.codes:q} \
            {params.scoring} \
            --per-query {output.per_query:q} \
            --out {output.metrics:q} 2>{log:q}
        """


rule evaluate_features:
    """Score the ranking by exact cosine on the features: what no code is needed for."""
    input:
        manifest="results/manifests/{dataset}.csv",
        relevance="results/manifests/{dataset}.relevance.json",
        features=feature_shards,
    output:
        metrics="results/baselines/{dataset}/{backbone}/metrics.json",
        per_query="results/baselines/{dataset}/{backbone}/average_precision.csv",
    log:
        "results/logs/evaluate_features/{dataset}/{backbone}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        folder=features_folder,
        shards=shards,
        scoring=scoring,
    shell:
        """
        python -m sdc evaluate \
            --manifest {input.manifest:q} \
            --features {params.folder:q} \
            --shards {params.shards} \
            {params.scoring} \
            --per-query {output.per_query:q} \
            --out {output.metrics:q} 2>{log:q}
        """
