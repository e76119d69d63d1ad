rule index:
    """Put the codes of one run into an index that answers queries; no table needs it, so that it is made if named."""
    input:
        unpack(manifest),
        head=head,
        codes=ancient("results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/codes.h5"),
        record="results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/encode.record.json",
    output:
        directory("results/runs/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}/index"),
    log:
        "results/logs/index/{dataset}/{backbone}/{method}/{bits}bit/seed{seed}.log",
    conda:
        "../../envs/search.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        settings=index_settings,
        expect=expect(*RUN),
    shell:
        """
        python -m sdc index \
            --manifest {input.manifest:q} \
            --codes {input.codes:q} \
            --head {input.head[0]:q} \
            --settings {params.settings:q} \
            --expect {params.expect:q} \
            --out {output:q} 2>{log:q}
        """
