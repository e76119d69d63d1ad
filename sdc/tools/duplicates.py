"""``sdc duplicates``: groups of images that are almost the same."""

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from sdc.datasets.locate import images_at
from sdc.errors import SDCError
from sdc.limits import OutputFile, Range
from sdc.search.duplicates import groups
from sdc.search.encoder import Encoder
from sdc.search.index import Index
from sdc.search.opening import image_or_gray, opener_for_show
from sdc.search.sheet import MOST_COLUMNS, MOST_ROWS, write_sheet
from sdc.storage.columns import write_columns
from sdc.storage.index import RECORD
from sdc.storage.records import RUN, expected, record_beside, write_record

_log = logging.getLogger(__name__)


def run(
    source: Path,
    *,
    radius: Annotated[int, Range(0, 4095)],
    out: OutputFile,
    show: OutputFile | None = None,
    head: Path | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> int:
    """List groups of near-duplicates: images whose codes are linked by steps of a small Hamming distance.

    Example:
        sdc duplicates index --radius 2 --out groups.csv --show groups.png

    Args:
        source: Folder of an index; or, with ``--head``, one of images.
        radius: The greatest distance of a step, in bits: 0 for equal codes; of 64 bits, start with 2, and raise it as
            long as the groups hold nothing but copies.
        out: CSV file to write: a row per image that is in a group (group, id, path, label, distance from the first of
            the group), the largest groups first.
        show: PNG file to write: a row per group.
        head: ``head.safetensors`` of a run, to encode a folder of images.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If there is no such index or folder, an image cannot be read, or the radius is as long as the codes.
    """
    index = _index(source, head, weights, device)
    if radius >= index.bits:
        raise SDCError(f"--radius {radius}: the codes have {index.bits} bits; give 0 to {index.bits - 1}")
    codes = index.view_of_codes()
    label = groups(codes, radius)
    sizes = np.bincount(label, minlength=1)
    # The largest groups first, and of equal ones the first.
    order = np.lexsort((np.arange(len(label)), label, -sizes[label]))
    rows = order[sizes[label[order]] > 1]
    starts = np.flatnonzero(np.diff(label[rows], prepend=-1))
    counts = np.diff(np.append(starts, len(rows)))
    firsts = np.repeat(rows[starts], counts)
    differs = codes[rows] ^ codes[firsts]
    columns: dict[str, Any] = {
        "group": np.repeat(np.arange(len(starts)), counts).tolist(),
        "id": index.ids[rows].tolist(),
        "path": [index.items.paths[row] for row in rows.tolist()],
        "label": [index.items.labels[row] for row in rows.tolist()],
        "distance": np.bitwise_count(differs).sum(axis=1, dtype=np.int64).tolist(),
    }
    write_columns(out, columns)
    facts = {**expected(index.facts, *RUN), "radius": radius, "images": len(index), "groups": len(starts)}
    write_record(record_beside(out), "duplicates", facts, [out], expected(index.facts, "head_xxh3"))
    if show is not None:
        open_item = opener_for_show(index)
        rows_shown = []
        for low, count in zip(starts[:MOST_ROWS].tolist(), counts[:MOST_ROWS].tolist(), strict=True):
            paths = columns["path"][low : low + min(count, MOST_COLUMNS)]
            rows_shown.append([(image_or_gray(open_item, path), Path(path).name) for path in paths])
        write_sheet(show, rows_shown)
    print(f"{len(rows):,} of {len(index):,} images are in {len(starts):,} groups: {out}")
    return 0


def _index(source: Path, head: Path | None, weights: str | None, device: str) -> Index:
    """The index in a folder, or one of the images in it."""
    if head is None:
        if not (source / RECORD).exists():
            raise SDCError(f"{source}: holds no index; name the folder of one, or encode its images with --head")
        return Index.load(source)
    if not source.is_dir():
        raise SDCError(f"{source}: is no folder; name one of images")
    encoder = Encoder.load(head, weights, device)

    def complain(path: str, why: str) -> None:
        raise SDCError(f"{path}: {why}; remove it")

    paths = images_at([source], complain)
    codes = encoder.encode(paths, complain, progress=True)
    return Index.build(codes, engine="flat", paths=paths, head=encoder.head)
