"""What sets of instances have in common: relevance is listed for each query, and rows of three kinds in turn."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from sdc.datasets.base import Pictures, Problems
from sdc.labels import Labels
from sdc.storage import Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instances(Pictures):
    """Pictures of landmarks or other single things, with a list of relevant pictures for each query.

    Attributes:
        truncated: Public code for landmarks loads what there is of a picture.
    """

    label_kind: ClassVar[Literal["single", "multi", "instance"]] = "instance"

    truncated: Literal["fail", "load"] = "load"

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
            problems: Told of missing files.
            **facts: As ``listed`` takes them: ``protocol``, ``sources``, ``classes``.
        """
        paths = [*database, *queries, *train]
        untold = np.full(len(database) + len(queries), -1)
        roles = np.repeat([0, 1, 2], [len(database), len(queries), len(train)])
        usable, dropped = self.usable(paths, problems)
        row_of = np.cumsum(usable) - 1
        relevance = {
            int(row_of[place]): {name: row_of[np.sort(rows[usable[rows]])] for name, rows in lists.items()}
            for place, lists in enumerate(truth, len(database))
            if usable[place]
        }
        return self.listed(
            list(itertools.compress(paths, usable)),
            Labels.single(np.concatenate([untold, np.asarray(train_labels, np.int64)])[usable]),
            splits={name: roles[usable] == role for role, name in enumerate(("database", "query", "train"))},
            dropped=dropped,
            relevance=relevance,
            problems=problems,
            **{"classes": (), **facts},
        )
