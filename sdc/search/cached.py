"""Features of an index's items, as the pipeline has cached them."""

from pathlib import Path

import numpy as np

from sdc.errors import SDCError
from sdc.search.index import Index
from sdc.search.ranking import FeaturesOf
from sdc.storage.arrays import open_array
from sdc.storage.features import Features
from sdc.storage.records import expected
from sdc.storage.sources import External


def features_of(index: Index, folder: Path, cache: str | None, external: External = "refuse") -> FeaturesOf:
    """From ids to features, of which only those that are asked for are read.

    Args:
        index: Whose ids are rows of the features.
        folder: Where the index lies: if nothing else is named, the features lie in the same ``results/``.
        cache: A folder of feature shards, or an array file.
        external: Whether HDF5 may lead to data in other files.

    Raises:
        SDCError: If there are none, or they are of other images or another backbone.
    """
    place = _usual_place(index, folder) if cache is None else Path(cache)
    if place is None or (cache is None and not place.is_dir()):
        raise SDCError(f"{place or folder}: has no cached features to rank by; name their folder or file with --cache")
    if place.is_dir():
        return _of_shards(index, place)
    file = open_array(str(cache), "features", external)

    def read(ids: np.ndarray) -> np.ndarray:
        if len(ids) and ids.max() >= file.shape[0]:
            raise SDCError(f"{cache}: has {file.shape[0]} rows, and none of id {ids.max()}; give features of all items")
        with file.opened() as array:
            return np.stack([np.asarray(array[row]) for row in ids.tolist()])

    return read


def _usual_place(index: Index, folder: Path) -> Path | None:
    """``results/features/{dataset}/{backbone}/clean`` of ``results/runs/{dataset}/…/seed0/index``."""
    above = folder.absolute().parents
    if len(above) < 7 or not {"dataset", "backbone"} <= index.facts.keys():
        return None
    return above[6] / "features" / index.facts["dataset"] / index.facts["backbone"] / "clean"


def _of_shards(index: Index, folder: Path) -> FeaturesOf:
    counts = {path.stem.rpartition("-")[2] for path in folder.glob("*-of-*.h5")}
    if len(counts) != 1 or not (count := counts.pop()).isdigit():
        raise SDCError(f"{folder}: holds no complete set of feature shards; name another folder with --cache")
    means = index.head is not None and index.head.metadata.get("input") == "token_means"
    features = Features(folder, int(count), expected(index.facts, "dataset", "backbone", "images_xxh3"))
    if means and "token_means" in features.arrays:
        features = Features(folder, int(count), array="token_means")
    return features.take
