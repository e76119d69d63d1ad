import logging

import numpy as np
import pytest

from sdc import LSH, Index
from sdc.backbones.pixels import Pixels
from sdc.cli import main
from sdc.errors import SDCError
from sdc.storage.heads import write_head
from sdc.storage.records import read_record
from sdc.tools import export
from tests.support.encoders import make_encoder


def test_a_head_and_a_model_are_written_and_checked(tmp_path, caplog):
    runtime = pytest.importorskip("onnxruntime")
    images = [*np.random.default_rng(0).integers(0, 256, (20, 9, 9, 3), np.uint8)]
    encoder = make_encoder({"type": "pixels", "size": 4}, images, features_version=3)
    write_head(tmp_path / "head.safetensors", encoder.head)
    caplog.set_level(logging.INFO)
    for to, name, values in (
        ("onnx", "pixels", encoder.pixels(images)),
        ("onnx-head", "features", encoder.features(images)),
    ):
        out = tmp_path / f"{to}.onnx"
        assert main(["export", to, str(tmp_path / "head.safetensors"), "--out", str(out)]) == 0
        codes = runtime.InferenceSession(str(out)).run(["codes"], {name: values})[0]
        assert np.array_equal(codes, encoder.encode(images))
        assert f"{out}: 0.0 MB; ONNX Runtime gives the same codes as torch" in caplog.messages


def test_arithmetic_that_the_file_does_not_have_is_said(tmp_path, caplog, monkeypatch):
    images = [*np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3), np.uint8)]
    encoder = make_encoder({"type": "pixels", "size": 4}, images, features_version=3)
    write_head(tmp_path / "head.safetensors", encoder.head)
    monkeypatch.setattr(Pixels, "precision", "bfloat16")
    monkeypatch.setattr(export, "export_model", lambda path, encoder: path.write_bytes(b""))
    export.run("onnx", tmp_path / "head.safetensors", out=tmp_path / "m.onnx")
    assert "its features were made in bfloat16, and the file computes in float32: bits may differ" in caplog.messages


def test_a_head_of_arrays_has_no_backbone(tmp_path):
    LSH(bits=8).fit(np.random.default_rng(0).standard_normal((9, 3))).save(tmp_path / "h.safetensors")
    with pytest.raises(SDCError, match="h.safetensors: says nothing of a backbone.*; use encode_features"):
        export.run("onnx", tmp_path / "h.safetensors", out=tmp_path / "m.onnx")


def test_an_index_is_written_for_each_program(tmp_path, caplog):
    faiss = pytest.importorskip("faiss")
    codes = np.arange(24, dtype=np.uint8).reshape(3, 8)
    Index.build(codes, [4, 5, 6], paths="abc").save(tmp_path / "index")
    caplog.set_level(logging.INFO)
    for to, name in (("faiss", "x.faiss"), ("postgresql", "x.sql"), ("lancedb", "x.lance")):
        if to == "lancedb":
            pytest.importorskip("lancedb")
        assert main(["export", to, str(tmp_path / "index"), "--out", str(tmp_path / name)]) == 0
        assert f"{tmp_path / name}: 3 codes of 64 bits" in caplog.messages
        if to != "lancedb":
            read_record(tmp_path / f"{name}.record.json", "export", {"to": to, "count": 3}).check(tmp_path / name)
    assert faiss.read_index_binary(str(tmp_path / "x.faiss")).search(codes[1:2], 1)[1].tolist() == [[5]]
    assert main(["export", "faiss", str(tmp_path), "--out", str(tmp_path / "y.faiss")]) == 2
    assert caplog.messages[-1] == (
        f"sdc export: error: {tmp_path}: holds no index (index.json is missing); name the folder of one, or build it"
    )
