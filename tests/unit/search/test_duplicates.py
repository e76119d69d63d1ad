import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from sdc import hamming
from sdc.search import duplicates


def brute_force(codes, radius):
    near = hamming.distances(codes, codes) <= radius
    label = np.full(len(codes), -1)
    for row in range(len(codes)):
        if label[row] < 0:
            number, todo = label.max() + 1, [row]
            while todo:
                each = todo.pop()
                if label[each] < 0:
                    label[each] = number
                    todo.extend(np.flatnonzero(near[each]))
    return label


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    st.integers(0, 2**31), st.integers(1, 80), st.sampled_from([8, 32, 64, 72]), st.integers(0, 12), st.booleans()
)
def test_groups_are_those_of_all_pairs(seed, count, bits, radius, tables):
    generator = np.random.default_rng(seed)
    centres = generator.random((6, bits)) < 0.5
    codes = np.packbits(centres[generator.integers(0, 6, count)] ^ (generator.random((count, bits)) < 0.08), axis=1)
    chosen = duplicates.Tables(1, 0, 0)
    if tables:
        parts = min(radius // 3 + 1, bits // 4)
        chosen = duplicates.Tables(parts, min(10, bits // parts), radius // parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_choose", lambda *_: chosen)
        patch.setattr(duplicates, "_BLOCK", 7)
        assert duplicates.groups(codes, radius).tolist() == brute_force(codes, radius).tolist()


def test_a_choice_of_tables_finds_all(codes):
    for radius in range(1, 20):
        for bits in (8, 16, 64, 128):
            tables, key_bits, flips = duplicates._choose(codes(3000, bits), min(radius, bits - 1))
            assert key_bits == 0 or flips >= min(radius, bits - 1) // tables
            assert tables * key_bits <= bits
    assert duplicates._choose(codes(3000, 64), 2).tables == 3


def test_no_codes():
    assert duplicates.groups(np.zeros((0, 8), np.uint8), 3).tolist() == []
