"""Image files and their codes: what cannot be read is named, or skipped and counted."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from sdc import devices
from sdc.datasets.locate import images_at
from sdc.datasets.problems import shown, some
from sdc.errors import SDCError
from sdc.search.encoder import Encoder

_log = logging.getLogger(__name__)
OnError = Literal["fail", "skip"]


class FilesToEncode:
    """Image files to be encoded.

    Args:
        places: Files, and folders whose images are all taken.
        on_error: A file that cannot be read, or has too many pixels, or in a folder is no image: ``fail`` and name it,
            or ``skip`` it and count it.

    Attributes:
        paths: Of the files that were not skipped.
        skipped: Of the others why, by their paths.

    Raises:
        SDCError: If one comes twice, a folder holds none, or one is no image.
    """

    def __init__(self, places: Iterable[str | Path], on_error: OnError = "fail") -> None:
        self.skipped: dict[str, str] = {}
        self._on_error = on_error
        self.paths = images_at(places, self._complain)

    def encode(self, encoder: Encoder) -> np.ndarray:
        """Codes of ``paths``, shape ``(n, bits / 8)``, uint8; what cannot be read leaves these.

        Raises:
            SDCError: If an image cannot be read, or none can.
        """
        devices.keep_freed_memory()
        codes = encoder.encode(self.paths, self._complain, progress=True)
        named = [f"{shown(path)} ({why})" for path, why in sorted(self.skipped.items())]
        self.paths = [path for path in self.paths if path not in self.skipped]
        if not self.paths:
            raise SDCError(f"none of the images can be read: {some(named)}")
        if self.skipped:
            _log.warning("skipped %d files: %s", len(self.skipped), some(named))
        return codes

    def _complain(self, path: str, why: str) -> None:
        if self._on_error == "fail":
            raise SDCError(f"{shown(path)}: {why}; fix or remove it, or give --on-error skip")
        self.skipped[path] = why
