"""From new images to codes: a head, the backbone whose features it takes, and that backbone's weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
from tqdm import tqdm

from sdc import devices, registry
from sdc.backbones.base import Backbone
from sdc.datasets.decode import MAX_MEGAPIXELS, convert, decode
from sdc.datasets.locate import Complain
from sdc.datasets.problems import shown
from sdc.errors import SDCError
from sdc.head import Head
from sdc.plan.entries import weights_file
from sdc.storage.heads import checksum_of_head, read_head

if TYPE_CHECKING:
    from PIL.Image import Image

    from sdc.backbones.extraction import Extraction

# Paths, images of Pillow's, or arrays: several, or one. Of a backbone that takes vectors, an array of these.
Images: TypeAlias = Any
_REMEDY = "fix it or leave it out"


class _Item(NamedTuple):
    """An image to encode, what errors call it, and who is told that it cannot be read, if not by an error."""

    name: str
    image: Any
    complain: Complain | None

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """From images to packed codes, as the pipeline makes them: the same decoder, transform, network and head.

    Attributes:
        head: From features to bits.
        backbone: From images to features; None of a head that was fitted to arrays, and takes nothing else.
        name: What errors call the head.
        device: Where the backbone computes: as ``sdc.devices.choose`` takes it.
        max_megapixels: Images of more pixels are not decoded, unless the dataset's settings say which are scaled.
    """

    head: Head
    backbone: Backbone | None = None
    name: str = "the head"
    device: str = "auto"
    max_megapixels: float = MAX_MEGAPIXELS

    @classmethod
    def load(
        cls,
        path: str | Path,
        weights: str | Path | None = None,
        device: str = "auto",
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> Self:
        """Read a head that the pipeline wrote, which says what its backbone is.

        Args:
            path: ``head.safetensors``.
            weights: Where the backbone's weights are, if not where they were in training: a file, or a published name.
            device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N``
                or ``mps``.
            max_megapixels: As of the class.

        Raises:
            SDCError: If it is no valid head, features of its version are not made any more, or the weights are others.
                Weights that are not given are looked at when the first image comes.
        """
        head = read_head(path)
        settings = head.metadata.get("backbone_settings")
        if settings is None:
            if weights is not None:
                raise SDCError(f"{path}: {_NO_BACKBONE}; leave weights out")
            return cls(head, None, str(path), device, max_megapixels)
        if (version := head.metadata["features_version"]) != registry.FEATURES_VERSION:
            raise SDCError(
                f"{path}: takes features of version {version}, and this sdc makes version {registry.FEATURES_VERSION}; "
                "extract and train again, or install that version"
            )
        backbone = registry.build("backbones", head.metadata["backbone"], settings)
        if weights is not None:
            if "weights" not in settings:
                raise SDCError(f"{path}: its backbone, {settings['type']}, reads no weights; leave weights out")
            backbone = backbone.with_weights(os.fspath(weights))
        encoder = cls(head, backbone, str(path), device, max_megapixels)
        if weights is not None:
            encoder._check("weights")
        return encoder

    @property
    def bits(self) -> int:
        """Code length."""
        return self.head.bits

    @property
    def identity(self) -> dict[str, Any]:
        """What the head's metadata say, and ``head_xxh3``: codes belong together if this agrees."""
        return {**self.head.metadata, "head_xxh3": checksum_of_head(self.head)}

    def encode(self, images: Images, complain: Complain | None = None, progress: bool = False) -> np.ndarray:
        """Codes of images: packed uint8, shape ``(n, bits / 8)``, in NumPy's ``packbits`` order.

        Args:
            images: Paths, images of Pillow's, or uint8 arrays of shape ``(h, w)`` or ``(h, w, 3)``: a list of them, or
                one. An array of shape ``(n, h, w, 3)`` is n images. If the backbone takes vectors, an array of these,
                shape ``(n, dim)``.
            complain: Told of each image that cannot be read (its path, or ``image 3``) and why; it is left out then.
                By default, an ``SDCError`` says it. Threads call it.
            progress: Show a progress bar on a terminal.

        Raises:
            SDCError: If an image is missing or cannot be decoded, has more pixels than the dataset's images may have,
                or the weights are not those of the head's features; names it.
        """
        blocks = self._blocks(images, complain, progress)
        return self._joined(map(self.head.encode, blocks), np.uint8, self.bits // 8)

    def outputs(self, images: Images) -> np.ndarray:
        """The head's outputs, whose signs are the bits: float32, shape ``(n, bits)``. See ``encode``."""
        return self._joined(map(self.outputs_of_features, self._blocks(images)), np.float32, self.bits)

    def features(self, images: Images) -> np.ndarray:
        """Features as the shards hold them, float16 or float32, shape ``(n, dim)``. See ``encode``."""
        return self._joined(self._blocks(images), self.dtype, self.head.dim)

    def encode_features(self, features: Any) -> np.ndarray:
        """Codes of features, shape ``(n, dim)``, without torch; first rounded as the shards round them. See ``encode``.

        Raises:
            SDCError: If the features have another width or hold NaN or infinity.
        """
        return self.head.encode(self._stored(features))

    def outputs_of_features(self, features: Any) -> np.ndarray:
        """As ``outputs``, of features; see ``encode_features``."""
        return self.head.logits(self._stored(features)).astype(np.float32)

    def pixels(self, images: Images) -> np.ndarray:
        """What the backbone's network takes, and its ONNX file: of most, uint8 of shape ``(n, h, w, 3)``.

        Raises:
            SDCError: As ``encode``.
        """
        resize, decoding = self._needed.resizer(), self._decoding
        return np.stack([resize(_open(image, name, decoding)) for name, image in _named(images)])

    @property
    def dtype(self) -> str:
        """The type in which features are stored."""
        return self.backbone.dtype if self.backbone else "float32"

    @property
    def takes_means(self) -> bool:
        """Whether the head takes the means of an image's tokens, where these are not its features."""
        return self.head.metadata.get("input") == "token_means"

    def _stored(self, features: Any) -> np.ndarray:
        """Features, shape ``(n, dim)``, in the type that shards have."""
        array = np.asarray(features)
        if array.ndim != 2 or array.shape[1] != self.head.dim or array.dtype.kind not in "fiu":
            what = f"features have shape {array.shape} and type {array.dtype}"
            raise SDCError(f"{what}, and {self.name} takes numbers of shape (n, {self.head.dim}); give these")
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused
            stored = array.astype(self.dtype, copy=False) if self.backbone else array
        if len(bad := np.flatnonzero(~np.isfinite(stored).all(axis=1))):
            raise SDCError(f"features: row {bad[0]} holds NaN or infinity as {stored.dtype}; fix it or leave it out")
        return stored

    def _blocks(self, images: Images, complain: Complain | None = None, progress: bool = False) -> Iterator[np.ndarray]:
        """Features as the shards hold them, a batch at a time."""
        backbone = self._needed
        if backbone.takes == "vectors":
            vectors = np.asarray(images)
            if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
                raise SDCError(f"{self.name}: takes vectors of shape (n, {self.head.dim}), no images; give an array")
            yield self._stored(backbone.convert(vectors))
            return
        items = [_Item(name, image, complain) for name, image in _named(images)]
        with tqdm(total=len(items), unit="image", disable=None if progress else True) as bar:
            for block in self._extraction.blocks(items, spread=True) if items else ():
                if block:
                    yield self._stored(
                        block["token_means" if self.takes_means & ("token_means" in block) else "features"]
                    )
                bar.update(min(self._extraction.batch_size, len(items) - bar.n))

    @staticmethod
    def _joined(blocks: Iterable[np.ndarray], dtype: Any, width: int) -> np.ndarray:
        return np.concatenate([np.empty((0, width), dtype), *blocks])

    @cached_property
    def _extraction(self) -> Extraction:
        from sdc.backbones.extraction import Extraction

        # The head says which precision its features were made in, so no image is tried.
        return Extraction(self.checked(), self._open, devices.choose(self.device), sample=tuple)

    def checked(self) -> Backbone:
        """The backbone, if its weights and transform are those of the features that the head was trained on.

        Raises:
            SDCError: If they are not, or there is none.
        """
        for key in ("weights", "transform"):
            self._check(key)
        return self._needed

    @property
    def _needed(self) -> Backbone:
        if self.backbone is None:
            raise SDCError(f"{self.name}: {_NO_BACKBONE}; use encode_features, or extract and train again")
        return self.backbone

    def _check(self, key: str) -> None:
        """Check that weights or transform are those of the features that the head was trained on."""
        backbone, expected = self._needed, self.head.metadata[key]
        place = weights_file({"weights": getattr(backbone, "weights", "")}) if key == "weights" else None
        if place and not Path(place).is_file():
            raise SDCError(f"{place}: no such file, and {self.name} needs the weights {expected}; give weights")
        if not (backbone.has_weights(expected) if key == "weights" else backbone.transform_id() == expected):
            actual = backbone.weights_id() if key == "weights" else backbone.transform_id()
            here = f"{place} holds" if place else "here are"
            remedy = "give the former" if key == "weights" else "install the versions it was trained with"
            raise SDCError(f"{self.name}: was trained with {key} {expected}, and {here} {actual}; {remedy}")

    @property
    def _decoding(self) -> dict[str, Any]:
        return {"max_megapixels": self.max_megapixels, **self.head.metadata["decoding"]}

    def _open(self, item: _Item) -> Image | None:
        """An item's image as RGB; None if it cannot be read and somebody is told."""
        try:
            return _open(item.image, item.name, self._decoding)
        except SDCError as error:
            if item.complain is None:
                raise
            item.complain(item.name, str(error).removeprefix(f"{shown(item.name)}: ").rpartition("; ")[0])
            return None


_NO_BACKBONE = "says nothing of a backbone: it was fitted to arrays, or is older than such heads"


def _named(images: Images) -> list[tuple[str, Any]]:
    """Images one by one, and what errors call each."""
    from PIL.Image import Image

    if isinstance(images, str | os.PathLike | Image):
        images = [images]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        raise SDCError(f"an array of shape {images.shape} may be one image or several; give a list of images")
    return [(os.fspath(i) if isinstance(i, str | os.PathLike) else f"image {n}", i) for n, i in enumerate(images)]


def _open(image: Any, name: str, decoding: Mapping[str, Any]) -> Image:
    """A path, an image of Pillow's or an array as RGB, decoded as the dataset's images were."""
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        return decode(image, **decoding, remedy=_REMEDY)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2 or not image.size:
            what = f"is an array of shape {image.shape} and type {image.dtype}"
            raise SDCError(f"{name}: {what}; give uint8 of shape (h, w) or (h, w, 3)")
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        raise SDCError(f"{name}: is a {type(image).__name__}; give a path, an image of Pillow's or an array")
    of_files = {key: value for key, value in decoding.items() if key in ("orientation", "max_megapixels")}
    return convert(image, name, **of_files, remedy=_REMEDY)
