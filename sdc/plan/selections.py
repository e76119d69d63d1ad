"""What a table or figure is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdc import registry
from sdc.plan.entries import entry


def selected_entries(config: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What tables must know of everything a selection names, by catalogue and name; nothing where all is by default.

    That is the settings of methods; of datasets and backbones, whose settings metrics repeat as far as they matter,
    just their ``type``: a key that changes no metric then makes no table again.
    """
    selected: dict[str, dict[str, Any]] = {}
    for catalogue in registry.CATALOGUES:
        entries = {name: entry(config, catalogue, name) for name in run[catalogue]}
        if catalogue != "methods":
            entries = {name: {"type": known["type"]} for name, known in entries.items() if "type" in known}
        selected[catalogue] = {name: known for name, known in entries.items() if known}
    return selected
