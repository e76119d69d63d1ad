"""Nearest neighbours among codes: ``from sdc import Index``."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError, StorageError
from sdc.head import Head
from sdc.plan.indexing import Indexing
from sdc.search import engines
from sdc.storage.heads import checksum_of_head
from sdc.storage.index import CHANGED, Items, Map, StoredIndex, Texts, read_index, write_index
from sdc.storage.records import NOTHING, expected
from sdc.storage.sources import shortened

_UINT8 = np.dtype(np.uint8)


class Index:
    """Codes by Hamming distance, each with an id of its own; ``build`` or ``load`` makes one.

    Attributes:
        bits: Code length.
        settings: The engine and its settings.
        items: Id, path and label of each code.
        facts: What else is known: the run, recall, and so on.
        head: The head that encodes queries, if it is known.
        head_path: Its file, of an index that was loaded.
        map: A place in the plane for each code, or for some, if it has been drawn (``sdc.search.map``); of an index
            that has changed since, there is none.

    Example:
        >>> codes = np.array([[0], [3], [255]], np.uint8)
        >>> index = Index.build(codes, ids=[10, 11, 12])
        >>> distances, ids = index.search(np.array([[1]], np.uint8), k=2)
        >>> distances.tolist(), sorted(ids[0].tolist())
        ([[1, 1]], [10, 11])
    """

    # See ``_set_items``.
    _ids: np.ndarray | None
    # Rows in the order of their ids, and these; None until they are asked for.
    _rows: tuple[np.ndarray, np.ndarray] | None

    def __init__(
        self, engine: Any, items: Items, settings: Indexing, facts: Mapping[str, Any], head: Head | None
    ) -> None:
        self.bits: int = engine.d
        self._width = (engine.d // 8,)
        self.settings, self.facts, self.head = settings, facts, head
        self.head_path: Path | None = None
        self.map: Map | None = None
        self._engine = engine
        self._set_items(items)
        # Where it was loaded from, and its state then; None as soon as the engine is in memory.
        self._stored: StoredIndex | None = None
        self._place: tuple[Path, str] | None = None

    @classmethod
    def build(
        cls,
        codes: np.ndarray,
        ids: Sequence[int] | np.ndarray | None = None,
        engine: str = "auto",
        *,
        paths: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        head: Head | None = None,
        facts: Mapping[str, Any] = NOTHING,
        **settings: int,
    ) -> "Index":
        """Build an index in memory.

        Args:
            codes: Shape ``(n, bits / 8)``, uint8, as ``encode`` gives them.
            ids: Whole numbers from 0 on, each once; 0 to n - 1 if not given.
            engine: ``auto``, ``flat``, ``ivf``, ``hnsw`` or ``multihash``.
            paths, labels: Of each code, if known.
            head: That made the codes, and will make those of queries.
            facts: JSON values that ``index.json`` is to hold too.
            settings: Of the engine: ``nlist``, ``nprobe``, ``ef_search`` and the like (``sdc.plan.indexing``).

        Raises:
            SDCError: If codes, ids, engine or settings are not as they should be, or FAISS is not installed.
        """
        codes = _checked(codes)
        items = _items(len(codes), ids, paths, labels)
        if head is not None:
            _check_bits("the codes", codes, head.bits)
            facts = {**facts, "head_xxh3": checksum_of_head(head)}
        chosen = Indexing(engine=engine, **settings).chosen(len(codes), 8 * codes.shape[1])  # type: ignore[arg-type]
        return cls(engines.build(codes, 8 * codes.shape[1], chosen), items, chosen, dict(facts), head)

    @classmethod
    def load(cls, folder: str | Path, expect: Mapping[str, Any] = NOTHING) -> "Index":
        """Load an index that ``save`` or the stage ``index`` wrote; what FAISS can map stays on disk.

        Raises:
            StorageError: If there is none, or it is damaged, or not what is expected.
        """
        stored = read_index(folder, expect)
        facts = dict(stored.facts)
        settings = Indexing(engine=facts.pop("engine"), **facts.pop("engine_settings"))
        engine = engines.read(stored.engine, settings.engine, mapped=True)
        if engine.ntotal != len(stored.items):
            raise StorageError(f"{folder}: has {engine.ntotal} codes of {len(stored.items)} items; build it again")
        index = cls(engine, stored.items, settings, facts, stored.head)
        index.head_path, index.map = stored.head_path, stored.map
        index._stored, index._place = stored, (Path(folder), stored.state)
        return index

    def save(self, folder: str | Path | None = None) -> None:
        """Write the index, complete or not at all: one that it replaces is whole until then.

        Args:
            folder: Where; if not given, where it was loaded from or saved last.

        Raises:
            StorageError: If the disk is full, or another process has changed that index since it was loaded.
            SDCError: If there is no such folder.
        """
        if folder is None and self._place is None:
            raise SDCError("the index was neither loaded nor saved; name a folder")
        place = Path(folder) if folder is not None else self._place[0]  # type: ignore[index]
        before = self._place[1] if self._place and self._place[0] == place else None
        self._in_memory()
        about = {"bits": self.bits, "count": len(self), "engine": self.settings.engine}
        facts = {**self.facts, **about, "engine_settings": self.settings.settings()}
        made_from = expected(self.facts, "head_xxh3")
        state = write_index(place, self._write_engine, self.items, facts, made_from, self.head, before, self.map)
        self._place = (place, state)

    def write_faiss(self, path: Path) -> None:
        """Write a file that ``faiss.read_index_binary`` reads, and whose answers are ids."""
        self._in_memory()
        engines.write(engines.with_ids(self._engine, self.ids), path)

    def _write_engine(self, path: Path) -> None:
        engines.write(self._engine, path)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ids(self) -> np.ndarray:
        """Of all codes, shape ``(n,)``, int64."""
        return self.items.ids

    @property
    def codes(self) -> np.ndarray:
        """A copy of all codes in the order of ``ids``, shape ``(n, bits / 8)``, uint8."""
        return self.view_of_codes().copy()

    def view_of_codes(self) -> np.ndarray:
        """As ``codes``, but where it can be, the engine's memory: valid while the index lives and is not changed."""
        return engines.codes_of(self._engine, self.bits)

    def search(self, queries: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest codes of each query, nearest first.

        Args:
            queries: Codes, shape ``(Q, bits / 8)``, uint8.
            k: At most as many as there are codes.

        Returns:
            Distances in bits, int32, and ids, int64, both of shape ``(Q, k)``. Where an engine that is not exact finds
            fewer, the rest are of id -1.

        Raises:
            SDCError: If queries or k are not as they should be, or the index is empty.
        """
        near = self.rows_near(queries, k)
        return near if self._ids is None else (near[0], self._ids[near[1]])

    def rows_near(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As ``search``, but rows of ``items`` and ``codes`` instead of ids."""
        # A query of a small index takes microseconds: what is as it should be is told with the least work.
        if not 1 <= k <= self._count:
            if not self._count:
                raise SDCError("the index is empty; add codes first")
            raise SDCError(f"k is {k}, and the index has {self._count} codes; give 1 to {self._count}")
        if getattr(queries, "dtype", None) is not _UINT8 or queries.shape[1:] != self._width:
            queries = _checked(queries)
            _check_bits("the queries", queries, self.bits)
        return self._engine.search(queries, k)

    def ids_of(self, rows: np.ndarray) -> np.ndarray:
        """The ids of rows, shape as theirs, int64: -1 of row -1, which is nothing."""
        return rows if self._ids is None else self._ids[rows]

    def rows_of(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of ids, shape as theirs, int64.

        Raises:
            SDCError: If one is not in the index.
        """
        if self._rows is None:
            order = np.argsort(self.items.ids, kind="stable")
            self._rows = order, self.items.ids[order]
        order, ordered = self._rows
        wanted = _numbers(ids)
        places = np.minimum(np.searchsorted(ordered, wanted), max(0, len(ordered) - 1))
        missing = ordered[places] != wanted if len(ordered) else np.ones(wanted.shape, bool)
        if missing.any():
            raise SDCError(f"id {wanted[missing].flat[0]} is not in the index")
        return order[places]

    def add(
        self,
        codes: np.ndarray,
        ids: Sequence[int] | np.ndarray | None = None,
        paths: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        """Add codes in memory; ``save`` writes them.

        Args:
            codes, ids, paths, labels: As in ``build``; if not given, ids go on from the greatest there ever was.

        Raises:
            SDCError: If codes are of another length, or an id is in the index already.
        """
        codes = _checked(codes)
        _check_bits("the codes", codes, self.bits)
        self._take(codes, _items(len(codes), self._new_ids(len(codes)) if ids is None else ids, paths, labels))

    def merge(self, other: "Index", new_ids: bool = False) -> None:
        """Add all codes of another index in memory, with their ids, paths and labels; ``save`` writes them.

        Args:
            other: The other.
            new_ids: Give them the ids that ``add`` would give.

        Raises:
            SDCError: If it is of another head or code length, or an id is in both.
        """
        if (self.bits, self.facts.get("head_xxh3")) != (other.bits, other.facts.get("head_xxh3")):
            raise SDCError("the other index is of another head or code length; encode both with the same head")
        items = dataclasses.replace(other.items, ids=self._new_ids(len(other))) if new_ids else other.items
        self._take(other.view_of_codes(), items, "give the other's items new ids")

    def _new_ids(self, count: int) -> np.ndarray:
        # One of a code that was removed may be known elsewhere, by cached features for example.
        first = max(self.facts.get("next_id", 0), int(self.ids.max(initial=-1)) + 1)
        return np.arange(first, first + count)

    def _take(self, codes: np.ndarray, items: Items, remedy: str = "give another") -> None:
        both = np.intersect1d(self.ids, items.ids)
        if len(both):
            raise SDCError(f"id {both[0]} is in the index already; remove it first, or {remedy}")
        self._in_memory()
        self._engine.add(np.ascontiguousarray(codes))
        self._become(self.items.with_others(items))

    def remove(self, ids: Sequence[int] | np.ndarray) -> None:
        """Remove codes in memory, which adds all others again; ``save`` writes that.

        Raises:
            SDCError: If an id is not in the index.
        """
        kept = np.ones(len(self), bool)
        kept[self.rows_of(np.atleast_1d(ids))] = False
        next_id = int(self._new_ids(1)[0])
        codes = self.view_of_codes()[kept]
        self._in_memory()
        # What it has learned, the centres of lists, stays.
        self._engine.reset()
        self._engine.add(codes)
        self._become(self.items.where(kept))
        self.facts = {**self.facts, "next_id": next_id}

    def _become(self, items: Items) -> None:
        # What was measured and drawn is of the codes before.
        self.map = None
        self.facts = {name: value for name, value in self.facts.items() if name != "recall"}
        self._set_items(items)

    def _set_items(self, items: Items) -> None:
        self.items, self._count, self._rows = items, len(items), None
        # None where ids are rows; else one more at the end: that of row -1, which stands for nothing.
        self._ids = None
        if not np.array_equal(items.ids, np.arange(len(items))):
            self._ids = np.append(items.ids, -1)
            self.items = dataclasses.replace(items, ids=self._ids[:-1])

    def _in_memory(self) -> None:
        """A mapped engine can be searched only."""
        if self._stored is not None:
            if not self._stored.engine.exists():
                raise StorageError(f"{self._stored.engine.parent}: {CHANGED}")
            self._engine = engines.read(self._stored.engine, self.settings.engine, mapped=False)
            self._stored = None


def _checked(codes: np.ndarray) -> np.ndarray:
    """Codes as the engine takes them.

    Raises:
        SDCError: If they are something else.
    """
    array = np.asarray(codes)
    if array.ndim != 2 or array.dtype != np.uint8 or not array.shape[1]:
        raise SDCError(f"codes are uint8 of shape (n, bits / 8), not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array)


def _check_bits(what: str, codes: np.ndarray, bits: int) -> None:
    if 8 * codes.shape[1] != bits:
        raise SDCError(f"{what} have {8 * codes.shape[1]} bits, not {bits}; encode them with the same head")


def _numbers(ids: Any) -> np.ndarray:
    """Ids as int64, shape as theirs; an ``SDCError`` if they are something else."""
    numbers = np.asarray(ids)
    if numbers.size and numbers.dtype.kind in "iu":
        odd = [each for each in (numbers.min(), numbers.max()) if not 0 <= each <= np.iinfo(np.int64).max]
    else:
        odd = list(numbers.flat[:1])
    if odd:
        shown = shortened(repr(odd[0].item() if isinstance(odd[0], np.generic) else odd[0]), 60)
        most = np.iinfo(np.int64).max
        raise SDCError(f"ids are whole numbers from 0 to {most}, and one is {shown}; names go into paths")
    return numbers.astype(np.int64)


def _items(count: int, ids: Any, paths: Iterable[str] | None, labels: Iterable[str] | None) -> Items:
    """What codes are of, checked."""
    numbers = np.arange(count) if ids is None else _numbers(ids)
    if numbers.ndim != 1:
        raise SDCError(f"ids have shape {numbers.shape}; give one for each code")
    ordered = np.sort(numbers)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise SDCError(f"id {twice[0]} is there twice; give each code its own")
    texts = [Texts.empty(count) if given is None else Texts.of(given) for given in (paths, labels)]
    for name, given in (("ids", numbers), ("paths", texts[0]), ("labels", texts[1])):
        if len(given) != count:
            raise SDCError(f"there are {len(given)} {name} for {count} codes; give one for each")
    return Items(numbers, *texts)
