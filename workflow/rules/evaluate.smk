rule evaluate:
    """Score one run's ranking of the database."""
    input:
        manifest="results/manifests/{dataset}.csv",
        relevance="results/manifests/{dataset}.relevance.json",
        codes="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5",
    output:
        "results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/metrics.json",
    log:
        "results/logs/evaluate/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        cutoffs=cutoffs,
    shell:
        """
        python -m sdc evaluate \
            --manifest {input.manifest:q} \
            --codes {input.codes:q} \
            {params.cutoffs} \
            --out {output:q} 2>{log:q}
        """
