"""``sdc export``: heads, backbones with heads, and indexes, for other programs."""

import logging
from pathlib import Path
from typing import Literal

from sdc.limits import OutputFile
from sdc.search.databases import export_faiss, export_lancedb, export_postgresql
from sdc.search.encoder import Encoder
from sdc.search.index import Index
from sdc.search.onnx import export_head, export_model
from sdc.storage.records import RUN, expected, record_beside, write_record

_log = logging.getLogger(__name__)


def run(
    to: Literal["onnx", "onnx-head", "faiss", "postgresql", "lancedb"],
    source: Path,
    *,
    out: OutputFile,
    weights: str | None = None,
    table: str = "images",
) -> int:
    """Write a head, alone or with its backbone, or an index, for other programs.

    Example:
        sdc export faiss index --out index.faiss

    Args:
        to: ``onnx`` is backbone and head, from pixels (uint8 of shape n, h, w, 3, resized and cropped) to outputs and
            packed codes; ``onnx-head`` is the head alone, from features (float32 of shape n, dim). ONNX Runtime checks
            that both give the same codes. ``faiss`` is an index for FAISS alone, ``postgresql`` SQL for psql, and
            ``lancedb`` the folder of a database.
        source: For ONNX ``head.safetensors`` of a run, which says what its backbone is; else the folder of an index.
        out: The file or new folder to write. The metadata of an ONNX file say of which run it is, and how images are
            resized and cropped.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        table: What the table of a database is called.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If the source or its weights cannot be used, a package is missing, torch cannot export the network, or
            the codes are others.
    """
    if to in ("onnx", "onnx-head"):
        _export_onnx(to, source, out, weights)
        return 0
    index = Index.load(source)
    if to == "lancedb":
        export_lancedb(out, index, table)
    else:
        if to == "faiss":
            export_faiss(out, index)
        else:
            export_postgresql(out, index, table)
        facts = {**expected(index.facts, *RUN), "to": to, "bits": index.bits, "count": len(index)}
        write_record(record_beside(out), "export", facts, [out], expected(index.facts, "head_xxh3"))
    _log.info("%s: %d codes of %d bits", out, len(index), index.bits)
    return 0


def _export_onnx(to: str, source: Path, out: Path, weights: str | None) -> None:
    for library in ("onnx_ir", "onnxscript"):
        logging.getLogger(library).setLevel(logging.WARNING)  # else they tell of every constant
    encoder = Encoder.load(source, weights, "cpu")
    if to == "onnx-head":
        export_head(out, encoder)
    else:
        export_model(out, encoder)
        precision = encoder.checked().precision
        if precision != "float32":
            _log.warning("its features were made in %s, and the file computes in float32: bits may differ", precision)
    _log.info("%s: %.1f MB; ONNX Runtime gives the same codes as torch", out, out.stat().st_size / 1e6)
