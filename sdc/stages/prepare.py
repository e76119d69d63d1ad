"""prepare: from a dataset's settings to the list of its images, and from that to its manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdc import registry
from sdc.datasets.base import Dataset
from sdc.datasets.problems import Problems
from sdc.limits import OutputFile
from sdc.storage.manifest import Images, Manifest, images_path, read_images, write_images, write_manifest


def run(dataset: str, settings: Mapping[str, Any] | None, out: OutputFile, images: Path | None = None) -> None:
    """List a dataset's images and their labels, and draw its splits.

    Example:
        sdc prepare --dataset digits --out digits.csv
        sdc prepare --dataset folder --settings '{"root": "photographs"}' --out photographs.csv

    Args:
        dataset: Name of the catalogue entry.
        settings: The entry's settings.
        out: ``manifest.csv`` to write; ``.json`` and ``.relevance.json`` beside it, and the list ``.images.csv`` with
            its ``.images.json``. If this is named ``manifest.images.csv``, only the list is written.
        images: ``manifest.images.csv`` to draw from, rather than list the images again.

    Raises:
        SDCError: If the images are missing or too few.
    """
    settings = dict(settings or {})
    identity = {"dataset": dataset, "settings": settings}
    source: Dataset = registry.build("datasets", dataset, settings)
    if images is None:
        listing = source.images(Problems())
        write_images(images_path(out), Images(**{**vars(listing), "facts": {**identity, **listing.facts}}))
    else:
        listing = read_images(images, {"dataset": dataset})
    if out != images_path(out):
        manifest = source.split(listing, Problems())
        write_manifest(out, Manifest(**{**vars(manifest), "facts": {**manifest.facts, **identity}}))
