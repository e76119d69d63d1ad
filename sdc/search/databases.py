"""Indexes for the databases that others run: PostgreSQL, LanceDB, and FAISS itself."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.search.index import Index
from sdc.storage.files import writing

# Rows at a time.
_BLOCK = 2**14
# As PostgreSQL's COPY wants characters that part rows and columns.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SQL = """\
-- Codes of {bits} bits. Read it with: psql --set ON_ERROR_STOP=1 --file THIS DATABASE
-- The nearest to a code: SELECT id, path, label, bit_count(code # X'{example}') AS distance
--   FROM {table} ORDER BY distance, id LIMIT 10;
-- With pgvector, by its index: ... FROM {table} ORDER BY code <~> X'{example}' LIMIT 10;
SET client_encoding = 'UTF8';
BEGIN;
CREATE TABLE {table} (id bigint PRIMARY KEY, path text NOT NULL, label text NOT NULL, code bit({bits}) NOT NULL);
COPY {table} (id, path, label, code) FROM stdin;
"""
_SQL_END = """\
\\.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE INDEX ON {table} USING hnsw (code bit_hamming_ops);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'no index: an administrator must CREATE EXTENSION vector first';
END
$$;
COMMIT;
"""


def export_postgresql(path: str | Path, index: Index, table: str) -> None:
    """Write SQL that makes a table of ids, paths, labels and codes, all of it or nothing.

    Codes are ``bit(n)``, which PostgreSQL compares from version 14 on. Where the extension pgvector is available, the
    table gets an index of its own, too.

    Raises:
        SDCError: If the table has no simple name, or a path is not UTF-8.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", table):
        raise SDCError(f"--table {table!r}: give lower-case letters, digits and _, at most 63, no digit first")
    names = {"bits": index.bits, "table": table, "example": "0" * (index.bits // 4)}
    with writing(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write(_SQL.format(**names))
        for ids, paths, labels, codes in _blocks(index):
            digits = np.unpackbits(codes, axis=1) + ord("0")
            for each, *texts, row in zip(ids.tolist(), paths, labels, digits, strict=True):
                cells = "\t".join(text.translate(_ESCAPES) for text in texts)
                file.write(f"{each}\t{cells}\t{row.tobytes().decode()}\n")
        file.write(_SQL_END.format(**names))


def export_lancedb(path: str | Path, index: Index, table: str) -> None:
    """Write a LanceDB database: one table of ids, paths, labels and codes (lists of bits / 8 uint8, for ``hamming``).

    Raises:
        SDCError: If LanceDB is not installed, the folder is there already, or a path is not UTF-8.
    """
    try:
        import lancedb
        import pyarrow
    except ImportError as error:
        raise SDCError("needs LanceDB; pip install 'sdc-hashing[lancedb]'") from error
    path = Path(path)
    if path.exists():
        raise SDCError(f"--out {path}: is there already; name another folder, or remove it")
    width = index.bits // 8
    schema = pyarrow.schema(
        [
            ("id", pyarrow.int64()), ("path", pyarrow.string()), ("label", pyarrow.string()),
            ("code", pyarrow.list_(pyarrow.uint8(), width)),
        ]
    )  # fmt: skip

    def batches() -> Iterator[Any]:
        for ids, paths, labels, codes in _blocks(index):
            lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(codes.ravel()), width)
            yield pyarrow.record_batch([ids, paths, labels, lists], schema=schema)

    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        lancedb.connect(part).create_table(table, data=batches(), schema=schema)
        part.rename(path)
    except (ValueError, RuntimeError, OSError) as error:
        raise SDCError(f"{path}: LanceDB cannot write it ({' '.join(str(error).split())[:200]})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def export_faiss(path: str | Path, index: Index) -> None:
    """Write a file that ``faiss.read_index_binary`` reads, and whose answers are ids."""
    with writing(path) as part:
        index.write_faiss(part)


def _blocks(index: Index) -> Iterator[tuple[np.ndarray, list[str], list[str], np.ndarray]]:
    """Ids, paths, labels and codes, some thousand at a time."""
    codes = index.view_of_codes()
    paths, labels = iter(index.items.paths), iter(index.items.labels)
    for low in range(0, len(index), _BLOCK):
        ids = index.ids[low : low + _BLOCK]
        texts = [[next(column) for _ in range(len(ids))] for column in (paths, labels)]
        for each, path in zip(ids.tolist(), texts[0], strict=True):
            try:
                path.encode()
            except UnicodeEncodeError as error:
                raise SDCError(f"the path of id {each} is not UTF-8; rename the file, and index it again") from error
        yield ids, texts[0], texts[1], codes[low : low + _BLOCK]
