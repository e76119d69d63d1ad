"""Bring your own: images, labelled or not, in a CSV file, or one file each for queries, database and training."""

import dataclasses
import itertools
from pathlib import Path
from typing import Literal, NamedTuple

from sdc.datasets.base import ImageFiles, absent, hashes, listed
from sdc.datasets.draws import AMOUNT_OR_NONE, complete_splits, expected_splits, split_files
from sdc.datasets.locate import same_name, spelled
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.label_files import ClassNames, number_classes
from sdc.storage.manifest import SPLITS, Images, Manifest
from sdc.storage.tables import Table, read_table, several


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
    of these, by blanks. Without such a column, and where all labels are alike, images are unlabelled. A column
    ``split`` says ``query``, ``database`` or ``train``, or several of them.

    Attributes:
        root: Folder that ``file`` and the images lie below.
        file: The CSV file; with ``{split}`` in it, three files: ``{split}.csv`` stands for ``query.csv``,
            ``database.csv`` and ``train.csv``. Without the last, training items are drawn from the database.
        picture: Where an image lies below the root; ``{}`` stands for its cell, as in ``images/{}.jpg``.
        labels: ``single`` takes a cell as one label, ``multi`` as any number of them, ``none`` reads no labels;
            ``auto`` is ``multi`` where the column is called ``labels``, and ``none`` where there is no such column.
        query: Where no splits are given: queries per class, or in all where there are several labels or none; an
            integer, or a fraction as a float. None for a tenth, of more than 10,000 images for about 1,000 in all.
        train: Where none are given: training items, likewise; a fraction is of the database. None for half of it,
            of unlabelled images for all of it, about 10,000 in all at the most.
    """

    title = "CSV"
    label_kind = "any"
    on_disk = "images.csv: columns path and, if you like, label (or labels) and split\nand the images where it says"
    source = "your own"

    root: str = "data/csv"
    file: str = "images.csv"
    picture: str = option("{}", pattern=r"\{\}")
    labels: Literal["auto", "single", "multi", "none"] = "auto"
    query: float | None = option(None, **AMOUNT_OR_NONE)
    train: float | None = option(None, **AMOUNT_OR_NONE)

    def images(self, problems: Problems) -> Images:
        """The images of all files, shuffled."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set root and file to where it is")
        tables = {split: read_table(file) for split, file in self._files().items()}
        has_labels = any(table.has("labels") for table in tables.values())
        takes_labels = has_labels if self.labels == "auto" else self.labels != "none"
        headers = {}
        row_of: dict[str, _Row] = {}
        for split, table in tables.items():
            headers[table.path], rows = self._rows(table, split, takes_labels, problems)
            _merge(row_of, rows, problems)
        multi = self.labels == "multi" or (self.labels == "auto" and "labels" in headers.values())
        rows = list(row_of.values())
        each_needs_one = not multi and (self.labels == "single" or any(row.label for row in rows))
        for file in headers if each_needs_one else ():
            empty = [row.line for row in rows if row.file == file and not row.label]
            _tell(problems, file, empty, "has no label; write one, or set labels: multi")
        rows = [row for row in rows if row.label or not each_needs_one]
        paths = [row.path for row in rows]
        usable, skipped = self.usable(paths, problems)
        paths, rows = list(itertools.compress(paths, usable)), list(itertools.compress(rows, usable))
        cells = [row.label for row in rows]
        labels, classes = number_classes([ClassNames.of(several(cells) if multi else cells, self.file)])
        if not rows:
            raise SDCError(f"{', '.join(map(str, headers))}: names no usable image; give each a line")
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

    def expected_counts(self) -> dict[str, int]:
        """By the lines of the files."""
        files = self._files()
        counts = listed(files, heading=1)
        if "" not in files:
            return counts
        with files[""].open("rb") as file:
            if b"split" in file.readline():
                return {"images": counts["images"]}
        return expected_splits(counts["images"], self.query, self.train, unlabelled=bool(self.unlabelled()))

    def unlabelled(self) -> str:
        """As the setting says."""
        return "labels: none" if self.labels == "none" else ""

    def missing(self) -> list[str]:
        """The files, as far as they are not there; that of training items need not be."""
        return absent(self._files().values())

    def _files(self) -> dict[str, Path]:
        """By the split that all rows of a file are in; the empty one where the rows say it themselves."""
        pattern = Path(self.root) / self.file
        return split_files(str(pattern)) if "{split}" in self.file else {"": pattern}

    def _rows(self, table: Table, split: str, takes_labels: bool, problems: Problems) -> tuple[str, list[_Row]]:
        """The header of the label column, if there is to be one, and the rows."""
        path = table.path
        image, *label = table.column("paths", *(["labels"] if takes_labels else []))
        paths = [spelled(self.picture.replace("{}", cell), self.root) for cell in table.cells(image)]
        labels = table.cells(label[0]) if label else [""] * len(paths)
        splits, unsplit = [frozenset([split] if split else [])] * len(labels), []
        if "split" in table.header and not split:
            splits = [frozenset(several([cell])[0]) for cell in table.cells("split")]
            unsplit = [line for line, these in zip(table.lines, splits, strict=True) if not these or these - {*SPLITS}]
        _tell(problems, path, table.ragged, table.expected)
        _tell(problems, path, unsplit, f"is in no split; write {', '.join(SPLITS)}")
        return "".join(label), [_Row(path, *row) for row in zip(table.lines, paths, labels, splits, strict=True)]


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
