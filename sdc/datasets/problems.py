"""What is wrong with a dataset on disk: told at once, or all of it together."""

from sdc.errors import SDCError


class Problems:
    """What is wrong with a dataset: an error at the first, or a list of all of them.

    Args:
        gather: Keep problems in ``lines`` and go on, for ``sdc datasets check``.
    """

    def __init__(self, gather: bool = False) -> None:
        self.gather = gather
        self.lines: list[str] = []

    def __call__(self, problem: str) -> None:
        """Say what is wrong, where, and the remedy, in one line.

        Raises:
            SDCError: Unless problems are gathered.
        """
        if not self.gather:
            raise SDCError(problem)
        self.lines.append(problem)
