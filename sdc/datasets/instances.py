"""What sets of instances have in common: relevance is listed for each query, and rows of three kinds in turn."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from sdc.datasets.base import LabelKind, Pictures, Problems, found_instead
from sdc.datasets.vectors import Vectors, by_id, open_vectors
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.manifest import Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instances(Pictures):
    """Pictures of landmarks or other single things, with a list of relevant pictures for each query.

    Attributes:
        truncated: Public code for landmarks loads what there is of a picture.
        database_vectors, query_vectors: Files of precomputed vectors; pictures are not needed then, and the backbone is
            ``imported``. Rows are found by the ``ids`` in a file, which are the pictures' names; a file without them
            has a row for each picture, in the order of the lists.
    """

    label_kind: ClassVar[LabelKind] = "instance"

    truncated: Literal["fail", "load"] = "load"
    database_vectors: str | None = None
    query_vectors: str | None = None

    def vector_paths(self) -> dict[str, str | None]:
        """The file of vectors of each kind of rows, as set."""
        return {"database": self.database_vectors, "query": self.query_vectors}

    def vector_files(self) -> list[str]:
        """As set; none for a dataset of pictures."""
        return [path for path in self.vector_paths().values() if path]

    def vectors(self, listed: Manifest) -> Vectors | None:
        """What the files hold of each kind of rows."""
        if not self.vector_files():
            return None
        if lacking := [split for split, path in self.vector_paths().items() if not path]:
            raise SDCError(f"{self.title}: {lacking[0]}_vectors is not set; vectors and pictures cannot be mixed")
        files = {split: open_vectors(path) for split, path in self.vector_paths().items() if path}
        listed_by = {split: [listed.paths[row] for row in listed.rows(split)] for split in files}
        return Vectors([(file, by_id(file, listed_by[split])) for split, file in files.items()], listed.paths)

    def missing_vectors(self) -> list[str]:
        """Files of vectors that are not there."""
        return [f"{path}: {found_instead(path)}" for path in self.vector_files() if not Path(path).is_file()]

    def listed_instances(
        self,
        database: Sequence[str],
        queries: Sequence[str],
        truth: Sequence[Mapping[str, np.ndarray]],
        train: Sequence[str] = (),
        train_labels: Sequence[int] | np.ndarray = (),
        *,
        problems: Problems,
        **facts: Any,
    ) -> Manifest:
        """A manifest of the database, then the queries, then the training items, each in the order given.

        Of pictures that cannot be used, neither the row nor its place in the ground truth is left.

        Args:
            database, queries, train: Paths below the root.
            truth: For each query, positions in the database by the name of the list they are on.
            train_labels: Class index of each training item.
            problems: Told of missing files, or of what is wrong with the vectors.
            **facts: As ``listed`` takes them: ``protocol``, ``sources``, ``classes``.
        """
        paths = [*database, *queries, *train]
        untold = np.full(len(database) + len(queries), -1)
        roles = np.repeat([0, 1, 2], [len(database), len(queries), len(train)])
        pictures = not self.vector_files()
        usable, dropped = self.usable(paths, problems) if pictures else (np.ones(len(paths), bool), [])
        row_of = np.cumsum(usable) - 1
        relevance = {
            int(row_of[place]): {name: row_of[np.sort(rows[usable[rows]])] for name, rows in lists.items()}
            for place, lists in enumerate(truth, len(database))
            if usable[place]
        }
        manifest = self.listed(
            list(itertools.compress(paths, usable)),
            Labels.single(np.concatenate([untold, np.asarray(train_labels, np.int64)])[usable]),
            splits={name: roles[usable] == role for role, name in enumerate(("database", "query", "train"))},
            dropped=dropped,
            relevance=relevance,
            problems=problems,
            **{"classes": (), **facts},
        )
        if not pictures:
            self._check_vectors(manifest, problems)
        return manifest

    def _check_vectors(self, manifest: Manifest, problems: Problems) -> None:
        if gone := self.missing_vectors():
            raise SDCError(f"{gone[0]}; put the vectors there or name their file")
        try:
            self.vectors(manifest)
        except SDCError as error:
            problems(str(error))
        for path in self.vector_files():
            open_vectors(path).check(problems)
