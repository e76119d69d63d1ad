"""``sdc methods``: which methods there are."""

import json

from sdc import registry
from sdc.docstrings import summary
from sdc.methods.base import HashMethod, TrainedMethod


def run(*, json_: bool = False) -> int:
    """List the methods: what each learns from, where it was published, and what it is.

    Example:
        sdc methods

    Args:
        json_: Print JSON instead of a table.

    Returns:
        Exit status 0.
    """
    from tabulate import tabulate

    methods: dict[str, HashMethod] = {name: registry.build("methods", name, {}) for name in registry.METHODS}
    listed = [
        {
            "name": name,
            "learns from": ", ".join(method.requires),
            "is": "trained" if isinstance(method, TrainedMethod) else "closed form",
            "source": method.source,
            "about": summary(method.__doc__),
        }
        for name, method in methods.items()
    ]
    print(json.dumps(listed, indent=2) if json_ else tabulate(listed, "keys"))
    return 0
