"""FAISS's indexes of binary codes: built, read and written. Their items are rows 0 to n - 1 in the order of adding."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError, StorageError
from sdc.plan.indexing import Indexing

# Codes of which the centres of lists are found, per list: FAISS asks for as many.
_TRAINING_CODES = 39
# At a time.
_WRITTEN_BYTES = 2**24


def faiss() -> Any:
    """FAISS itself.

    Raises:
        SDCError: If it is not installed.
    """
    # What it says of the processor is nobody's concern.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    try:
        import faiss
    except ImportError as error:
        raise SDCError("an index needs FAISS; pip install 'sdc-hashing[search]'") from error
    return faiss


def use_one_core() -> None:
    """From now on, searches of this thread take one core: of many threads, each would wait for all others' cores."""
    faiss().omp_set_num_threads(1)


def build(codes: np.ndarray, bits: int, settings: Indexing) -> Any:
    """An engine of codes, shape ``(n, bits / 8)``, uint8; the settings are ``Indexing.chosen``.

    Raises:
        SDCError: If there are no codes to learn from, and the engine has to.
    """
    library = faiss()
    if settings.engine == "flat":
        engine = library.IndexBinaryFlat(bits)
    elif settings.engine == "ivf":
        if not len(codes):
            raise SDCError("ivf finds the centres of its lists from codes, and there are none; build it from some")
        # The engine owns the centres from now on.
        centres = library.IndexBinaryFlat(bits)
        engine = library.IndexBinaryIVF(centres, bits, settings.nlist)
        centres.this.disown()
        engine.own_fields, engine.nprobe = True, settings.nprobe
        engine.cp.min_points_per_centroid = 1
        step = max(1, len(codes) // (_TRAINING_CODES * (settings.nlist or 1)))
        engine.train(np.ascontiguousarray(codes[::step]))
    elif settings.engine == "hnsw":
        engine = library.IndexBinaryHNSW(bits, settings.links)
        engine.hnsw.efConstruction, engine.hnsw.efSearch = settings.ef_construction, settings.ef_search
    else:
        engine = library.IndexBinaryMultiHash(bits, settings.tables, settings.key_bits)
        engine.nflip = settings.flips
    engine.add(codes)
    return engine


def codes_of(engine: Any, bits: int) -> np.ndarray:
    """The codes in an engine by row, shape ``(n, bits / 8)``, uint8: of ``ivf`` a copy, else a view of its memory.

    That is valid as long as the engine lives and is not added to.
    """
    library = faiss()
    if isinstance(engine, library.IndexBinaryIVF):
        codes, lists = np.empty((engine.ntotal, bits // 8), np.uint8), engine.invlists
        for number in range(engine.nlist):
            if size := lists.list_size(number):
                rows = library.rev_swig_ptr(lists.get_ids(number), size)
                codes[rows] = library.rev_swig_ptr(lists.get_codes(number), size * codes.shape[1]).reshape(size, -1)
        return codes
    stored = engine if isinstance(engine, library.IndexBinaryFlat) else library.downcast_IndexBinary(engine.storage)
    if not engine.ntotal:
        return np.empty((0, bits // 8), np.uint8)
    return library.rev_swig_ptr(stored.xb.data(), engine.ntotal * bits // 8).reshape(engine.ntotal, -1)


def with_ids(engine: Any, ids: np.ndarray) -> Any:
    """An engine whose answers are ids, shape ``(n,)``, int64, and not rows; it refers to the other."""
    library = faiss()
    # FAISS takes ids one by one as codes are added; these have been.
    mapped = library.IndexBinaryIDMap(library.IndexBinaryFlat(engine.d))
    mapped.index, mapped.own_fields, mapped.ntotal = engine, False, engine.ntotal
    library.copy_array_to_vector(np.ascontiguousarray(ids, np.int64), mapped.id_map)
    return mapped


def write(engine: Any, path: Path) -> None:
    """Write an engine's file; ``OSError`` if that fails."""
    library = faiss()
    # FAISS's own files do not tell of a disk that is full when they are closed.
    with open(path, "wb") as file:
        library.write_index_binary(engine, library.PyCallbackIOWriter(file.write, _WRITTEN_BYTES))


def read(path: Path, name: str, mapped: bool) -> Any:
    """Read the file of an engine, or map it where FAISS can: codes of ``flat`` and ``hnsw``, lists of ``ivf``.

    A mapped one can be searched, and nothing else.
    """
    library = faiss()
    flags = [library.IO_FLAG_MMAP if name == "ivf" else library.IO_FLAG_MMAP_IFC] if mapped else []
    try:
        engine = library.read_index_binary(str(path), *flags)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[-200:]
        raise StorageError(f"{path}: cannot be read by FAISS ({problem}); build the index again") from error
    if mapped and name == "ivf":
        # Else each query starts threads that read ahead, which takes longer than the query.
        library.downcast_InvertedLists(engine.invlists).prefetch_nthread = 0
    return engine
