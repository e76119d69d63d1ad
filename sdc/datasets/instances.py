"""What datasets of instances share: relevance is listed for each query; database, queries, training items in turn."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from sdc.datasets.base import ImageFiles, absent
from sdc.datasets.draws import named_splits
from sdc.datasets.problems import Problems
from sdc.datasets.vectors import Vectors, by_id, open_vectors
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.manifest import Images, Manifest
from sdc.storage.sources import External


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instances(ImageFiles):
    """Images of landmarks or other single things, with a list of relevant images for each query.

    Attributes:
        truncated: Public code for landmarks loads what there is of an image.
        database_vectors, query_vectors: Files of precomputed vectors, for the backbone ``imported``; images are not
            needed then. The ``ids`` of a file are the images' names; without them it has a row for each image, in the
            order of the lists.
        external: HDF5 files that lead to vectors in other files, by links, virtual datasets or external storage:
            ``refuse`` them, or ``follow`` them; then all these files must be there.
    """

    label_kind = "instance"
    locations: ClassVar[tuple[str, ...]] = ("root", "database_vectors", "query_vectors")

    truncated: Literal["fail", "load"] = "load"
    database_vectors: str | None = None
    query_vectors: str | None = None
    external: External = "refuse"

    def vector_paths(self) -> dict[str, str | None]:
        """The file of vectors of each split, as set."""
        return {"database": self.database_vectors, "query": self.query_vectors}

    def vector_files(self) -> list[str]:
        """As set; none for a dataset of images."""
        return [path for path in self.vector_paths().values() if path]

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As listed: nothing is drawn."""
        return self.manifest(images, named_splits(images), problems)

    def vectors(self, images: Images | Manifest) -> Vectors | None:
        """The vectors of each split."""
        if not self.vector_files():
            return None
        parts = []
        for split, path in self.vector_paths().items():
            if not path:
                raise SDCError(f"{self.title}: {split}_vectors is not set; vectors and images cannot be mixed")
            file = open_vectors(path, self.external)
            parts.append((file, by_id(file, [images.paths[row] for row in images.rows(split)])))
        return Vectors(parts, images.paths)

    def missing_vectors(self) -> list[str]:
        """Files of vectors that are not there, a line each."""
        return absent(map(Path, self.vector_files()))

    def list_instances(
        self,
        database: Sequence[str],
        queries: Sequence[str],
        truth: Sequence[Mapping[str, np.ndarray]],
        train: Sequence[str] = (),
        train_labels: Sequence[int] | np.ndarray = (),
        *,
        problems: Problems,
        **facts: Any,
    ) -> Images:
        """The images of the database, then the queries, then the training items, each in the order given.

        Images that cannot be used are left out, of the ground truth too.

        Args:
            database, queries, train: Paths below the root.
            truth: For each query, positions in the database by the name of their list.
            train_labels: Class index of each training item.
            problems: Told of missing files and of invalid vectors.
            **facts: As ``list_images`` takes them: ``sources``, ``classes``.
        """
        paths = [*database, *queries, *train]
        classes = np.full(len(paths), -1)
        classes[len(database) + len(queries) :] = train_labels
        groups = ["database"] * len(database) + ["query"] * len(queries) + ["train"] * len(train)
        has_images = not self.vector_files()
        usable, skipped = self.usable(paths, problems) if has_images else (np.ones(len(paths), bool), [])
        row_of = np.cumsum(usable) - 1
        relevance = {
            int(row_of[place]): {name: row_of[np.sort(rows[usable[rows]])] for name, rows in lists.items()}
            for place, lists in enumerate(truth, len(database))
            if usable[place]
        }
        images = self.list_images(
            list(itertools.compress(paths, usable)),
            Labels.single(classes[usable]),
            groups=list(itertools.compress(groups, usable)),
            skipped=skipped,
            relevance=relevance,
            **{"classes": (), **facts},
        )
        if has_images:
            return images
        if missing := self.missing_vectors():
            raise SDCError(f"{missing[0]}; put the vectors there or name their file")
        try:
            self.vectors(images)
        except SDCError as error:
            problems(str(error))
        for path in self.vector_files():
            open_vectors(path, self.external).check(problems)
        return images
