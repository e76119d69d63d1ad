import json
import re
from pathlib import Path

import numpy as np

import sdc.web
from sdc import Index
from sdc.report import theme
from sdc.storage.index import Map
from sdc.web.map import NO_GROUP, packed

LABELS = ["sea, sky", "sky", "", "sea", "b\udcff"]


def unpacked(content):
    """Ids, places, groups and names, as the script reads them."""
    count = int.from_bytes(content[:8], "little")
    shapes = (("<u8", (count,)), ("<u2", (count, 2)), ("<u2", (count,)))
    arrays, place = [], 8
    for dtype, shape in shapes:
        arrays.append(np.frombuffer(content, dtype, int(np.prod(shape)), place).reshape(shape))
        place += arrays[-1].nbytes
    return *(each.tolist() for each in arrays), json.loads(content[place:])


def index_with_map():
    index = Index.build(np.zeros((5, 1), np.uint8), ids=[9, 8, 2**62, 6, 5], labels=LABELS)
    index.map = Map(np.array([0, 2, 3, 4]), np.array([[0, 1], [2, 65535], [4, 5], [6, 7]], np.uint16))
    return index


def test_points_have_ids_places_and_groups():
    ids, places, groups, names = unpacked(packed(index_with_map(), None))
    assert (ids, places) == ([9, 2**62, 6, 5], [[0, 1], [2, 65535], [4, 5], [6, 7]])
    assert names == ["b�", "sea", "sea, sky"] and groups == [2, NO_GROUP, 1, 0]


def test_the_first_of_several_labels_is_the_group():
    *_, groups, names = unpacked(packed(index_with_map(), ", "))
    assert names == ["sea", "b�"] and groups == [0, NO_GROUP, 0, 1]


def test_without_a_map_there_is_nothing():
    assert packed(Index.build(np.zeros((2, 1), np.uint8)), None) is None


def test_colours_are_those_of_the_report():
    script = (Path(sdc.web.__file__).parent / "static/map.js").read_text()
    assert set(re.findall(r'"(#\w{6})"', script)) == set(theme.PALETTE)
