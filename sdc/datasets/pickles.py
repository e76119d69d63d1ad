"""Pickles that hold data and nothing else: the only reader of pickles there is."""

import io
import pickle
from pathlib import Path
from typing import Any


class _DataOnly(pickle.Unpickler):
    """Admits what NumPy arrays and numbers are made of, so that a doctored file cannot call anything else.

    Dicts, lists, tuples, strings and plain numbers are the pickle format's own and ask for nothing.
    """

    # NumPy 1 says numpy.core where NumPy 2 says numpy._core.
    ADMITTED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
            ("numpy._core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        current = module.replace("numpy.core", "numpy._core")
        if (current, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return super().find_class(current, name)


def load(path: str | Path) -> Any:
    """Read a pickle of plain containers, strings, numbers and NumPy arrays, Python 2's included.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is damaged or asks for anything else; the caller names the file.
    """
    content = Path(path).read_bytes()
    try:
        # Python 2 wrote byte strings; latin1 is what arrays in them need.
        return _DataOnly(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(str(error) or type(error).__name__) from error
