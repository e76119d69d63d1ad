"""Small images of a few rows of a manifest: one PNG sheet, and a CSV file that says where on it each is."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from sdc.storage.columns import read_rows
from sdc.storage.files import write_text, writing
from sdc.storage.records import NOTHING, read_record, record_path, write_record

TILE = 40  # pixels, of which a margin of 3 on each side is empty
_MARGIN = 3
_COLUMNS = 16


def write_thumbnails(stem: Path, images: Mapping[int, Image.Image], identity: Mapping[str, Any] = NOTHING) -> None:
    """Write ``{stem}.png`` and ``{stem}.csv`` of images by manifest row, and their record.

    The sheet of none is one transparent pixel; ``identity`` says whose they are.
    """
    size = (_COLUMNS * TILE, -(-len(images) // _COLUMNS) * TILE) if images else (1, 1)
    sheet = Image.new("RGBA", size)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("row", "left", "top"))
    for place, (row, image) in enumerate(images.items()):
        left, top = place % _COLUMNS * TILE, place // _COLUMNS * TILE
        # Small scans keep their pixels.
        method = Image.Resampling.NEAREST if max(image.size) < TILE // 2 else Image.Resampling.LANCZOS
        tile = ImageOps.contain(image.convert("RGB"), (TILE - 2 * _MARGIN,) * 2, method)
        sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        writer.writerow((row, left, top))
    files = [stem.with_name(f"{stem.name}{suffix}") for suffix in (".png", ".csv")]
    with writing(files[0]) as part:
        sheet.save(part, format="png")
    write_text(files[1], text.getvalue())
    write_record(record_path(files[0]), "thumbnails", identity, files)


def read_thumbnails(stem: Path, expect: Mapping[str, Any] = NOTHING) -> dict[int, Image.Image]:
    """Read what ``write_thumbnails`` wrote: by manifest row, RGBA tiles of ``TILE`` pixels.

    Raises:
        StorageError: If a file is missing, damaged, or not as expected.
    """
    path = stem.with_name(f"{stem.name}.png")
    record = read_record(record_path(path), "thumbnails", expect)
    rows = read_rows(stem.with_name(f"{stem.name}.csv"), record)
    with Image.open(io.BytesIO(record.read(path))) as sheet:
        corners = {int(row["row"]): (int(row["left"]), int(row["top"])) for row in rows}
        return {row: sheet.crop((x, y, x + TILE, y + TILE)) for row, (x, y) in corners.items()}
