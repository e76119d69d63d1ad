"""``sdc search``: what in an index is nearest to some images."""

import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.datasets.decode import MAX_MEGAPIXELS, decode
from sdc.datasets.locate import images_at
from sdc.errors import SDCError
from sdc.limits import Items, Megapixels, OutputFile
from sdc.search.answers import Ranking, neighbours, ranked
from sdc.search.cached import features_of
from sdc.search.encoder import Encoder
from sdc.search.index import Index
from sdc.search.opening import image_or_gray, opener_for_show
from sdc.search.sheet import MOST_ROWS, write_sheet
from sdc.storage.arrays import open_array
from sdc.storage.sources import External, check_memory

_log = logging.getLogger(__name__)


def run(
    images: Sequence[Path] = (),
    *,
    index: Path,
    features: str | None = None,
    k: Items = 10,
    asymmetric: bool = False,
    rerank: Items | None = None,
    cache: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    external: External = "refuse",
    json_: bool = False,
    show: OutputFile | None = None,
) -> int:
    """Print what in an index is nearest to some images: rank, distance, id, path and label.

    Example:
        sdc search photograph.jpg --index index -k 10 --show answers.png

    Args:
        images: Files, and folders whose images are all taken.
        index: Folder of the index.
        features: Instead of images, a file of their features by the backbone of the index's head: npy, npz, HDF5,
            Parquet or pt (``FILE`` or ``FILE:NAME``).
        k: How many neighbours of each.
        asymmetric: Rank by the outputs of the query's head rather than by their signs alone: of the thousand nearest
            codes, bits of which the head is sure count more.
        rerank: Rank so many of the nearest codes by the cosine of the cached features.
        cache: Where these are, if not below the same ``results/``: a folder of shards, or a file as of ``--features``
            whose rows are ids.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        max_megapixels: Images of more pixels are not decoded, unless the dataset's settings say which are scaled.
        external: HDF5 files that lead to data in other files: ``refuse`` them, or ``follow`` them.
        json_: Print JSON instead of lines.
        show: PNG file to write: each query and its neighbours.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If the index, an image or the features cannot be read, or do not fit each other.
    """
    if bool(images) == (features is not None):
        raise SDCError("nothing to search for: give images or --features, and not both")
    if asymmetric and rerank is not None:
        raise SDCError("--asymmetric and --rerank rank in two ways; give one of them")
    if rerank is not None and rerank < k:
        raise SDCError(f"--rerank {rerank}: is less than -k {k}; give at least that")
    loaded = Index.load(index)
    if loaded.head_path is None:
        raise SDCError(f"{index}: has no head, for it was built from codes alone; search it in Python")
    encoder = Encoder.load(loaded.head_path, weights, device, max_megapixels)
    wanted = images_at(images, _complain)
    vectors = encoder.features(wanted) if features is None else _read(features, external)
    names = wanted or [f"row {row}" for row in range(len(vectors))]
    by: Ranking = "asymmetric" if asymmetric else "hamming" if rerank is None else "cosine"
    cached = features_of(loaded, index, cache, external) if by == "cosine" else None
    distances, ids = ranked(loaded, encoder, vectors, by, k, cached, rerank or k)
    answers: list[dict[str, Any]] = [
        {"query": name, "neighbours": neighbours(loaded, *answer)}
        for name, *answer in zip(names, distances, ids, strict=True)
    ]
    if json_:
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    else:
        for answer in answers:
            print(answer["query"])
            for each in answer["neighbours"]:
                line = f"{each['rank']:>4} {each['distance']:>8.4g} {each['id']:>8}  {each['path']}  {each['label']}"
                print(line.rstrip())
    if show is not None:
        _show(show, loaded, answers, wanted, max_megapixels)
    return 0


def _complain(path: str, why: str) -> None:
    raise SDCError(f"{path}: {why}; remove it, or name the images")


def _read(path: str, external: External) -> np.ndarray:
    file = open_array(path, "features", external)
    check_memory(path, "the features", int(np.prod(file.shape)) * file.dtype.itemsize)
    with file.opened() as array:
        return np.asarray(array[:])


def _show(path: Path, index: Index, answers: Sequence[Any], queries: Sequence[str], max_megapixels: float) -> None:
    """Draw answers; where a query is features, its place is empty."""
    if len(answers) > MOST_ROWS:
        _log.warning("%s: shows the first %d of %d queries", path, MOST_ROWS, len(answers))
    open_item = opener_for_show(index)
    open_query = functools.partial(decode, max_megapixels=max_megapixels)
    rows = []
    for number, answer in enumerate(answers[:MOST_ROWS]):
        query = image_or_gray(open_query, queries[number]) if queries else None
        row = [(query, Path(answer["query"]).name)]
        for each in answer["neighbours"]:
            line = f"{each['distance']:.4g} {each['label'] or Path(each['path']).name}"
            row.append((image_or_gray(open_item, each["path"]), line))
        rows.append(row)
    write_sheet(path, rows)
