"""Images that your own list files name: ``PATH LABEL``, ``PATH 0 1 0 …`` or only ``PATH``, a line each."""

import dataclasses
from pathlib import Path

from sdc.datasets.base import absent, listed
from sdc.datasets.list_dataset import ListFileDataset
from sdc.datasets.list_file import LISTS
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.storage.manifest import Images

_REMEDIES = {
    "database": "the database is what queries search: list its images there, or set database to a list",
    "query": "list the queries there, or set query to a list",
    "train": "list the training items there, or set train to a list; the database list trains on all of it",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lists(ListFileDataset):
    """A training, a query and a database list, in the format that HashNet, SDC and DeepHash use.

    If any image has several labels, the dataset is multi-label: relevant is what shares one. If no line has a label, or
    all have the same, it is unlabelled.

    Attributes:
        root: Folder that image names are relative to; the prefixes of their authors are recognised.
        train, query, database: List files; below the root, or else as given. Two may be one file.
        names: File of class names, a line each, in the order of columns or indices.
    """

    title = "Lists"
    label_kind = "any"
    on_disk = """\
train.txt      PATH LABEL a line: the index of a class, or 0 1 0 …, a column per class; or PATH
test.txt       the same for the queries
database.txt   the same for what queries search
PATH           images, wherever the lists say"""
    source = "your own"
    protocol = "list files"
    split_settings = ("seed", "long_tail", "long_tail_of")

    root: str = "data/list"
    train: str = "train.txt"
    query: str = "test.txt"
    database: str = "database.txt"
    names: str | None = None

    def images(self, problems: Problems) -> Images:
        """Rows in the order of the database list, then of the others; sort them by class and ties flatter the codes."""
        files = self._files()
        if missing := self._missing_files():
            raise SDCError(missing[0])
        classes = None
        if self.names is not None:
            file = self._file(self.names)
            try:
                classes = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise SDCError(
                    f"{file}: cannot be read ({error}); names is a file of class names, a line each"
                ) from error
        return self.from_lists(files, classes, problems)

    def missing(self) -> list[str]:
        """The root, lists, or else the first query."""
        return self._missing_files() or self.missing_image(self._file(self.query))

    def expected_counts(self) -> dict[str, int]:
        """By the lines of the files."""
        return listed(self._files())

    def _missing_files(self) -> list[str]:
        lines = [f"{line}; {_REMEDIES[split]}" for split, file in self._files().items() for line in absent([file])]
        return super().missing() or lines

    def _files(self) -> dict[str, Path]:
        return {split: self._file(getattr(self, split)) for split in LISTS}

    def _file(self, name: str) -> Path:
        below = Path(self.root) / name
        return below if below.is_file() or not Path(name).is_file() else Path(name)
