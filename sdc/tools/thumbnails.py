"""``sdc thumbnails``: small images of what some runs retrieve, for the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sdc import registry
from sdc.errors import SDCError
from sdc.limits import OutputFile
from sdc.storage.columns import read_rows
from sdc.storage.records import NOTHING, expected, read_record, stage_record
from sdc.storage.thumbnails import write_thumbnails


def run(*, facts: Path, retrieved: Sequence[Path], out: OutputFile, expect: Mapping[str, Any] = NOTHING) -> int:
    """Make thumbnails of the queries and items that runs have in ``retrieved.csv``.

    Example:
        sdc thumbnails --facts digits.json --out thumbnails.png
            --retrieved results/runs/digits/pixels/itq/64bit/seed0/retrieved.csv

    Args:
        facts: The manifest's sidecar (``.json``), which says how the dataset's images are opened.
        retrieved: ``retrieved.csv`` of each run.
        out: PNG file to write; a CSV file beside it says where each row of the manifest is. Empty where the dataset
            holds vectors. An image that cannot be read any more is gray.
        expect: The ``dataset`` and ``backbone`` that all must be of, and ``runs``: what each run is of, in the order
            of ``retrieved``.

    Returns:
        Exit status 0.
    """
    sidecar = read_record(facts, "prepare", expected(expect, "dataset")).facts
    dataset = registry.build("datasets", sidecar["dataset"], sidecar["settings"])
    identity = {**expected(expect, "backbone"), "dataset": sidecar["dataset"]}
    paths: dict[int, str] = {}
    runs = expect.get("runs", [{}] * len(retrieved))
    if len(runs) != len(retrieved):
        raise SDCError(f"--expect: has {len(runs)} runs, and --retrieved {len(retrieved)} files; give one for each")
    for path, run in zip(retrieved, runs, strict=True):
        record = read_record(stage_record(path.parent, "evaluate"), "evaluate", {**identity, **run})
        identity["backbone"] = record.facts["backbone"]
        rows = read_rows(path, record)
        paths |= {int(row["row"]): row["path"] for row in rows if not dataset.vector_files()}
    images: dict[int, Image.Image] = {}
    open_image = None
    for row, name in sorted(paths.items()):
        open_image = open_image or dataset.opener()
        try:
            images[row] = open_image(name)
        except SDCError:
            images[row] = Image.new("RGB", (8, 8), "gray")
    write_thumbnails(out.with_suffix(""), images, identity)
    return 0
