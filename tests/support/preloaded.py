"""Snakemake in a fork of a process that has imported it: most of what a short call of it takes is its imports."""

import json
import os
import sys


def main():
    """Run each command that stdin has as a line: its words, its environment, and the file for what it says."""
    import jsonschema  # noqa: F401
    import snakemake.cli
    import snakemake.storage

    snakemake.cli.get_argument_parser()  # which imports the plugins
    for line in iter(sys.stdin.readline, ""):
        words, environment, log = json.loads(line)
        child = os.fork()
        if not child:
            os.environ.clear()
            os.environ.update(environment)
            for source, flags in ((os.devnull, os.O_RDONLY), (log, os.O_WRONLY)):
                descriptor = os.open(source, flags)
                for target in (0,) if flags == os.O_RDONLY else (1, 2):
                    os.dup2(descriptor, target)
                os.close(descriptor)
            sys.argv = ["snakemake", *words]
            snakemake.cli.main()
            sys.exit()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
