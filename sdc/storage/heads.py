"""Hash heads as safetensors."""

import json
from pathlib import Path

from sdc.errors import StorageError
from sdc.head import Head
from sdc.storage.files import remedy, writing

HEAD_SCHEMA = "sdc.head/1"


def write_head(path: str | Path, head: Head) -> None:
    """Write a head as safetensors; the layers and whatever identifies the run are its metadata."""
    from safetensors.numpy import save

    # A single sorted key: safetensors keeps metadata in a hash map whose order would differ from run to run.
    text = json.dumps({"schema": HEAD_SCHEMA, "layers": head.layers, **head.metadata}, sort_keys=True)
    with writing(path) as part:
        part.write_bytes(save(dict(head.arrays), metadata={"sdc": text}))


def read_head(path: str | Path) -> Head:
    """Read a head.

    Raises:
        StorageError: If the file is missing, damaged or no head.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {})["sdc"])
            if metadata.pop("schema") != HEAD_SCHEMA:
                raise ValueError(f"schema is not {HEAD_SCHEMA}")
            layers = tuple(metadata.pop("layers"))
            return Head(layers, {name: file.get_tensor(name) for name in file.keys()}, metadata)  # noqa: SIM118
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StorageError(f"{path}: is not a valid head ({error}); {remedy(path)}") from error
