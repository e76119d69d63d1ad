import pytest
from PIL import Image

from sdc.errors import StorageError
from sdc.storage.thumbnails import TILE, read_thumbnails, write_thumbnails


def test_tiles_come_back_by_row(tmp_path):
    sizes = {7: (8, 8), 3: (200, 100), **dict.fromkeys(range(100, 130), (30, 60))}
    write_thumbnails(tmp_path / "a", {row: Image.new("L", size, row) for row, size in sizes.items()})
    tiles = read_thumbnails(tmp_path / "a")
    assert list(tiles) == list(sizes)
    assert {tile.size for tile in tiles.values()} == {(TILE, TILE)}
    for row, tile in tiles.items():
        assert tile.getpixel((TILE // 2, TILE // 2)) == (row, row, row, 255)
        assert tile.getpixel((0, 0))[3] == 0
    # A wide image keeps its shape.
    assert tiles[3].getbbox() == (3, 11, 37, 28)


def test_no_images_are_an_empty_index(tmp_path):
    write_thumbnails(tmp_path / "a", {})
    assert read_thumbnails(tmp_path / "a") == {}
    assert (tmp_path / "a.png").exists()


def test_a_missing_sheet_is_named_with_what_makes_it(tmp_path):
    with pytest.raises(StorageError, match=r"a.record.json: no such file .*; name another"):
        read_thumbnails(tmp_path / "a")
