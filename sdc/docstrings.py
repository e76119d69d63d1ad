"""What docstrings in Google's style say, for people who read help or write a config."""

import inspect
import re
import textwrap


def summary(docstring: str | None) -> str:
    """The first sentence, without its full stop."""
    return _plain(inspect.cleandoc(docstring or "").partition("\n\n")[0]).rstrip(".")


def description(docstring: str | None) -> str:
    """All that comes before the first section."""
    return _plain(re.split(r"\n\w[\w ]*:\n    ", inspect.cleandoc(docstring or ""))[0])


def section(docstring: str | None, title: str) -> dict[str, str]:
    """What a section says by name: ``section(run.__doc__, "Args")``; of ``a, b: Both`` the same of either."""
    text = inspect.cleandoc(docstring or "").partition(f"{title}:\n")[2].partition("\n\n")[0]
    entries: dict[str, str] = {}
    for entry in re.split(r"\n    (?! )", "\n" + text)[1:]:
        names, _, what = entry.partition(": ")
        entries |= dict.fromkeys(names.split(", "), _plain(what).rstrip("."))
    return entries


def example(docstring: str | None) -> str:
    """The commands of the section ``Example`` as a shell takes them; an indented line goes on with the one before."""
    text = inspect.cleandoc(docstring or "").partition("\nExample:\n")[2].partition("\n\n")[0]
    return textwrap.dedent(text).replace("\n ", " \\\n ")


def _plain(text: str) -> str:
    """Text on one line, code without its marks."""
    return " ".join(text.replace("``", "").split())
