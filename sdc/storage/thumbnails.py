"""Small images of a few rows of a manifest: one PNG sheet, and a CSV file that says where on it each is."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageOps

from sdc.errors import StorageError
from sdc.storage.files import remedy, write_text, writing

TILE = 40  # pixels, of which a margin of 3 on each side is empty
_MARGIN = 3
_COLUMNS = 16


def write_thumbnails(stem: Path, images: Mapping[int, Image.Image]) -> None:
    """Write ``{stem}.png`` and ``{stem}.csv`` of images by manifest row; the sheet of none is one transparent pixel."""
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
    with writing(stem.with_name(f"{stem.name}.png")) as part:
        sheet.save(part, format="png")
    write_text(stem.with_name(f"{stem.name}.csv"), text.getvalue())


def read_thumbnails(stem: Path) -> dict[int, Image.Image]:
    """Read what ``write_thumbnails`` wrote: by manifest row, RGBA tiles of ``TILE`` pixels.

    Raises:
        StorageError: If a file is missing or damaged.
    """
    path = stem.with_name(f"{stem.name}.png")
    try:
        with Image.open(path) as sheet, open(stem.with_name(f"{stem.name}.csv"), encoding="utf-8") as file:
            corners = {int(row["row"]): (int(row["left"]), int(row["top"])) for row in csv.DictReader(file)}
            return {row: sheet.crop((x, y, x + TILE, y + TILE)) for row, (x, y) in corners.items()}
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {remedy(path)}") from error
