"""Config files as people write them: what YAML passes over in silence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdc.errors import SDCError


def check_keys(path: str | Path) -> None:
    """Check that no mapping of a YAML or JSON file has a key twice: of two, YAML takes the last.

    Raises:
        SDCError: If one has; names the lines of both.
    """
    import yaml

    with open(path, encoding="utf-8") as file:
        root = yaml.compose(file, yaml.SafeLoader)
    for mapping in _mappings(root):
        lines: dict[str, int] = {}
        for key, _ in mapping.value:
            # Merged mappings may be several; keys that are no text are refused by the schema.
            if not isinstance(key.value, str) or key.value == "<<":
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                again = f"key {key.value!r} in line {lines[key.value]} is there again in line {line}"
                raise SDCError(f"{path}: {again}; leave one out")
            lines[key.value] = line


def _mappings(root: Any) -> Iterator[Any]:
    """Every mapping of a document, each once, though aliases may lead to it from many places."""
    import yaml

    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [part for pair in node.value for part in pair]
        else:
            waiting += node.value
