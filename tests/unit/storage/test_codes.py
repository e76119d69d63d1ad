import dataclasses

import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.storage.codes import Codes, read_codes, write_codes


def test_codes_round_trip(tmp_path):
    codes = Codes(np.array([[1, 2], [3, 4]], np.uint8), np.array([0, 5]), {"bits": 16, "method": "lsh"})
    write_codes(tmp_path / "c.h5", codes)
    read = read_codes(tmp_path / "c.h5")
    assert np.array_equal(read.codes, codes.codes)
    assert read.row.tolist() == [0, 5]
    assert read.attributes == codes.attributes
    content = bytearray((tmp_path / "c.h5").read_bytes())
    content[content.index(codes.codes.tobytes())] ^= 1
    (tmp_path / "c.h5").write_bytes(content)
    with pytest.raises(StorageError, match=r"c.h5: is damaged: codes of its rows 0 to 1 .*; regenerate it with"):
        read_codes(tmp_path / "c.h5")


def test_codes_of_images_in_no_manifest_have_their_paths(tmp_path):
    paths = ["a, b/1.png", "ü/☃.jpg"]
    codes = Codes(np.array([[1], [3]], np.uint8), np.arange(2), {"bits": 8}, paths=paths)
    write_codes(tmp_path / "c.h5", codes)
    assert read_codes(tmp_path / "c.h5").paths == paths
    content = (tmp_path / "c.h5").read_bytes()
    (tmp_path / "c.h5").write_bytes(content.replace("☃".encode(), "☄".encode()))
    with pytest.raises(StorageError, match=r"c.h5: is damaged: path of its rows 0 to 1"):
        read_codes(tmp_path / "c.h5")


def test_codes_by_two_thresholds_round_trip(tmp_path):
    codes = Codes(np.array([[1], [3]], np.uint8), np.arange(2), {"bits": 8}, np.array([[0], [255]], np.uint8))
    write_codes(tmp_path / "c.h5", codes)
    assert read_codes(tmp_path / "c.h5").codes_raw.tolist() == [[0], [255]]
    write_codes(tmp_path / "c.h5", dataclasses.replace(codes, codes_raw=None))
    assert read_codes(tmp_path / "c.h5").codes_raw is None
    write_codes(tmp_path / "c.h5", dataclasses.replace(codes, codes_raw=np.zeros((1, 1), np.uint8)))
    with pytest.raises(StorageError, match=r"c.h5: codes, rows and bits do not fit"):
        read_codes(tmp_path / "c.h5")


def test_codes_that_do_not_fit_their_bits_are_refused(tmp_path):
    codes = Codes(np.zeros((2, 2), np.uint8), np.arange(2), {"bits": 24})
    write_codes(tmp_path / "c.h5", codes)
    with pytest.raises(StorageError, match=r"c.h5: codes, rows and bits do not fit"):
        read_codes(tmp_path / "c.h5")
