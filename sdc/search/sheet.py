"""Contact sheets: rows of small images, each with a line below it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from sdc.storage.files import writing

# Pixels: of an image, and of the line below it.
_TILE, _LINE = 128, 16
# A sheet of more rows is too high for many viewers; and of more columns too wide.
MOST_ROWS, MOST_COLUMNS = 200, 64


def write_sheet(path: str | Path, rows: Sequence[Sequence[tuple[Image.Image | None, str]]]) -> None:
    """Write a PNG file.

    Args:
        path: Where.
        rows: Of each row its images, None for an empty place, and their lines; no more than fit are drawn.
    """
    rows = [row[:MOST_COLUMNS] for row in rows[:MOST_ROWS]]
    columns = max(map(len, rows), default=1)
    sheet = Image.new("RGB", (columns * _TILE, max(1, len(rows)) * (_TILE + _LINE)), "white")
    draw = ImageDraw.Draw(sheet)
    for top, row in enumerate(rows):
        for left, (image, line) in enumerate(row):
            corner = left * _TILE, top * (_TILE + _LINE)
            if image is not None:
                tile = ImageOps.contain(image.convert("RGB"), (_TILE - 4, _TILE - 4))
                sheet.paste(tile, (corner[0] + (_TILE - tile.width) // 2, corner[1] + (_TILE - tile.height) // 2))
            draw.text((corner[0] + 4, corner[1] + _TILE), line.encode("latin-1", "replace").decode("latin-1"), "black")
    with writing(path) as part:
        sheet.save(part, format="png")
