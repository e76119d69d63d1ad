"""Bring your own: images and their labels in a CSV file, or one file each for queries, database and training."""

import dataclasses
import itertools
from pathlib import Path
from typing import Literal, NamedTuple

from sdc.datasets.base import ImageFiles, absent, hashes
from sdc.datasets.draws import AMOUNT, complete_splits, split_files
from sdc.datasets.locate import same_name, spelled
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.label_files import ClassNames, number_classes
from sdc.storage.manifest import SPLITS, Images, Manifest
from sdc.storage.tables import read_table, several


class _Row(NamedTuple):
    file: Path
    line: int
    path: str
    label: str
    splits: frozenset[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CSV(ImageFiles):
    """Images named by a CSV file (comma separated, UTF-8, with a header).

    The image is in the column ``path``, ``image``, ``file`` or ``id``, its label in ``label``, ``class_id`` or
    ``landmark_id``, or its labels in ``labels``. Labels are names or numbers; every cell is taken as it is written, so
    ``None`` is a name like any other. Several are separated by commas, semicolons or pipes, or, where the file has none
    of these, by blanks. A column ``split`` says ``query``, ``database`` or ``train``, or several of them.

    Attributes:
        root: Folder that ``file`` and the images lie below.
        file: The CSV file; with ``{split}`` in it, three files: ``{split}.csv`` stands for ``query.csv``,
            ``database.csv`` and ``train.csv``. Without the last, training items are drawn from the database.
        picture: Where an image lies below the root; ``{}`` stands for its cell, as in ``images/{}.jpg``.
        labels: ``single`` takes a cell as one label, ``multi`` as any number of them; ``auto`` is ``multi`` where the
            column is called ``labels``.
        query: Where no splits are given: queries per class, or in all where there are several labels; an integer, or a
            fraction as a float.
        train: Where none are given: training items, likewise; a fraction is of the database.
    """

    title = "CSV"
    label_kind = "any"
    on_disk = "images.csv: columns path, label (or labels) and, if you like, split\nand the images where it says"
    source = "your own"

    root: str = "data/csv"
    file: str = "images.csv"
    picture: str = option("{}", pattern=r"\{\}")
    labels: Literal["auto", "single", "multi"] = "auto"
    query: float = option(0.1, **AMOUNT)
    train: float = option(0.5, **AMOUNT)

    def images(self, problems: Problems) -> Images:
        """The images of all files, shuffled."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set root and file to where it is")
        headers = {}
        row_of: dict[str, _Row] = {}
        for split, file in self._files().items():
            headers[file], rows = self._read(file, split, problems)
            _merge(row_of, rows, problems)
        multi = self.labels == "multi" or (self.labels == "auto" and "labels" in headers.values())
        rows = list(row_of.values())
        for file in () if multi else headers:
            empty = [row.line for row in rows if row.file == file and not row.label]
            _tell(problems, file, empty, "has no label; write one, or set labels: multi")
        rows = [row for row in rows if multi or row.label]
        paths = [row.path for row in rows]
        usable, skipped = self.usable(paths, problems)
        paths, rows = list(itertools.compress(paths, usable)), list(itertools.compress(rows, usable))
        cells = [row.label for row in rows]
        labels, classes = number_classes([ClassNames.of(several(cells) if multi else cells, self.file)])
        if len(classes) < 2:
            named = f"names {len(rows)} usable images of {len(classes)} classes"
            raise SDCError(f"{', '.join(map(str, headers))}: {named}; it takes two classes to tell what is relevant")
        return self.list_images(
            paths,
            labels,
            classes,
            [" ".join(sorted(row.splits)) for row in rows],
            sources=hashes(headers),
            skipped=skipped,
            shuffle=True,
            label_kind="multi" if multi else "single",
            unlabelled=int((labels.counts == 0).sum()),
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As the files say, or drawn from the images in the order of the files."""
        given, single = any(images.groups), images.facts["label_kind"] == "single"
        splits = complete_splits(images, given, self.query, self.train, self.seed)
        protocol = "splits as listed" if given else "per-class draw" if single else "a draw of images"
        return self.manifest(images, splits, problems, protocol=protocol)

    def missing(self) -> list[str]:
        """The files, as far as they are not there; that of training items need not be."""
        return absent(self._files().values())

    def _files(self) -> dict[str, Path]:
        """By the split that all rows of a file are in; the empty one where the rows say it themselves."""
        pattern = Path(self.root) / self.file
        return split_files(str(pattern)) if "{split}" in self.file else {"": pattern}

    def _read(self, path: Path, split: str, problems: Problems) -> tuple[str, list[_Row]]:
        """The header of the label column, and the rows."""
        table = read_table(path)
        image, label = table.column("paths", "labels")
        paths = [spelled(self.picture.replace("{}", cell), self.root) for cell in table.cells(image)]
        labels = table.cells(label)
        splits, unsplit = [frozenset([split] if split else [])] * len(labels), []
        if "split" in table.header and not split:
            splits = [frozenset(several([cell])[0]) for cell in table.cells("split")]
            unsplit = [line for line, these in zip(table.lines, splits, strict=True) if not these or these - {*SPLITS}]
        _tell(problems, path, table.ragged, table.expected)
        _tell(problems, path, unsplit, f"is in no split; write {', '.join(SPLITS)}")
        return label, [_Row(path, *row) for row in zip(table.lines, paths, labels, splits, strict=True)]


def _merge(row_of: dict[str, _Row], rows: list[_Row], problems: Problems) -> None:
    """Add the rows of a file by image; one that another file lists too is in both splits."""
    twice, other = [], []
    for row in rows:
        known = row_of.setdefault(same_name(row.path), row)
        if known is row:
            continue
        if known.file == row.file:
            twice.append(row.line)
        elif known.label != row.label:
            other.append(row.line)
        row_of[same_name(row.path)] = known._replace(splits=known.splits | row.splits)
    if rows:
        _tell(problems, rows[0].file, twice, "names an image that an earlier line names; take one of them out")
        _tell(problems, rows[0].file, other, "has other labels than another file has for the same image; fix one")


def _tell(problems: Problems, path: Path, lines: list[int], what: str) -> None:
    if lines:
        problems(f"{path}: line {lines[0]} {what}{f' ({len(lines)} such lines)' if len(lines) > 1 else ''}")
