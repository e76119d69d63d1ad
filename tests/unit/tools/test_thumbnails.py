import pytest
from PIL import Image

from sdc.storage.files import write_json, write_text
from sdc.storage.thumbnails import read_thumbnails
from sdc.tools import thumbnails

HEADER = "query,rank,row,distance,relevant,path\n"


@pytest.fixture
def folder(tmp_path):
    """Images in a folder, the sidecar of a manifest, and what two runs retrieve; one of the images is lost."""
    for name, colour in {"red": "red", "blue": "blue"}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (20, 10), colour).save(tmp_path / f"images/{name}/a.png")
    write_json(tmp_path / "m.json", {"dataset": "pets", "settings": {"type": "folder", "root": f"{tmp_path}/images"}})
    write_text(tmp_path / "one.csv", f"{HEADER}0,0,0,0,1,red/a.png\n0,1,1,3,0,blue/a.png\n")
    write_text(tmp_path / "two.csv", f"{HEADER}0,0,0,0,1,red/a.png\n0,1,2,3,0,red/lost.png\n")
    return tmp_path


def test_each_image_once_and_gray_where_it_is_lost(folder):
    runs = [folder / "one.csv", folder / "two.csv"]
    assert thumbnails.run(facts=folder / "m.json", retrieved=runs, out=folder / "t/pixels.png") == 0
    tiles = read_thumbnails(folder / "t/pixels")
    colours = {row: tile.getpixel((20, 20))[:3] for row, tile in tiles.items()}
    assert colours == {0: (255, 0, 0), 1: (0, 0, 255), 2: (128, 128, 128)}


def test_vectors_have_no_images(folder):
    write_json(folder / "v.json", {"dataset": "features", "settings": {"file": f"{folder}/x.npz"}})
    thumbnails.run(facts=folder / "v.json", retrieved=[folder / "one.csv"], out=folder / "t.png")
    assert read_thumbnails(folder / "t") == {}
