from sdc.docstrings import description, section, summary


def example(first, second, third):
    """Do ``this`` and
    that.

    At length,
    in words.

    Args:
        first: One of ``a`` or
            ``b``: not both.
        second, third: Numbers.

    Raises:
        ValueError: Never.
    """


def test_parts_of_a_docstring():
    assert summary(example.__doc__) == "Do this and that"
    assert description(example.__doc__) == "Do this and that. At length, in words."
    assert section(example.__doc__, "Args") == {
        "first": "One of a or b: not both", "second": "Numbers", "third": "Numbers"
    }  # fmt: skip
    assert section(example.__doc__, "Raises") == {"ValueError": "Never"}


def test_there_may_be_no_docstring_or_no_section():
    assert summary(None) == description(None) == ""
    assert section("Only this.", "Args") == {}
