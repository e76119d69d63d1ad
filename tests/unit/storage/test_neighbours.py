import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.storage.neighbours import read_neighbours, write_neighbours

DATABASE = np.array([1, 3, 4, 8])
IDENTITY = {"dataset": "toys", "backbone": "pixels", "weights": "none", "manifest_xxh3": "abc"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "neighbours.h5"
    write_neighbours(path, np.array([0, 2]), np.array([[8, 1], [3, 4]]), IDENTITY, {"manifest_xxh3": "abc"})
    return path


def test_rows_become_positions_in_the_database(path):
    assert read_neighbours(path, DATABASE, IDENTITY).tolist() == [[3, 0], [1, 2]]
    assert path.with_name("neighbours.record.json").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("backbone", "vgg16", "is of backbone pixels, expected vgg16"),
        ("weights", "net", "is of weights none, expected net"),
        ("manifest_xxh3", "d", "was made from another manifest"),
    ],
)
def test_anothers_are_refused(path, key, value, message):
    with pytest.raises(StorageError, match=rf"neighbours.h5: {message}; regenerate it with: snakemake"):
        read_neighbours(path, DATABASE, {**IDENTITY, key: value})


def test_items_that_are_not_in_the_database_are_refused(path):
    with pytest.raises(StorageError, match=r"neighbours.h5: names items that are not in the database; regenerate"):
        read_neighbours(path, DATABASE[:3])


def test_damage_is_found(path):
    content = bytearray(path.read_bytes())
    content[content.index(np.array([8, 1]).tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"neighbours.h5: is damaged: neighbours of its rows 0 to 1"):
        read_neighbours(path, DATABASE)
