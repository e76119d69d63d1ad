"""What is wrong with a dataset on disk: told at once, or all of it together."""

from __future__ import annotations

from pathlib import Path

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


def what_is_at(path: str | Path) -> str:
    """What there is where a file or folder should be: ``no such folder; data/ holds cifar10, coco``."""
    path = Path(path)
    if path.exists():
        return "is a folder" if path.is_dir() else "is a file"
    parent = next(folder for folder in path.parents if folder.exists())
    names = sorted(entry.name for entry in parent.iterdir() if entry.name[0] != ".") if parent.is_dir() else []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"not found; {parent}/ holds {shown or 'nothing'}"
