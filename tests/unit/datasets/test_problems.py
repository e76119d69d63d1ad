import pytest

from sdc.datasets.problems import Problems
from sdc.errors import SDCError


def test_problems_are_errors_or_lines():
    with pytest.raises(SDCError, match="^a; do b$"):
        Problems()("a; do b")
    problems = Problems(gather=True)
    problems("a; do b")
    problems("c")
    assert problems.lines == ["a; do b", "c"]
