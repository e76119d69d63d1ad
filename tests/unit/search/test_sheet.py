from PIL import Image

from sdc.search.sheet import MOST_ROWS, write_sheet


def test_images_and_lines_in_rows(tmp_path):
    red, blue = (Image.new("RGB", (30, 20), colour) for colour in ("red", "blue"))
    write_sheet(tmp_path / "x.png", [[(red, "a"), (None, "ä 漢")], [(blue, "b")]])
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.size == (256, 288)
        assert [sheet.getpixel(at) for at in ((64, 64), (192, 64), (64, 208), (192, 208))] == [
            (255, 0, 0), (255, 255, 255), (0, 0, 255), (255, 255, 255)
        ]  # fmt: skip


def test_no_more_than_fits(tmp_path):
    write_sheet(tmp_path / "x.png", [[(None, "")]] * (MOST_ROWS + 1))
    write_sheet(tmp_path / "none.png", [])
    with Image.open(tmp_path / "x.png") as sheet, Image.open(tmp_path / "none.png") as none:
        assert (sheet.height, none.size) == (MOST_ROWS * 144, (128, 144))
