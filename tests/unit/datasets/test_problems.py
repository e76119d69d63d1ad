import pytest

from sdc.datasets.problems import Problems, what_is_at
from sdc.errors import SDCError


def test_problems_are_errors_or_lines():
    with pytest.raises(SDCError, match="^a; do b$"):
        Problems()("a; do b")
    problems = Problems(gather=True)
    problems("a; do b")
    problems("c")
    assert problems.lines == ["a; do b", "c"]


def test_what_is_there_instead(tmp_path):
    (tmp_path / "cifar").mkdir()
    assert what_is_at(tmp_path / "a/b") == f"not found; {tmp_path}/ holds cifar"
    assert what_is_at(tmp_path / "cifar") == "is a folder"
