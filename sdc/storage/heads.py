"""Hash heads as safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.head import Head
from sdc.storage.files import remedy, unreadable, writing
from sdc.storage.records import NOTHING, check_identity, checksum_of, checksum_of_values, outdated

HEAD_SCHEMA = "sdc.head/2"


def checksum_of_head(head: Head) -> str:
    """XXH3 of all that a head is, 128 bits, hexadecimal: layers, arrays and metadata."""
    contents = {name: np.ascontiguousarray(array) for name, array in head.arrays.items()}
    arrays = {name: [array.shape, array.dtype.str, checksum_of(array.data)] for name, array in contents.items()}
    return checksum_of_values({"layers": head.layers, "arrays": arrays, "metadata": dict(head.metadata)})


def write_head(path: str | Path, head: Head) -> str:
    """Write a head as safetensors; the layers, the checksum and whatever identifies the run are its metadata.

    Returns:
        The checksum.
    """
    from safetensors.numpy import save

    checksum = checksum_of_head(head)
    values = {"schema": HEAD_SCHEMA, "checksum": checksum, "layers": head.layers, "metadata": dict(head.metadata)}
    with writing(path) as part:
        # A single sorted key: safetensors keeps metadata in a hash map whose order would differ from run to run.
        part.write_bytes(save(dict(head.arrays), metadata={"sdc": json.dumps(values, sort_keys=True)}))
    return checksum


def read_head(path: str | Path, expect: Mapping[str, Any] = NOTHING) -> Head:
    """Read a head.

    Args:
        path: The file.
        expect: What its metadata should say: ``dataset``, ``backbone``, ``method``, ``bits``, ``seed`` and the like.

    Raises:
        StorageError: If the file is missing, damaged, no head, or another's.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb"):
            pass  # safetensors does not tell a file that may not be read from one that is damaged
        with safe_open(path, framework="numpy") as file:
            values = json.loads((file.metadata() or {})["sdc"])
            if values["schema"] != HEAD_SCHEMA:
                raise outdated(path, values["schema"], HEAD_SCHEMA)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            head = Head(tuple(values["layers"]), arrays, values["metadata"])
        intact = values["checksum"] == checksum_of_head(head)
    except OSError as error:
        raise unreadable(path, error) from error
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise StorageError(f"{path}: is not a valid head ({error}); {remedy(path)}") from error
    if not intact:
        raise StorageError(f"{path}: is damaged: it does not match its checksum; {remedy(path)}")
    check_identity(path, head.metadata, expect)
    return head
