"""Pickles that hold data and nothing else: the only reader of pickles there is."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any


class _DataOnly(pickle.Unpickler):
    """Admits what NumPy arrays and numbers are made of, so that a doctored file cannot call anything else.

    Dicts, lists, tuples, strings and plain numbers are the pickle format's own and ask for nothing.
    """

    ADMITTED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "scalar"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load(path: str | Path) -> Any:
    """Read a pickle of plain containers, strings, numbers and NumPy arrays, Python 2's included.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is damaged or asks for anything else, and what that is. The caller knows what the file should
            have been and says so.
    """
    content = Path(path).read_bytes()
    try:
        # Python 2 wrote byte strings; latin1 is what arrays in them need.
        return _DataOnly(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(str(error) or type(error).__name__) from error
