"""The images of an index's items."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sdc import registry
from sdc.datasets.base import ImageFiles
from sdc.datasets.decode import decode
from sdc.datasets.locate import spelled
from sdc.errors import SDCError
from sdc.search.index import Index


def opener_of(index: Index) -> Callable[[str], Any]:
    """From the path of an item to its image: as the index's dataset has it, else as it says.

    Raises:
        SDCError: If the dataset holds vectors.
    """
    dataset = _dataset_of(index)
    if dataset is None:
        return decode
    if dataset.vector_files():
        raise SDCError(f"the dataset {index.facts['dataset']} holds vectors, and there are no images to show")
    open_image = dataset.opener()
    if isinstance(dataset, ImageFiles):
        return open_image
    # Of a dataset whose images are no files, what was added later is.
    return lambda path: decode(path) if path.startswith("/") else open_image(path)


def opener_for_show(index: Index) -> Callable[[str], Any]:
    """As ``opener_of``, for the option ``--show``, which an error names."""
    try:
        return opener_of(index)
    except SDCError as error:
        raise SDCError(f"--show: {error}; leave it out") from None


def named_in(index: Index, path: str) -> str:
    """What an item of an index is called that is an image file: its path below the dataset's root, or the whole."""
    dataset = _dataset_of(index)
    whole = str(Path(path).absolute())
    return spelled(whole, dataset.root) if isinstance(dataset, ImageFiles) else whole


def whole_paths(index: Index) -> Iterator[str]:
    """Where the image files of an index's items are, whatever its dataset.

    Raises:
        SDCError: If its images are no files.
    """
    dataset = _dataset_of(index)
    if dataset is not None and not isinstance(dataset, ImageFiles):
        raise SDCError(f"the images of {index.facts['dataset']} are no files; another index cannot show them")
    root = "" if dataset is None else dataset.root
    return (str(Path(root, path).absolute()) if path else path for path in index.items.paths)


def _dataset_of(index: Index) -> Any:
    """The dataset that an index is of; None if it is of none."""
    if index.facts.get("dataset_settings") is None:
        return None
    return registry.build("datasets", index.facts["dataset"], index.facts["dataset_settings"])


def image_or_gray(open_image: Callable[[str], Any], path: str) -> Any:
    """An image, or a gray one where it cannot be read any more."""
    from PIL import Image

    try:
        return open_image(path)
    except SDCError:
        return Image.new("RGB", (8, 8), "gray")
