"""``python -m sdc``, and ``sdc``: the process of a command."""

import gc
import sys

from sdc import interrupts


def main() -> int:
    """Run the command line in this process, which ends on signals."""
    # Before anything that takes its time is imported.
    interrupts.end_on_signals(" ".join(["sdc", *sys.argv[1:2]]))
    from sdc import cli

    # Imports make objects that stay: to look for garbage among them takes a tenth of what torch's imports do.
    gc.set_threshold(100_000)
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
