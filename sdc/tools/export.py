"""``sdc export``: heads, and backbones with heads, for other programs."""

import logging
from pathlib import Path
from typing import Literal

from sdc.limits import OutputFile
from sdc.search.encoder import Encoder
from sdc.search.onnx import export_head, export_model

_log = logging.getLogger(__name__)


def run(to: Literal["onnx", "onnx-head"], source: Path, *, out: OutputFile, weights: str | None = None) -> int:
    """Write a head, alone or with its backbone, as ONNX, and check with ONNX Runtime that it gives the same codes.

    Args:
        to: ``onnx`` is backbone and head, from pixels (uint8 of shape n, h, w, 3, resized and cropped) to outputs and
            packed codes; ``onnx-head`` is the head alone, from features (float32 of shape n, dim).
        source: ``head.safetensors`` of a run, which says what its backbone is.
        out: The file to write. Its metadata say of which run it is, and how images are resized and cropped.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If the head or its weights cannot be used, a package is missing, torch cannot export the network, or
            the codes are others.
    """
    encoder = Encoder.load(source, weights, "cpu")
    if to == "onnx-head":
        export_head(out, encoder)
    else:
        export_model(out, encoder)
        precision = encoder.checked().precision
        if precision != "float32":
            _log.warning("its features were made in %s, and the file computes in float32: bits may differ", precision)
    _log.info("%s: %.1f MB; ONNX Runtime gives the same codes as torch", out, out.stat().st_size / 1e6)
    return 0
