import shutil

import pytest
from PIL import Image

from sdc.errors import SDCError, StorageError
from sdc.storage.files import write_text
from sdc.storage.records import stage_record, write_record
from sdc.storage.thumbnails import read_thumbnails
from sdc.tools import thumbnails

HEADER = "query,rank,row,distance,relevant,path\n"


def retrieved(folder, rows, dataset="pets"):
    """What a run retrieves, and its record."""
    write_text(folder / "retrieved.csv", HEADER + rows)
    identity = {"dataset": dataset, "backbone": "pixels"}
    write_record(stage_record(folder, "evaluate"), "evaluate", identity, [folder / "retrieved.csv"])


def sidecar(path, **facts):
    write_record(path, "prepare", facts, [])


@pytest.fixture
def folder(tmp_path):
    """Images in a folder, the sidecar of a manifest, and what two runs retrieve; one of the images is lost."""
    for name, colour in {"red": "red", "blue": "blue"}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (20, 10), colour).save(tmp_path / f"images/{name}/a.png")
    sidecar(tmp_path / "m.json", dataset="pets", settings={"type": "folder", "root": f"{tmp_path}/images"})
    retrieved(tmp_path / "one", "0,0,0,0,1,red/a.png\n0,1,1,3,0,blue/a.png\n")
    retrieved(tmp_path / "two", "0,0,0,0,1,red/a.png\n0,1,2,3,0,red/lost.png\n")
    return tmp_path


def test_each_image_once_and_gray_where_it_is_lost(folder):
    runs = [folder / "one/retrieved.csv", folder / "two/retrieved.csv"]
    assert thumbnails.run(facts=folder / "m.json", retrieved=runs, out=folder / "t/pixels.png") == 0
    tiles = read_thumbnails(folder / "t/pixels", {"dataset": "pets", "backbone": "pixels"})
    colours = {row: tile.getpixel((20, 20))[:3] for row, tile in tiles.items()}
    assert colours == {0: (255, 0, 0), 1: (0, 0, 255), 2: (128, 128, 128)}


def test_vectors_have_no_images(folder):
    sidecar(folder / "v.json", dataset="features", settings={"file": f"{folder}/x.npz"})
    retrieved(folder / "one", "0,0,0,0,1,17\n", dataset="features")
    thumbnails.run(facts=folder / "v.json", retrieved=[folder / "one/retrieved.csv"], out=folder / "t.png")
    assert read_thumbnails(folder / "t") == {}


def test_runs_of_another_dataset_and_damaged_files_are_refused(folder):
    retrieved(folder / "three", "0,0,0,0,1,red/a.png\n", dataset="others")
    with pytest.raises(StorageError, match=r"three/evaluate.record.json: is of dataset others, expected pets"):
        thumbnails.run(facts=folder / "m.json", retrieved=[folder / "three/retrieved.csv"], out=folder / "t.png")
    shutil.copy(folder / "two/retrieved.csv", folder / "one/retrieved.csv")
    with pytest.raises(StorageError, match=r"one/retrieved.csv: does not match its checksum in evaluate.record.json"):
        thumbnails.run(facts=folder / "m.json", retrieved=[folder / "one/retrieved.csv"], out=folder / "t.png")


def test_another_datasets_sidecar_is_the_one_that_is_named(folder):
    runs, expect = [folder / "one/retrieved.csv"], {"dataset": "toys", "backbone": "pixels"}
    with pytest.raises(StorageError, match=r"m.json: is of dataset pets, expected toys; regenerate it with: snakemake"):
        thumbnails.run(facts=folder / "m.json", retrieved=runs, out=folder / "t.png", expect=expect)
    expect = {"dataset": "pets", "backbone": "vgg16"}
    with pytest.raises(StorageError, match=r"evaluate.record.json: is of backbone pixels, expected vgg16; regenerate"):
        thumbnails.run(facts=folder / "m.json", retrieved=runs, out=folder / "t.png", expect=expect)
    expect = {"dataset": "pets", "backbone": "pixels", "runs": [{"dataset": "pets", "seed": 3}]}
    with pytest.raises(StorageError, match=r"evaluate.record.json: is of seed None, expected 3; regenerate it with"):
        thumbnails.run(facts=folder / "m.json", retrieved=runs, out=folder / "t.png", expect=expect)
    with pytest.raises(SDCError, match="--expect: has 1 runs, and --retrieved 2 files; give one for each"):
        thumbnails.run(facts=folder / "m.json", retrieved=runs * 2, out=folder / "t.png", expect=expect)
