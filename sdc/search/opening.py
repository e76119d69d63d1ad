"""The images of an index's items."""

from collections.abc import Callable
from typing import Any

from sdc import registry
from sdc.datasets.decode import decode
from sdc.errors import SDCError
from sdc.search.index import Index


def opener_of(index: Index) -> Callable[[str], Any]:
    """From the path of an item to its image: as the index's dataset has it, else as it says.

    Raises:
        SDCError: If the dataset holds vectors.
    """
    if index.facts.get("dataset_settings") is None:
        return decode
    dataset = registry.build("datasets", index.facts["dataset"], index.facts["dataset_settings"])
    if dataset.vector_files():
        raise SDCError(f"--show: the dataset {index.facts['dataset']} holds vectors, and there are no images to show")
    return dataset.opener()


def image_or_gray(open_image: Callable[[str], Any], path: str) -> Any:
    """An image, or a gray one where it cannot be read any more."""
    from PIL import Image

    try:
        return open_image(path)
    except SDCError:
        return Image.new("RGB", (8, 8), "gray")
