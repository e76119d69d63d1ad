"""Small datasets that several tests need."""

import pytest


@pytest.fixture
def pets(make_images):
    """Twelve images and their lists, with the prefix of somebody else's machine."""
    root = make_images({"cat": 6, "dog": 6})
    for name, rows in {"test": range(1), "database": range(1, 6), "train": range(3, 6)}.items():
        lines = [
            f"/home/them/pets/{pet}/{row:04}.png {label} \n" for row in rows for label, pet in enumerate(("cat", "dog"))
        ]
        (root / f"{name}.txt").write_text("".join(lines))
    return root


@pytest.fixture
def edit():
    """Replace a text that is in a file, once."""

    def replace(file, old, new):
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    return replace
