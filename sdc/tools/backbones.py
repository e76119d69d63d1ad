"""``sdc backbones``: which backbones there are."""

import dataclasses
import json

from sdc import registry
from sdc.backbones.base import Backbone
from sdc.docstrings import summary


def run(*, json_: bool = False) -> int:
    """List the backbones: what each takes, whether it has patch tokens, what must be set, and what it is.

    Example:
        sdc backbones

    Args:
        json_: Print JSON instead of a table.

    Returns:
        Exit status 0.
    """
    from tabulate import tabulate

    listed = []
    for name in registry.BACKBONES:
        cls: type[Backbone] = registry.load("backbones", name)  # type: ignore[assignment]
        listed.append(
            {
                "name": name,
                "takes": cls.takes,
                "tokens": "yes" if cls.has_tokens else "no",
                "needs": ", ".join(field.name for field in dataclasses.fields(cls) if field.default == ""),
                "about": summary(cls.__doc__),
            }
        )
    print(json.dumps(listed, indent=2) if json_ else tabulate(listed, "keys"))
    return 0
