import json
import sys

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

import sdc
from sdc import SDC, SH, Encoder
from sdc.errors import SDCError
from sdc.search.onnx import export_head, export_model
from tests.support.encoders import make_encoder

runtime = pytest.importorskip("onnxruntime")
FACTORY = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 24, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
"""


@pytest.fixture(scope="module")
def photographs():
    """Parts of two photographs that scikit-learn has."""
    draw, whole, parts = np.random.default_rng(0), load_sample_images().images, []
    for number in range(24):
        edge = int(draw.integers(60, 300))
        top, left = (int(draw.integers(size - edge)) for size in whole[0].shape[:2])
        parts.append(np.ascontiguousarray(whole[number % 2][top : top + edge, left : left + edge]))
    return parts


def results(path, name, values):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["outputs", "codes"], {name: values})


RANDOM = {"weights": "none", "resize": 64, "crop": 64}
NETWORKS = [
    {"type": "module", "factory": "onnx_network:network", "resize": 32, "crop": 32, "dtype": "float16"},
    *(pytest.param({"type": name, **RANDOM}, marks=pytest.mark.heavy) for name in ("shufflenet_v2_x0_5", "swin_t")),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network["type"])
def test_backbone_and_head_give_the_same_bits_on_photographs(network, photographs, tmp_path, monkeypatch):
    (tmp_path / "onnx_network.py").write_text(FACTORY)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    encoder = make_encoder({**network, "precision": "float32"}, photographs)
    path = tmp_path / "model.onnx"
    export_model(path, encoder)
    pixels = encoder.pixels(photographs)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (24, network["crop"], network["crop"], 3))
    outputs, codes = results(path, "pixels", pixels)
    assert np.array_equal(codes, encoder.encode(photographs))
    assert np.allclose(outputs, encoder.outputs(photographs), atol=1e-3 * np.abs(outputs).max())
    assert np.array_equal(results(path, "pixels", pixels[:1])[1], codes[:1])
    metadata = runtime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["sdc"]) == json.loads(json.dumps(encoder.identity))
    # Exporters note from which line of which file each operation is.
    assert sdc.__path__[0].encode() not in path.read_bytes()


@pytest.mark.parametrize("method", [SDC(bits=16, epochs=2, hidden=24, batch_size=64), SH(bits=16)], ids=["sdc", "sh"])
def test_heads_give_the_same_bits(method, tmp_path):
    features = np.random.default_rng(0).standard_normal((2000, 10)).astype(np.float32)
    encoder = Encoder(method.fit(features).head)
    export_head(tmp_path / "head.onnx", encoder)
    outputs, codes = results(tmp_path / "head.onnx", "features", features)
    assert np.array_equal(codes, method.encode(features))
    assert np.allclose(outputs, encoder.outputs_of_features(features), atol=1e-5)


def test_what_goes_wrong_is_one_line(tmp_path, monkeypatch):
    features = np.random.default_rng(0).standard_normal((50, 4))
    encoder = Encoder(SH(bits=8).fit(features).head, name="h.safetensors")
    path = tmp_path / "head.onnx"
    with pytest.raises(SDCError, match="h.safetensors: says nothing of a backbone"):
        export_model(path, encoder)

    class Others(runtime.InferenceSession):
        def run(self, names, inputs):
            outputs, codes = super().run(names, inputs)
            return outputs, ~codes

    with monkeypatch.context() as patched:
        patched.setattr(runtime, "InferenceSession", Others)
        with pytest.raises(SDCError, match=r"head.onnx: ONNX Runtime gives other codes than torch: 6\d of 64 bits"):
            export_head(path, encoder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SDCError, match=r"head.onnx: ONNX needs a package \(.*\); pip install 'sdc-hashing\[onnx\]'"):
        export_head(path, encoder)
    assert not path.exists()
