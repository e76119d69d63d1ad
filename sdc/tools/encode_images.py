"""``sdc encode-images``: codes of any images, from a head and its backbone."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.datasets.decode import MAX_MEGAPIXELS
from sdc.errors import SDCError
from sdc.limits import Megapixels, OutputFile
from sdc.search.encoder import Encoder
from sdc.search.files import FilesToEncode, OnError
from sdc.storage.codes import Codes, write_codes
from sdc.storage.columns import write_columns
from sdc.storage.files import writing
from sdc.storage.records import RUN, checksum_of_file, expected, record_beside, write_record

_log = logging.getLogger(__name__)
_FORMATS = (".h5", ".npy", ".csv")


def run(
    head: Path,
    images: Sequence[Path],
    *,
    out: OutputFile,
    weights: str | None = None,
    device: str = "auto",
    on_error: OnError = "fail",
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
) -> int:
    """Encode images: the codes that the pipeline would give them.

    Example:
        sdc encode-images head.safetensors photographs --out codes.h5

    Args:
        head: ``head.safetensors`` of a run, which says what its backbone is.
        images: Files, and folders whose images are all taken.
        out: What to write, by its suffix: ``.h5`` (arrays codes and path), ``.npy`` (and beside it the paths, in
            ``.paths.csv``) or ``.csv`` (columns path and code, hexadecimal). Bytes are in NumPy's packbits order.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        on_error: A file that cannot be read, or has too many pixels, or in a folder is no image: ``fail`` and name it,
            or ``skip`` it and count it.
        max_megapixels: Images of more pixels are not decoded, unless the dataset's settings say which are scaled.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If the head or its weights cannot be used, an image cannot be read, or none can.
    """
    if out.suffix not in _FORMATS:
        raise SDCError(f"--out {out}: its suffix says no format; give {', '.join(_FORMATS)}")
    files = FilesToEncode(images, on_error)
    encoder = Encoder.load(head, weights, device, max_megapixels)
    began = time.perf_counter()
    codes = files.encode(encoder)
    seconds = time.perf_counter() - began
    identity = encoder.identity
    # These images are in no manifest; the dataset is that of the head.
    attributes = {**expected(identity, *(key for key in RUN if key != "dataset"), "head_xxh3", "weights", "version")}
    attributes["train_on"] = identity["dataset"]
    checksums = _write(out, codes, files.paths, attributes)
    made_from = {"head_xxh3": identity["head_xxh3"], "weights": identity["weights"]}
    facts = {**attributes, "skipped": len(files.skipped)}
    write_record(record_beside(out), "encode-images", facts, checksums, made_from)
    _log.info("%d images in %.1f s: %.1f images/s", len(codes), seconds, len(codes) / seconds)
    return 0


def _write(out: Path, codes: np.ndarray, paths: Sequence[str], attributes: Mapping[str, Any]) -> dict[str, str]:
    """Write codes and paths as the suffix says; returns the checksum of each file by its name."""
    if out.suffix == ".h5":
        return {out.name: write_codes(out, Codes(codes, np.arange(len(codes)), attributes, paths=paths))}
    if out.suffix == ".csv":
        write_columns(out, {"path": paths, "code": [code.tobytes().hex() for code in codes]})
        return {out.name: checksum_of_file(out)}
    beside = out.with_suffix(".paths.csv")
    write_columns(beside, {"path": paths})
    with writing(out) as part, open(part, "wb") as file:
        np.save(file, codes)
    return {path.name: checksum_of_file(path) for path in (out, beside)}
