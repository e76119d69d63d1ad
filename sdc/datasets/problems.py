"""The problems of a dataset on disk: an error at the first, or all of them together."""

import os
from collections.abc import Mapping, Sequence

from sdc.errors import SDCError

# As many of a kind are named; the rest are counted.
NAMED = 10


class Problems:
    """Collects problems, or raises the first.

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


def some(names: Sequence[str], separator: str = ", ") -> str:
    """The first of some names, with ``…`` for the rest."""
    return separator.join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])])


def said_once(missing: Mapping[str, Sequence[str]]) -> list[str]:
    """What datasets lack, by their names, as ``Dataset.missing`` says it; what several lack for one reason once."""
    reasons: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for name, lines in missing.items():
        for path, _, why in (line.partition(": ") for line in lines):
            names, paths = reasons.setdefault(why, ({}, {}))
            names[name] = paths[path] = None
    return [f"datasets.{', '.join(names)}: {some([*paths])}: {why}" for why, (names, paths) in reasons.items()]


def shown(path: str | os.PathLike[str]) -> str:
    """A path as one line of UTF-8: what no terminal should get is escaped, be it bytes or control characters."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
