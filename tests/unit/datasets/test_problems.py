import os
from pathlib import Path

import pytest

from sdc.datasets.problems import Problems, said_once, shown
from sdc.errors import SDCError


def test_problems_are_errors_or_lines():
    with pytest.raises(SDCError, match="^a; do b$"):
        Problems()("a; do b")
    problems = Problems(gather=True)
    problems("a; do b")
    problems("c")
    assert problems.lines == ["a; do b", "c"]


def test_what_datasets_of_one_root_lack_is_said_once():
    lines = {f"part{number}": ["data/x: no such file; data/ holds y"] for number in range(12)}
    (line,) = said_once(lines)
    assert line == f"datasets.{', '.join(lines)}: data/x: no such file; data/ holds y"
    several = {"a": ["data/x: no: data/ holds y", "data/z: is a file"], "b": [], "c": ["data/v: no: data/ holds y"]}
    assert said_once(several) == ["datasets.a, c: data/x, data/v: no: data/ holds y", "datasets.a: data/z: is a file"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"a b'\"\\c.png", "a b'\"\\c.png"),
        ("é…😀".encode(), "é…😀"),
        (b"caf\xe9", r"caf\xe9"),
        (b"a\nb\rc\td\x1b\x7f", r"a\nb\rc\td\x1b\x7f"),
        ("\u2028\u202e".encode(), r"\u2028\u202e"),
    ],
)
def test_paths_are_shown_on_one_line_of_what_can_be_printed(name, text):
    assert shown(os.fsdecode(name)) == shown(Path(os.fsdecode(name))) == text
