"""Completion of the command line by a shell, from its parser; ``shtab`` writes the script."""

import argparse
from collections.abc import Mapping, Sequence

from sdc.errors import SDCError

SHELLS = ("bash", "zsh", "tcsh")


def script(
    overview: argparse.ArgumentParser,
    commands: Mapping[str, argparse.ArgumentParser],
    names: Mapping[str, Sequence[str]],
    shell: str,
) -> str:
    """What a shell reads to complete commands, options, names and files.

    Args:
        overview: The parser that lists all commands.
        commands: The parser of each.
        names: Of an argument, what is known; others may be given.
        shell: One of ``SHELLS``.

    Raises:
        SDCError: If shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise SDCError("completion needs shtab; pip install 'sdc-hashing[completion]'") from error
    listed = next(action for action in overview._actions if isinstance(action, argparse._SubParsersAction))
    listed._name_parser_map.update(commands)
    for parser in commands.values():
        for action in parser._actions:
            if action.dest in names:
                action.choices = names[action.dest]
            elif getattr(action.type, "__name__", "") == "Path":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(overview, shell))
