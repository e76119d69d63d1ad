"""prepare: from a dataset's settings to its manifest."""

from collections.abc import Mapping
from typing import Any

from sdc import registry
from sdc.limits import OutputFile
from sdc.storage.manifest import Manifest, write_manifest


def run(dataset: str, settings: Mapping[str, Any] | None, out: OutputFile) -> None:
    """List a dataset's images, labels and splits.

    Args:
        dataset: Name of the catalogue entry.
        settings: The entry's settings.
        out: ``manifest.csv`` to write; ``.json`` and ``.relevance.json`` beside it.

    Raises:
        SDCError: If the images are missing or too few.
    """
    settings = settings or {}
    manifest = registry.build("datasets", dataset, settings).prepare()
    facts = {"dataset": dataset, "settings": dict(settings), **manifest.facts}
    write_manifest(out, Manifest(**{**vars(manifest), "facts": facts}))
