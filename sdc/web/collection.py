"""One index as the page shows it: its items, their images and labels, and queries to it."""

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation.relevance import SharedLabels
from sdc.labels import Labels
from sdc.search import engines
from sdc.search.answers import Ranking, about, neighbours, ranked
from sdc.search.cached import features_of
from sdc.search.encoder import Encoder
from sdc.search.index import Index
from sdc.search.opening import image_or_gray, opener_of
from sdc.search.ranking import FeaturesOf
from sdc.storage.records import checksum_of
from sdc.storage.sources import External
from sdc.web import map as maps
from sdc.web.uploads import thumbnail

RANKINGS: dict[Ranking, str] = {
    "hamming": "Hamming distance",
    "asymmetric": "asymmetric distance",
    "cosine": "cosine of the nearest codes' features",
}
_log = logging.getLogger(__name__)
# Networks use all cores for one image, images take much memory, and HDF5 reads one thing at a time.
_ENCODING, _READING, _DECODING = threading.Lock(), threading.Lock(), threading.BoundedSemaphore(4)


class Query(NamedTuple):
    """What is looked for: a code, shape ``(bits / 8,)``; its features, if known; its row, if it is of the index."""

    code: np.ndarray
    features: np.ndarray | None = None
    row: int | None = None


class Collection:
    """An index and what it takes to ask it; threads may share it.

    Args:
        folder: Of the index.
        weights, device: As of ``Encoder.load``.
        cache, external: As of ``features_of``.

    Raises:
        SDCError: If there is no index, or it is damaged.
    """

    def __init__(
        self,
        folder: Path,
        weights: str | None = None,
        device: str = "auto",
        cache: str | None = None,
        external: External = "refuse",
    ) -> None:
        self.index = index = Index.load(folder)
        if not len(index):
            raise SDCError(f"{folder}: the index is empty; add codes first")
        parts = [index.facts.get(key) for key in ("dataset", "backbone", "method")]
        self.name = " ".join([*map(str, filter(None, parts))] or [folder.absolute().name]) + f" {index.bits} bits"
        self.encoder = Encoder.load(index.head_path, weights, device) if index.head_path else None
        self.takes_images = self._takes_images()
        self._features_of: FeaturesOf | None = None
        try:
            self._features_of = features_of(index, folder, cache, external)
        except SDCError as error:
            if cache is not None:
                raise
            _log.info("%s: not ranked by cosine (%s)", self.name, error)
        self._open: Callable[[str], Any] | None = None
        try:
            self._open = opener_of(index)
        except SDCError as error:
            _log.info("%s: no images are shown (%s)", self.name, error)
        index.rows_of(index.ids[:1])  # what it sorts, it sorts now
        self._words = hamming.words(index.view_of_codes())
        # Between the labels of an item, where items may have several.
        several = index.facts.get("label_kind") == "multi"
        self._separator = index.facts.get("label_separator", ", ") if several else None
        self._relevance = self._of_labels()
        self.map = maps.packed(index, self._separator)
        self.map_version = checksum_of(self.map or b"")[:16]

    def _takes_images(self) -> bool:
        if self.encoder is None or self.encoder.backbone is None or self.encoder.backbone.takes == "vectors":
            return False
        try:
            self.encoder.checked()
        except SDCError as error:
            _log.warning("%s: images cannot be asked for (%s)", self.name, error)
            return False
        return True

    def _of_labels(self) -> SharedLabels | None:
        kind, numbers = self.index.facts.get("label_kind"), dict[str, int]()
        if kind in ("none", "instance"):
            return None

        def classes(label: str) -> list[int]:
            names = [label] if self._separator is None else label.split(self._separator)
            return [numbers.setdefault(name, len(numbers)) for name in names if name]

        labels = Labels.of(map(classes, self.index.items.labels))
        return SharedLabels(labels, labels) if numbers else None

    @property
    def shows_images(self) -> bool:
        """Whether items have images, and not vectors alone."""
        return self._open is not None

    @property
    def rankings(self) -> list[Ranking]:
        """The ways in which this index can rank."""
        possible = {"hamming": True, "asymmetric": self.encoder, "cosine": self.encoder and self._features_of}
        return [by for by in RANKINGS if possible[by]]

    @property
    def features_key(self) -> str:
        """Equal for indexes whose encoders make the same features of an image."""
        metadata = self.encoder.head.metadata if self.encoder else {}
        keys = ("backbone", "backbone_settings", "weights", "transform", "decoding", "input")
        return json.dumps([metadata.get(key) for key in keys], sort_keys=True, default=str)

    def features(self, image: Any) -> np.ndarray:
        """Features of an image of Pillow's, shape ``(dim,)``.

        Raises:
            SDCError: If it cannot be encoded here.
        """
        if self.encoder is None or not self.takes_images:
            raise SDCError(f"{self.name}: encodes no images on this server; take an item of the database")
        with _ENCODING:
            return self.encoder.features([image])[0]

    def query_of_features(self, features: Any) -> Query:
        """A query by features, shape ``(dim,)``; raises an ``SDCError`` if they are not as the head takes them."""
        if self.encoder is None:
            raise SDCError(f"{self.name}: has no head; take an item of the database")
        return Query(self.encoder.encode_features(features[None])[0], features)

    def query_of_item(self, item: int, by: Ranking = "hamming") -> Query:
        """A query by an item of the index: its code, and its features if the ranking takes them.

        Raises:
            SDCError: If there is no such item, or its features are not known.
        """
        row = int(self.index.rows_of([item])[0])
        features = None
        if by != "hamming" and self._features_of is not None:
            with _READING:
                features = self._features_of(np.array([item]))[0]
        elif by != "hamming" and self._open is not None and self.takes_images:
            try:
                image = self._open(self.index.items.paths[row])
            except SDCError as error:
                _log.warning("%s", error)
                # Where images lie is nobody else's business.
                raise SDCError(f"{self.name}: the image of id {item} cannot be read; rank by hamming") from None
            features = self.features(image)
        return Query(np.asarray(self.index.view_of_codes()[row]), features, row)

    def answer(self, query: Query, by: Ranking = "hamming", k: int = 10) -> list[dict[str, Any]]:
        """The nearest items, without the query itself: rank, distance, id, path, label, code and whether it is right.

        Raises:
            SDCError: If the index cannot be ranked so.
        """
        engines.use_one_core()
        # It finds itself.
        k, most = min(k + (query.row is not None), len(self.index)), k
        if by == "hamming":
            distances, ids = self.index.search(query.code[None], k)
        elif self.encoder is None or by not in self.rankings or query.features is None:
            raise SDCError(f"{self.name}: cannot rank by {RANKINGS[by]} here; rank by hamming")
        else:
            index, candidates = self.index, min(100, len(self.index))
            with _READING if by == "cosine" else contextlib.nullcontext():
                distances, ids = ranked(index, self.encoder, query.features[None], by, k, self._features_of, candidates)
        relevant, codes = self.relevant(query), self.index.view_of_codes()
        result = []
        for each in neighbours(self.index, distances[0], ids[0]):
            row = int(self.index.rows_of([each["id"]])[0])
            if row != query.row:
                right = None if relevant is None else bool(relevant[row])
                result.append({**_as_text(each), "code": codes[row].tobytes().hex(), "relevant": right})
        return [{**each, "rank": rank} for rank, each in enumerate(result[:most], 1)]

    def distances(self, query: Query) -> np.ndarray:
        """Hamming distances to all other items, shape ``(n,)`` or ``(n - 1,)``."""
        distances = hamming.word_distances(hamming.words(query.code[None])[:, 0], self._words)
        return distances if query.row is None else np.delete(distances, query.row)

    def relevant(self, query: Query) -> np.ndarray | None:
        """Whether each item is relevant, shape ``(n,)``; None where labels do not say it."""
        if self._relevance is None or query.row is None or not self.index.items.labels[query.row]:
            return None
        return self._relevance.levels(query.row) > 0

    def item(self, item: int) -> dict[str, Any]:
        """Id, path, label and code of an item; raises an ``SDCError`` if there is none."""
        row = int(self.index.rows_of([item])[0])
        return {**_as_text(about(self.index, row)), "code": self.index.view_of_codes()[row].tobytes().hex()}

    def thumbnail(self, item: int) -> bytes:
        """A small JPEG file of an item's image, gray where it cannot be read.

        Raises:
            SDCError: If there is no such item, or it has no image.
        """
        row = int(self.index.rows_of([item])[0])
        if self._open is None:
            raise SDCError(f"{self.name}: holds vectors, no images")
        with _DECODING:
            return thumbnail(image_or_gray(self._open, self.index.items.paths[row]))


def _as_text(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose names are valid UTF-8, as JSON and HTML want it."""
    names = {key: item[key].encode("utf-8", "surrogateescape").decode("utf-8", "replace") for key in ("path", "label")}
    return {**item, **names}
