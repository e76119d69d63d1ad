"""Feature shards: many HDF5 files read as one array."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.plan.shards import shard_names, shard_range
from sdc.registry import FEATURES_VERSION
from sdc.storage.files import remedy
from sdc.storage.hdf5 import Slices, StoredArray, not_finite, page_aligned, read_h5
from sdc.storage.records import NOTHING

FEATURES_SCHEMA = "sdc.features/2"
# Attributes of what made the features, which heads repeat.
IDENTITY = ("backbone", "weights", "transform")
BLOCK_BYTES = 64 * 2**20
# In which the shards of a set differ.
_OF_ONE_SHARD = ("start", "stop", "shard", "truncated", "scaled")


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """What a feature shard says of itself.

    Attributes:
        row: Manifest rows, shape ``(n,)``, int64, ascending.
        arrays: By name.
        attributes: Those that all shards of a set share.
        checksum: Of all that the file holds.
    """

    path: Path
    row: np.ndarray
    arrays: Mapping[str, StoredArray]
    attributes: Mapping[str, Any]
    checksum: str

    def check_like(self, first: Shard) -> None:
        """Check that two shards are of one set.

        Raises:
            StorageError: If this one differs from the first.
        """
        mine, others = ({**shard.attributes, "arrays": tuple(shard.arrays)} for shard in (self, first))
        unlike = [key for key, value in mine.items() if key not in others or others[key] != value]
        if unlike:
            raise StorageError(f"{self.path}: differs from {first.path.name} in {unlike[0]}; {remedy(self.path)}")


def read_shard(folder: str | Path, shard: int, shards: int, expect: Mapping[str, Any] = NOTHING) -> Shard:
    """What one shard of a set, counted from 0, says of itself; of its features nothing is read.

    Raises:
        StorageError: If it is missing or damaged, not that shard by this version of the extraction, or not as expected.
    """
    path = Path(folder) / f"{shard_names(shards)[shard]}.h5"
    file = read_h5(path, FEATURES_SCHEMA, expect)
    attributes = {key: file.attributes[key] for key in file.attributes if key not in _OF_ONE_SHARD}
    if attributes["features_version"] != FEATURES_VERSION:
        raise StorageError(f"{path}: was made by another version of the extraction; {remedy(path)}")
    arrays = {name: file.arrays[name] for name in sorted(file.arrays) if name != "row"}
    row = file.read("row")
    start, stop = file.attributes["start"], file.attributes["stop"]
    inside = not len(row) or (start <= row[0] and row[-1] < stop and bool((np.diff(row) > 0).all()))
    whole = len(row) == stop - start or attributes.get("kind", "clean") != "clean"
    in_place = (start, stop) == shard_range(shard, shards, attributes["rows"])
    if not (inside and whole and in_place) or any(array.shape[0] != len(row) for array in arrays.values()):
        raise StorageError(f"{path}: does not hold the rows it should; {remedy(path)}")
    return Shard(path, row, arrays, attributes, file.checksum)


class Features:
    """All shards of one kind of feature as one row-indexable array that reads only the rows that are wanted.

    Args:
        folder: ``results/features/{dataset}/{backbone}/{kind}``.
        shards: How many shards the set has.
        expect: What the attributes should say: ``images_xxh3``, ``dataset``, ``backbone``, ``kind``.
        array: ``features``, or another of the arrays in the shards: ``token_means``.

    Attributes:
        rows: Manifest rows of the array, shape ``(n,)``, int64, ascending: all of them if the kind is ``clean``, else
            the training rows.
        shape: Of the whole array: ``(n, dim)``; of views ``(n, V, dim)``, of tokens ``(n, V, P, dim)``.
        dtype: As stored.
        arrays: Names of the arrays in the shards.
        shards: What each shard says of itself.
        attributes: What the shards say of themselves: dataset, backbone, weights, transform, and so on.

    Raises:
        StorageError: If a shard is missing, damaged, not as expected, or unlike the others, or has no such array.
    """

    def __init__(
        self, folder: str | Path, shards: int, expect: Mapping[str, Any] = NOTHING, array: str = "features"
    ) -> None:
        members: list[Shard] = []
        for shard in range(shards):
            members.append(read_shard(folder, shard, shards, expect))
            members[-1].check_like(members[0])
        first = members[0]
        if array not in first.arrays:
            raise StorageError(
                f"{first.path}: holds {', '.join(first.arrays) or 'nothing'}, not {array}; name one that it holds"
            )
        widths = {shard.arrays[array].shape[1:] for shard in members if len(shard.row)}
        if len(widths) != 1:
            raise StorageError(f"{folder}: the shards do not make one array; {remedy(first.path)}")
        self.shards, self._array = members, array
        self.arrays: tuple[str, ...] = tuple(first.arrays)
        self.attributes = first.attributes
        self.rows: np.ndarray = np.concatenate([shard.row for shard in members])
        self.shape: tuple[int, ...] = (len(self.rows), *widths.pop())
        self.dtype: np.dtype[Any] = first.arrays[array].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def recipe(self) -> dict[str, Any]:
        """What heads repeat besides ``IDENTITY``, so that a new image gives the feature that it would have here.

        ``backbone_settings``, all of them, with the precision that was taken; ``decoding`` of image files, where not as
        usual; and ``features_version``. Nothing of shards that do not say how they were made.
        """
        if "settings" not in self.attributes:
            return {}
        settings, decoding = (json.loads(self.attributes[key]) for key in ("settings", "decoding"))
        if "precision" in settings:
            settings["precision"] = self.attributes["precision"]
        version = self.attributes["features_version"]
        return {"backbone_settings": settings, "decoding": decoding, "features_version": version}

    def blocks(self, wanted: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the wanted rows ``(b,)`` int64 and their features ``(b, …)`` as stored, at most 64 MiB at a time.

        Args:
            wanted: Boolean mask over all rows of the manifest; None wants every row.

        Raises:
            StorageError: If a block does not pass its checksum or holds NaN or infinity.
        """
        for shard, stored in self._opened():
            step = stored.step * max(1, BLOCK_BYTES // stored.step_bytes)
            for low in range(0, len(shard.row), step):
                rows = shard.row[low : low + step]
                kept = rows if wanted is None else rows[wanted[rows]]
                if len(kept):
                    block = page_aligned((len(kept), *self.shape[1:]), stored.dtype)
                    self._fill(block, shard, stored, low, wanted)
                    yield kept, block

    def read(self, wanted: np.ndarray | None = None, dtype: Any = np.float32) -> np.ndarray:
        """The wanted rows as one array of a type, shape ``(rows, …)``, ascending by row; see ``blocks``."""
        count = len(self) if wanted is None else int(np.count_nonzero(wanted[self.rows]))
        result = page_aligned((count, *self.shape[1:]), dtype)
        filled = 0
        for shard, stored in self._opened():
            kept = len(shard.row) if wanted is None else int(np.count_nonzero(wanted[shard.row]))
            self._fill(result[filled : filled + kept], shard, stored, 0, wanted)
            filled += kept
        return result

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some rows of the manifest in any order, as stored, shape ``(len(rows), …)``; no others are kept in memory.

        Raises:
            StorageError: If there is no such row, or what is read does not pass its checksum.
        """
        result = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if len(absent := np.setdiff1d(rows, self.rows)):
            raise StorageError(f"{self.shards[0].path.parent}: has no features of row {absent[0]}; give those of all")
        for shard in self.shards:
            places = np.flatnonzero(np.isin(rows, shard.row))
            stored = Slices(shard.arrays[self._array])
            for place in places.tolist():
                low = int(np.searchsorted(shard.row, rows[place]))
                result[place] = stored[low : low + 1][0]
        return result

    def _opened(self) -> Iterator[tuple[Shard, StoredArray]]:
        for shard in self.shards:
            if len(shard.row):
                with shard.arrays[self._array].opened() as stored:
                    yield shard, stored

    def _fill(self, target: np.ndarray, shard: Shard, stored: StoredArray, low: int, wanted: np.ndarray | None) -> None:
        """Fill an array with the wanted rows of a shard, from one of its rows on."""
        if wanted is None and target.dtype == stored.dtype and stored.finite:
            stored.read(low, target)
            return
        filled, scratch = 0, page_aligned((stored.step, *self.shape[1:]), stored.dtype)
        while filled < len(target):
            rows = shard.row[low : low + stored.step]
            keep = slice(None) if wanted is None else np.flatnonzero(wanted[rows])
            count = len(rows[keep])
            if count:
                piece = scratch[: len(rows)]
                stored.read(low, piece)
                if not stored.finite and len(bad := rows[not_finite(piece)]):
                    raise StorageError(
                        f"{shard.path}: row {bad[0]} holds NaN or infinity; fix the image or the backbone"
                    )
                target[filled : filled + count] = piece[keep]
                filled += count
            low += stored.step
