"""The import budget: what needs no torch imports none, and importing the package costs nothing."""

import functools
import hashlib
import http.server
import subprocess
import sys
import threading

import numpy as np
import pytest

HEAVY = ("torch", "torchvision", "scipy", "pandas", "sklearn", "h5py", "jsonschema")


def modules_after(code, *arguments):
    """Which heavy modules a fresh interpreter has loaded after running some code."""
    program = f"import sys; {code}; print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("LOADED")[1].split())


@pytest.mark.parametrize("code", ["import sdc", "import sdc.cli", "import sdc.plan, sdc.registry, sdc.devices"])
def test_front_modules_load_nothing_heavy(code):
    assert modules_after(code) == set()


def test_catalogue_classes_load_no_torch():
    code = "from sdc import registry; [registry.load(c, n) for c, names in registry.CATALOGUES.items() for n in names]"
    assert not modules_after(code) & {"torch", "torchvision", "scipy", "pandas", "sklearn"}


def test_downloading_loads_no_torch(tmp_path, monkeypatch):
    content = np.random.default_rng(0).bytes(1000)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/part").write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    code = (
        "from pathlib import Path; from sdc.datasets.download import fetch;"
        "fetch(Path(sys.argv[1]), ['part'], {'part': sys.argv[2]}, [sys.argv[3]])"
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        loaded = modules_after(code, str(tmp_path / "data/set"), md5, address)
        server.shutdown()
    assert not loaded & {"torch", "torchvision", "scipy", "pandas", "sklearn"}
    assert (tmp_path / "data/set/part").read_bytes() == content


def test_stages_that_need_no_torch_import_none(tmp_path):
    stage = "from sdc.cli import main; assert main(sys.argv[1:]) == 0"
    manifest, head, codes = f"{tmp_path}/m.csv", f"{tmp_path}/h.safetensors", f"{tmp_path}/c.h5"
    features = ("--manifest", manifest, "--features", f"{tmp_path}/f", "--shards", "1")
    assert not modules_after(stage, "prepare", "--dataset", "digits", "--out", manifest) & {"torch", "sklearn"}

    extract = ("extract", "--manifest", manifest, "--backbone", "pixels", "--shard", "0", "--shards", "1")
    subprocess.run([sys.executable, "-m", "sdc", *extract, "--out", f"{tmp_path}/f/0-of-1.h5"], check=True)

    np.savez(tmp_path / "x.npz", features=np.random.default_rng(0).standard_normal((40, 3)), labels=np.arange(40) % 2)
    vectors, settings = f"{tmp_path}/v.csv", f'{{"file": "{tmp_path}/x.npz"}}'
    assert not modules_after(stage, "prepare", "--dataset", "features", "--settings", settings, "--out", vectors) & {
        "torch", "pandas"
    }  # fmt: skip
    copy = ("extract", "--manifest", vectors, "--backbone", "imported", "--shard", "0", "--shards", "1")
    assert not modules_after(stage, *copy, "--out", f"{tmp_path}/v/0-of-1.h5") & {"torch", "pandas"}

    # Closed-form methods are fitted with NumPy, so that even training them loads no torch.
    for method in ("lsh", "sh", "itq"):
        fit = (
            "train",
            *features,
            "--method",
            method,
            "--bits",
            "16",
            "--seed",
            "0",
            "--out",
            head,
            "--curve",
            f"{tmp_path}/c.csv",
        )
        assert not modules_after(stage, *fit) & {"torch", "scipy", "pandas"}
    encode = modules_after(stage, "encode", *features, "--head", head, "--out", codes)
    assert not encode & {"torch", "scipy", "pandas", "sklearn", "jsonschema"}
    features_only = (
        "import numpy; from sdc import Encoder; encoder = Encoder.load(sys.argv[1]);"
        "ones = numpy.ones((1, encoder.head.dim)); encoder.outputs_of_features(ones); encoder.encode_features(ones)"
    )
    assert not modules_after(features_only, head) & {"torch", "torchvision", "scipy", "pandas", "sklearn"}
    out = f"{tmp_path}/runs/digits/pixels/itq/16bit/seed0/metrics.json"
    evaluate = modules_after(stage, "evaluate", "--manifest", manifest, "--codes", codes, "--out", out)
    assert not evaluate & {"torch", "scipy", "pandas", "sklearn", "jsonschema"}
    build = ("index", "--manifest", manifest, "--codes", codes, "--head", head, "--out", f"{tmp_path}/i")
    assert "torch" not in modules_after(stage, *build)
    np.save(tmp_path / "q.npy", np.ones((2, 192), np.float32))  # pixels of 8 x 8 in colour
    ask = ("search", "--features", f"{tmp_path}/q.npy", "--index", f"{tmp_path}/i")
    assert not modules_after(stage, *ask) & {"torch", "scipy", "pandas", "sklearn"}
    selection = '{"datasets": ["digits"], "backbones": ["pixels"], "methods": ["itq"], "bits": [16], "seeds": [0]}'
    aggregate = ("aggregate", "--results", str(tmp_path), "--selection", selection, "--make", "table1")
    assert "torch" not in modules_after(stage, *aggregate, "--out", f"{tmp_path}/table1.csv")
