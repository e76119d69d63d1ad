"""An index on disk: the engine's own file, what each code is of, and ``index.json``, the record that names both.

Files have a number in their names, and ``index.json`` is written last: until then, the old index is whole. What it does
not name is left from a writer that was killed, and is removed by the next one.
"""

import array
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdc.errors import StorageError
from sdc.head import Head
from sdc.storage.files import missing, read_json, remedy, remove_leftovers, writing
from sdc.storage.hdf5 import Slices, read_h5, writing_h5
from sdc.storage.heads import checksum_of_head, read_head, write_head
from sdc.storage.records import NOTHING, Record, checksum_of_file, read_record, write_record

ITEMS_SCHEMA = "sdc.index.items/1"
RECORD = "index.json"
CHANGED = "another process has changed the index meanwhile; load it again, then repeat"
_NUMBERED = re.compile(r"(?:engine|items|head)-(\d+)\.(?:faiss|h5|safetensors)")


class Texts(Sequence[str]):
    """Texts of many rows as bytes, one after the other.

    Args:
        ends: Where each ends, after a first 0, shape ``(n + 1,)``, int64: an array, or what gives one when sliced.
        data: UTF-8, shape ``(bytes,)``, uint8, likewise.
    """

    def __init__(self, ends: Any, data: Any) -> None:
        self._ends, self._data = ends, data

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """Of strings."""
        lengths, data, left = array.array("q", [0]), bytearray(), iter(texts)
        # Some thousand at a time: as objects, a hundred million would fill the memory.
        while parts := [text.encode("utf-8", "surrogateescape") for text in itertools.islice(left, 2**14)]:
            lengths.extend(map(len, parts))
            data += b"".join(parts)
        return cls(np.cumsum(np.frombuffer(lengths, np.int64)), np.frombuffer(data, np.uint8))

    @classmethod
    def empty(cls, count: int) -> "Texts":
        """So many empty ones."""
        return cls(np.zeros(count + 1, np.int64), np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: Any) -> Any:
        if not 0 <= row < len(self):
            raise IndexError(row)
        start, stop = self._ends[int(row) : int(row) + 2].tolist()
        return bytes(self._data[start:stop]).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        # Some thousand rows at a time: by row, each would be a read.
        for low in range(0, len(self), 2**14):
            ends = self._ends[low : low + 2**14 + 1]
            data = bytes(self._data[int(ends[0]) : int(ends[-1])])
            for start, stop in itertools.pairwise((ends - ends[0]).tolist()):
                yield data[start:stop].decode("utf-8", "surrogateescape")

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends and bytes, both in memory."""
        ends = self._ends[:]
        return ends, self._data[: int(ends[-1])]


@dataclasses.dataclass(frozen=True, eq=False)
class Items:
    """What the codes of an index are of, row by row.

    Attributes:
        ids: Shape ``(n,)``, int64, each once.
        paths: Relative to the data root of the dataset, or where an image lies; empty for none.
        labels: Names of classes; empty for none.
    """

    ids: np.ndarray
    paths: Sequence[str]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, kept: np.ndarray) -> "Items":
        """Some of them, by a Boolean array of shape ``(n,)``."""
        texts = (Texts.of(itertools.compress(texts, kept)) for texts in (self.paths, self.labels))
        return Items(self.ids[kept], *texts)

    def with_others(self, others: "Items") -> "Items":
        """These, then others."""
        texts = (Texts.of(itertools.chain(*pair)) for pair in zip(self._texts, others._texts, strict=True))
        return Items(np.concatenate([self.ids, others.ids]), *texts)

    @property
    def _texts(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.paths, self.labels


class Map(NamedTuple):
    """Places in the plane of all codes, or of some.

    Attributes:
        rows: Whose, shape ``(m,)``, int64, ascending.
        places: Shape ``(m, 2)``, uint16.
    """

    rows: np.ndarray
    places: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class StoredIndex:
    """An index on disk whose files have been verified.

    Attributes:
        engine: Its file.
        items: What the codes are of; texts are read, and verified, as they are asked for.
        facts: What ``index.json`` says: engine, settings, bits, recall, the run, and so on.
        head: The head that encodes queries, if it is there.
        head_path: Its file.
        state: Tells whether the folder has changed since.
        map: Of the codes, if there is one.
    """

    engine: Path
    items: Items
    facts: Mapping[str, Any]
    head: Head | None
    head_path: Path | None
    state: str
    map: Map | None


def write_index(
    folder: str | Path,
    write_engine: Callable[[Path], None],
    items: Items,
    facts: Mapping[str, Any],
    made_from: Mapping[str, Any] = NOTHING,
    head: Head | None = None,
    state: str | None = None,
    codes_map: Map | None = None,
) -> str:
    """Write an index, complete or not at all; an old one in its place is whole until then.

    Args:
        folder: Where.
        write_engine: Writes the engine's file.
        items: What its codes are of.
        facts: See ``StoredIndex``.
        made_from: Hashes of what it was made from.
        head: That encodes queries.
        state: Of the index that this one follows, which must still be there; None to write over any.
        codes_map: Places of its codes.

    Returns:
        Its own state.

    Raises:
        StorageError: If another process has changed the index meanwhile, or the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(match[1]) for match in map(_NUMBERED.fullmatch, _names(folder)) if match), default=0)
    engine, rows = folder / f"engine-{number}.faiss", folder / f"items-{number}.h5"
    with writing(engine) as part:
        write_engine(part)
    with writing_h5(rows, {"schema": ITEMS_SCHEMA}) as writer:
        writer.write(id=items.ids)
        for name, texts in (("path", items.paths), ("label", items.labels)):
            ends, data = (texts if isinstance(texts, Texts) else Texts.of(texts)).arrays()
            writer.write(**{f"{name}_ends": ends, name: data})
        if codes_map is not None:
            writer.write(map_row=codes_map.rows, map_place=codes_map.places)
    files = {engine.name: checksum_of_file(engine), rows.name: writer.checksum}
    if head is not None:
        path = folder / f"head-{number}.safetensors"
        files[path.name] = write_head(path, head)
    if state is not None and _state(folder) != state:
        for name in files:
            (folder / name).unlink()
        raise StorageError(f"{folder}: {CHANGED}")
    write_record(folder / RECORD, "index", facts, files, made_from)
    for name in _names(folder):
        if _NUMBERED.fullmatch(name) and name not in files:
            (folder / name).unlink(missing_ok=True)
        elif (written := _NUMBERED.match(name)) and name.endswith(".part"):
            remove_leftovers(folder / written[0])
    return _state(folder)


def read_index(folder: str | Path, expect: Mapping[str, Any] = NOTHING) -> StoredIndex:
    """Read an index; of its engine and texts nothing is kept in memory.

    Args:
        folder: Where it lies.
        expect: What ``index.json`` should say: ``dataset``, ``backbone``, ``method``, ``bits``, ``seed`` and the like.

    Raises:
        StorageError: If there is none, or it is damaged or another's.
    """
    folder = Path(folder)
    while True:
        if not (folder / RECORD).exists():
            if any(map(_NUMBERED.fullmatch, _names(folder) if folder.is_dir() else ())):
                raise missing(folder / RECORD)
            if not folder.exists():
                raise missing(folder)
            raise StorageError(f"{folder}: holds no index ({RECORD} is missing); name the folder of one, or build it")
        state = _state(folder)
        record = read_record(folder / RECORD, "index", expect)
        try:
            return _read(folder, record, state)
        except StorageError:
            # A writer may have put another in its place meanwhile.
            if _state(folder) == state:
                raise


def _read(folder: Path, record: Record, state: str) -> StoredIndex:
    names = {name.partition("-")[0]: folder / name for name in record.files}
    if not {"engine", "items"} <= names.keys():
        raise StorageError(f"{folder / RECORD}: names no engine or no items; {remedy(folder / RECORD)}")
    record.check(names["engine"])
    file = read_h5(names["items"], ITEMS_SCHEMA)
    head = read_head(names["head"]) if "head" in names else None
    checksums = {"items": file.checksum, "head": head and checksum_of_head(head)}
    for name, checksum in checksums.items():
        if name in names and checksum != record.files[names[name].name]:
            raise StorageError(f"{names[name]}: does not match its checksum in {RECORD}; {remedy(names[name])}")
    texts = (Texts(Slices(file.arrays[f"{name}_ends"]), Slices(file.arrays[name])) for name in ("path", "label"))
    items = Items(file.read("id"), *texts)
    drawn = Map(file.read("map_row"), file.read("map_place")) if "map_row" in file.arrays else None
    return StoredIndex(names["engine"], items, record.facts, head, names.get("head"), state, drawn)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _state(folder: Path) -> str:
    return str(read_json(folder / RECORD).get("checksum"))
