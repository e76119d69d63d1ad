"""Encoders as ONNX files, which give codes without this package and without torch."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.search.encoder import Encoder
from sdc.storage.files import writing

# Images or features on which a file is tried.
_TRIED = 8
# Outputs nearer to zero than this share of the largest may have another sign by rounding.
_ROUNDING = 1e-3
# A protocol buffer holds less.
_MOST_BYTES = 2**31 - 1


def export_head(path: str | Path, encoder: Encoder) -> None:
    """Write a head as ONNX: from ``features``, shape ``(n, dim)``, float32, to ``outputs`` and ``codes``.

    ``outputs`` are the pre-activations, shape ``(n, bits)``, float32; ``codes`` uint8, shape ``(n, bits / 8)``, in
    NumPy's ``packbits`` order. Products are in float64, so bits are those of ``Head.encode``; of a head with ``gelu``
    or ``cos``, which ONNX Runtime has in float32 alone, a bit whose output is all but 0 may differ.

    Raises:
        SDCError: If a package is missing, or ONNX Runtime gives other codes.
    """
    from sdc.search.modules import HeadModule

    features = np.random.default_rng(0).standard_normal((_TRIED, encoder.head.dim), np.float32)
    _export(path, encoder, HeadModule(encoder.head), "features", features)


def export_model(path: str | Path, encoder: Encoder) -> None:
    """Write backbone and head as ONNX: from ``pixels`` to ``outputs`` and ``codes``, as of ``export_head``.

    ``pixels`` are what ``Encoder.pixels`` gives: for a network, uint8 of shape ``(n, h, w, 3)``, decoded, resized and
    cropped; the file's metadata say how. The network computes in float32.

    Raises:
        SDCError: Likewise; or if torch cannot export the network, or it does not fit in one file.
    """
    from sdc.search.modules import EncoderModule

    images = np.random.default_rng(0).integers(0, 256, (_TRIED, 64, 64, 3), np.uint8)
    _export(path, encoder, EncoderModule(encoder), "pixels", encoder.pixels(images))


def _export(path: str | Path, encoder: Encoder, module: Any, name: str, example: np.ndarray) -> None:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (torch needs it)
    except ImportError as error:
        raise SDCError(f"{path}: ONNX needs a package ({error}); pip install 'sdc-hashing[onnx]'") from error
    import torch

    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of torch's own parts
            batch = torch.from_numpy(example)
            expected = [each.numpy() for each in module.eval()(batch)]
            program: Any = torch.onnx.export(
                module, (batch,), dynamo=True, verbose=False, dynamic_shapes=({0: torch.export.Dim("n")},),
                input_names=[name], output_names=["outputs", "codes"],
            )  # fmt: skip
        model = program.model_proto
    except Exception as error:  # whatever an exporter may say
        raise SDCError(f"{path}: torch cannot export {encoder.name} ({' '.join(str(error).split())[:200]})") from error
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]  # where in which file of this machine it comes from
    model.metadata_props.add(key="sdc", value=json.dumps(encoder.identity, sort_keys=True))
    if model.ByteSize() > _MOST_BYTES:
        raise SDCError(f"{path}: has {model.ByteSize() / 1e9:.1f} GB, and an ONNX file holds 2; export the head alone")
    content = model.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count in (_TRIED, 1):
        outputs, codes = session.run(["outputs", "codes"], {name: example[:count]})
        sure = np.abs(outputs) > _ROUNDING * np.abs(outputs).max()
        unlike = np.unpackbits(codes ^ expected[1][:count], axis=1).astype(bool) & sure
        if unlike.any():
            differs = f"ONNX Runtime gives other codes than torch: {unlike.sum()} of {unlike.size} bits differ"
            raise SDCError(f"{path}: {differs}; install other versions of the two")
    with writing(path) as part:
        part.write_bytes(content)
