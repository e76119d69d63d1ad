"""All there is to report on a dataset on disk: counts, damaged files, duplicates, labels."""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from tqdm import tqdm

from sdc import registry
from sdc.datasets.base import Dataset, ImageFiles, Opener
from sdc.datasets.decode import decode
from sdc.datasets.problems import NAMED, Problems, some
from sdc.datasets.vectors import Vectors
from sdc.errors import SDCError
from sdc.storage.manifest import SPLITS, Manifest

# EXIF's tag of how the camera was held, and the values that mean upright.
_ORIENTATION, _UPRIGHT = 0x0112, (0, 1)


def check(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the whole dataset of a catalogue entry; every image is decoded once.

    Returns:
        JSON values: ``problems``, a line each; ``protocol``, ``counts``, ``splits``; ``files`` (how many were decoded,
        are truncated, have which mode, would be turned by EXIF); ``without_labels``; ``duplicates`` of queries in the
        database by content; ``histogram``, items by class and split.

    Raises:
        SDCError: If the name is unknown or a setting is.
    """
    dataset: Dataset = registry.build("datasets", name, settings)
    problems = Problems(gather=True)
    problems.lines += dataset.missing()
    report: dict[str, Any] = {"dataset": name, "settings": dataset.as_dict(), "source": dataset.source}
    try:
        manifest = dataset.scan(problems)
    except SDCError as error:
        problems(str(error))
        return {**report, "problems": list(dict.fromkeys(problems.lines))}
    facts = manifest.facts
    protocol = dataset.protocols.get(getattr(dataset, "protocol", ""))
    items = _look(dataset, manifest, problems)
    unlabelled = {split: manifest.rows(split)[manifest.labels.counts[manifest.rows(split)] == 0] for split in SPLITS}
    report |= {
        "protocol": facts["protocol"],
        "counts": facts["counts"],
        "published": {split: count for split in SPLITS if (count := getattr(protocol, split, None)) is not None},
        "splits": facts["splits"],
        "dropped": {"count": facts["dropped_files"], "first": facts["dropped"][:NAMED]},
        "files": _files(dataset, manifest, items, problems),
        "duplicates": _duplicates(manifest, [item.content for item in items], problems),
        "without_labels": {split: len(rows) for split, rows in unlabelled.items()},
        "histogram": _histogram(manifest),
    }
    # In a multi-label set some images show none of what is labelled.
    for split in ("query", "train") if dataset.label_kind == "single" else ():
        if count := len(rows := unlabelled[split]):
            problems(f"{count} images of {split} have no label, the first: {manifest.paths[rows[0]]}")
    # The same file may be named by more than one check.
    return {**report, "problems": list(dict.fromkeys(problems.lines))}


@dataclasses.dataclass(frozen=True)
class _Item:
    """The hash of an item's content; of an image file also its mode, and whether it is truncated or turned."""

    content: bytes = b""
    mode: str = "RGB"
    truncated: bool = False
    turned: bool = False
    error: str = ""


def _look(dataset: Dataset, manifest: Manifest, problems: Problems) -> list[_Item]:
    if dataset.vector_files():
        return _look_at_vectors(dataset, manifest, problems)
    look: Callable[[str], _Item]
    if isinstance(dataset, ImageFiles):
        look = functools.partial(_look_at_file, dataset)
    else:
        look = functools.partial(_look_at_pixels, dataset.opener())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        items = pool.map(look, manifest.paths)
        return list(tqdm(items, total=len(manifest), unit="image", desc="decoding", disable=None))


def _look_at_vectors(dataset: Dataset, manifest: Manifest, problems: Problems) -> list[_Item]:
    try:
        vectors = cast("Vectors", dataset.vectors(manifest))
    except SDCError as error:
        problems(str(error))
        return [_Item(mode="vector")] * len(manifest)
    blocks = np.split(np.arange(len(manifest)), range(16384, len(manifest), 16384))
    return [_Item(hashlib.sha256(row.tobytes()).digest(), "vector") for rows in blocks for row in vectors.take(rows)]


def _look_at_pixels(open_image: Opener, path: str) -> _Item:
    return _Item(hashlib.sha256(open_image(path).tobytes()).digest())


def _look_at_file(dataset: ImageFiles, name: str) -> _Item:
    from PIL import Image

    path = Path(dataset.root) / name
    try:
        decoded = decode(path, "load", "ignore", dataset.max_megapixels, dataset.oversized)
        with Image.open(path) as image:
            mode, orientation = image.mode, image.getexif().get(_ORIENTATION, 1)
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except Exception as error:  # EXIF data may be damaged in any way
        # A file that is not there was named by the scan.
        return _Item(error=str(error).rsplit("; ", 1)[0] if os.path.lexists(path) else "")
    return _Item(content, mode, bool(decoded.info.get("truncated")), orientation not in _UPRIGHT)


def _files(dataset: Dataset, manifest: Manifest, items: list[_Item], problems: Problems) -> dict[str, Any]:
    unreadable = [item.error for item in items if item.error]
    if unreadable:
        problems(f"{len(unreadable)} of {len(items)} files cannot be decoded: {some(unreadable, '; ')}")
    truncated = [path for path, item in zip(manifest.paths, items, strict=True) if item.truncated]
    if truncated and getattr(dataset, "truncated", "fail") == "fail":
        remedy = "copy them again, or set truncated: load"
        problems(f"{len(truncated)} JPEG files end too soon: {some(truncated)}; {remedy}")
    return {
        "looked_at": len(items),
        "unreadable": {"count": len(unreadable), "first": unreadable[:NAMED]},
        "truncated": {"count": len(truncated), "first": truncated[:NAMED]},
        "modes": dict(collections.Counter(item.mode for item in items if not item.error).most_common()),
        "turned_by_exif": sum(item.turned for item in items),
    }


def _duplicates(manifest: Manifest, contents: list[bytes], problems: Problems) -> dict[str, Any]:
    """Queries whose very content is in the database too: at distance 0, they flatter every score."""
    row_of = {contents[row]: row for row in manifest.rows("database")[::-1] if contents[row]}
    queries = [row for row in manifest.rows("query") if contents[row] in row_of]
    pairs = [[manifest.paths[row], manifest.paths[row_of[contents[row]]]] for row in queries]
    if pairs:
        named = ", ".join(f"{query} = {twin}" for query, twin in pairs[:NAMED])
        problems(f"{len(pairs)} queries have the same content as a database image (leakage): {named}")
    return {"count": len(pairs), "first": pairs[:NAMED]}


def _histogram(manifest: Manifest) -> dict[str, dict[str, int]]:
    names = manifest.facts["classes"]
    classes = max(len(names), 1 + int(manifest.labels.indices.max(initial=-1)))
    names = [str(name) for name in [*names, *range(len(names), classes)]]
    counts = [manifest.labels.take(manifest.rows(split)).histogram(classes).tolist() for split in SPLITS]
    return {name: dict(zip(SPLITS, of, strict=True)) for name, *of in zip(names, *counts, strict=True)}
