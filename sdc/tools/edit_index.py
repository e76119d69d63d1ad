"""``sdc edit-index``: images into an index and out of it."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sdc.datasets.decode import MAX_MEGAPIXELS
from sdc.datasets.problems import shown
from sdc.errors import SDCError
from sdc.limits import Megapixels
from sdc.search.encoder import Encoder
from sdc.search.files import FilesToEncode, OnError
from sdc.search.index import Index
from sdc.search.opening import named_in, whole_paths
from sdc.storage.codes import read_codes
from sdc.storage.index import Texts
from sdc.storage.records import expected

_ID = re.compile(r"[0-9]{1,18}")


def run(
    action: Literal["add", "remove", "merge"],
    index: Path,
    what: Sequence[str],
    *,
    new_ids: bool = False,
    weights: str | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
) -> int:
    """Add images to an index, remove some, or merge other indexes into it; a kill leaves the old index, whole.

    Example:
        sdc edit-index add index new-photographs photograph.jpg

    Args:
        action: ``add`` images that are not in it, whose ids go on from the greatest there was; ``remove`` items; or
            ``merge`` all items of other indexes of the same head.
        index: Folder of the index.
        what: To add: image files, folders whose images are all taken, and ``.h5`` files of ``sdc encode-images``. To
            remove: ids, or paths. To merge: folders of indexes.
        new_ids: Of merged items, give each a new id. Without it, an id that both have is an error.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        on_error: A file that cannot be read, or has too many pixels, or in a folder is no image: ``fail`` and name it,
            or ``skip`` it and count it.
        max_megapixels: Images of more pixels are not decoded, unless the dataset's settings say which are scaled.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If an index, an image or codes cannot be read, are of another head, or an item is not there.
    """
    if new_ids and action != "merge":
        raise SDCError(f"--new-ids: is for merge, and not for {action}; leave it out")
    loaded = Index.load(index)
    before = len(loaded)
    if action == "remove":
        loaded.remove(_ids(loaded, what))
    elif action == "merge":
        for folder in what:
            _merge(loaded, Index.load(folder), new_ids)
    else:
        files = [each for each in what if Path(each).suffix == ".h5"]
        for file in files:
            _add_codes(loaded, file)
        if images := [each for each in what if each not in files]:
            encoder = _encoder(loaded, index, weights, device, max_megapixels)
            _add_images(loaded, encoder, FilesToEncode(images, on_error))
    loaded.save()
    print(f"{index}: {before:,} items before, {len(loaded):,} now")
    return 0


def _encoder(index: Index, folder: Path, weights: str | None, device: str, max_megapixels: float) -> Encoder:
    if index.head_path is None:
        raise SDCError(f"{folder}: has no head, for it was built from codes alone; add codes to it in Python")
    return Encoder.load(index.head_path, weights, device, max_megapixels)


def _add_images(index: Index, encoder: Encoder, files: FilesToEncode) -> None:
    names = {path: named_in(index, path) for path in files.paths}
    known = {*names.values()}.intersection(index.items.paths)
    files.paths = [path for path in files.paths if names[path] not in known]
    if files.paths:
        codes = files.encode(encoder)
        index.add(codes, paths=[names[path] for path in files.paths])


def _add_codes(index: Index, file: str) -> None:
    stored = read_codes(file, expected(index.facts, "head_xxh3"))
    if stored.paths is None:
        raise SDCError(f"{file}: has no paths; give a file of sdc encode-images, or merge the index of that run")
    names = [named_in(index, path) for path in stored.paths]
    known = {*names}.intersection(index.items.paths)
    new = np.array([name not in known for name in names], bool)
    index.add(stored.codes[new], paths=[name for name in names if name not in known])


def _ids(index: Index, what: Sequence[str]) -> np.ndarray:
    """The ids of items that are named by id, or by path as the index has it or as it lies here."""
    ids = [int(each) for each in what if _ID.fullmatch(each)]
    paths = [each for each in what if not _ID.fullmatch(each)]
    wanted = {spelling: path for path in paths for spelling in (path, named_in(index, path))}
    rows = {row: wanted[path] for row, path in enumerate(index.items.paths if wanted else ()) if path in wanted}
    if missing := sorted({*paths} - {*rows.values()}):
        raise SDCError(f"{shown(missing[0])}: is no path of the index; give an id, or a path as sdc search prints it")
    return np.union1d(np.array(ids, np.int64), index.ids[[*rows]])


def _merge(index: Index, other: Index, new_ids: bool) -> None:
    settings = [each.facts.get("dataset_settings") for each in (index, other)]
    if settings[0] != settings[1]:
        paths = Texts.of(named_in(index, path) if path else "" for path in whole_paths(other))
        other.items = dataclasses.replace(other.items, paths=paths)
    index.merge(other, new_ids)
