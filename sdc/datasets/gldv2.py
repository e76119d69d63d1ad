"""Google Landmarks v2: 762,000 images to search, 1,129 queries, and 1.6 million cleaned images to train on.

Source: T. Weyand, A. Araujo, B. Cao, J. Sim, *Google Landmarks Dataset v2*, CVPR 2020; the cleaned training part is
that of K. Yokoo et al., *Two-stage Discriminative Re-ranking for Large-scale Landmark Retrieval*, CVPR workshops 2020.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Protocol, absent, hashes
from sdc.datasets.draws import fixed_order
from sdc.datasets.instances import Instances
from sdc.datasets.problems import Problems, some
from sdc.errors import SDCError
from sdc.limits import Items
from sdc.settings import option
from sdc.storage.manifest import Images

TRUTH, INDEX, CLEAN = "retrieval_solution_v2.1.csv", "index.csv", "train_clean.csv"
# Where people keep these files: beside the images, or as they are laid out for download.
_FOLDERS = (".", "metadata", "ground_truth", "index", "test", "train")
_USAGES = ("Public", "Private", "Ignored")
# As many images are looked for, unless the check or on_error: skip looks for all.
_SAMPLE = 1000
_ID_LENGTH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class GLDv2(Instances):
    """Instance retrieval: the index in its own order, then the queries that are not ignored, then training images.

    The facts say under ``usage`` which rows are ``Public`` and which ``Private`` queries, for they are scored apart.
    Only a thousand images and the queries are looked for while preparing; ``sdc datasets check``, and
    ``on_error: skip``, look at all.

    Attributes:
        root: Folder that holds ``index``, ``test`` and ``train``, and the CSV files, directly or in ``metadata`` and
            ``ground_truth``.
        train: ``clean``: all of train-clean; a fraction of it, drawn image by image by seed (0.8 is the size of the
            part that the paper and DELG train on, though not their draw); ``none``, for a head trained elsewhere:
            training images need not be there. Unlike that of other datasets it says which images are listed, and so
            extracted: of 1.6 million, nobody wants the features of those that train nothing.
        train_vectors: As ``query_vectors``, of the training images.
        map_at: The benchmark's cut-off.
    """

    title = "Google Landmarks v2"
    on_disk = (
        "index/<a>/<b>/<c>/<id>.jpg: 761,757 images in folders of the first three characters of their names\n"
        "test/<a>/<b>/<c>/<id>.jpg: the 1,129 queries at least\n"
        "train/<a>/<b>/<c>/<id>.jpg: 1,580,470 images, those of train_clean.csv at least\n"
        "retrieval_solution_v2.1.csv, index.csv, train_clean.csv: here, in metadata/ or in ground_truth/"
    )
    source = (
        "github.com/cvdfoundation/google-landmark; annotations CC BY 4.0, training images under Creative Commons "
        "licences without ND, the others CC0 or in the public domain"
    )
    protocols: ClassVar = {
        "clean": Protocol("retrieval v2.1, trained on train-clean", 1_129, 761_757, 1_580_470),
        "part": Protocol("retrieval v2.1, trained on a part of train-clean drawn by seed", 1_129, 761_757),
        "none": Protocol("retrieval v2.1, for heads trained elsewhere", 1_129, 761_757, 0),
    }

    split_settings = ("long_tail", "long_tail_of")
    locations = (*Instances.locations, "train_vectors")

    root: str = "data/gldv2"
    train: Literal["clean", "none"] | float = option("clean", exclusiveMinimum=0, maximum=1)
    train_vectors: str | None = None
    map_at: Items | None = 100

    @property
    def protocol(self) -> str:
        """That of the setting ``train``."""
        return self.train if isinstance(self.train, str) else "part"

    def images(self, problems: Problems) -> Images:
        """The images the CSV files name; ``relevance`` has one list, ``relevant``."""
        if missing := absent(self._files()):
            raise SDCError(f"{missing[0]}; set root to the folder that holds it, or get it again")
        index = [name for (name,) in _rows(self._file(INDEX), "id")]
        database = _paths("index", index, self._file(INDEX), problems)
        queries, truth, usages = self._queries(index, problems)
        train, labels, landmarks = self._training(problems)
        images = self.list_instances(
            database,
            queries,
            truth,
            train,
            labels,
            problems=problems,
            classes=landmarks,
            sources=hashes(self._files()),
        )
        rows = images.rows("query").tolist()
        usage = {name: [row for row in rows if usages[images.paths[row]] == name] for name in _USAGES[:2]}
        return dataclasses.replace(images, facts={**images.facts, "usage": usage})

    def usable(self, paths: Sequence[str], problems: Problems) -> tuple[np.ndarray, list[dict[str, str]]]:
        """Which files can be used: all are looked for by the check or to skip some, else a sample."""
        if problems.gather or self.on_error == "skip":
            return super().usable(paths, problems)
        drawn = fixed_order(len(paths))[:_SAMPLE]
        sample = [*(path for path in paths if path.startswith("test/")), *(paths[row] for row in np.sort(drawn))]
        missing = [path for path in dict.fromkeys(sample) if not (Path(self.root) / path).is_file()]
        if missing:
            problems(
                f"{self.root}: {len(missing)} of the {len(set(sample))} images looked for are missing: "
                f"{some(missing)}; complete the copy or set on_error: skip"
            )
        return np.ones(len(paths), bool), []

    def missing(self) -> list[str]:
        """The CSV files, and the folders of images or the vectors."""
        if self.vector_files():
            return absent(self._files()) + self.missing_vectors()
        folders = ("index", "test", *(["train"] if self.train != "none" else []))
        return absent(self._files(), [Path(self.root) / name for name in folders])

    def vector_paths(self) -> dict[str, str | None]:
        """The file of vectors of each split, as set."""
        return {**super().vector_paths(), **({"train": self.train_vectors} if self.train != "none" else {})}

    def _files(self) -> list[Path]:
        return [self._file(name) for name in ((TRUTH, INDEX) if self.train == "none" else (TRUTH, INDEX, CLEAN))]

    def _file(self, name: str) -> Path:
        places = [Path(self.root) / folder / name for folder in _FOLDERS]
        return next((place for place in places if place.is_file()), places[0])

    def _queries(
        self, index: list[str], problems: Problems
    ) -> tuple[list[str], list[dict[str, np.ndarray]], dict[str, str]]:
        """Paths of the queries, for each the positions in the index of relevant images, and the usage by path."""
        path = self._file(TRUTH)
        queries, truth, usages, unknown = [], [], [], []
        place_of = {name: place for place, name in enumerate(index)}
        if len(place_of) < len(index):
            problems(f"{self._file(INDEX)}: names {len(index) - len(place_of)} images twice; get it again")
        for query, images, usage in _rows(path, "id", "images", "Usage"):
            if usage not in _USAGES:
                problems(f"{path}: Usage of {query} is {usage!r}, expected one of {', '.join(_USAGES)}; get it again")
            elif usage != "Ignored":
                places = [place_of.get(name, -1) for name in images.split()]
                unknown += [name for name, place in zip(images.split(), places, strict=True) if place < 0]
                truth.append({"relevant": np.unique([place for place in places if place >= 0]).astype(np.int64)})
                queries.append(query)
                usages.append(usage)
        if unknown:
            problems(
                f"{path}: {len(unknown)} relevant images are not in {INDEX}, the first: {unknown[0]}; "
                "get both files again"
            )
        paths = _paths("test", queries, path, problems)
        return paths, truth, dict(zip(paths, usages, strict=True))

    def _training(self, problems: Problems) -> tuple[list[str], np.ndarray, list[str]]:
        """Paths of the training images, the landmark of each, counted from 0 by number, and these numbers."""
        if self.train == "none":
            return [], np.zeros(0, np.int64), []
        path = self._file(CLEAN)
        rows = [(landmark, images.split()) for landmark, images in _rows(path, "landmark_id", "images")]
        if strange := next((landmark for landmark, _ in rows if not landmark.isdecimal()), None):
            raise SDCError(f"{path}: landmark_id {strange!r} is not a number; get it again")
        numbers, ranks = np.unique([int(landmark) for landmark, _ in rows], return_inverse=True)
        labels = np.repeat(ranks, [len(images) for _, images in rows])
        names = list(itertools.chain.from_iterable(images for _, images in rows))
        if not isinstance(self.train, str):
            count = round(self.train * len(names))
            chosen = np.sort(np.random.RandomState(self.seed).permutation(len(names))[:count])
            names, labels = [names[place] for place in chosen], labels[chosen]
        return _paths("train", names, path, problems), labels, [str(number) for number in numbers]


def _rows(path: Path, *columns: str) -> Iterator[list[str]]:
    """The cells of some columns, row by row; plain text throughout, so that ``None`` is a word.

    These files quote nothing, and the csv module refuses cells as long as theirs.
    """
    try:
        with open(path, encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            if not set(columns) <= set(header):
                raise SDCError(f"{path}: columns are {', '.join(header)}, expected {', '.join(columns)}; get it again")
            places = [header.index(column) for column in columns]
            for number, line in enumerate(file, 2):
                cells = line.rstrip("\n").split(",")
                if len(cells) == len(header):
                    yield [cells[place] for place in places]
                elif line.strip():
                    expected = f"{len(cells)} cells, expected {len(header)}"
                    raise SDCError(f"{path}: line {number} has {expected}; get it again")
    except UnicodeDecodeError as error:
        raise SDCError(f"{path}: is not text ({error}); get it again") from error


def _paths(split: str, names: Sequence[str], source: Path, problems: Problems) -> list[str]:
    strange = [name for name in names if len(name) != _ID_LENGTH]
    if strange:
        problems(
            f"{source}: {strange[0]!r} is not the name of an image, which has {_ID_LENGTH} characters "
            f"({len(strange)} such); get it again"
        )
    return [f"{split}/{name[:1]}/{name[1:2]}/{name[2:3]}/{name}.jpg" for name in names]
