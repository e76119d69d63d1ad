"""index: from a run's codes to what ``sdc search`` answers from."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.labels import separator_of
from sdc.limits import OutputFolder
from sdc.plan.indexing import Indexing
from sdc.search.index import Index
from sdc.search.map import map_of
from sdc.search.recall import recall
from sdc.storage.codes import read_codes
from sdc.storage.files import remedy
from sdc.storage.heads import checksum_of_head, read_head
from sdc.storage.manifest import read_manifest
from sdc.storage.records import RUN, expected

_log = logging.getLogger(__name__)


def run(
    manifest: Path,
    codes: Path,
    head: Path,
    out: OutputFolder,
    settings: Mapping[str, Any] | None = None,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Put the codes of all encoded images into an index, measure how many of the nearest it finds, and draw their map.

    Ids are rows of the manifest. Where codes are re-centred, those by the head's own thresholds are taken, for it is by
    these that a new image gets its code.

    Example:
        sdc index --manifest digits.csv --codes codes.h5 --head head.safetensors --out index

    Args:
        manifest: ``manifest.csv``, which has the path and the labels of each image.
        codes: ``codes.h5``.
        head: ``head.safetensors`` that made them; the index has a copy, which encodes queries.
        out: Folder to write: ``index.json``, and the engine, the items and the head beside it.
        settings: The engine and its settings (``engine``, ``nprobe`` and the like); by default by the number of codes.
        expect: The run that this is of: ``dataset``, ``backbone``, ``method``, ``bits`` and ``seed``.

    Raises:
        StorageError: If codes, head and manifest do not belong together.
    """
    images = read_manifest(manifest, expected(expect, "dataset"))
    stored = read_codes(codes, {**expect, "manifest_xxh3": images.xxh3})
    trained_on = stored.attributes.get("train_on", stored.attributes["dataset"])
    hashing = read_head(head, {**expected(stored.attributes, *RUN), "dataset": trained_on})
    if checksum_of_head(hashing) != stored.attributes["head_xxh3"]:
        raise StorageError(f"{codes}: was encoded by another head than {head}; {remedy(codes)}")
    names = dict(enumerate(images.facts["classes"]))
    separator = separator_of(map(str, names.values()))
    labels = (separator.join(str(names.get(each, each)) for each in images.labels[row]) for row in stored.row.tolist())
    chosen = Indexing(**(settings or {}))
    indexed = stored.codes if stored.codes_raw is None else stored.codes_raw
    index = Index.build(
        indexed,
        stored.row,
        chosen.engine,
        paths=(images.paths[row] for row in stored.row.tolist()),
        labels=labels,
        head=hashing,
        facts={
            **expected(stored.attributes, *RUN),
            "images_xxh3": images.images_xxh3,
            "dataset_settings": images.facts.get("settings"),
            "label_kind": images.facts.get("label_kind"),
            "label_separator": separator,
        },
        **chosen.settings(),
    )
    index.facts = {**index.facts, "recall": recall(index, np.flatnonzero(images.query[stored.row]))}
    index.map = map_of(indexed)
    index.save(out)
    _log.info("%d codes, engine %s, recall %s", len(index), index.settings.engine, index.facts["recall"])
