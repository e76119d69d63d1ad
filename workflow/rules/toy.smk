rule toy:
    """Show on four classes and two bits what methods do to similarities that are all positive; asked for by name."""
    output:
        pictures=multiext("results/figures/toy/toy", ".svg", ".png", ".pdf", ".gif", ".csv"),
        outcomes="results/figures/toy/outcomes.csv",
    log:
        "results/logs/toy/toy.log",
    conda:
        "../../envs/heads.yaml"
    threads: 1
    shell:
        """
        python -m sdc toy --out {output:q} 2>{log:q}
        """
